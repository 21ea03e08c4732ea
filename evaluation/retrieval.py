"""How well search ranks SciFact's abstracts, through the project's own chunks and index."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from benchmarks.figures import Bound, Figure
from medkg_dagster.adapters.embedders.none import NONE
from medkg_dagster.adapters.embedders.sentence_model import SENTENCE_TRANSFORMERS
from medkg_dagster.adapters.index.sqlite_store import SqliteIndex
from medkg_dagster.domain.chunks import embedded_text
from medkg_dagster.stage_api import (
    Chunk,
    Document,
    DocumentContext,
    Embedder,
    EmbeddingBatch,
    SearchRequest,
    hash_content,
)
from medkg_dagster.stage_api._extensions import embed_query
from medkg_dagster.stages.chunk import ChunkConfig, ChunkStage
from medkg_dagster.stages.parse.document_text import DocumentText

_SHOWN, _RECALLED = 10, 100
_NDCG_WITHOUT_MODEL, _NDCG_WITH_MODEL = 0.71, 0.735
_QUERIES_PER_SECOND, _HYBRID_QUERIES_PER_SECOND = 200, 150
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Collection:
    """SciFact as it is given: abstracts, claims, and the abstracts that bear on each claim."""

    documents: tuple[Document, ...]
    queries: Mapping[str, str]
    relevant: Mapping[str, Set[str]]

    @classmethod
    def read(cls, folder: Path) -> Collection:
        """Read the corpus and the training queries."""
        relevant: defaultdict[str, set[str]] = defaultdict(set)
        for line in (folder / "qrels_train.tsv").read_text().splitlines()[1:]:
            query, document, _ = line.split("\t")
            relevant[query].add(f"PMID:{document}")
        rows = map(json.loads, (folder / "queries_train.jsonl").read_text().splitlines())
        queries = {row["_id"]: row["text"] for row in rows if row["_id"] in relevant}
        corpus = map(json.loads, (folder / "corpus.jsonl").read_text().splitlines())
        documents = tuple(_document(row["_id"], row["title"], row["text"]) for row in corpus)
        return cls(documents, queries, relevant)

    def score(self, query: str, ranked: Sequence[str]) -> tuple[float, float]:
        """Return nDCG@10 and recall@100 of documents, the best first."""
        wanted = self.relevant[query]
        gain = sum(1 / math.log2(place + 2) for place, name in enumerate(ranked[:_SHOWN]) if name in wanted)
        ideal = sum(1 / math.log2(place + 2) for place in range(min(_SHOWN, len(wanted))))
        return gain / ideal, len(wanted & set(ranked[:_RECALLED])) / len(wanted)


def measure(data: Path, model: Path | None) -> Iterator[Figure]:
    """Yield how well words, vectors and both find SciFact's evidence.

    Args:
        data: Where the real files are.
        model: The folder of a sentence model; without it words alone are measured.
    """
    collection = Collection.read(data / "retrieval_scifact")
    extension = NONE if model is None else SENTENCE_TRANSFORMERS
    embedder: Embedder = extension.open({} if model is None else {"folder": str(model.absolute())}, data)
    with tempfile.TemporaryDirectory() as folder, closing(SqliteIndex(Path(folder))) as index:
        chunks, batches, seconds = _index(index, collection.documents, embedder)
        note = f"{len(chunks):,} chunks of {len(collection.documents):,} documents"
        yield Figure.value("chunks indexed", "per CPU s", len(chunks) / seconds, None, note)
        yield from _ranked(index, collection, None)
        if model is not None:
            yield from _ranked(index, collection, embedder)
    if model is None:
        return
    yield from _nearest(collection, chunks, EmbeddingBatch.joined(batches), embedder)


def _ranked(index: SqliteIndex, collection: Collection, embedder: Embedder | None) -> Iterator[Figure]:
    name = "words" if embedder is None else f"words and {embedder.model.partition(':')[0]}"
    texts = list(collection.queries.values())
    vectors = [None] * len(texts) if embedder is None else [embed_query(embedder, text) for text in texts]
    scores, distinct = [], []
    for query, text, vector in zip(collection.queries, texts, vectors, strict=True):
        hits = index.search(SearchRequest(text, vector, _RECALLED)).hits
        scores.append(collection.score(query, [hit.document.id for hit in hits]))
        shown = [hit.document.id for hit in hits[:_SHOWN]]
        distinct += [_SHOWN * len(set(shown)) / len(shown)] if shown else []
    began = time.process_time()
    for text, vector in zip(texts, vectors, strict=True):
        index.search(SearchRequest(text, vector, _SHOWN))
    speed = len(texts) / (time.process_time() - began)
    wanted = _NDCG_WITHOUT_MODEL if embedder is None else _NDCG_WITH_MODEL
    fast = _QUERIES_PER_SECOND if embedder is None else _HYBRID_QUERIES_PER_SECOND
    yield from _quality(name, scores, wanted)
    yield Figure.value(f"{name}: documents in 10 hits", "", fmean(distinct), 10, bound=Bound.AT_LEAST)
    yield Figure.value(f"{name}: queries", "per CPU s", speed, fast, bound=Bound.AT_LEAST)


def _quality(name: str, scores: Sequence[tuple[float, float]], wanted: float | None) -> Iterator[Figure]:
    ndcg, recall = map(fmean, zip(*scores, strict=True))
    note = f"{len(scores)} training queries"
    yield Figure.value(f"{name}: nDCG@10", "", ndcg, wanted, note, bound=Bound.AT_LEAST)
    yield Figure.value(f"{name}: recall@100", "", recall)


def _nearest(
    collection: Collection, chunks: Sequence[Chunk], embeddings: EmbeddingBatch, embedder: Embedder
) -> Iterator[Figure]:
    """Yield how well vectors alone find it: by each document's closest chunk, all compared."""
    owners = np.array([chunk.document_id for chunk in chunks])
    firsts = np.flatnonzero(np.concatenate([[True], owners[1:] != owners[:-1]]))
    scores = []
    for query, text in collection.queries.items():
        closeness = np.maximum.reduceat(embeddings.vectors @ embed_query(embedder, text), firsts)
        best = np.argsort(-closeness, kind="stable")[:_RECALLED]
        scores.append(collection.score(query, owners[firsts[best]].tolist()))
    yield from _quality(f"{embedder.model.partition(':')[0]} alone", scores, None)


def _index(
    index: SqliteIndex, documents: Sequence[Document], embedder: Embedder
) -> tuple[list[Chunk], list[EmbeddingBatch], float]:
    """Index documents as a run does, some at a time; returns chunks, vectors, and the index's CPU seconds."""
    stage = ChunkStage(ChunkConfig())
    every, batches, seconds = [], [], 0.0
    for start in range(0, len(documents), _AT_ONCE):
        some = documents[start : start + _AT_ONCE]
        chunks = [chunk for document in some for chunk in stage.execute(DocumentContext(), document)]
        vectors = embedder.embed([embedded_text(chunk) for chunk in chunks])
        batch = EmbeddingBatch(tuple(chunk.id for chunk in chunks), vectors, embedder.model, embedder.lexical)
        began = time.process_time()
        index.apply({document.id: document.content_hash for document in some}, (), chunks, batch)
        seconds += time.process_time() - began
        every += chunks
        batches.append(batch)
    return every, batches, seconds


def _document(number: str, title: str, abstract: str) -> Document:
    builder = DocumentText(title, max_characters=1_000_000)
    builder.section("Abstract", in_source=False)
    builder.block(abstract)
    text, sections = builder.layout()
    return Document(
        id=f"PMID:{number}",
        source="infores:pubmed",
        identifiers={"PMID": number},
        title=builder.title,
        text=text,
        sections=sections,
        content_hash=hash_content(builder.title, text),
    )
