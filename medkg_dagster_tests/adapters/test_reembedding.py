"""Documents of an index get other vectors: all of them at once, whoever is killed or writes meanwhile."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medkg_dagster.adapters.embedders.hashing import HashingEmbedder, HashingParameters
from medkg_dagster.adapters.index.made_vectors import FOLDER_NAME, made_vectors
from medkg_dagster.adapters.index.sqlite_store import SqliteIndex
from medkg_dagster.errors import StoreError
from medkg_dagster.stage_api import SearchRequest
from medkg_dagster_tests.adapters.test_sqlite_index import CHUNKS, EMBEDDER, embed, ids, make_chunk
from medkg_dagster_tests.end_to_end.shipped_pipeline import vectors_in

OTHER = HashingEmbedder(HashingParameters(dimension=64))
MANY = [make_chunk(f"melanoma number {number}", f"PMID:{number}", str(number)) for number in range(300)]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SqliteIndex]:
    with closing(SqliteIndex(tmp_path)) as store:
        yield store


def found(index: SqliteIndex, text: str, embedder: HashingEmbedder) -> Any:
    return index.search(SearchRequest(text, embedder.embed([text])[0], 10))


def test_an_index_with_other_vectors_is_as_if_it_had_been_written_with_them(
    index: SqliteIndex, tmp_path: Path
) -> None:
    index.upsert(MANY, embed(MANY))
    index.upsert(MANY[:7], embed(MANY[:7], OTHER))
    held = index.held()

    done = index.reembed(OTHER.model, lambda texts: OTHER.embed([text.rpartition("\n")[2] for text in texts]))

    assert (done.documents, done.chunks, done.made) == (293, 293, 293)
    assert index.embedding_model() == OTHER.model
    assert index.without_vectors() == 0
    assert index.held() == held
    assert not (tmp_path / FOLDER_NAME).exists()
    with closing(SqliteIndex(tmp_path / "clean")) as clean:
        clean.upsert(MANY, embed(MANY, OTHER))
        assert found(index, "melanoma number 77", OTHER) == found(clean, "melanoma number 77", OTHER)
        assert sorted(vectors_in(tmp_path)) == sorted(vectors_in(tmp_path / "clean"))


def test_documents_that_have_the_vectors_keep_them(index: SqliteIndex) -> None:
    index.upsert(CHUNKS, embed(CHUNKS))
    given: list[str] = []

    done = index.reembed(EMBEDDER.model, lambda texts: noted(given, texts))

    assert (done.documents, done.made, given) == (0, 0, [])


def noted(given: list[str], texts: Sequence[str]) -> Any:
    given += texts
    return OTHER.embed(texts)


def test_vectors_can_be_taken_out(index: SqliteIndex) -> None:
    index.upsert(CHUNKS, embed(CHUNKS))
    before = ids(index, "melanoma")

    done = index.reembed("none:{}", None)

    assert (done.documents, done.made) == (len({chunk.document_id for chunk in CHUNKS}), 0)
    assert index.embedding_model() is None
    assert ids(index, "melanoma") == before


def test_search_and_writers_go_on_meanwhile_and_what_they_write_gets_vectors_too(
    index: SqliteIndex, tmp_path: Path
) -> None:
    index.upsert(MANY, embed(MANY))
    before = found(index, "melanoma number 5", EMBEDDER)
    looks: list[bool] = []

    def make(texts: Sequence[str]) -> Any:
        with closing(SqliteIndex(tmp_path)) as other:
            if not looks:
                looks.append(found(other, "melanoma number 5", EMBEDDER) == before)
                other.apply({}, ["PMID:9"], (), embed([]))
                new = make_chunk("glucose", "PMID:new", "n")
                other.upsert([new], embed([new]))
        return OTHER.embed(texts)

    done = index.reembed(OTHER.model, make)

    assert looks == [True]
    assert done.documents == 300
    assert index.without_vectors() == 0
    assert ids(index, "glucose") == ["PMID:new"]
    assert "PMID:9" not in index.held()


def test_documents_without_the_vectors_of_most_are_counted(index: SqliteIndex) -> None:
    index.upsert(MANY, embed(MANY))
    index.upsert(MANY[:7], embed(MANY[:7], OTHER))

    assert index.without_vectors() == 7


KILLED = """
import os, signal, sys
from pathlib import Path
from medkg_dagster.adapters.embedders.hashing import HashingEmbedder, HashingParameters
from medkg_dagster.adapters.index.sqlite_store import SqliteIndex
from medkg_dagster.adapters.index.segments import Segments

other = HashingEmbedder(HashingParameters(dimension=64))
store = SqliteIndex(Path(sys.argv[1]))
if sys.argv[2] == "while writing":
    replace = Segments.replace
    Segments.replace = lambda *given: (replace(*given), os.kill(os.getpid(), signal.SIGKILL))
calls = []
def make(texts):
    calls.append(texts)
    if sys.argv[2] == "while embedding" and len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return other.embed(texts)
store.reembed(other.model, make)
"""


@pytest.mark.parametrize("when", ["while embedding", "while writing"])
def test_a_kill_leaves_the_index_as_it_was_and_the_next_goes_on_there(tmp_path: Path, when: str) -> None:
    with closing(SqliteIndex(tmp_path)) as store:
        store.upsert(MANY, embed(MANY))
    before = vectors_in(tmp_path)

    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), when], check=False)

    assert ended.returncode == -signal.SIGKILL
    assert vectors_in(tmp_path) == before
    with closing(SqliteIndex(tmp_path)) as store:
        assert found(store, "melanoma number 5", EMBEDDER).hits[0].document.id == "PMID:5"
        done = store.reembed(OTHER.model, OTHER.embed)
        assert done.documents == 300
        assert done.made == (172 if when == "while embedding" else 0)
        assert {model for _, model, _ in vectors_in(tmp_path)} == {OTHER.model}
    assert len([*(tmp_path / "index.segments").iterdir()]) == 1


def test_two_at_a_time_are_refused(index: SqliteIndex, tmp_path: Path) -> None:
    index.upsert(CHUNKS, embed(CHUNKS))

    with made_vectors(tmp_path, "m"), pytest.raises(StoreError, match="being embedded by another process"):
        index.reembed(OTHER.model, OTHER.embed)
    assert index.embedding_model() == EMBEDDER.model


@pytest.mark.parametrize(
    "make",
    [
        lambda texts: np.zeros((len(texts) + 1, 3), np.float32),
        lambda texts: np.full((len(texts), 3), np.nan, np.float32),
    ],
    ids=["rows", "numbers"],
)
def test_what_are_no_vectors_is_refused_and_changes_nothing(
    index: SqliteIndex, make: Callable[..., Any]
) -> None:
    index.upsert(CHUNKS, embed(CHUNKS))

    with pytest.raises(StoreError, match="expected finite numbers, a row for each"):
        index.reembed("bad:{}", make)
    assert index.embedding_model() == EMBEDDER.model


def test_an_index_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with closing(SqliteIndex(tmp_path / "none")) as store:
        assert store.reembed(OTHER.model, OTHER.embed).documents == 0
    assert not (tmp_path / "none").exists()
