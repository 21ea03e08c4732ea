"""Leases: while a step works, nothing that it has used is removed, however long it takes.

A lease is a file that its step touches from time to time. One that a kill left ends when it was not touched
for long enough and its process is not seen any more.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from medkg_dagster.errors import StateError
from medkg_dagster.runtime.run_processes import is_here, this_process

BEAT_SECONDS = 60.0
LEASE_SECONDS = 15 * 60.0
SUFFIX = ".lease"
LEASES = "leases"
"""The folder of all leases, in that of all data."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What a step holds.

    Attributes:
        path: Its file.
        since: From when on what is used is in use, in seconds since 1970.
        is_live: Whether the step may still be at work.
    """

    path: Path
    since: float
    is_live: bool


@contextlib.contextmanager
def leased(folder: Path) -> Iterator[None]:
    """Keep all that is used from now on until the block ends.

    Args:
        folder: The folder of all leases.

    Raises:
        StateError: The lease cannot be written.
    """
    # The time stands in the name, so that a lease is there whole or not at all.
    path = folder / f"{time.time_ns()}-{uuid4().hex}{SUFFIX}"
    ended = threading.Event()
    try:
        _write(path)
        threading.Thread(target=_beat, args=(path, ended), name="medkg-lease", daemon=True).start()
        yield
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            path.unlink()


def read_leases(folder: Path, now: float) -> list[Lease]:
    """Return all leases, also those that have ended.

    Args:
        folder: The folder of all leases.
        now: Seconds since 1970.
    """
    return [lease for path in folder.glob(f"*{SUFFIX}") if (lease := _read(path, now)) is not None]


def _read(path: Path, now: float) -> Lease | None:
    since, _, _ = path.name.partition("-")
    if not (since.isascii() and since.isdigit()):
        return None
    try:
        is_fresh = now - path.stat().st_mtime < LEASE_SECONDS
        # A process that was stopped for a while, or a machine that slept, goes on.
        return Lease(path, int(since) / 1e9, is_fresh or is_here(path.read_text("utf-8", "replace")))
    except FileNotFoundError:
        return None


def _write(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(this_process(), "utf-8")
    except OSError as error:
        raise StateError(
            f"the step cannot say what it uses: {error.strerror or error}: {path}; make room, or see to the "
            "permissions, and run the stage again"
        ) from error


def _beat(path: Path, ended: threading.Event) -> None:
    while not ended.wait(BEAT_SECONDS):
        with contextlib.suppress(OSError, StateError):
            # Who slept for long may have been taken for gone.
            os.utime(path) if path.exists() else _write(path)
