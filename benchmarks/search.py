"""What it costs to index documents and to search them, against SQLite's full text alone."""

import random
import sqlite3
import tempfile
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
    chance = random.Random("search")  # noqa: S311 - the same documents in every run
    vocabulary = [
        "".join(chance.choices("aeioubcdfglmnprst", k=chance.randint(4, 11))) for _ in range(60_000)
    ]
    frequencies = np.cumsum([1 / rank for rank in range(2, len(vocabulary) + 2)]).tolist()
    drawn = partial(chance.choices, vocabulary, cum_weights=frequencies, k=_WORDS_OF_EACH)
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
        asked = [" ".join(chance.choices(vocabulary[:5_000], k=8)) for _ in range(queries)]
        vectors = _vectors(queries)
        with closing(SqliteIndex(home)) as index:
            by_words = [SearchRequest(text) for text in asked]
            by_both = [SearchRequest(text, vector) for text, vector in zip(asked, vectors, strict=True)]
            for name, requests, target in (("words", by_words, 200), ("words and vectors", by_both, 150)):
                speed = queries / cpu_seconds(partial(_search, index, requests))
                note = f"{number:,} chunks, the first questions to the process"
                yield Figure.value(
                    f"queries by {name}", "per CPU s", speed, target, note, bound=Bound.AT_LEAST
                )


def _batches(documents: int, words: Callable[[], list[str]]) -> Iterator[tuple[list[Chunk], EmbeddingBatch]]:
    for start in range(0, documents, _AT_ONCE):
        chunks = [
            _chunk(f"PMID:{number}", place, " ".join(words()))
            for number in range(start, min(start + _AT_ONCE, documents))
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
        for chunks, vectors in batches:
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
