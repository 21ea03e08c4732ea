"""The main job as people run it: the `dagster` and `medkg` commands."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from sqlalchemy import create_engine

from medkg_dagster.cli import main
from medkg_dagster_tests.end_to_end.running import PATIENCE, copy_instance, forked

Run = Callable[..., subprocess.CompletedProcess[str]]

JOB = ("dagster", "job", "execute", "-m", "medkg_dagster.definitions", "-j", "auto")


def commands(repository: Path, home: Path) -> Run:
    """Return what runs a command from the checkout's root with a data folder of its own.

    Those of Dagster have processes of their own.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MEDKG_", "DAGSTER_"))
    }
    environment |= {"MEDKG_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "1", "NO_COLOR": "1"}

    def dagster(command: Sequence[str], settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory() as made:
            out, err = Path(made, "out"), Path(made, "err")
            started = forked(command, settings, repository, out, err)
            started.join(PATIENCE)
            assert started.exitcode is not None
            return subprocess.CompletedProcess(command, started.exitcode, out.read_text(), err.read_text())

    def medkg(command: Sequence[str], settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        with contextlib.chdir(repository):
            done = CliRunner().invoke(main, command[1:], env=settings, catch_exceptions=False)
        return subprocess.CompletedProcess(command, done.exit_code, done.stdout, done.stderr)

    def run(*command: str, check: bool = True, **extra: str) -> subprocess.CompletedProcess[str]:
        by_name = {"dagster": dagster, "medkg": medkg}
        done = by_name[command[0]](command, environment | extra)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def run(repository: Path, tmp_path: Path) -> Run:
    return commands(repository, tmp_path / "home")


@pytest.fixture(scope="module")
def ran(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the main job, run once on the bundled corpus."""
    home = tmp_path_factory.mktemp("main_job") / "home"
    commands(repository, home)(*JOB)
    return home


@pytest.fixture
def dagster_home(tmp_path: Path) -> str:
    return str(copy_instance(tmp_path / "dagster"))


def ingest_config(folder: Path, path: Path | str) -> Path:
    """Write a run configuration that lets `auto` read a folder of the user's own."""
    file = folder / "run.yaml"
    ingest = {"config": {"adapter": "files", "params": {"path": str(path)}}}
    file.write_text(yaml.safe_dump({"ops": {"auto__stages": {"ops": {"ingest": ingest}}}}))
    return file


def stores(home: Path) -> dict[str, dict[str, list[str]]]:
    """Return every row of every table of the stores, as text, sorted; not when something came or went."""
    return {name: contents(home / name) for name in ("index.sqlite", "graph.sqlite")}


def contents(database: Path) -> dict[str, list[str]]:
    with sqlite3.connect(database) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {
            table: sorted(lines(connection, table)) for table in tables if not table.startswith("sqlite_")
        }
    connection.close()
    return rows


def lines(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    """Yield the rows of a table without the times, which no two runs have in common."""
    found = connection.execute(f'SELECT * FROM "{table}"')
    times = {place for place, (column, *_) in enumerate(found.description) if column == "at"}
    for row in found:
        yield repr(tuple(value for place, value in enumerate(row) if place not in times))


def test_the_main_job_fills_index_and_graph_and_a_second_run_changes_nothing(
    run: Run, ran: Path, dagster_home: str, tmp_path: Path
) -> None:
    first = stores(ran)
    shutil.copytree(ran, tmp_path / "home")

    run(*JOB, DAGSTER_HOME=dagster_home)
    second = stores(tmp_path / "home")

    assert all(any(rows for rows in tables.values()) for tables in first.values())
    assert second == first
    assert "nivolumab" in run("medkg", "search", "nivolumab").stdout.lower()
    assert "succeeded" in run("medkg", "ledger", "show", "auto/default").stdout
    summary = run("medkg", "summary").stdout
    for counted in (
        "documents",
        "chunks",
        "entities",
        "claims",
        "nodes",
        "edges",
        "medkg search",
        "make dev",
        "looked with 481 concepts (oncology sample); `medkg vocab install open` adds",
    ):
        assert counted in summary


def test_a_partition_named_by_tag_is_a_ledger_job_of_its_own(
    run: Run, dagster_home: str, tmp_path: Path
) -> None:
    corpus = tmp_path / "notes"
    corpus.mkdir()
    (corpus / "note.txt").write_text(
        "Colitis under ipilimumab\n\nIpilimumab was associated with colitis in two patients with melanoma.\n"
    )
    config = ingest_config(tmp_path, path=corpus)

    run(
        *JOB,
        "-c",
        str(config),
        "--tags",
        '{"dagster/partition": "melanoma-2026"}',
        DAGSTER_HOME=dagster_home,
    )

    assert "melanoma-2026" in run("medkg", "ledger", "list").stdout
    assert "default" not in run("medkg", "ledger", "list").stdout
    assert list((tmp_path / "home" / "state").rglob("melanoma-2026.state.zip"))


def test_one_bad_document_is_quarantined_and_the_others_go_on(
    run: Run, dagster_home: str, tmp_path: Path
) -> None:
    corpus = tmp_path / "mixed"
    corpus.mkdir()
    for number in range(6):
        (corpus / f"note{number}.txt").write_text(
            f"Case {number}\n\nPatient {number} with melanoma received nivolumab and recovered.\n"
        )
    (corpus / "bad.pdf").write_text("<html><body>Please log in</body></html>")
    config = ingest_config(tmp_path, path=corpus)

    run(*JOB, "-c", str(config), DAGSTER_HOME=dagster_home)

    shown = run("medkg", "ledger", "show", "auto/default").stdout
    assert "bad.pdf" in shown
    assert "HTML" in shown


def test_a_missing_corpus_path_is_one_clear_error(run: Run, dagster_home: str, tmp_path: Path) -> None:
    config = ingest_config(tmp_path, path="/no/such/folder")

    failed = run(*JOB, "-c", str(config), check=False, DAGSTER_HOME=dagster_home)

    assert failed.returncode != 0
    assert "/no/such/folder" in failed.stderr
    assert "failed" in run("medkg", "ledger", "show", "auto/default").stdout


def test_the_dagster_commands_work_from_the_checkout_with_and_without_dagster_home(
    run: Run, dagster_home: str
) -> None:
    assert "auto" in run("dagster", "job", "list").stdout
    listed = run("dagster", "asset", "list", "-m", "medkg_dagster.definitions", DAGSTER_HOME=dagster_home)
    assert "auto/kg" in listed.stdout
    run("dagster", "definitions", "validate", DAGSTER_HOME=dagster_home)


def test_steps_in_processes_of_their_own_give_the_same_stores(
    run: Run, ran: Path, dagster_home: str, tmp_path: Path
) -> None:
    run(*JOB, MEDKG_EXECUTOR="multiprocess", DAGSTER_HOME=dagster_home)

    assert stores(tmp_path / "home") == stores(ran)


def test_one_database_holds_all_and_answers_as_files_do(
    ran: Path, repository: Path, tmp_path: Path, postgresql_url: str
) -> None:
    """Dagster's storage, ledger, graph and index in one database, by one variable and the same YAML."""
    instance, home = tmp_path / "dagster", tmp_path / "home"
    instance.mkdir()
    shutil.copy(repository / "config" / "dagster.postgresql.yaml", instance / "dagster.yaml")
    of_all = {
        "MEDKG_DATABASE_URL": postgresql_url.replace("+psycopg:", "+psycopg2:"),
        "DAGSTER_HOME": str(instance),
    }
    in_files, in_database = commands(repository, ran), commands(repository, home)

    in_database(*JOB, **of_all)

    for question in (
        ("search", "melanoma", "nivolumab"),
        ("search", '"adverse events"', "--by", "words"),
        ("graph", "melanoma"),
        ("path", "nivolumab", "colitis"),
    ):
        command = ("medkg", *question, "--json")
        assert in_database(*command, **of_all).stdout == in_files(*command).stdout, question
    assert list(home.rglob("*.sqlite")) == []
    assert list(instance.rglob("*.db")) == []
    engine = create_engine(postgresql_url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT status FROM runs").scalars().all() == ["SUCCESS"]
    engine.dispose()
    found = in_database("medkg", "doctor", check=False, **of_all).stdout
    assert "index        in the database of MEDKG_DATABASE_URL" in found
    assert "graph        in the database of MEDKG_DATABASE_URL" in found
