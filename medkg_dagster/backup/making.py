"""Making a backup of a home, beside runs."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from medkg_dagster import __version__
from medkg_dagster.backup.copy_process import copy_file
from medkg_dagster.backup.manifest import FILE_NAME, Manifest
from medkg_dagster.backup.sqlite_copy import WAL, Copied, copy_database, reading_copy
from medkg_dagster.errors import BackupError
from medkg_dagster.io.atomic_files import write_atomically
from medkg_dagster.io.sql import sqlite_file
from medkg_dagster.io.times import stamp, utc_now
from medkg_dagster.ledger.ledger import LEDGER_FILE
from medkg_dagster.runtime.state.leases import LEASES, leased
from medkg_dagster.settings import GRAPH_FILE, INDEX_FILE, Settings

ARCHIVE = ".tar"
SEGMENTS = "index.segments"
STATE = ("state", "shards", "files", "answers")
"""What `--state` takes along; archives first, since they name shards."""

_LOOKS = 20
_PARTIAL = ".partial"
_IN_POSTGRESQL = "it is in PostgreSQL: `pg_dump` copies it"


def back_up(settings: Settings, target: Path, *, with_state: bool = False) -> Manifest:
    """Copy what a home holds into a folder, or a file of `tar`, that is there whole or not at all.

    Runs go on meanwhile. The ledger is copied first: what stores have and it does not know yet, the next run
    compares.

    Args:
        settings: Say where the home and the ledger are.
        target: A folder that does not exist or is empty; a file where the name ends with `.tar`.
        with_state: Whether to take along what lies between stages, and downloaded files.

    Returns:
        What was copied, and what was left out with why.

    Raises:
        BackupError: There is something there already, nothing to copy, or a file cannot be read or written.
    """
    _refuse_to_overwrite(target)
    staged = target.with_name(f".{target.name}.{uuid4().hex}{_PARTIAL}")
    try:
        staged.mkdir(parents=True)
        manifest = _Backup(settings, staged).make(with_state=with_state)
        write_atomically(staged / FILE_NAME, manifest.written())
        if target.suffix == ARCHIVE:
            _archive(staged, target)
        else:
            staged.rename(target)
    except OSError as error:
        raise BackupError(
            f"{error.filename or target}: {error.strerror or error}; nothing was backed up"
        ) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return manifest


class _Backup:
    def __init__(self, settings: Settings, staged: Path) -> None:
        self._settings = settings
        self._home = settings.home
        self._staged = staged
        self._files: Copied = {}
        self._left_out: dict[str, str] = {}

    def make(self, *, with_state: bool) -> Manifest:
        made_at = stamp(utc_now)
        parts = [name for name, copy in self._parts(with_state=with_state) if copy()]
        if not parts:
            raise BackupError(
                f"there is nothing to back up in {self._home}; set MEDKG_HOME, or `medkg run auto`"
            )
        return Manifest(made_at, __version__, tuple(parts), self._left_out, self._files)

    def _parts(self, *, with_state: bool) -> Iterator[tuple[str, Callable[[], bool]]]:
        yield "ledger", self._ledger
        if self._settings.database_url is None:
            yield "index", self._index
            yield "graph", lambda: self._database("graph", self._home / GRAPH_FILE)
        else:
            self._left_out |= dict.fromkeys(("index", "graph"), _IN_POSTGRESQL)
        yield "vocabulary", self._vocabulary
        if with_state:
            yield "state", self._state
        else:
            self._left_out["state"] = "it was not asked for (--state)"

    def _ledger(self) -> bool:
        url = self._settings.ledger_url
        file = self._home / LEDGER_FILE if url is None else sqlite_file(url)
        if file is None:
            self._left_out["ledger"] = _IN_POSTGRESQL
            return False
        return self._database("ledger", file, LEDGER_FILE)

    def _database(self, part: str, file: Path, name: str | None = None) -> bool:
        if not file.is_file():
            self._left_out[part] = "there is none"
            return False
        for copied, told in copy_database(file, self._staged).items():
            kept = copied.replace(file.name, name or file.name, 1)
            (self._staged / copied).rename(self._staged / kept)
            self._files[kept] = told
        return True

    def _index(self) -> bool:
        """Copy the tables, and the segments they know: each is written once, and gone when it is merged."""
        source, target = self._home / SEGMENTS, self._staged / SEGMENTS
        for _ in range(_LOOKS):
            if not self._database("index", self._home / INDEX_FILE):
                return False
            with reading_copy(self._staged / INDEX_FILE) as tables:
                known = [str(number) for (number,) in tables.execute("SELECT number FROM segments")]
            if all(self._segment(source / name, target / name) for name in known):
                for file in target.glob("*"):
                    if file.name not in known:
                        file.unlink()
                        self._files.pop(f"{SEGMENTS}/{file.name}")
                return True
            for name in (INDEX_FILE, f"{INDEX_FILE}{WAL}"):
                (self._staged / name).unlink(missing_ok=True)
                self._files.pop(name, None)
        raise BackupError(f"the index in {self._home} changes too fast to be copied; try again")

    def _segment(self, source: Path, target: Path) -> bool:
        if target.exists():
            return True
        target.parent.mkdir(exist_ok=True)
        try:
            self._files[f"{SEGMENTS}/{source.name}"] = copy_file(source, target)
        except FileNotFoundError:
            return False
        return True

    def _vocabulary(self) -> bool:
        """Copy sources, and what was built of them; once more where either was changed meanwhile."""
        folder = self._home / "vocabulary"
        if not (folder / "current").exists():
            self._left_out["vocabulary"] = "there is none"
            return False
        for _ in range(_LOOKS):
            before = self._listed(folder)
            if self._copy_tree(folder) and before == self._listed(folder):
                return True
            shutil.rmtree(self._staged / "vocabulary")
            self._files = {
                name: told for name, told in self._files.items() if not name.startswith("vocabulary/")
            }
        raise BackupError(f"the vocabulary in {self._home} changes all the time; try again when it does not")

    def _state(self) -> bool:
        found = [self._home / name for name in STATE if (self._home / name).is_dir()]
        # What archives name stays while the lease is held, whatever is pruned.
        with leased(self._home / LEASES):
            for folder in found:
                self._copy_tree(folder)
        if not found:
            self._left_out["state"] = "there is none"
        return bool(found)

    def _copy_tree(self, folder: Path) -> bool:
        """Copy what is below a folder, but for what is being written; say whether all of it stayed there."""
        is_whole = True
        for source in self._listed(folder):
            name = source.relative_to(self._home)
            target = self._staged / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._files[name.as_posix()] = copy_file(source, target)
            except FileNotFoundError:
                target.unlink(missing_ok=True)
                is_whole = False
        return is_whole

    def _listed(self, folder: Path) -> list[Path]:
        found = []
        for parent, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            found += [Path(parent, name) for name in sorted(names) if not name.startswith(".")]
        return found


def _refuse_to_overwrite(target: Path) -> None:
    is_empty = target.is_dir() and not any(target.iterdir()) and target.suffix != ARCHIVE
    if os.path.lexists(target) and not is_empty:
        raise BackupError(f"{target} is there already, and a backup overwrites nothing; name another")


def _archive(staged: Path, target: Path) -> None:
    with _partial(target) as partial:
        with tarfile.open(partial, "x") as archive:
            for path in sorted(path for path in staged.rglob("*") if path.is_file()):
                archive.add(path, path.relative_to(staged).as_posix(), recursive=False)
        # Unlike a rename, a link overwrites nothing that came there meanwhile.
        os.link(partial, target)


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    partial = target.with_name(f".{target.name}.{uuid4().hex}{_PARTIAL}")
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)
