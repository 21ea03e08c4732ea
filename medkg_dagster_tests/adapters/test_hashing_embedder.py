import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.adapters.embedders.hashing import HASHING, HashingEmbedder, HashingParameters
from medkg_dagster.errors import ConfigError
from medkg_dagster.registry import ExtensionRegistry
from medkg_dagster.stage_api import ExtensionKind
from medkg_dagster.stage_api._extensions import open_embedder


def embedder(**parameters: float) -> HashingEmbedder:
    return HashingEmbedder(HashingParameters.model_validate(parameters))


def similarity(first: str, second: str) -> float:
    vectors = embedder().embed([first, second])
    return float(vectors[0] @ vectors[1])


def test_the_entry_point_names_it_and_it_is_lexical() -> None:
    assert ExtensionRegistry().find(ExtensionKind.EMBEDDER, "hashing") is HASHING
    assert embedder().lexical
    assert "exical" in HASHING.description


@settings(max_examples=40 if settings().derandomize else 400)  # `make soak` draws more
@given(st.lists(st.text(max_size=200), max_size=5), st.integers(16, 600))
def test_rows_are_float32_of_length_one_or_zero(texts: list[str], dimension: int) -> None:
    vectors = embedder(dimension=dimension).embed(texts)

    assert vectors.dtype == np.float32
    assert vectors.shape == (len(texts), dimension)
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.all((np.abs(lengths - 1) < 1e-5) | (lengths == 0))


def test_texts_without_words_are_zero() -> None:
    assert not embedder().embed(["", " \n", "😀 --", "___"]).any()


def test_shared_words_and_word_forms_lie_close() -> None:
    unrelated = similarity("melanoma of the skin", "kidney transplantation outcome")

    assert similarity("melanoma of the skin", "skin melanoma") > 0.9
    assert similarity("melanomas", "melanoma") > unrelated + 0.2
    assert similarity("Melanoma", "MELANOMA") == pytest.approx(1.0)
    assert abs(unrelated) < 0.25


def test_a_text_has_the_same_vector_alone_and_in_a_batch() -> None:
    texts = ["BRAF V600E", "PD-1 blockade in melanoma", "the of and"]

    batch = embedder().embed(texts)

    for row, text in zip(batch, texts, strict=True):
        assert np.array_equal(row, embedder().embed([text])[0])


def test_vectors_do_not_depend_on_the_hash_seed() -> None:
    program = (
        "import sys; from medkg_dagster.adapters.embedders.hashing import *;"
        "sys.stdout.write(HashingEmbedder(HashingParameters(dimension=64))"
        ".embed(['PD-1 blockade in β-cell melanoma']).tobytes().hex())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }

    assert len(seen) == 1


GOLDEN_PLACES = [3, 8]
GOLDEN_VALUES = [0.5085423, 0.861037]


def test_vectors_are_the_same_in_every_release() -> None:
    vector = embedder(dimension=16, ngram_share=0).embed(["melanoma skin skin"])[0]

    assert np.flatnonzero(vector).tolist() == GOLDEN_PLACES
    assert vector[GOLDEN_PLACES] == pytest.approx(GOLDEN_VALUES, abs=1e-6)


def test_it_can_be_reopened_from_its_model_name(tmp_path: Path) -> None:
    made = embedder(dimension=64, ngram_share=0.25)

    reopened = open_embedder(ExtensionRegistry(), made.model, tmp_path)

    assert reopened.model == made.model
    assert np.array_equal(reopened.embed(["melanoma"]), made.embed(["melanoma"]))


@pytest.mark.parametrize("model", ["", "hashing", "hashing:[]", "hashing:{", "nothing:{}", 'hashing:{"a":1}'])
def test_a_model_name_that_cannot_be_reopened_is_a_config_error(model: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        open_embedder(ExtensionRegistry(), model, tmp_path)
