"""`medkg serve` as a process."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from medkg_dagster_tests.query.made_home import make_home

HEARING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
"""A process that was started in the background of a shell does not hear Ctrl-C otherwise."""
SERVE = [sys.executable, "-c", f"{HEARING}from medkg_dagster.cli import main; main()", "serve"]


@contextmanager
def started(home: Path, *words: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "MEDKG_HOME": str(home), **variables}
    pipe = subprocess.PIPE
    with subprocess.Popen([*SERVE, *words], env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_it_says_where_it_is_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    home = make_home(tmp_path / "a home")
    with started(home, "--port", "0") as process:
        assert process.stdout is not None
        said = re.match(r"(http://127\.0\.0\.1:\d+)/ shows (.*); Ctrl-C ends it\n", process.stdout.readline())
        assert said is not None
        counts = httpx.get(f"{said[1]}/api/counts").json()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)

    assert (said[2], counts["documents"]) == (str(home), 3)
    assert (process.returncode, errors) == (0, "")


def test_a_port_that_is_taken_is_an_error_of_one_line(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        started(tmp_path, "--port", str(taken.getsockname()[1])) as process,
    ):
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert re.fullmatch(r"medkg: cannot listen at 127\.0\.0\.1 port \d+: .*; give another --port\n", errors)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "medkg.example.org"])
def test_what_others_may_reach_wants_a_token(tmp_path: Path, host: str) -> None:
    with started(tmp_path, "--host", host, MEDKG_SERVE_TOKEN="") as process:
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert errors.startswith(f"medkg: {host} may be reached by others: set MEDKG_SERVE_TOKEN")
