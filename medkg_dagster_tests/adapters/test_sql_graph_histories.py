"""What the graph is after any history of batches, interruptions and databases."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.adapters.graph.sql_store import SqlGraph
from medkg_dagster.stage_api import Edge, Node

CONCEPTS = ("MESH:1", "MESH:2", "MESH:3")
CATEGORIES = (("biolink:NamedThing",), ("biolink:Disease", "biolink:NamedThing"), ("biolink:Drug",))
Batch = Mapping[str, tuple[Sequence[Node], Sequence[Edge]]]


def make_edge(subject: str, obj: str, document: str, version: str = "a") -> Edge:
    return Edge(
        id=f"{document}|{version}|{subject}|{obj}",
        subject=subject,
        predicate="biolink:treats",
        object=obj,
        negated=False,
        primary_knowledge_source="infores:medkg",
        knowledge_level="not_provided",
        agent_type="text_mining_agent",
        publications=(document,),
        supporting_text="It helps.",
        document_id=document,
        document_hash=version,
        start=0,
        end=9,
    )


def make_batch(document: str) -> Batch:
    nodes = [Node(id=name, name=name, category=CATEGORIES[0]) for name in (document, *CONCEPTS)]
    return {document: (nodes, [make_edge("MESH:1", "MESH:2", document)])}


def write(store: SqlGraph, batch: Batch) -> None:
    edges = [edge for _, some in batch.values() for edge in some]
    store.upsert(list(batch), {document: nodes for document, (nodes, _) in batch.items()}, edges)


def dump(file: Path) -> list[str]:
    """Return the graph row by row, without the record of its history."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DELETE FROM graph_changes")
        connection.execute("DELETE FROM graph_changes_begin")
        return list(connection.iterdump())


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Some documents, each in some version with its own names, categories and edges."""
    batch: dict[str, tuple[Sequence[Node], Sequence[Edge]]] = {}
    documents = draw(st.lists(st.sampled_from(("PMID:1", "PMID:2", "PMID:3")), unique=True, min_size=1))
    for document in documents:
        curies = (*CONCEPTS, document, *draw(st.lists(st.sampled_from(CONCEPTS), max_size=2)))
        nodes = [
            Node(
                id=curie,
                name=draw(st.sampled_from("abc")),
                category=draw(st.sampled_from(CATEGORIES)),
                synonyms=draw(st.sampled_from(((), ("d",), ("d", "e")))),
                equivalents=draw(st.sampled_from(((), ("X:1",)))),
            )
            for curie in curies
        ]
        pairs = draw(st.sets(st.tuples(st.sampled_from((document, *CONCEPTS)), st.sampled_from(CONCEPTS))))
        version = draw(st.sampled_from("vw"))
        batch[document] = (nodes, [make_edge(a, b, document, version) for a, b in sorted(pairs)])
    return batch


@settings(max_examples=15 if settings().derandomize else 150)
@given(st.lists(batches(), min_size=1, max_size=5), st.data())
def test_any_history_leaves_the_graph_of_one_clean_run(history: list[Batch], data: st.DataObject) -> None:
    latest = {document: said for batch in history for document, said in batch.items()}
    order = data.draw(st.permutations(sorted(latest)))
    with tempfile.TemporaryDirectory() as folder:
        grown, clean = Path(folder) / "grown.sqlite", Path(folder) / "clean.sqlite"
        with closing(SqlGraph(grown)) as store:
            for batch in history:
                write(store, batch)
            write(store, history[-1])
        with closing(SqlGraph(clean)) as store:
            write(store, {document: latest[document] for document in order})

            files = store.export_kgx(Path(folder) / "clean")
        with closing(SqlGraph(grown)) as store:
            exported = store.export_kgx(Path(folder) / "grown")

        assert dump(grown) == dump(clean)
        assert [file.read_bytes() for file in exported] == [file.read_bytes() for file in files]


WRITER = """
import sys
from pathlib import Path
from medkg_dagster_tests.adapters.test_sql_graph_histories import SqlGraph, make_batch, write
store = SqlGraph(Path(sys.argv[1]))
for number in range(100_000):
    write(store, make_batch(f"PMID:{number}"))
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_whole_batches(tmp_path: Path, repository: Path) -> None:
    file = tmp_path / "graph.sqlite"
    command = [sys.executable, "-c", WRITER, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=repository) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.05)
        os.kill(writer.pid, signal.SIGKILL)
    with closing(sqlite3.connect(file)) as connection:
        edges = connection.execute("SELECT count(*) FROM edges").fetchone()[0]
        documents = connection.execute("SELECT count(*) FROM nodes WHERE id LIKE 'PMID:%'").fetchone()[0]
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]

    assert edges == documents >= 1
    assert mode == "wal"


def test_an_interrupted_batch_leaves_the_earlier_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    file = tmp_path / "graph.sqlite"
    with closing(SqlGraph(file)) as store:
        write(store, make_batch("PMID:1"))
        before = dump(file)
        monkeypatch.setattr("medkg_dagster.adapters.graph.sql_store.refresh_nodes", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.upsert(["PMID:1"], {}, [])

        assert dump(file) == before


def test_postgresql_keeps_the_same_graph_as_sqlite(tmp_path: Path, postgresql_url: str) -> None:
    with (
        closing(SqlGraph(tmp_path / "a.sqlite")) as ours,
        closing(SqlGraph(tmp_path, postgresql_url)) as theirs,
    ):
        for store in (ours, theirs):
            for document in ("PMID:b", "PMID:B", "PMID:b"):
                write(store, make_batch(document))

        assert theirs.neighbours("MESH:1", 10) == ours.neighbours("MESH:1", 10)
        assert theirs.find("pmid:B") == ours.find("pmid:B")
        files = zip(ours.export_kgx(tmp_path / "a"), theirs.export_kgx(tmp_path / "b"), strict=True)
        assert all(one.read_bytes() == other.read_bytes() for one, other in files)
