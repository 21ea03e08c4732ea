"""Words and vectors rank together: the score of each document by its words, and how close it is."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from medkg_dagster.adapters.index.sqlite_store import SqliteIndex
from medkg_dagster.stage_api import EmbeddingBatch, SearchFilters, SearchRequest
from medkg_dagster_tests.adapters.test_sqlite_index import make_chunk

TEXTS = {
    "PMID:1": ("melanoma melanoma", [0.0, 1.0]),
    "PMID:2": ("melanoma of the skin and of the eye", [0.8, 0.6]),
    "PMID:3": ("cancer", [1.0, 0.0]),
    "PMID:4": ("glucose", [0.0, -1.0]),
}


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SqliteIndex]:
    chunks = [make_chunk(text, name, name) for name, (text, _) in TEXTS.items()]
    vectors = np.array([vector for _, vector in TEXTS.values()], np.float32)
    with closing(SqliteIndex(tmp_path)) as store:
        store.upsert(chunks, EmbeddingBatch(tuple(one.id for one in chunks), vectors, "m:{}", lexical=False))
        yield store


def found(index: SqliteIndex, documents: frozenset[str] | None = None) -> list[str]:
    filters = SearchFilters(documents=documents)
    request = SearchRequest("melanoma", np.array([1, 0], np.float32), filters=filters)
    return [hit.document.id for hit in index.search(request).hits]


def test_what_is_good_by_both_comes_before_what_is_best_by_one(index: SqliteIndex) -> None:
    assert found(index)[0] == "PMID:2"
    assert set(found(index)) == {"PMID:1", "PMID:2", "PMID:3"}


def test_a_filter_lets_words_and_closeness_count_as_before(index: SqliteIndex) -> None:
    assert found(index, frozenset({"PMID:1", "PMID:2"})) == ["PMID:2", "PMID:1"]
    assert found(index, frozenset({"PMID:3", "PMID:4"})) == ["PMID:3"]


def test_how_close_a_model_has_any_two_texts_does_not_matter(tmp_path: Path) -> None:
    orders = []
    for name, least in (("far", 0.0), ("near", 8.0)):
        chunks = [make_chunk(text, one, one) for one, (text, _) in TEXTS.items()]
        vectors = np.array([[*vector, least] for _, vector in TEXTS.values()], np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        query = np.array([1, 0, least], np.float32)
        with closing(SqliteIndex(tmp_path / name)) as store:
            batch = EmbeddingBatch(tuple(one.id for one in chunks), vectors, "m:{}", lexical=False)
            store.upsert(chunks, batch)
            hits = store.search(SearchRequest("melanoma", query / np.linalg.norm(query))).hits
            orders.append(hits[0].document.id)
    assert orders == ["PMID:2", "PMID:2"]
