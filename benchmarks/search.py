"""What it costs to index documents and to search them, against SQLite's full text alone."""

import random
import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Bound, Figure, cpu_seconds, in_turn
from medkg_dagster.adapters.index.sqlite_store import SqliteIndex
from medkg_dagster.stage_api import Chunk, EmbeddingBatch, SearchRequest, chunk_id

_CHUNKS_OF_EACH, _WORDS_OF_EACH = 3, 150
_DIMENSION = 384
_AT_ONCE = 200


def measure(documents: int = 4_700, queries: int = 300, repeats: int = 3) -> Iterator[Figure]:
    """Measure processor time on documents of words as frequent as those of a language are.

    Args:
        documents: How many, of three chunks each.
        queries: How many, of eight words each.
        repeats: Rounds that count.
    """
    drawn = _Words()
    batches = list(_batches(documents, drawn))
    number = documents * _CHUNKS_OF_EACH
    with tempfile.TemporaryDirectory() as folder:
        places = (Path(folder) / str(place) for place in range(1_000))
        pair = in_turn(
            lambda: number / cpu_seconds(lambda: _index(next(places), batches)),
            lambda: number / cpu_seconds(lambda: _full_text(next(places), batches)),
            repeats,
        )
        note = f"{number:,} chunks with vectors, {_AT_ONCE} documents at once; against FTS5 without"
        yield Figure.ratio("chunks indexed", "per CPU s", pair, 0.5, note, bound=Bound.AT_LEAST)
        home = next(places)
        _index(home, batches)
        with closing(SqliteIndex(home)) as index:
            for name, requests, target in _requests(drawn, queries, (200, 150)):
                speed = queries / cpu_seconds(partial(_search, index, requests))
                note = f"{number:,} chunks, the first questions to the process"
                yield Figure.value(
                    f"queries by {name}", "per CPU s", speed, target, note, bound=Bound.AT_LEAST
                )


def measure_large(documents: int = 333_334, queries: int = 300) -> Iterator[Figure]:
    """Measure how long queries of a million chunks take; making these takes some minutes, and 5 GB of disk.

    Args:
        documents: How many, of three chunks each.
        queries: How many, of eight words each.
    """
    drawn = _Words()
    number = documents * _CHUNKS_OF_EACH
    with tempfile.TemporaryDirectory() as folder, closing(SqliteIndex(Path(folder))) as index:
        seconds = 0.0
        for batch in _batches(documents, drawn, at_once=2_000):
            seconds += cpu_seconds(partial(_apply, index, *batch))
        note = f"{number:,} chunks with vectors, 2,000 documents at once"
        yield Figure.value("chunks indexed", "per CPU s", number / seconds, None, note)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        yield Figure.value("size of the index", "MB", size / 1e6)
        for name, requests, target in _requests(drawn, queries, (50, 80)):
            took = [_seconds(partial(_search, index, [request])) * 1e3 for request in requests]
            middle, slow = np.percentile(took, (50, 95)).tolist()
            yield Figure.value(f"a query by {name}, median", "ms", middle)
            yield Figure.value(f"a query by {name}, 95th percentile", "ms", slow, target, "wall")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        yield Figure.value("peak memory of writing and searching", "MB", peak, 3_000)


class _Words:
    """Draws words as frequent as those of a language are; the same in every run."""

    def __init__(self) -> None:
        chance = random.Random("search")  # noqa: S311 - the same documents in every run
        self.vocabulary = [
            "".join(chance.choices("aeioubcdfglmnprst", k=chance.randint(4, 11))) for _ in range(60_000)
        ]
        self._frequencies = np.cumsum([1 / rank for rank in range(2, len(self.vocabulary) + 2)])
        self.chance = np.random.default_rng(0)

    def __call__(self) -> list[str]:
        """Return the words of a chunk."""
        drawn = self.chance.random(_WORDS_OF_EACH) * self._frequencies[-1]
        return [*map(self.vocabulary.__getitem__, np.searchsorted(self._frequencies, drawn).tolist())]


def _requests(
    drawn: _Words, queries: int, targets: tuple[float, float]
) -> Iterator[tuple[str, list[SearchRequest], float]]:
    """Yield questions by words, and the same by words and vectors, each with its target."""
    chosen = drawn.chance.integers(5_000, size=(queries, 8)).tolist()
    asked = [" ".join(drawn.vocabulary[word] for word in words) for words in chosen]
    by_both = [SearchRequest(text, vector) for text, vector in zip(asked, _vectors(queries), strict=True)]
    yield "words", [SearchRequest(text) for text in asked], targets[0]
    yield "words and vectors", by_both, targets[1]


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _batches(
    documents: int, words: Callable[[], list[str]], at_once: int = _AT_ONCE
) -> Iterator[tuple[list[Chunk], EmbeddingBatch]]:
    for start in range(0, documents, at_once):
        chunks = [
            _chunk(f"PMID:{number}", place, " ".join(words()))
            for number in range(start, min(start + at_once, documents))
            for place in range(_CHUNKS_OF_EACH)
        ]
        ids = tuple(chunk.id for chunk in chunks)
        yield chunks, EmbeddingBatch(ids, _vectors(len(chunks)), "drawn:{}", lexical=False)


def _chunk(document: str, place: int, text: str) -> Chunk:
    start = place * 10_000
    return Chunk(
        id=chunk_id(document, document, start, start + len(text)),
        document_id=document,
        document_hash=document,
        title=text[:80],
        section="Results",
        ordinal=place,
        start=start,
        end=start + len(text),
        text=text,
    )


def _vectors(number: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(number).standard_normal((number, _DIMENSION), np.float32)
    vectors: NDArray[np.float32] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return vectors


def _index(home: Path, batches: Sequence[tuple[list[Chunk], EmbeddingBatch]]) -> None:
    with closing(SqliteIndex(home)) as index:
        for batch in batches:
            _apply(index, *batch)


def _apply(index: SqliteIndex, chunks: list[Chunk], vectors: EmbeddingBatch) -> None:
    index.apply({chunk.document_id: chunk.id for chunk in chunks}, (), chunks, vectors)


def _search(index: SqliteIndex, requests: Sequence[SearchRequest]) -> None:
    for request in requests:
        index.search(request)


def _full_text(home: Path, batches: Sequence[tuple[list[Chunk], EmbeddingBatch]]) -> None:
    home.mkdir(parents=True)
    with closing(sqlite3.connect(home / "bare.sqlite")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "CREATE VIRTUAL TABLE full_text USING fts5 (title, section, text, tokenize = 'porter unicode61')"
        )
        for chunks, _ in batches:
            rows = ((chunk.title, chunk.section, chunk.text) for chunk in chunks)
            connection.executemany("INSERT INTO full_text VALUES (?, ?, ?)", rows)
            connection.commit()
