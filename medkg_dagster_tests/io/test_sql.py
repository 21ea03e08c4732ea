"""Databases of a kind of the tests' own: opened, migrated, locked, and their errors explained."""

from __future__ import annotations

import itertools
import logging
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, insert, select

from medkg_dagster.errors import ConfigError, MedkgError, StateError
from medkg_dagster.io.collector import collector_paused
from medkg_dagster.io.sql import Database, DatabaseKind, VersionPragma, VersionTable, lock_writers

METADATA = MetaData()
VERSIONS = Table("shelf_versions", METADATA, Column("version", Integer), Column("made", Text))
BOOKS = Table("books", METADATA, Column("title", Text, nullable=False), Column("pages", Integer))


def make_books(connection: Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE books (title TEXT NOT NULL)")


def count_pages(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE books ADD COLUMN pages INTEGER")


def break_off(connection: Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE half_done (id INTEGER)")
    raise KeyboardInterrupt


SHELF = DatabaseKind(
    name="shelf",
    error=StateError,
    version=VersionTable(VERSIONS, {"made": "today"}),
    migrations=(make_books, count_pages),
    tables=METADATA.tables.keys(),
    restore="buy the books again",
    lock=77,
    elsewhere="choose another shelf",
    hints=(("check constraint", "count again"),),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    if request.param == "sqlite":
        return tmp_path / "deep" / "shelf?#%20.sqlite"
    return str(request.getfixturevalue("postgresql_url"))


def add(database: Database, title: str, pages: int | None = None) -> None:
    with database.writing() as connection:
        connection.execute(insert(BOOKS).values(title=title, pages=pages))


def add_all(database: Database, rows: list[dict[str, str | None]]) -> None:
    with database.writing() as connection:
        connection.execute(insert(BOOKS), rows)


def titles(database: Database) -> list[str]:
    with database.reading() as connection:
        return sorted(connection.execute(select(BOOKS.c.title)).scalars())


def versions(database: Database) -> list[tuple[int, str]]:
    with database.reading() as connection:
        return [(row.version, row.made) for row in connection.execute(select(VERSIONS))]


def test_an_older_database_is_brought_forward_and_keeps_its_rows(address: str | Path) -> None:
    with closing(Database(replace(SHELF, migrations=SHELF.migrations[:1]), address)) as old:
        with old.writing() as connection:
            connection.exec_driver_sql("INSERT INTO books VALUES ('Emma')")
        assert versions(old) == [(1, "today")]
    for _ in range(2):
        with closing(Database(SHELF, address)) as database:
            assert titles(database) == ["Emma"]
            assert versions(database) == [(1, "today"), (2, "today")]


def test_a_migration_that_breaks_off_leaves_the_version_before(address: str | Path) -> None:
    Database(SHELF, address).close()
    with pytest.raises(KeyboardInterrupt):
        Database(replace(SHELF, migrations=(*SHELF.migrations, break_off)), address)
    with closing(Database(replace(SHELF, tables=[*SHELF.tables, "half_done"]), address)) as database:
        assert [version for version, _ in versions(database)] == [1, 2]
        with pytest.raises(StateError, match="half_done"), database.reading() as connection:
            connection.exec_driver_sql("SELECT * FROM half_done")


def test_a_newer_database_is_refused_with_the_way_out(address: str | Path) -> None:
    Database(replace(SHELF, migrations=(*SHELF.migrations, lambda _: None)), address).close()
    with pytest.raises(StateError, match=r"newer release \(schema 3, this one knows 2\).*another shelf"):
        Database(SHELF, address)


def test_a_database_of_another_program_is_refused(address: str | Path) -> None:
    with closing(Database(replace(SHELF, version=VersionTable(Table("x", MetaData(), *columns()))), address)):
        pass
    with pytest.raises(StateError, match="has a table books but no shelf_versions"):
        Database(SHELF, address)


def columns() -> tuple[Column[int], Column[str]]:
    return Column("version", Integer), Column("made", Text)


def test_a_reader_sees_one_moment_whatever_others_write(address: str | Path) -> None:
    with closing(Database(SHELF, address)) as database, closing(Database(SHELF, address)) as other:
        add(database, "Emma")
        with database.reading() as connection:
            before = connection.execute(select(BOOKS.c.title)).scalars().all()
            add(other, "Persuasion")
            assert connection.execute(select(BOOKS.c.title)).scalars().all() == before == ["Emma"]
        assert titles(database) == ["Emma", "Persuasion"]


def test_who_takes_the_lock_is_alone(address: str | Path) -> None:
    with closing(Database(SHELF, address)) as database:
        begun = threading.Event()

        def append() -> None:
            with database.writing() as connection:
                lock_writers(connection, SHELF.lock)
                known = len(connection.execute(select(BOOKS)).all())
                begun.set()
                connection.execute(insert(BOOKS).values(title=f"Volume {known + 1}"))

        with database.writing() as connection:
            lock_writers(connection, SHELF.lock)
            waiting = threading.Thread(target=append)
            waiting.start()
            assert not begun.wait(0.3)
            connection.execute(insert(BOOKS).values(title="Volume 1"))
        waiting.join(240)
        assert titles(database) == ["Volume 1", "Volume 2"]


def test_what_fails_is_undone_and_explained_in_the_kinds_words(address: str | Path) -> None:
    with closing(Database(SHELF, address)) as database:
        with pytest.raises(StateError, match=r"^shelf .*(?i:null)") as caught:
            add_all(database, [{"title": "Emma"}, {"title": None}])
        assert "Emma" not in str(caught.value)
        assert titles(database) == []


def test_text_that_no_encoding_holds_is_named_and_neither_stored_nor_found(address: str | Path) -> None:
    with closing(Database(SHELF, address)) as database:
        with pytest.raises(StateError, match=r"^shelf .*: 'Emm\\udcff' is not UTF-8 text"):
            add(database, "Emm\udcff")
        with (
            pytest.raises(StateError, match="is not UTF-8 text"),
            database.reading() as connection,
        ):
            connection.execute(select(BOOKS).where(BOOKS.c.title == "Emm\udcff"))
        assert titles(database) == []


OPENER = """
import sys
from pathlib import Path
from contextlib import closing
from medkg_dagster.io.sql import Database
from medkg_dagster_tests.io.test_sql import SHELF, add
address = Path(sys.argv[1]) if sys.argv[1].startswith("/") else sys.argv[1]
sys.stdin.readline()
with closing(Database(SHELF, address)) as database:
    for number in range(20):
        add(database, f"{sys.argv[2]} {number}")
"""


def test_processes_that_open_a_new_one_at_once_all_write(address: str | Path, repository: Path) -> None:
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, str(address), name],
            stdin=subprocess.PIPE,
            text=True,
            cwd=repository,
        )
        for name in "abc"
    ]
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("go\n")
        opener.stdin.flush()
    for opener in openers:
        opener.communicate(timeout=480)
        assert opener.returncode == 0
    with closing(Database(SHELF, address)) as database:
        assert len(titles(database)) == 60
        assert [version for version, _ in versions(database)] == [1, 2]


def test_a_version_in_the_files_header_is_kept_as_one_in_a_table(tmp_path: Path) -> None:
    file = tmp_path / "shelf.sqlite"
    kind = replace(SHELF, version=VersionPragma(4711))
    with closing(Database(kind, file)) as database:
        add(database, "Emma")
    with closing(sqlite3.connect(file)) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (2,)
        assert raw.execute("PRAGMA application_id").fetchone() == (4711,)
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with pytest.raises(StateError, match="newer release"):
        Database(replace(kind, migrations=kind.migrations[:1]), file)
    with pytest.raises(StateError, match="has a table books but no application_id of ours"):
        Database(replace(kind, version=VersionPragma(1)), file)


@pytest.mark.parametrize("shares_file", [False, True])
def test_tables_of_others_are_borne_only_where_the_kind_says_so(tmp_path: Path, *, shares_file: bool) -> None:
    file = tmp_path / "shelf.sqlite"
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("CREATE TABLE songs (title TEXT)")
    before = file.read_bytes()
    kind = replace(SHELF, shares_file=shares_file)
    if shares_file:
        with closing(Database(kind, file)) as database:
            assert titles(database) == []
    else:
        with pytest.raises(StateError, match="has a table songs but no shelf_versions"):
            Database(kind, file)
        assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"this is no database at all " * 100, "damaged or no shelf: buy the books again"),
        (b"SQLite format 3\x00" + b"\xff" * 4000, "buy the books again"),
    ],
)
def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, content: bytes, hint: str) -> None:
    file = tmp_path / "shelf.sqlite"
    file.write_bytes(content)
    with pytest.raises(StateError, match=hint):
        Database(SHELF, file)
    assert file.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StateError, match=r"taken.*choose another shelf"):
        Database(SHELF, tmp_path / "taken" / "shelf.sqlite")


def test_a_file_that_must_not_be_written_says_so(tmp_path: Path) -> None:
    file = tmp_path / "shelf.sqlite"
    with closing(Database(SHELF, file)) as database, database.writing() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
        with pytest.raises(StateError, match="readonly database; make the file and its folder writable"):
            add_with(database, connection)
        connection.exec_driver_sql("PRAGMA query_only = OFF")


def add_with(database: Database, connection: Connection) -> None:
    with database.explained():
        connection.execute(insert(BOOKS).values(title="Emma"))


def test_another_process_that_holds_it_too_long_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medkg_dagster.io.sql.BUSY_TIMEOUT_SECONDS", 0.1)
    file = tmp_path / "shelf.sqlite"
    with closing(Database(SHELF, file)) as database, closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateError, match="locked; another process holds it"):
            add(database, "Emma")


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("postgresql://me:s3cret@127.0.0.1:1/none", StateError, "check that the server runs"),
        ("postgresql://me@127.0.0.1:1/none?password=s3cret", StateError, "check that the server runs"),
        ("postgresql+nothing://me:s3cret@host/none", ConfigError, "no driver for"),
        ("mysql://me:s3cret@host/none", ConfigError, "address is one of mysql, but the shelf speaks SQLite"),
        ("s3cret", ConfigError, "is not a database URL"),
    ],
)
def test_an_address_that_leads_nowhere_is_explained_without_its_password(
    address: str, error: type[MedkgError], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        Database(SHELF, address)
    assert "s3cret" not in str(caught.value) + str(caught.value.__cause__)


def interrupt_at(line: int) -> Callable[[FrameType, str, object], Any]:
    """Return a trace function that interrupts when so many lines have been run, but none of `logging`."""
    passed = itertools.count()

    def trace(frame: FrameType, what: str, _argument: object) -> Any:
        if frame.f_code.co_filename == logging.__file__:
            # Interrupted between taking its lock and its `try`, `logging` keeps it from all other threads.
            return None
        if what == "line" and next(passed) == line:
            signal.raise_signal(signal.SIGINT)
        return trace

    return trace


def test_an_interrupt_at_any_line_of_a_transaction_leaves_no_lock_behind(tmp_path: Path) -> None:
    # What the collector calls cannot be interrupted: Python drops what is raised there, and pytest shows it.
    with collector_paused(), closing(Database(SHELF, tmp_path / "shelf.sqlite")) as database:
        add(database, "before")
        interrupted = 0
        outside, handler = sys.gettrace(), signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            for line in itertools.count():
                try:
                    sys.settrace(interrupt_at(line))
                    add(database, f"at line {line}")
                    sys.settrace(outside)
                    break
                except KeyboardInterrupt:
                    # Its traceback keeps all that the transaction had.
                    sys.settrace(outside)
                    with closing(sqlite3.connect(tmp_path / "shelf.sqlite", timeout=0)) as other:
                        other.execute("BEGIN IMMEDIATE")
                    interrupted += 1
        finally:
            sys.settrace(outside)
            signal.signal(signal.SIGINT, handler)

    assert interrupted > 100
