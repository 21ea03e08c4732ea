"""What appeared, changed or went in a folder since it was dealt with, once it keeps still.

Pure: what is listed, what is remembered and the time in; what is to be done and remembered out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from medkg_dagster.io.times import moment_text
from medkg_dagster.ledger import TriggerItem

_GONE = ""
"""The version of what is not there."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that is not as it was dealt with, and has kept still.

    Attributes:
        kind: What happened.
        since: Since when it is as it is, as far as was seen.
        item: What to remember once it is dealt with; None for what is no more.
    """

    kind: Literal["appeared", "changed", "gone"]
    since: str
    item: TriggerItem | None


@dataclass(frozen=True, slots=True)
class FileChanges:
    """What one look at a folder came to.

    Attributes:
        ready: The files that are to be dealt with, by relative path, in order.
        watched: What to remember of files that have not kept still for long enough; None for what is no more.
    """

    ready: Mapping[str, FileChange]
    watched: Mapping[str, TriggerItem | None]


def file_changes(
    listed: Mapping[str, str], known: Mapping[str, TriggerItem], now: datetime, still: timedelta
) -> FileChanges:
    """Compare a listing with what was dealt with.

    A file is ready when two looks, so far apart, have found it the same: not while somebody writes it.

    Args:
        listed: Version by relative path.
        known: What is remembered, by relative path.
        now: The time, with a time zone.
        still: How long a file has to keep still.
    """
    ready: dict[str, FileChange] = {}
    watched: dict[str, TriggerItem | None] = {}
    for path in sorted({*listed, *known}):
        item, version = known.get(path, TriggerItem(_GONE)), listed.get(path, _GONE)
        if version == item.version:
            if item.mark:  # it is again as it was dealt with
                watched[path] = TriggerItem(version) if version else None
            continue
        seen, since = json.loads(item.mark) if item.mark else (None, "")
        waited = now - datetime.fromisoformat(since) if seen == version else None
        if waited is None or waited < timedelta():  # a clock that was ahead has seen it in the future
            watched[path] = TriggerItem(item.version, json.dumps([version, moment_text(now)]))
        elif waited >= still:
            ready[path] = FileChange(
                "gone" if not version else "changed" if item.version else "appeared",
                since,
                TriggerItem(version) if version else None,
            )
    return FileChanges(ready, watched)
