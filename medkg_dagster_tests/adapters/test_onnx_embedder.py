import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from medkg_dagster.adapters.embedders.onnx import ONNX, OnnxEmbedder, OnnxParameters, mean_pool
from medkg_dagster.errors import ConfigError
from medkg_dagster.registry import ExtensionRegistry
from medkg_dagster.stage_api import ExtensionKind
from medkg_dagster.stage_api._extensions import open_embedder

INSTALLED = bool(importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("tokenizers"))
needs_runtime = pytest.mark.skipif(not INSTALLED, reason="the extra 'onnx' is not installed")


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, value: int | bytes | str) -> bytes:
    """One protobuf field: ONNX models are protobuf messages, and this one is small."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor_type(name: str, element: int, *dimensions: str) -> bytes:
    shape = b"".join(field(1, field(2, dimension)) for dimension in dimensions)
    return field(1, name) + field(2, field(1, field(1, element) + field(2, shape)))


def write_model(folder: Path, table: np.ndarray) -> None:
    """Write a model that looks every token up in a table, and a tokenizer of four words."""
    folder.mkdir(exist_ok=True)
    weights = b"".join(field(1, size) for size in table.shape) + field(2, 1) + field(8, "table")
    weights += field(9, table.astype("<f4").tobytes())
    node = field(1, "table") + field(1, "input_ids") + field(2, "tokens") + field(4, "Gather")
    graph = field(1, node) + field(2, "graph") + field(5, weights)
    graph += field(11, tensor_type("input_ids", 7, "texts", "tokens"))
    graph += field(12, tensor_type("tokens", 1, "texts", "tokens", "dimension"))
    model = field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))
    (folder / "model.onnx").write_bytes(model)
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {
            "type": "WordLevel",
            "vocab": {"[UNK]": 0, "skin": 1, "kidney": 2, "lung": 3},
            "unk_token": "[UNK]",
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def test_the_entry_point_names_it() -> None:
    assert ExtensionRegistry().find(ExtensionKind.EMBEDDER, "onnx") is ONNX


def test_the_mean_leaves_padding_out_and_has_length_one() -> None:
    tokens = np.array([[[3.0, 0], [0, 4.0], [100, 100]], [[9, 9], [9, 9], [9, 9]]], dtype=np.float32)
    mask = np.array([[1, 1, 0], [0, 0, 0]])

    pooled = mean_pool(tokens, mask)

    assert pooled.dtype == np.float32
    assert pooled.tolist() == [pytest.approx([0.6, 0.8]), [0, 0]]


def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as if it were not installed

    with pytest.raises(ConfigError, match=r"pip install 'medkg-dagster\[onnx\]'"):
        OnnxEmbedder(OnnxParameters(folder=tmp_path), tmp_path)


@needs_runtime
@pytest.mark.parametrize("content", [None, b"", b"no model"])
def test_a_folder_without_a_model_is_a_config_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        write_model(tmp_path, np.eye(4))
        (tmp_path / "model.onnx").write_bytes(content)

    with pytest.raises(ConfigError, match=r"model\.onnx"):
        OnnxEmbedder(OnnxParameters(folder=tmp_path), tmp_path)


@needs_runtime
@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_pipe_in_place_of_a_file_of_the_model_is_not_waited_for(tmp_path: Path, name: str) -> None:
    write_model(tmp_path, np.eye(4))
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)

    with pytest.raises(ConfigError, match=f"has no {name}"):
        OnnxEmbedder(OnnxParameters(folder=tmp_path), tmp_path)


@needs_runtime
def test_texts_are_tokenized_run_and_pooled(tmp_path: Path) -> None:
    write_model(tmp_path / "model", np.array([[1, 0, 0], [0, 3, 0], [0, 0, 4], [1, 1, 1]]))
    embedder = OnnxEmbedder(OnnxParameters(folder=Path("model")), tmp_path)

    vectors = embedder.embed(["skin kidney", "skin", "", "skin skin skin skin"])

    assert vectors[0] == pytest.approx([0, 0.6, 0.8])
    assert vectors[1] == pytest.approx([0, 1, 0])
    assert not vectors[2].any()
    assert vectors[3] == pytest.approx([0, 1, 0])
    assert not embedder.lexical
    assert open_embedder(ExtensionRegistry(), embedder.model, tmp_path).model == embedder.model


@needs_runtime
def test_another_model_in_the_folder_is_refused_when_an_index_is_reopened(tmp_path: Path) -> None:
    write_model(tmp_path / "model", np.eye(4))
    name = OnnxEmbedder(OnnxParameters(folder=Path("model")), tmp_path).model
    write_model(tmp_path / "model", np.eye(4) * 2)

    with pytest.raises(ConfigError, match="SHA-256"):
        open_embedder(ExtensionRegistry(), name, tmp_path)
