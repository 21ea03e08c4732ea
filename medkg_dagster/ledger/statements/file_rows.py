"""Statements on files fetched for documents, and on turns at services, in the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from medkg_dagster.domain.payloads import FileRecord, FileStatus
from medkg_dagster.ledger.database import lock_database
from medkg_dagster.ledger.encoding import storable
from medkg_dagster.ledger.models import JobKey
from medkg_dagster.ledger.schema import FILES, TURNS
from medkg_dagster.ledger.statements import counter_rows

_BATCH = 500
_TEXTS = ("document_id", "url", "etag", "last_modified", "error")


def put_files(connection: Connection, job: JobKey, records: Iterable[FileRecord], now: str) -> None:
    """Put records in the place of earlier ones of the same documents."""
    described = (_row(job, record, now) for record in records)
    rows = list({row["document_id"]: row for row in described}.values())
    of_job = (FILES.c.pipeline == job.pipeline) & (FILES.c.job_id == job.job_id)
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        connection.execute(
            delete(FILES).where(of_job, FILES.c.document_id.in_([row["document_id"] for row in batch]))
        )
        connection.execute(insert(FILES), batch)
    became = Counter((job.pipeline, str(row["status"]), row["error_class"] or "") for row in rows)
    counter_rows.count(connection, {(counter_rows.DOWNLOADS, labels): n for labels, n in became.items()})


def list_files(connection: Connection, job: JobKey) -> tuple[FileRecord, ...]:
    """Return the records of a job, by document id."""
    query = (
        select(FILES)
        .where(FILES.c.pipeline == job.pipeline, FILES.c.job_id == job.job_id)
        .order_by(FILES.c.document_id)
    )
    return tuple(map(_record, connection.execute(query)))


def stored_files(connection: Connection, urls: Sequence[str]) -> dict[str, FileRecord]:
    """Return the latest stored file of each address, whichever job fetched it."""
    found: dict[str, FileRecord] = {}
    for start in range(0, len(urls), _BATCH):
        query = (
            select(FILES)
            .where(FILES.c.url.in_(urls[start : start + _BATCH]), FILES.c.status == FileStatus.STORED.value)
            .order_by(FILES.c.at, FILES.c.job_id, FILES.c.document_id)
        )
        found |= {row.url: _record(row) for row in connection.execute(query)}
    return found


def reserve_turn(connection: Connection, service: str, interval: float, now: float) -> float:
    """Take the next free turn at a service; return the seconds until it comes."""
    lock_database(connection)
    next_at = connection.scalar(select(TURNS.c.next_at).where(TURNS.c.service == service))
    # A turn far ahead is the trace of a clock that was wrong, or of a slower rate.
    turn = now if next_at is None else min(max(now, next_at), now + 3600)
    connection.execute(delete(TURNS).where(TURNS.c.service == service))
    connection.execute(insert(TURNS).values(service=service, next_at=turn + interval))
    return turn - now


def _row(job: JobKey, record: FileRecord, now: str) -> dict[str, Any]:
    values = record.model_dump(mode="json")
    texts = {name: storable(values[name]) for name in _TEXTS if values[name] is not None}
    return {**job._asdict(), "at": now, **values, **texts}


def _record(row: Row[Any]) -> FileRecord:
    return FileRecord(**{name: getattr(row, name) for name in FileRecord.model_fields})
