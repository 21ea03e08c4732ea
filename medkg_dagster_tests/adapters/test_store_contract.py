"""Whoever is killed, restarted or writes at the same time: stores hold what one writer would have written."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from medkg_dagster.adapters.graph.sql_store import SqlGraph
from medkg_dagster.errors import StoreError
from medkg_dagster_tests.adapters.index_places import IndexPlace
from medkg_dagster_tests.adapters.test_index_histories import write as write_index
from medkg_dagster_tests.adapters.test_sql_graph_histories import make_batch
from medkg_dagster_tests.adapters.test_sql_graph_histories import write as write_graph
from medkg_dagster_tests.end_to_end.running import processes
from medkg_dagster_tests.postgresql import own_server

NAMES = [f"PMID:{number}" for number in range(6)]


@dataclass(frozen=True)
class Place:
    """Where an index or a graph is, and how documents are written there."""

    kind: str
    home: Path
    url: str | None = None

    def write(self, names: list[str]) -> None:
        if self.kind == "index":
            with closing(IndexPlace(self.home, self.url).open()) as index:
                write_index(index, {name: [f"lung cancer {name}", "PD-1"] for name in names})
        else:
            with closing(SqlGraph(self.home / "graph.sqlite", self.url)) as graph:
                for name in names:
                    write_graph(graph, make_batch(name))

    def content(self) -> Any:
        """Return what is there, as it can be asked for."""
        if self.kind == "index":
            with closing(IndexPlace(self.home, self.url).open()) as index:
                return dict(index.held()), sorted(IndexPlace(self.home, self.url).texts())
        with closing(SqlGraph(self.home / "graph.sqlite", self.url)) as graph:
            return dict(graph.held()), [file.read_bytes() for file in graph.export_kgx(self.home / "kgx")]


WRITTEN_LAST = {"index": "index_vectors", "graph": "graph_documents"}


def write_twice(place: Place, names: list[str]) -> None:
    place.write(names)
    place.write(names)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize("kind", ["index", "graph"])
def test_four_processes_at_once_leave_what_one_would(
    kind: str, database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = str(request.getfixturevalue("postgresql_url")) if database == "postgresql" else None
    place, clean = Place(kind, tmp_path / "many", url), Place(kind, tmp_path / "one")
    for home in (place.home, clean.home):
        home.mkdir()
    # Every two of them have two documents in common.
    writers = [
        processes.Process(target=write_twice, args=(place, NAMES[number : number + 3])) for number in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(240)

    assert [writer.exitcode for writer in writers] == [0] * 4
    clean.write(NAMES)
    assert place.content() == clean.content()


@contextmanager
def in_the_middle(place: Place) -> Iterator[Callable[[], None]]:
    """Hold up whoever writes before the last table; give what waits until somebody is held up."""
    assert place.url is not None
    engine = create_engine(place.url)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"LOCK TABLE {WRITTEN_LAST[place.kind]} IN SHARE MODE")

        def wait() -> None:
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            until = time.monotonic() + 120
            while not connection.exec_driver_sql(waiting).scalar_one():
                assert time.monotonic() < until
                time.sleep(0.02)

        try:
            yield wait
        finally:
            connection.invalidate()
    engine.dispose()


@pytest.mark.parametrize("kind", ["index", "graph"])
def test_who_is_killed_in_the_middle_has_written_nothing(
    kind: str, tmp_path: Path, postgresql_url: str
) -> None:
    place = Place(kind, tmp_path, postgresql_url)
    place.write(NAMES[:2])
    before = place.content()
    with in_the_middle(place) as wait:
        writer = processes.Process(target=place.write, args=([NAMES[5]],))
        writer.start()
        wait()
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join(240)

    assert place.content() == before
    place.write([NAMES[5]])
    assert place.content()[0].keys() == {*NAMES[:2], NAMES[5]}


@pytest.mark.parametrize("kind", ["index", "graph"])
def test_a_restart_of_postgresql_in_the_middle_is_an_error_and_running_again_mends_it(
    kind: str, tmp_path: Path
) -> None:
    # What was committed has to be there after the crash.
    with own_server("synchronous_commit=on") as (url, restart):
        place, clean = Place(kind, tmp_path / "there", url), Place(kind, tmp_path / "clean")
        for home in (place.home, clean.home):
            home.mkdir()
        place.write(NAMES[:2])
        before = place.content()
        said: list[str] = []

        def write() -> None:
            try:
                place.write([NAMES[5]])
            except StoreError as error:
                said.append(str(error))

        with in_the_middle(place) as wait:
            writer = threading.Thread(target=write)
            writer.start()
            wait()
            restart()
            writer.join(240)

        assert len(said) == 1
        assert place.content() == before
        place.write([NAMES[5]])
        clean.write([*NAMES[:2], NAMES[5]])
        assert place.content() == clean.content()
