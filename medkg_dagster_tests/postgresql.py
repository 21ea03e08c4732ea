"""A PostgreSQL server of the tests, in a temporary folder, by an ordinary user, where one is installed."""

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from medkg_dagster.io.child_process import ChildProcess

GIVEN = "MEDKG_TEST_POSTGRESQL_URL"
DEBIAN = Path("/usr/lib/postgresql")
# Nothing of it has to outlive the tests.
SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "listen_addresses=",
)


@contextmanager
def server() -> Iterator[str]:
    """Give the URL of a server: the one that is named, or else one that lasts as long as this does."""
    if given := os.environ.get(GIVEN):
        yield given
        return
    with own_server() as (url, _):
        yield url


@contextmanager
def own_server(*settings: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """Give the URL of a server that lasts as long as this does, and what starts it anew after a crash.

    Args:
        settings: What is set otherwise than for tests that let it be.
    """
    initdb, postgres = find_program("initdb"), find_program("postgres")
    if initdb is None or postgres is None:
        pytest.skip(f"no PostgreSQL: install its server, or set {GIVEN} to the URL of a scratch database")
    # The path of a socket may have a hundred characters: not in pytest's own folder.
    with tempfile.TemporaryDirectory(prefix="medkg-pg-", ignore_cleanup_errors=True) as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        data = f"{folder}/data"
        made = [initdb, "-D", data, "-U", "medkg", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        subprocess.run(as_ordinary_user(made), check=True, capture_output=True, cwd=folder)
        options = [f"-c{setting}" for setting in (*SETTINGS, *settings, f"unix_socket_directories={folder}")]
        command = as_ordinary_user([postgres, "-D", data, *options])
        with ExitStack() as running:

            def start() -> None:
                # Whatever is at work is ended first, without a word to its clients.
                running.close()
                process = ChildProcess(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                (Path(data) / "postmaster.pid").unlink(missing_ok=True)
                wait_until_ready(Path(data) / "postmaster.pid", running.enter_context(process))

            start()
            yield f"postgresql+psycopg://medkg@/postgres?host={folder}", start


@contextmanager
def new_schema(of_server: str) -> Iterator[str]:
    """Give the URL of an empty schema of a server, dropped afterwards."""
    schema = f"medkg_test_{uuid.uuid4().hex}"
    engine = create_engine(of_server)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
        separator = "&" if "?" in of_server else "?"
        yield f"{of_server}{separator}options=-csearch_path%3D{schema}"
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    finally:
        engine.dispose()


def find_program(name: str) -> str | None:
    """Return where a program of the server is; Debian keeps them off the path."""
    found = shutil.which(name)
    return found or next((str(file) for file in sorted(DEBIAN.glob(f"*/bin/{name}"), reverse=True)), None)


def as_ordinary_user(command: list[str]) -> list[str]:
    """Return a command as it is to be started: the server refuses to run with the rights of root."""
    if os.geteuid() != 0:
        return command
    if shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL does not run as root, and there is no setpriv to start it as another user")
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]


def wait_until_ready(status: Path, process: ChildProcess) -> None:
    """Wait until the last line of the server's own file says that it takes connections."""
    while process.poll() is None:
        if status.is_file() and status.read_text().rstrip().endswith("ready"):
            return
        time.sleep(0.02)
    pytest.fail(f"PostgreSQL ended with {process.poll()} before it took a connection")
