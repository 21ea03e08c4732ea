"""A fresh copy of the checkout, and a shell in it, as somebody has them who has configured nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path

from medkg_dagster_tests.end_to_end.running import OWN_SESSION, PATIENCE, REPOSITORY, answers, end
from medkg_dagster_tests.examples.environment import Environment

_CONFIGURED = ("MEDKG_", "DAGSTER_", "PYTHON", "VIRTUAL_ENV", "PORT", "HOST", "MAKE", "MFLAGS", "PYTEST_")
_FILES = ("README.md", "LICENSE", "Makefile", "pyproject.toml", "requirements.lock", "workspace.yaml")
_FOLDERS = ("config", "docs", "examples", "medkg_dagster", "scripts")


def environment(folder: Path) -> dict[str, str]:
    """Return the environment variables of somebody who has configured nothing."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_CONFIGURED)}
    return inherited | {"HOME": str(folder.parent)}


@dataclass
class Terminal:
    """A shell that lines are typed into, one after the other.

    Attributes:
        folder: Where it is opened.
        said: By line what it wrote to standard output.
    """

    folder: Path
    said: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._log = (self.folder.parent / "terminal.log").open("w+b")
        self._shell = subprocess.Popen(
            ["bash", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=self.folder,
            env=environment(self.folder),
            **OWN_SESSION,
        )

    def type(self, line: str, *, instead: str | None = None) -> tuple[int, str]:
        """Type a line, or another one instead of it; return its exit code and its output."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        mark = f"--- {len(self.said)} ended with "
        self._shell.stdin.write(f"{instead or line}\nprintf '%s%s\\n' '{mark}' $?\n".encode())
        self._shell.stdin.flush()
        heard: list[str] = []
        for raw in self._shell.stdout:
            text = raw.decode()
            if mark in text:
                before, _, code = text.rpartition(mark)
                self.said[line] = "".join([*heard, before])
                return int(code), self.said[line]
            heard.append(text)
        raise AssertionError(f"the shell ended at {line!r}: {self.complaints}")

    @property
    def complaints(self) -> str:
        """What was written to standard error."""
        return Path(self._log.name).read_text(errors="replace")[-4000:]

    def close(self) -> None:
        """End the shell and all that it started."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        end(self._shell)
        for stream in (self._shell.stdin, self._shell.stdout, self._log):
            stream.close()


def copy_checkout(folder: Path) -> Path:
    """A copy of the checkout, installed as `make install` does, but without a network."""
    folder.mkdir()
    for name in _FILES:
        shutil.copy2(REPOSITORY / name, folder)
    for name in _FOLDERS:
        # With what is compiled, but for the files that other processes are about to rename meanwhile.
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("*.pyc.*"))
    made = Environment.create(folder / ".venv")
    (site,) = (folder / ".venv").glob("lib/python*/site-packages")
    (site / "a_checkout.pth").write_text(f"{folder}\n")  # read before the one of the environment around
    for script in entry_points(group="console_scripts"):
        program = folder / ".venv" / "bin" / script.name
        if not program.exists():
            program.write_text(
                f"#!{made.python}\nimport sys\nfrom {script.module} import {script.attr}\n"
                f"sys.exit({script.attr}())\n"
            )
            program.chmod(0o755)
    (folder / ".venv" / ".installed").touch()
    return folder


@contextmanager
def serving(folder: Path, line: str, address: str) -> Iterator[Path]:
    """Type a line in a terminal of its own, give its log when the UI is there, and press Ctrl-C."""
    log = folder.parent / "dev.log"
    with log.open("wb") as stream:
        started = subprocess.Popen(
            line.split(), cwd=folder, env=environment(folder), stdout=stream, stderr=stream, **OWN_SESSION
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not answers(address):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield log
        os.killpg(started.pid, signal.SIGINT)
        started.wait(PATIENCE)
    finally:
        end(started)
