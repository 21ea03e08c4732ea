import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medkg_dagster.adapters.embedders.hashing import HashingEmbedder, HashingParameters
from medkg_dagster.adapters.index.sqlite import SQLITE_INDEX
from medkg_dagster.adapters.index.sqlite_store import FILE_NAME, SqliteIndex
from medkg_dagster.errors import StoreError
from medkg_dagster.registry import ExtensionRegistry
from medkg_dagster.stage_api import (
    Chunk,
    DocumentHit,
    EmbeddingBatch,
    ExtensionKind,
    SearchRequest,
    chunk_id,
    hash_content,
)
from medkg_dagster_tests.adapters.index_places import Index

EMBEDDER = HashingEmbedder(HashingParameters(dimension=1024))


def make_chunk(text: str, document: str = "PMID:1", version: str = "a", ordinal: int = 0) -> Chunk:
    digest = hash_content(document, version)
    start = ordinal * 10_000
    return Chunk(
        id=chunk_id(document, digest, start, start + len(text)),
        document_id=document,
        document_hash=digest,
        title=f"Title of {document}",
        section="Results",
        ordinal=ordinal,
        start=start,
        end=start + len(text),
        text=text,
    )


def embed(chunks: list[Chunk], embedder: HashingEmbedder = EMBEDDER) -> EmbeddingBatch:
    vectors = embedder.embed([chunk.text for chunk in chunks])
    return EmbeddingBatch(tuple(chunk.id for chunk in chunks), vectors, embedder.model, embedder.lexical)


def dump(home: Path) -> list[str]:
    with closing(sqlite3.connect(home / FILE_NAME)) as connection:
        return list(connection.iterdump())


def texts(home: Path) -> list[str]:
    with closing(sqlite3.connect(home / FILE_NAME)) as connection:
        return [row[0] for row in connection.execute("SELECT text FROM chunks ORDER BY document_id, ordinal")]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SqliteIndex]:
    with closing(SqliteIndex(tmp_path)) as store:
        yield store


CHUNKS = [
    make_chunk("Nivolumab blocks PD-1 in patients with advanced melanoma.", "PMID:1"),
    make_chunk("Vemurafenib inhibits BRAF V600E mutated kinase.", "PMID:2"),
    make_chunk("Metformin lowers glucose in type 2 diabetes.", "PMID:3"),
]


def search(index: Index, query: str) -> list[str]:
    return ids(index, query, EMBEDDER.embed([query])[0])


def hits(
    index: Index, query: str, vector: NDArray[np.float32] | None = None, limit: int = 5
) -> tuple[DocumentHit, ...]:
    return index.search(SearchRequest(query, vector, limit)).hits


def ids(index: Index, query: str, vector: NDArray[np.float32] | None = None, limit: int = 10) -> list[str]:
    return [hit.document.id for hit in hits(index, query, vector, limit)]


def test_the_entry_point_names_it() -> None:
    assert ExtensionRegistry().find(ExtensionKind.INDEX_STORE, "sqlite") is SQLITE_INDEX


def test_a_search_of_nothing_creates_nothing(index: SqliteIndex, tmp_path: Path) -> None:
    assert hits(index, "melanoma", None, 5) == ()
    assert index.embedding_model() is None
    assert not (tmp_path / FILE_NAME).exists()


def test_a_damaged_file_is_refused_with_the_way_out(index: SqliteIndex, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 100)

    with pytest.raises(StoreError, match="move the file away"):
        hits(index, "x", None, 1)
    with pytest.raises(StoreError, match="move the file away"):
        index.upsert(CHUNKS, embed(CHUNKS))


@pytest.mark.parametrize(
    ("statement", "message"),
    [("PRAGMA user_version = 99", "newer release"), ("PRAGMA application_id = 5", "another program")],
)
def test_a_newer_or_foreign_file_is_refused_and_left_alone(
    index: SqliteIndex, tmp_path: Path, statement: str, message: str
) -> None:
    index.upsert(CHUNKS, embed(CHUNKS))
    index.close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute(statement)
    before = dump(tmp_path)

    with pytest.raises(StoreError, match=message):
        index.upsert(CHUNKS[:1], embed(CHUNKS[:1]))

    assert dump(tmp_path) == before


def test_a_home_that_cannot_be_a_folder_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with (
        closing(SqliteIndex(tmp_path / "file" / "home")) as store,
        pytest.raises(StoreError, match="MEDKG_HOME"),
    ):
        store.upsert(CHUNKS, embed(CHUNKS))


WRITER = """
import sys
from pathlib import Path
import numpy as np
from medkg_dagster.adapters.index.sqlite_store import SqliteIndex
from medkg_dagster.stage_api import EmbeddingBatch
from medkg_dagster_tests.adapters.test_sqlite_index import make_chunk
home, name, documents = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
sys.stdin.readline()
store = SqliteIndex(home)
for number in range(int(sys.argv[4])):
    names = [f"{name}{number}.{n}" for n in range(documents)]
    chunks = [make_chunk(f"{name} " + "word " * 200, f"PMID:{name}") for name in names]
    vectors = np.ones((documents, 512), np.float32)
    store.upsert(chunks, EmbeddingBatch(tuple(c.id for c in chunks), vectors, "ones:{}", False))
store.close()
"""


def start_writer(home: Path, name: str, documents: int, batches: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(home), name, str(documents), str(batches)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, text=True)


def test_two_processes_that_write_at_the_same_time_both_succeed(tmp_path: Path) -> None:
    writers = [start_writer(tmp_path, name, documents=20, batches=10) for name in ("a", "b")]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()

    for writer in writers:
        writer.communicate(timeout=480)
        assert writer.returncode == 0
    assert len(texts(tmp_path)) == 400


def test_a_kill_in_the_middle_of_an_upsert_leaves_the_earlier_state(
    index: SqliteIndex, tmp_path: Path
) -> None:
    index.upsert(CHUNKS, embed(CHUNKS))
    index.close()
    before = dump(tmp_path)
    writer = start_writer(tmp_path, "a", documents=20_000, batches=1)
    journal = tmp_path / f"{FILE_NAME}-wal"
    assert writer.stdin is not None
    writer.stdin.write("go\n")
    writer.stdin.close()

    # The journal grows beyond a page cache only while the one big transaction is being written.
    while not (journal.exists() and journal.stat().st_size > 1_000_000):
        assert writer.poll() is None, "the writer ended before it could be killed"
        time.sleep(0.001)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait(timeout=480)

    assert dump(tmp_path) == before
    assert index.upsert(CHUNKS, embed(CHUNKS)).chunks_indexed == 3
