"""`medkg backup` and `medkg restore`."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medkg_dagster.backup.making import back_up
from medkg_dagster.backup.restoring import restore
from medkg_dagster.backup.sqlite_copy import copy_database
from medkg_dagster.errors import BackupError
from medkg_dagster.io.sql import Database
from medkg_dagster.ledger import LEDGER_FILE, JobKey, JobLedger
from medkg_dagster.ledger.database import ledger_kind
from medkg_dagster.registry import ExtensionRegistry
from medkg_dagster.settings import Settings
from medkg_dagster.stage_api import Chunk, EmbeddingBatch, ExtensionKind, SearchRequest, chunk_id
from medkg_dagster.vocabulary.library import Source, VocabularyLibrary
from medkg_dagster_tests.cli.conftest import Medkg
from medkg_dagster_tests.query.made_home import make_home

QUESTIONS = (
    ("search", "melanoma", "--json"),
    ("graph", "melanoma", "--json"),
    ("documents", "list", "--json"),
    ("ledger", "list", "--json"),
    ("vocab", "info", "aspirin", "--json"),
)
KEY = JobKey("auto", "default")


@pytest.fixture
def made(home: Path, tmp_path: Path) -> Path:
    """A home with documents, a vocabulary and something between stages."""
    make_home(home)
    file = tmp_path / "names.tsv"
    file.write_text("curie\tname\tcategory\nMESH:D001241\taspirin\tbiolink:Drug\n")
    VocabularyLibrary(home).add(file, Source("mine", "tsv", "names.tsv")).close()
    (home / "answers").mkdir()
    (home / "answers" / ".half.partial").write_text("half")
    (home / "answers" / "one.json").write_text("{}")
    return home


def answers(medkg: Medkg) -> list[Any]:
    found = []
    for question in QUESTIONS:
        done = medkg(*question)
        assert done.exit_code == 0, done.output
        found.append(json.loads(done.stdout))
    return found


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("name", ["kept", "kept.tar"])
def test_what_is_put_back_answers_as_it_was(
    medkg: Medkg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = answers(medkg)
    saved = medkg("backup", str(tmp_path / name), "--state", "--json")
    monkeypatch.setenv("MEDKG_HOME", str(tmp_path / "again"))

    restored = medkg("restore", str(tmp_path / name))

    assert (saved.exit_code, restored.exit_code) == (0, 0), saved.output + restored.output
    assert json.loads(saved.stdout)["parts"] == ["ledger", "index", "graph", "vocabulary", "state"]
    assert answers(medkg) == before
    again = files(tmp_path / "again")
    assert {"answers/one.json", LEDGER_FILE} <= again
    assert not any("partial" in file for file in again)
    assert {path.name for path in tmp_path.iterdir()} == {"home", "names.tsv", name, "again"}


def test_what_is_left_out_is_told(medkg: Medkg, home: Path, tmp_path: Path) -> None:
    JobLedger.open(home).close()

    done = medkg("backup", str(tmp_path / "kept"))

    assert done.stdout.startswith("ledger backed up to ")
    told = done.stderr.splitlines()
    assert told == [
        "medkg: index is not in it: there is none",
        "medkg: graph is not in it: there is none",
        "medkg: vocabulary is not in it: there is none",
        "medkg: state is not in it: it was not asked for (--state)",
    ]


@pytest.mark.usefixtures("made")
def test_a_ledger_in_postgresql_is_left_out_with_a_word(
    medkg: Medkg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDKG_LEDGER_URL", "postgresql://me@127.0.0.1:1/none")

    done = medkg("backup", str(tmp_path / "kept"))

    assert done.exit_code == 0
    assert "ledger is not in it: it is in PostgreSQL: `pg_dump` copies it" in done.stderr
    assert not (tmp_path / "kept" / LEDGER_FILE).exists()


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("name", ["kept", "kept.tar"])
def test_nothing_is_overwritten(medkg: Medkg, tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    medkg("backup", str(target))

    again = medkg("backup", str(target))
    back = medkg("restore", str(target))

    assert (again.exit_code, back.exit_code) == (1, 1)
    assert "is there already, and a backup overwrites nothing" in again.stderr
    assert "is not empty, and nothing is overwritten" in back.stderr


def test_a_home_without_anything_is_no_backup(medkg: Medkg, tmp_path: Path) -> None:
    done = medkg("backup", str(tmp_path / "kept"))

    assert done.exit_code == 1
    assert "there is nothing to back up in" in done.stderr
    assert list(tmp_path.iterdir()) == []


def cut(folder: Path) -> None:
    file = folder / "graph.sqlite"
    file.write_bytes(file.read_bytes()[:-1] + b"x")


def lose(folder: Path) -> None:
    (folder / "index.sqlite").unlink()


def garble(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def change(folder: Path, **told: Any) -> None:
    file = folder / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | told))


BROKEN: list[tuple[Callable[[Path], None], str]] = [
    (cut, "its checksum differs"),
    (lose, "is missing"),
    (lambda folder: (folder / "manifest.json").unlink(), "is no backup: it has no manifest.json"),
    (garble, "cannot be read"),
    (lambda folder: change(folder, format=2), "written by a newer release"),
    (lambda folder: change(folder, parts=None), "is damaged"),
    (lambda folder: change(folder, files={"../out": {"bytes": 1, "crc32": "0"}}), "outside of the backup"),
]


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(("break_it", "said"), BROKEN)
def test_what_is_not_as_it_was_backed_up_is_refused(
    medkg: Medkg,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Callable[[Path], None],
    said: str,
) -> None:
    medkg("backup", str(tmp_path / "kept"))
    break_it(tmp_path / "kept")
    monkeypatch.setenv("MEDKG_HOME", str(tmp_path / "again"))

    done = medkg("restore", str(tmp_path / "kept"))

    assert done.exit_code == 1
    assert said in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"home", "names.tsv", "kept"}


def test_an_archive_that_is_none_is_refused(medkg: Medkg, home: Path, tmp_path: Path) -> None:
    (tmp_path / "kept.tar").write_bytes(b"no archive " * 100)

    done = medkg("restore", str(tmp_path / "kept.tar"))

    assert done.exit_code == 1
    assert "is no backup or is damaged" in done.stderr
    assert not home.exists()


@pytest.mark.parametrize("version", [1, 99])
def test_an_older_ledger_is_brought_forward_and_a_newer_one_refused(
    medkg: Medkg, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    kind = ledger_kind("2026-01-01T00:00:00.000000Z")
    home.mkdir()
    Database(replace(kind, migrations=kind.migrations[:version], anew=None), home / LEDGER_FILE).close()
    with closing(sqlite3.connect(home / LEDGER_FILE)) as opened, opened:
        if version == 99:
            opened.execute("INSERT INTO ledger_schema VALUES (99, 't')")
        opened.execute(
            "INSERT INTO ledger_jobs (pipeline, job_id, status, request, fields, attempts, created_at, "
            "updated_at) VALUES ('auto', 'default', 'waiting', '{}', '{\"a\": 1}', 2, 't', 't')"
        )
    medkg("backup", str(tmp_path / "kept"))
    monkeypatch.setenv("MEDKG_HOME", str(tmp_path / "again"))

    done = medkg("restore", str(tmp_path / "kept"))

    assert done.exit_code == (version == 99)
    if version == 99:
        assert "was written by a newer release (schema 99" in done.stderr
        assert not (tmp_path / "again").exists()
    else:
        with JobLedger.open(tmp_path / "again") as book:
            assert book.jobs.get(KEY).fields == {"a": 1}


class Writer(threading.Thread):
    """Works in a thread, again and again, until it is told to end.

    Args:
        work: What it does, given how often it has.
    """

    def __init__(self, work: Callable[[int], object]) -> None:
        super().__init__()
        self._work = work
        self._ended = threading.Event()
        self._moved = threading.Condition()
        self._count = 0
        self._failed: list[Exception] = []

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self._work(self._count)
            except Exception as error:  # noqa: BLE001 - told to who waits
                self._failed.append(error)
                self._ended.set()
            with self._moved:
                self._count += 1
                self._moved.notify_all()

    def wait_for(self, more: int) -> None:
        """Wait until it has worked so many times more."""
        with self._moved:
            goal = self._count + more
            assert self._moved.wait_for(lambda: self._count >= goal or self._failed, 60)
        assert not self._failed

    def end(self) -> None:
        self._ended.set()
        self.join()


@contextmanager
def meanwhile(work: Callable[[int], object]) -> Iterator[Writer]:
    writer = Writer(work)
    writer.start()
    try:
        writer.wait_for(3)
        yield writer
        writer.wait_for(1)
    finally:
        writer.end()


def test_a_ledger_that_is_written_to_is_copied_as_it_is_at_one_moment(home: Path, tmp_path: Path) -> None:
    with JobLedger.open(home) as book:
        book.jobs.ensure(KEY, actor="test")
        with meanwhile(lambda n: book.jobs.set_fields(KEY, {"a": n, "b": n}, actor="test")) as writer:
            for number in range(4):
                (tmp_path / str(number)).mkdir()
                copy_database(home / LEDGER_FILE, tmp_path / str(number))
                writer.wait_for(2)
    for number in range(4):
        with closing(sqlite3.connect(tmp_path / str(number) / LEDGER_FILE)) as copied:
            assert copied.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with JobLedger.open(tmp_path / str(number)) as copy:
            fields = copy.jobs.get(KEY).fields
            history = [entry.new for entry in copy.jobs.history(KEY) if entry.field == "a"]
        assert fields["a"] == fields["b"] == history[-1]
        assert history == [*range(fields["a"] + 1)]


def texts(number: int) -> tuple[tuple[Chunk, ...], EmbeddingBatch]:
    import numpy as np

    names = [f"PMID:{number}{at}" for at in range(5)]
    chunks = tuple(
        Chunk(
            id=chunk_id(name, "h", 0, 8),
            document_id=name,
            document_hash="h",
            title=name,
            section="",
            ordinal=0,
            start=0,
            end=8,
            text="melanoma",
        )
        for name in names
    )
    return chunks, EmbeddingBatch(
        tuple(chunk.id for chunk in chunks), np.zeros((len(chunks), 0), np.float32), "", lexical=True
    )


def test_an_index_that_is_written_to_is_copied_with_the_segments_that_it_knows(
    home: Path, tmp_path: Path
) -> None:
    home.mkdir()
    settings = Settings(home=home, config=tmp_path)
    extension = ExtensionRegistry().find(ExtensionKind.INDEX_STORE, "sqlite")
    with closing(extension.open({}, home)) as index, meanwhile(lambda n: index.upsert(*texts(n))):
        for number in range(3):
            back_up(settings, tmp_path / f"kept{number}")
    for number in range(3):
        again = tmp_path / f"again{number}"
        restore(tmp_path / f"kept{number}", again, lambda _folder: None)
        with closing(extension.open({}, again)) as copied:
            found = copied.search(SearchRequest("melanoma", limit=5))
            assert len(found.hits) == 5
            assert {*copied.held()} >= {f"PMID:{part}{at}" for part in range(3) for at in range(5)}


def test_a_file_that_is_no_database_is_refused(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (home / LEDGER_FILE).write_bytes(b"no database " * 500)

    with pytest.raises(BackupError, match=r"ledger\.sqlite cannot be copied: file is not a database"):
        back_up(Settings(home=home, config=tmp_path), tmp_path / "kept")

    assert not (tmp_path / "kept").exists()
