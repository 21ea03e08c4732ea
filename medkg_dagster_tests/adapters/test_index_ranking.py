"""How search ranks real abstracts, on a fixed sample of SciFact."""

from contextlib import closing
from pathlib import Path
from statistics import fmean

import numpy as np

from evaluation.retrieval import Collection
from medkg_dagster.adapters.index.sqlite_store import SqliteIndex
from medkg_dagster.stage_api import DocumentContext, EmbeddingBatch, SearchRequest
from medkg_dagster.stages.chunk import ChunkConfig, ChunkStage


def test_evidence_stands_high_among_other_abstracts(shared_data: Path, tmp_path: Path) -> None:
    collection = Collection.read(shared_data / "retrieval_scifact")
    queries = dict(list(collection.queries.items())[:100])
    wanted = set().union(*(collection.relevant[query] for query in queries))
    documents = sorted(collection.documents, key=lambda document: document.id not in wanted)[:1000]
    stage = ChunkStage(ChunkConfig())
    chunks = [chunk for document in documents for chunk in stage.execute(DocumentContext(), document)]
    vectors = np.zeros((len(chunks), 0), np.float32)
    with closing(SqliteIndex(tmp_path)) as index:
        index.upsert(chunks, EmbeddingBatch(tuple(one.id for one in chunks), vectors, "", lexical=True))
        scores = [
            collection.score(query, [hit.document.id for hit in index.search(SearchRequest(text)).hits])
            for query, text in queries.items()
        ]

    assert fmean(ndcg for ndcg, _ in scores) > 0.75
