"""Removing state that no job needs any more, beside runs and other removals."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from medkg_dagster.errors import StateError
from medkg_dagster.io.kept_answers import ANSWERS
from medkg_dagster.io.kept_answers import SUFFIX as ANSWER
from medkg_dagster.runtime.state.archives import EXTENSION, shards_of
from medkg_dagster.runtime.state.leases import LEASES, read_leases
from medkg_dagster.runtime.state.removal import ASIDE, bring_back, place_of, remove_unused
from medkg_dagster.runtime.state.shard_files import DAMAGED, SUFFIX

_COARSE = 2.0
"""Seconds by which the time of a file may lie before that of the clock."""
_PARTIAL = ".partial"

Kind = Literal["archives", "shards", "over_budget", "leftovers"]


@dataclass(slots=True)
class Amount:
    """Some files.

    Attributes:
        files: How many.
        size: Their bytes.
    """

    files: int = 0
    size: int = 0

    def add(self, size: int) -> None:
        """Count one more."""
        self.files += 1
        self.size += size


@dataclass(slots=True)
class Pruned:
    """What was removed, or would be, and what stays.

    Attributes:
        archives: Removed: what stages wrote for jobs that are none any more.
        shards: Removed: shards that no job needs and no work has used within the grace period.
        over_budget: Removed: more of them, and answers of services, those used longest ago, because they are
            more than the memory may hold.
        leftovers: Removed: what kills have left, and damaged shards.
        needed: Shards that the state of a job needs.
        remembered: Shards that no job needs, and answers of services, that work may use again.
        unreadable: Archives that are damaged; what they need is not known and does not stay for them.
        running: Steps that are at work; what they have used stays.
    """

    archives: Amount = field(default_factory=Amount)
    shards: Amount = field(default_factory=Amount)
    over_budget: Amount = field(default_factory=Amount)
    leftovers: Amount = field(default_factory=Amount)
    needed: Amount = field(default_factory=Amount)
    remembered: Amount = field(default_factory=Amount)
    unreadable: list[str] = field(default_factory=list)
    running: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    path: Path
    used: float
    size: int


def prune(
    home: Path,
    is_job: Callable[[str, str], bool],
    *,
    grace_seconds: float,
    memo_bytes: int,
    is_dry: bool = False,
) -> Pruned:
    """Remove what no archive of a job needs and no work has used for a while.

    It may be killed and run again at any moment, beside runs and beside itself. What a running step has used
    stays, however long ago that was.

    Args:
        home: The folder for all data.
        is_job: Says whether there is a job, by the pipeline's Dagster name and the job's as that of a file;
            asked of each archive.
        grace_seconds: What was used within so many seconds stays.
        memo_bytes: So much of what is only remembered stays, what was used last first; this goes before the
            grace period.
        is_dry: Only say what would be removed.

    Raises:
        StateError: The file system refuses; what is needed is not removed.
    """
    try:
        return _Prune(home, grace_seconds, is_dry=is_dry).run(is_job, memo_bytes)
    except OSError as error:
        raise StateError(
            f"the state cannot be pruned: {error.strerror or error}: {error.filename or home}; see to the "
            "permissions, and prune again"
        ) from error


class _Prune:
    def __init__(self, home: Path, grace_seconds: float, *, is_dry: bool) -> None:
        self._home = home
        self._is_dry = is_dry
        self._report = Pruned()
        now = time.time()
        # What is used from now on is told by its time, so leases come first, then archives, then shards.
        leases = read_leases(home / LEASES, now)
        running = [lease.since for lease in leases if lease.is_live]
        self._report.running = len(running)
        self._in_use = min([now, *running]) - _COARSE
        self._old = min(now - grace_seconds, self._in_use)
        self._ended = [lease.path for lease in leases if not lease.is_live]

    def run(self, is_job: Callable[[str, str], bool], memo_bytes: int) -> Pruned:
        needed = self._needed(is_job)
        remembered = [*self._shards(needed), *self._answers()]
        self._keep_to(memo_bytes, remembered)
        if not self._is_dry:
            for path in self._ended:
                path.unlink(missing_ok=True)
        return self._report

    def _needed(self, is_job: Callable[[str, str], bool]) -> set[str]:
        """Return the names of the shards that archives of jobs need; remove the other archives."""
        needed: set[str] = set()
        for found in _files(self._home / "state"):
            path = found.path
            if not path.name.endswith(EXTENSION):
                self._leftover(found)
                continue
            pipeline = path.parent.parent.name
            if not is_job(pipeline, path.name.removesuffix(EXTENSION)) and found.used < self._old:
                self._remove("archives", found, self._old)
                continue
            try:
                needed |= shards_of(path)
            except FileNotFoundError:
                continue
            except ValueError:
                self._report.unreadable.append(str(path))
        return needed

    def _shards(self, needed: set[str]) -> list[_Found]:
        """Remove the shards that nobody needs and that are old; return the others that nobody needs."""
        remembered = []
        root = self._home / "shards"
        for found in _files(root):
            name = found.path.relative_to(root).as_posix()
            if found.path.suffix == ASIDE and place_of(found.path).relative_to(root).as_posix() in needed:
                if not self._is_dry:
                    bring_back(place_of(found.path))
            elif found.path.suffix != SUFFIX:
                self._leftover(found)
            elif name in needed:
                self._report.needed.add(found.size)
            elif found.used < self._old:
                self._remove("shards", found, self._old)
            else:
                remembered.append(found)
        return remembered

    def _answers(self) -> Iterator[_Found]:
        """Yield the answers of services, which no archive needs; they cost more than shards to have again."""
        for found in _files(self._home / ANSWERS):
            if found.path.suffix == ANSWER:
                yield found
            else:
                self._leftover(found)

    def _keep_to(self, memo_bytes: int, remembered: list[_Found]) -> None:
        """Remove what was used longest ago until the rest is no larger than it may be."""
        left = sum(found.size for found in remembered)
        for found in sorted(remembered, key=lambda found: (found.used, found.path)):
            if left > memo_bytes and found.used < self._in_use:
                left -= found.size
                self._remove("over_budget", found, self._in_use)
            else:
                self._report.remembered.add(found.size)

    def _leftover(self, found: _Found) -> None:
        if found.path.suffix in {ASIDE, DAMAGED, _PARTIAL} and found.used < self._old:
            self._remove("leftovers", found, self._old)
        elif found.path.suffix == ASIDE and not self._is_dry:
            bring_back(place_of(found.path))

    def _remove(self, kind: Kind, found: _Found, before: float) -> None:
        if self._is_dry or remove_unused(found.path, before):
            amount: Amount = getattr(self._report, kind)
            amount.add(found.size)


def _files(folder: Path) -> Iterator[_Found]:
    """Yield the files below a folder; what goes meanwhile is left out."""
    for parent, _folders, names in os.walk(folder, onerror=_refuse):
        for name in names:
            path = Path(parent, name)
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            yield _Found(path, stat.st_mtime, stat.st_size)


def _refuse(error: OSError) -> None:
    # A folder that is not looked into would seem empty, and what its archives need be removed.
    if not isinstance(error, FileNotFoundError):
        raise error
