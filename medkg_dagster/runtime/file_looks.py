"""Looks at a folder: what appeared, changed or went there calls for jobs."""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from medkg_dagster.errors import SourceError, counted
from medkg_dagster.io.file_listing import list_files
from medkg_dagster.io.times import moment_text
from medkg_dagster.ledger import Firing, JobLedger, TriggerOutcome, TriggerStep
from medkg_dagster.resolution.plan import PipelinePlan, PlannedTrigger
from medkg_dagster.runtime.file_changes import FileChange, file_changes
from medkg_dagster.runtime.trigger_looks import Look, has_job_each, made_firing
from medkg_dagster.runtime.trigger_record import TriggerRecord
from medkg_dagster.topology.triggers import FilesTrigger

FILES_PER_LOOK = 100
_NAMED = 3


def look_at_files(
    ledger: JobLedger, pipeline: PipelinePlan, trigger: PlannedTrigger, watched: FilesTrigger, now: datetime
) -> Look:
    """Ask for jobs where files have appeared, changed or gone.

    Args:
        ledger: The open ledger.
        pipeline: The trigger's pipeline.
        trigger: The trigger.
        watched: What it looks at.
        now: The time, with a time zone.

    Raises:
        SourceError: The folder cannot be listed; the ledger says so, too.
    """
    record = TriggerRecord(ledger, pipeline, trigger)
    state = record.find()
    seen = None if state is None else state.handled
    try:
        listed = _listed(watched)
    except SourceError as error:
        _tell(record, seen, str(error))
        raise
    known = ledger.triggers.items(record.key)
    if not listed and any(item.version for item in known.values()):
        # It may not be mounted.
        return _tell(record, seen, f"{watched.path} lists nothing any more; that is not taken for gone.")
    found = file_changes(listed, known, now, timedelta(seconds=watched.stable_seconds))
    if not found.ready and not found.watched:
        return Look((), f"Nothing has appeared, changed or gone in {watched.path}.")
    firings, forgotten = _firings(trigger, watched, found.ready, moment_text(now))
    note = (
        f"{_told(forgotten)}; a job of each stays" if forgotten else "" if state else "It has begun to look."
    )
    items = {**found.watched, **dict.fromkeys(forgotten)}
    step = TriggerStep(
        seen, moment_text(now), firings, items=items, note=note, note_as=TriggerOutcome.NOTHING
    )
    fired = record.take(step)
    still = sum(item is not None and bool(item.mark) for item in found.watched.values())
    waiting = (
        "" if fired else f"{counted(still, 'file has', 'files have')} not kept still for long enough yet."
    )
    return Look(fired, note or waiting)


def _tell(record: TriggerRecord, seen: str | None, note: str) -> Look:
    """Come no further, and have the ledger say why."""
    record.take(TriggerStep(seen, seen, note=note, note_as=TriggerOutcome.NOTHING))
    return Look((), note)


def _listed(watched: FilesTrigger) -> dict[str, str]:
    found = list_files(watched.path, recursive=watched.recursive, limit=watched.max_files)
    return {
        path: version
        for path, version in found.items()
        if _fits(path, watched.include, (path.rpartition("/")[2],))
        and not _fits(path, watched.exclude, tuple(path.split("/")))
    }


def _fits(path: str, patterns: tuple[str, ...], names: tuple[str, ...]) -> bool:
    """Say whether a relative path, or one of the names in it, fits one of the patterns."""
    return any(fnmatch.fnmatchcase(part, pattern) for pattern in patterns for part in (path, *names))


def _firings(
    trigger: PlannedTrigger, watched: FilesTrigger, ready: Mapping[str, FileChange], now: str
) -> tuple[tuple[Firing, ...], dict[str, FileChange]]:
    """Return the jobs to ask for; and what went for which none is, where each file has a job of its own."""
    if not has_job_each(trigger):
        if not ready:
            return (), {}
        items = {path: change.item for path, change in ready.items()}
        return (made_firing(trigger, {}, _occasion(ready), _told(ready), items, now),), {}
    forgotten = {path: change for path, change in ready.items() if change.item is None}
    firings = []
    for path, change in [item for item in ready.items() if item[0] not in forgotten][:FILES_PER_LOOK]:
        one = {path: change}
        firings.append(
            made_firing(
                trigger,
                {"path": f"{watched.path.rstrip('/')}/{path}"},
                _occasion(one),
                _told(one),
                {path: change.item},
                now,
                in_id={"path": path},
            )
        )
    return tuple(firings), forgotten


def _occasion(ready: Mapping[str, FileChange]) -> str:
    """Return what tells these changes from any others, also from the same ones at another time."""
    changes = [(path, change.kind, change.since, change.item) for path, change in ready.items()]
    return hashlib.sha256(json.dumps(changes).encode()).hexdigest()


def _told(ready: Mapping[str, FileChange]) -> str:
    counts = Counter(change.kind for change in ready.values())
    named = list(ready)[:_NAMED]
    more = f" and {len(ready) - _NAMED} more" if len(ready) > _NAMED else ""
    return f"{', '.join(f'{count} {kind}' for kind, count in counts.items())}: {', '.join(named)}{more}"
