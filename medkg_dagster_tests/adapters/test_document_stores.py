"""Stores know their documents: what they hold of each, and how to write some and take others out."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.adapters.graph.sql_migrations import GRAPH
from medkg_dagster.adapters.graph.sql_store import SqlGraph
from medkg_dagster.adapters.index.sqlite_schema import INDEX
from medkg_dagster.adapters.index.sqlite_store import FILE_NAME, SqliteIndex
from medkg_dagster.domain.chunks import index_hashes
from medkg_dagster.errors import StoreError
from medkg_dagster.io.sql import Database
from medkg_dagster.stage_api import Chunk
from medkg_dagster_tests.adapters.test_sql_graph_histories import Batch, make_batch, write
from medkg_dagster_tests.adapters.test_sql_graph_histories import dump as dump_graph
from medkg_dagster_tests.adapters.test_sqlite_index import CHUNKS, embed, hits, ids, make_chunk, texts

NAMES = ("PMID:1", "PMID:2", "PMID:3", "PMID:4")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SqliteIndex]:
    with closing(SqliteIndex(tmp_path)) as store:
        yield store


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[SqlGraph]:
    with closing(SqlGraph(tmp_path / "graph.sqlite")) as store:
        yield store


def test_an_index_holds_what_it_was_given_and_what_is_taken_out_is_found_no_more(
    index: SqliteIndex, tmp_path: Path
) -> None:
    hashes = index_hashes([*NAMES], CHUNKS, embed(CHUNKS))
    index.apply(hashes, (), CHUNKS, embed(CHUNKS))
    held = index.held()

    receipt = index.apply({}, ["PMID:1", "PMID:4", "PMID:unknown"], [], embed([]))

    assert held == hashes
    assert receipt.chunks_removed == 1
    assert index.held().keys() == {"PMID:2", "PMID:3"}
    assert hits(index, "melanoma") == ()
    assert len(texts(tmp_path)) == 2


def test_a_document_that_lost_its_chunks_has_none_in_the_index(index: SqliteIndex, tmp_path: Path) -> None:
    index.upsert(CHUNKS, embed(CHUNKS))

    index.apply({"PMID:1": "without chunks"}, (), [], embed([]))

    assert index.held()["PMID:1"] == "without chunks"
    assert texts(tmp_path) == [chunk.text for chunk in CHUNKS[1:]]


def test_chunks_of_a_document_that_is_not_written_are_refused(index: SqliteIndex) -> None:
    with pytest.raises(StoreError, match="chunks of PMID:1, which is not among the changed"):
        index.apply({}, (), CHUNKS[:1], embed(CHUNKS[:1]))


def test_the_hash_of_an_input_is_of_text_place_and_vector() -> None:
    chunk = make_chunk("Nivolumab blocks PD-1.")
    renamed = chunk.model_copy(update={"section": "Discussion"})

    def digest(one: Chunk, vectors_of: Chunk) -> str:
        embedded = replace(embed([vectors_of]), chunk_ids=(one.id,))
        return index_hashes(["PMID:1"], [one], embedded)["PMID:1"]

    other = make_chunk("Another text.")
    assert len({digest(chunk, chunk), digest(renamed, chunk), digest(chunk, other)}) == 3
    assert digest(chunk, chunk) == digest(chunk, chunk)


def test_looking_at_what_is_held_makes_no_index(index: SqliteIndex, tmp_path: Path) -> None:
    assert index.held() == {}
    assert not (tmp_path / FILE_NAME).exists()


@settings(max_examples=15 if settings().derandomize else 100)
@given(removed=st.sets(st.sampled_from(NAMES)), order=st.permutations(NAMES))
def test_a_graph_without_a_document_is_the_graph_that_never_had_it(
    tmp_path_factory: pytest.TempPathFactory, removed: set[str], order: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("graphs")
    with closing(SqlGraph(folder / "grown.sqlite")) as store:
        for name in order:
            write(store, make_batch(name))
        store.apply({}, removed, {}, [])
        assert store.held().keys() == set(NAMES) - removed
    with closing(SqlGraph(folder / "clean.sqlite")) as store:
        for name in sorted(set(NAMES) - removed):
            write(store, make_batch(name))

    assert dump_graph(folder / "grown.sqlite") == dump_graph(folder / "clean.sqlite")


def make_apart(document: str) -> Batch:
    """A document that shares no concept with others."""
    nodes, edges = make_batch(document)[document]
    unlike = [node.model_copy(update={"id": f"{document}|{node.id}"}) for node in nodes[1:]]
    moved = {"subject": unlike[0].id, "object": unlike[1].id}
    return {document: ([nodes[0], *unlike], [edge.model_copy(update=moved) for edge in edges])}


def steps_of(store: SqlGraph, work: Callable[[], object]) -> int:
    """Return how many steps the database takes for some work, in tens."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    with store._database.reading() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_progress_handler(count, 10)
    work()
    driver.set_progress_handler(None, 0)
    assert counted
    return counted


@pytest.mark.parametrize("make", [make_apart, make_batch], ids=["of its own concepts", "of shared concepts"])
def test_a_change_of_a_document_costs_what_it_holds_and_not_what_the_graph_holds(
    tmp_path: Path, make: Callable[[str], Batch]
) -> None:
    def steps(others: int) -> dict[str, int]:
        with closing(SqlGraph(tmp_path / f"{others}.sqlite")) as store:
            for number in range(others):
                write(store, make(f"PMID:{number}"))
            nodes, edges = make("PMID:0")["PMID:0"]
            renamed = [node.model_copy(update={"name": "another"}) for node in nodes]
            return {
                "add": steps_of(store, lambda: write(store, make("PMID:new"))),
                "change": steps_of(store, lambda: write(store, {"PMID:0": (renamed, edges)})),
                "remove": steps_of(store, lambda: store.apply({}, ["PMID:0"], {}, [])),
            }

    few, many = steps(100), steps(200)
    assert {name: many[name] < 1.2 * few[name] + 5 for name in few} == dict.fromkeys(few, True)


def test_an_index_of_an_earlier_release_is_adopted_and_keeps_all_it_has(tmp_path: Path) -> None:
    old = replace(INDEX, migrations=INDEX.migrations[:1])
    Database(old, tmp_path / FILE_NAME).close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("INSERT INTO chunks VALUES (1, 'c', 'PMID:9', 'h', 't', 's', 0, 0, 4, 'melanoma')")

    with closing(SqliteIndex(tmp_path)) as index:
        assert index.held() == {"PMID:9": ""}
        assert ids(index, "melanoma") == ["PMID:9"]


def test_a_graph_of_an_earlier_release_is_adopted_and_keeps_all_it_has(tmp_path: Path) -> None:
    file = tmp_path / "graph.sqlite"
    old = replace(GRAPH, migrations=GRAPH.migrations[:1])
    Database(old, file).close()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("INSERT INTO nodes VALUES ('MESH:1', 'a', 'a', 'mesh:1', '[\"biolink:Drug\"]')")
        for node in ("MESH:1", "PMID:9"):
            row = f"('PMID:9', '{node}', 'a', '[\"biolink:Drug\"]')"
            connection.execute(f"INSERT INTO node_contributions VALUES {row}")

    with closing(SqlGraph(file)) as graph:
        assert graph.held() == {"PMID:9": ""}
        assert [node.id for node in graph.find("a")] == ["MESH:1"]
        graph.apply({}, ["PMID:9"], {}, [])
        assert graph.find("a") == ()
