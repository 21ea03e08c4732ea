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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
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


def search(index: SqliteIndex, query: str) -> list[str]:
    return ids(index, query, EMBEDDER.embed([query])[0])


def hits(
    index: SqliteIndex, query: str, vector: NDArray[np.float32] | None = None, limit: int = 5
) -> tuple[DocumentHit, ...]:
    return index.search(SearchRequest(query, vector, limit)).hits


def ids(
    index: SqliteIndex, query: str, vector: NDArray[np.float32] | None = None, limit: int = 10
) -> list[str]:
    return [hit.document.id for hit in hits(index, query, vector, limit)]


def test_the_entry_point_names_it() -> None:
    assert ExtensionRegistry().find(ExtensionKind.INDEX_STORE, "sqlite") is SQLITE_INDEX


def test_a_hit_is_the_whole_chunk_with_its_ranks(index: SqliteIndex) -> None:
    receipt = index.upsert(CHUNKS, embed(CHUNKS))

    hit = hits(index, "melanoma", EMBEDDER.embed(["melanoma"])[0], 5)[0]

    assert hit.passage == CHUNKS[0]
    assert (hit.word_rank, hit.vector_rank) == (1, 1)
    assert [hit.passage.text[start:end] for start, end in hit.marks] == ["melanoma"]
    assert (receipt.documents, receipt.chunks_indexed, receipt.chunks_removed) == (3, 3, 0)
    assert receipt.embedding_model == index.embedding_model() == EMBEDDER.model


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("PD-1", "PMID:1"),
        ("PD1 blockade", "PMID:1"),
        ("anti-PD-1", "PMID:1"),
        ("BRAF V600E", "PMID:2"),
        ("braf-v600e", "PMID:2"),
        ("melanomas", "PMID:1"),
        ("type-2 diabetes?", "PMID:3"),
    ],
)
def test_biomedical_terms_are_found_however_they_are_written(
    index: SqliteIndex, query: str, document: str
) -> None:
    index.upsert(CHUNKS, embed(CHUNKS))

    assert hits(index, query, None, 1)[0].document.id == document


def test_ligatures_are_searched_as_letters_and_kept_as_written(index: SqliteIndex) -> None:
    chunks = [
        make_chunk("E\ufb03cacy of \ufb01brates.", "PMID:1"),
        make_chunk("Efficacy of fibrates.", "PMID:2"),
    ]
    index.upsert(chunks, embed(chunks))

    for query in ("efficacy", "\ufb01brates"):
        assert {hit.document.id for hit in hits(index, query, None, 5)} == {"PMID:1", "PMID:2"}
    assert hits(index, "fibrates", None, 5)[0].passage.text in {chunk.text for chunk in chunks}
    index.upsert(
        [make_chunk("Nothing more.", "PMID:1", "b")], embed([make_chunk("Nothing more.", "PMID:1", "b")])
    )
    assert [hit.document.id for hit in hits(index, "efficacy", None, 5)] == ["PMID:2"]


NASTY = [
    '"',
    "'",
    "\"'); DROP TABLE chunks; --",
    "NEAR(a b)",
    "a AND",
    "OR",
    "title:x",
    "*",
    "^a",
    "-",
    "()",
    "\x00",
]


@settings(
    max_examples=100 if settings().derandomize else 1000,  # `make soak` draws more
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    query=st.one_of(
        st.text(max_size=60), st.sampled_from([*NASTY, "😀", "", "a\x00b", "\ud800", "x " * 5000])
    )
)
def test_any_text_is_a_valid_query(index: SqliteIndex, query: str) -> None:
    index.upsert(CHUNKS, embed(CHUNKS))

    hits(index, query, EMBEDDER.embed([query])[0], 5)

    assert hits(index, "melanoma", None, 5)


def test_function_words_are_searched_for_only_where_there_are_no_others(index: SqliteIndex) -> None:
    index.upsert(CHUNKS, embed(CHUNKS))

    assert sorted(ids(index, "in")) == ["PMID:1", "PMID:3"]
    assert ids(index, "glucose in diabetes") == ["PMID:3"]
    assert ids(index, " -- 😀 _ ") == []


def test_a_search_of_nothing_creates_nothing(index: SqliteIndex, tmp_path: Path) -> None:
    assert hits(index, "melanoma", None, 5) == ()
    assert index.embedding_model() is None
    assert not (tmp_path / FILE_NAME).exists()


def test_an_empty_batch_makes_an_empty_index(index: SqliteIndex) -> None:
    receipt = index.upsert([], EmbeddingBatch((), np.zeros((0, 0), np.float32), "m", True))

    assert receipt.chunks_indexed == 0
    assert index.embedding_model() is None
    assert hits(index, "x", np.ones(3, np.float32), 5) == ()


def test_the_same_chunks_again_change_nothing(index: SqliteIndex, tmp_path: Path) -> None:
    index.upsert(CHUNKS, embed(CHUNKS))
    before = dump(tmp_path)

    receipt = index.upsert(CHUNKS, embed(CHUNKS))

    assert dump(tmp_path) == before
    assert (receipt.chunks_indexed, receipt.chunks_removed) == (3, 0)


def test_chunks_of_another_version_or_another_cut_of_a_document_are_removed(
    index: SqliteIndex, tmp_path: Path
) -> None:
    old = [make_chunk("old one", ordinal=0), make_chunk("old two", ordinal=1), CHUNKS[1]]
    index.upsert(old, embed(old))
    new = [make_chunk("new one", version="b")]

    receipt = index.upsert(new, embed(new))

    assert receipt.chunks_removed == 2
    assert texts(tmp_path) == ["new one", CHUNKS[1].text]
    assert hits(index, "old", None, 5) == ()
    assert len(hits(index, "new", None, 5)) == 1


def test_a_changed_heading_of_the_same_chunk_is_written(index: SqliteIndex) -> None:
    index.upsert(CHUNKS, embed(CHUNKS))
    renamed = [CHUNKS[0].model_copy(update={"section": "Discussion"})]

    index.upsert(renamed, embed(renamed))

    assert hits(index, "discussion", None, 5)[0].passage == renamed[0]


def test_a_query_vector_is_only_compared_with_vectors_of_its_model(index: SqliteIndex) -> None:
    other = HashingEmbedder(HashingParameters(dimension=64))
    index.upsert(CHUNKS[:2], embed(CHUNKS[:2]))
    index.upsert(CHUNKS[2:], embed(CHUNKS[2:], other))

    assert index.embedding_model() == EMBEDDER.model
    vector = EMBEDDER.embed([CHUNKS[2].text])[0]
    assert all(
        hit.vector_rank is None
        for hit in hits(index, CHUNKS[2].text, vector, 5)
        if hit.document.id == "PMID:3"
    )
    with pytest.raises(StoreError, match="shape"):
        hits(index, "glucose", other.embed(["glucose"])[0], 5)


def test_embedding_again_with_another_model_replaces_the_vectors(index: SqliteIndex, tmp_path: Path) -> None:
    other = HashingEmbedder(HashingParameters(dimension=64))
    index.upsert(CHUNKS, embed(CHUNKS))

    index.upsert(CHUNKS, embed(CHUNKS, other))

    assert index.embedding_model() == other.model
    assert EMBEDDER.model not in "".join(dump(tmp_path))


def test_documents_without_vectors_are_found_by_words_and_get_some_later(index: SqliteIndex) -> None:
    none = EmbeddingBatch(
        tuple(chunk.id for chunk in CHUNKS), np.zeros((len(CHUNKS), 0), np.float32), "none:{}", lexical=True
    )
    index.upsert(CHUNKS, none)
    found = ids(index, "melanoma")

    assert index.embedding_model() is None
    assert found
    index.upsert(CHUNKS, embed(CHUNKS))
    assert index.embedding_model() == EMBEDDER.model
    index.upsert(CHUNKS, none)
    assert index.embedding_model() is None
    assert ids(index, "melanoma") == found


@pytest.mark.parametrize("change", ["missing", "foreign", "rows"])
def test_vectors_that_do_not_fit_the_chunks_are_refused(index: SqliteIndex, change: str) -> None:
    batch = embed(CHUNKS)
    ids = {
        "missing": batch.chunk_ids[:2],
        "foreign": (*batch.chunk_ids[:2], "f" * 32),
        "rows": batch.chunk_ids,
    }
    rows = batch.vectors[:2] if change in {"missing", "rows"} else batch.vectors

    with pytest.raises(StoreError, match="run the embed stage again"):
        index.upsert(CHUNKS, EmbeddingBatch(ids[change], rows, batch.model, True))


def test_one_model_name_for_two_lengths_is_refused_and_nothing_is_written(
    index: SqliteIndex, tmp_path: Path
) -> None:
    index.upsert(CHUNKS[:1], embed(CHUNKS[:1]))
    before = dump(tmp_path)
    ids = (CHUNKS[1].id,)

    with pytest.raises(StoreError, match="must not share a name"):
        index.upsert(CHUNKS[1:2], EmbeddingBatch(ids, np.ones((1, 3), np.float32), EMBEDDER.model, True))

    assert dump(tmp_path) == before


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
