"""A SQLite database copied as it is at one moment, while others write to it and wait for nothing.

Where a database has a write-ahead log, a reader keeps what it sees: while it is there nobody writes more to
the file than it sees, and nobody begins the log anew. So the file and its log, copied beside a reader, are
the database at one moment, and as fast to copy as any file; SQLite's online backup takes three times as long.
A database without such a log lets its writers wait for any reader, and so for the copy.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from medkg_dagster.errors import BackupError
from medkg_dagster.io.sql import BUSY_TIMEOUT_SECONDS, readable_uri

WAL = "-wal"
_SHARED = "-shm"
_PROCESS = Path(__file__).with_name("copy_process.py")

Copied = dict[str, dict[str, str | int]]
"""By name of a file what was copied: `bytes` and `crc32`."""


def copy_database(source: Path, folder: Path) -> Copied:
    """Copy a database into a folder, under its own name; its log beside it, where there is one.

    Args:
        source: The database's file.
        folder: Where to; it holds no file of that name.

    Raises:
        BackupError: It is no database, or a file cannot be read or written.
    """
    try:
        with _looking_at(source) as connection:
            # What a reader has read stays until it is done.
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return _copy_files(source, folder)
    except (sqlite3.Error, OSError) as error:
        raise BackupError(f"{source} cannot be copied: {error}; see to disk and permissions") from error


@contextmanager
def reading_copy(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a copied database for reading, and leave its files as they are."""
    shared = file.with_name(f"{file.name}{_SHARED}")
    has_log = file.with_name(f"{file.name}{WAL}").exists()
    mode = "mode=ro" if has_log else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?{mode}", uri=True)) as connection:
            yield connection
    finally:
        shared.unlink(missing_ok=True)


@contextmanager
def _looking_at(source: Path) -> Iterator[sqlite3.Connection]:
    with closing(
        sqlite3.connect(readable_uri(source), uri=True, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
    ) as connection:
        yield connection


def _copy_files(source: Path, folder: Path) -> Copied:
    names = [source.name, f"{source.name}{WAL}"]
    pairs = [str(path) for name in names for path in (source.with_name(name), folder / name)]
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-I", "-S", str(_PROCESS), *pairs], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["the process ended"])[-1]
        raise BackupError(f"{source} cannot be copied: {last}; see to disk and permissions")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return {name: copied for name, copied in zip(names, told, strict=True) if copied is not None}
