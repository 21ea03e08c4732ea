"""Which vectors are closest, where there are too many to compare number by number."""

from contextlib import closing
from pathlib import Path

import numpy as np

from medkg_dagster.adapters.index.sqlite_store import SqliteIndex
from medkg_dagster.stage_api import EmbeddingBatch, SearchRequest
from medkg_dagster_tests.adapters.test_sqlite_index import make_chunk

NUMBER, DIMENSION = 4_500, 100


def test_of_very_many_vectors_the_closest_are_found(tmp_path: Path) -> None:
    chunks = [make_chunk("word", f"PMID:{number}") for number in range(NUMBER)]
    drawn = np.random.default_rng(0).standard_normal((NUMBER, DIMENSION), np.float32)
    vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    with closing(SqliteIndex(tmp_path)) as index:
        index.upsert(chunks, EmbeddingBatch(tuple(one.id for one in chunks), vectors, "m:{}", lexical=False))

        for own in range(0, NUMBER, 900):
            closest = np.argsort(-(vectors @ vectors[own]), kind="stable")[:3].tolist()
            hits = index.search(SearchRequest("word", vectors[own], 200)).hits
            ranked = sorted((hit.vector_rank, hit.document.id) for hit in hits if hit.vector_rank)
            assert [name for _, name in ranked[:3]] == [f"PMID:{number}" for number in closest]
