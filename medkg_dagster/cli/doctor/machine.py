"""Disk, clock and permissions."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from medkg_dagster.cli.doctor.finding import Finding, fine, note, wrong
from medkg_dagster.cli.output import seconds
from medkg_dagster.errors import counted
from medkg_dagster.io.times import stamp, utc_now

if TYPE_CHECKING:
    from medkg_dagster.ledger.figures import LedgerSummary

LEAST_FREE_BYTES = 1 << 30
_AHEAD = timedelta(seconds=60)
_SHOWN = 3


def look_at_disk(home: Path) -> Iterator[Finding]:
    """Yield how much room there is for data, and for temporary files where they are on another disk."""
    folders = {_nearest(home): "`medkg state prune` removes what no job needs"}
    temporary = Path(tempfile.gettempdir())
    if temporary.stat().st_dev != _nearest(home).stat().st_dev:
        folders[temporary] = "make room there, or name another folder in TMPDIR"
    for folder, way_out in folders.items():
        free = shutil.disk_usage(folder).free
        said = f"{folder}: {free / (1 << 30):,.1f} GiB free"
        yield fine("disk", said) if free >= LEAST_FREE_BYTES else wrong("disk", said, way_out)


def look_at_clock(known: LedgerSummary | None) -> Iterator[Finding]:
    """Yield whether the clock is behind what the ledger says has happened."""
    now = stamp(utc_now)
    latest = known.latest_change if known is not None else None
    if latest is not None and datetime.fromisoformat(latest) - datetime.fromisoformat(now) > _AHEAD:
        yield wrong(
            "clock",
            f"it is {seconds(now)}, but the ledger was written to at {seconds(latest)}",
            "`timedatectl set-ntp true`, on every machine that writes there",
        )
    else:
        yield fine("clock", seconds(now))


def look_at_permissions(home: Path) -> Iterator[Finding]:
    """Yield whether the home and what is in it can be written to, and by nobody else."""
    if not home.exists():
        nearest = _nearest(home)
        if os.access(nearest, os.W_OK | os.X_OK):
            yield note("permissions", f"{home} is not there yet, and can be made")
        else:
            yield wrong("permissions", f"{home} cannot be made, as {nearest} cannot be written to", _OTHER)
        return
    paths = [home, *sorted(home.iterdir())]
    closed = [path for path in paths if not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        yield wrong(
            "permissions",
            f"{_names(closed)} cannot be written to by {_user()}: searches and lists work, runs do not",
            _way_to_write(home),
        )
    opened = [path for path in paths if path.stat().st_mode & stat.S_IWOTH and not path.is_symlink()]
    if opened:
        yield wrong(
            "permissions",
            f"{_names(opened)} can be written to by everybody, who could open gates",
            f"`chmod -R o-w {shlex.quote(str(home))}`",
        )
    if not closed and not opened:
        yield fine("permissions", f"{home} can be written to by {_user()}")


_OTHER = "name another folder in MEDKG_HOME"


def _way_to_write(home: Path) -> str:
    if os.statvfs(home).f_flag & os.ST_RDONLY:
        return "its file system is mounted for reading only: mount it for writing, or name another MEDKG_HOME"
    return f"run as {_owner(home)}, or as that user `chmod -R u+rwX {shlex.quote(str(home))}`"


def _nearest(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _names(paths: list[Path]) -> str:
    more = len(paths) - _SHOWN
    return ", ".join(map(str, paths[:_SHOWN])) + (f" and {counted(more, 'other')}" if more > 0 else "")


def _user() -> str:
    from medkg_dagster.cli.ledger.changes import user_name

    return user_name()


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:  # a user without a name here, as in containers
        return f"user {path.stat().st_uid}"
