"""Statements on documents, in the caller's transaction.

The status of a document follows from what holds it, from what people said, and from the other forms of the
same work: of these one is current.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, false, func, insert, or_, select, update

from medkg_dagster.domain.holdings import DocumentStatus, KnownDocument
from medkg_dagster.domain.identity import best_form, group_forms, why_same
from medkg_dagster.ledger.database import lock_database
from medkg_dagster.ledger.encoding import from_json, storable
from medkg_dagster.ledger.schema import DOCUMENTS, HOLDINGS, LISTINGS
from medkg_dagster.ledger.statements.change_rows import note_changes
from medkg_dagster.ledger.statements.form_rows import describe_documents
from medkg_dagster.ledger.statements.retraction_rows import find_notices, retracted_by
from medkg_dagster.ledger.statements.work_rows import (
    document_rows_of,
    document_status,
    find_joined,
    forms_of,
    portions,
)

_FEW = 5000
_NOT_JUDGED = {"status": DocumentStatus.CURRENT.value, "reason": None, "stage": None}
"""What a holding is where no stage has said anything of it."""

_OBJECTS = {"identifiers", "text_kept"}

Verdict = tuple[DocumentStatus, str | None]
_NOT_HELD: Verdict = (DocumentStatus.WITHDRAWN, "no source lists it any more")
_PUT_STATUS = (
    update(DOCUMENTS)
    .where(DOCUMENTS.c.id == bindparam("name"))
    .values(status=bindparam("status"), reason=bindparam("reason"), changed_at=bindparam("at"))
)


def refresh_documents(
    connection: Connection,
    names: Iterable[str | None],
    now: str,
    replaced: Mapping[str, Verdict] | None = None,
) -> None:
    """Let what documents are, and the status of all forms of the same works, follow from what is known.

    Args:
        connection: The caller's.
        names: The documents that something has changed about; None is left out.
        now: The time.
        replaced: What to say of those that nothing holds any more; else they are withdrawn.
    """
    nobody = {name: (replaced or {}).get(name, _NOT_HELD) for name in names if name is not None}
    touched = set(nobody)
    for some in portions(sorted(nobody)):
        touched |= describe_documents(connection, some, now) | retracted_by(connection, some)
    for some in portions(sorted(touched)):
        _judge(connection, some, nobody, now)


def _judge(connection: Connection, names: Sequence[str], nobody: Mapping[str, Verdict], now: str) -> None:
    """Let the status of documents, and of all forms of the same works, follow from what is known."""
    joined = find_joined(connection, names)
    rows = document_rows_of(connection, sorted({*names, *joined}))
    held: dict[str, dict[str, str | None]] = {}
    judged = select(HOLDINGS.c.document_id, HOLDINGS.c.status, HOLDINGS.c.reason)
    for part in portions(sorted(rows)):
        for name, status, reason in connection.execute(judged.where(HOLDINGS.c.document_id.in_(part))):
            held.setdefault(name, {})[status] = reason
    own: dict[str, Verdict] = {}
    for name, row in rows.items():
        verdict = nobody.get(name)
        if verdict is None:
            is_gone = row.status == DocumentStatus.CURRENT
            verdict = _NOT_HELD if is_gone else (document_status(row.status), row.reason)
        own[name] = _verdict(row, held.get(name, {}), verdict)
    changed = [
        {"document_id": name, "at": now, "change": "status", "status": status.value, "reason": reason}
        for name, (status, reason) in _judge_works(connection, rows, own, joined).items()
        if (status, reason) != (rows[name].status, rows[name].reason)
    ]
    if changed:
        connection.execute(_PUT_STATUS, [{**one, "name": one["document_id"]} for one in changed])
    note_changes(connection, changed)


def _judge_works(
    connection: Connection, rows: Mapping[str, Row[Any]], own: Mapping[str, Verdict], joined: Collection[str]
) -> dict[str, Verdict]:
    """Return what becomes of each document where of the forms of a work one is shown, or none."""
    notices = find_notices(connection, sorted(rows))
    named: dict[str, Verdict] = {name: (DocumentStatus.RETRACTED, reason) for name, reason in notices.items()}
    verdicts = {
        name: named.get(name, verdict) if verdict[0] is DocumentStatus.CURRENT else verdict
        for name, verdict in own.items()
    }
    forms = forms_of(connection, {name: row for name, row in rows.items() if name in joined})
    for group in group_forms(forms):
        shown = [forms[place] for place in group if own[forms[place].id][0] is DocumentStatus.CURRENT]
        said = [
            (named.get(name, own[name]), name)
            for name in (forms[place].id for place in group)
            if name in named or own[name][0] is DocumentStatus.RETRACTED or rows[name].decided_by is not None
        ]
        if said and shown:
            (status, reason), name = min(said)
            others = (form.id for form in shown if form.id not in named)
            verdicts |= dict.fromkeys(others, (status, f"as {name} is: {reason}"))
        elif len(shown) > 1:
            best = best_form(shown)
            for form in shown:
                if form != best:
                    reason = f"{why_same(form, best)} ({rows[best.id].origin})"
                    verdicts[form.id] = DocumentStatus.SUPERSEDED, reason
    return verdicts


def withdraw(connection: Connection, names: Sequence[str], by: str, reason: str, now: str) -> None:
    """Let documents be withdrawn by somebody, also such as only a store knows."""
    lock_database(connection)
    names = list(map(storable, names))
    said = {"status": DocumentStatus.WITHDRAWN.value, "reason": storable(reason)}
    blank = {"title": "", "source": "", "origin": "", "content_hash": "", "since": now}
    for name in names:
        this = update(DOCUMENTS).where(DOCUMENTS.c.id == name)
        this = this.values(**said, decided_by=storable(by), changed_at=now)
        if connection.execute(this).rowcount == 0:
            row = {"id": name, "words": name.lower(), "decided_by": storable(by), "changed_at": now}
            connection.execute(insert(DOCUMENTS).values(**blank, **said, **row))
    note_changes(connection, [{"document_id": name, "at": now, "change": "status", **said} for name in names])
    refresh_documents(connection, names, now)


def restore(connection: Connection, names: Sequence[str], now: str) -> None:
    """Take back what people and stages said of documents; the next run judges them again."""
    lock_database(connection)
    for some in portions(names):
        connection.execute(update(HOLDINGS).where(HOLDINGS.c.document_id.in_(some)).values(_NOT_JUDGED))
        these = update(DOCUMENTS).where(DOCUMENTS.c.id.in_(some))
        connection.execute(these.values(decided_by=None, apart_by=None))
    refresh_documents(connection, names, now)


def split(connection: Connection, names: Sequence[str], by: str, now: str) -> None:
    """Let documents be works of their own, whatever identifiers they share with others."""
    lock_database(connection)
    for some in portions(names):
        connection.execute(update(DOCUMENTS).where(DOCUMENTS.c.id.in_(some)).values(apart_by=storable(by)))
        # What a stage set aside as another form of the same work is no such form.
        aside = HOLDINGS.c.document_id.in_(some) & (HOLDINGS.c.status == DocumentStatus.SUPERSEDED.value)
        connection.execute(update(HOLDINGS).where(aside).values(_NOT_JUDGED))
    refresh_documents(connection, names, now)


def standing(connection: Connection, names: Sequence[str]) -> dict[str, DocumentStatus]:
    """Return the status of those of the documents that the ledger knows."""
    found: dict[str, DocumentStatus] = {}
    for some in portions(names):
        query = select(DOCUMENTS.c.id, DOCUMENTS.c.status).where(DOCUMENTS.c.id.in_(some))
        found |= {row.id: document_status(row.status) for row in connection.execute(query)}
    return found


def list_documents(
    connection: Connection,
    *,
    status: str | None = None,
    source: str | None = None,
    text: str | None = None,
    pipeline: str | None = None,
    job_id: str | None = None,
    synthetic: bool = False,
    after: str | None = None,
    limit: int | None = 100,
) -> tuple[KnownDocument, ...]:
    """Return documents by id, those that fit."""
    query = select(DOCUMENTS).order_by(DOCUMENTS.c.id).limit(limit)
    if after is not None:
        query = query.where(DOCUMENTS.c.id > after)
    if status is not None:
        query = query.where(DOCUMENTS.c.status == status)
    if source is not None:
        query = query.where(DOCUMENTS.c.source == source)
    if text is not None:
        query = query.where(DOCUMENTS.c.words.contains(text.lower(), autoescape=True))
    if synthetic:
        query = query.where(DOCUMENTS.c.synthetic == 1)
    if pipeline is not None or job_id is not None:
        held = select(HOLDINGS.c.document_id).where(_held_by(connection, pipeline, job_id))
        few = connection.scalars(held.limit(_FEW + 1)).all()
        # Of many documents those that are wanted come soon; few are looked up by themselves.
        is_held = held.where(HOLDINGS.c.document_id == DOCUMENTS.c.id).exists()
        query = query.where(DOCUMENTS.c.id.in_(held) if len(few) <= _FEW else is_held)
    return tuple(map(_known, connection.execute(query)))


def of_job(connection: Connection, pipeline: str, job_id: str) -> frozenset[str]:
    """Return the documents that hold what a job asked for last."""
    held = select(HOLDINGS.c.document_id).where(_held_by(connection, pipeline, job_id))
    return frozenset(connection.scalars(held.where(HOLDINGS.c.document_id.is_not(None))))


def not_current(connection: Connection) -> frozenset[str]:
    """Return the documents that are not to be shown."""
    is_hidden = DOCUMENTS.c.status != DocumentStatus.CURRENT.value
    return frozenset(connection.scalars(select(DOCUMENTS.c.id).where(is_hidden)))


def count_by_status(connection: Connection) -> dict[DocumentStatus, int]:
    """Return how many documents there are by status."""
    query = select(DOCUMENTS.c.status, func.count().label("number")).group_by(DOCUMENTS.c.status)
    return {document_status(row.status): row.number for row in connection.execute(query)}


def count_unparsed(connection: Connection, pipeline: str | None, job_id: str | None) -> int:
    """Return how many items a stage set aside before they were found to be a document."""
    is_aside = HOLDINGS.c.stage.is_not(None) & HOLDINGS.c.document_id.is_(None)
    query = select(func.count()).select_from(HOLDINGS).where(is_aside)
    if pipeline is not None or job_id is not None:
        query = query.where(_held_by(connection, pipeline, job_id))
    return connection.execute(query).scalar_one()


def _held_by(connection: Connection, pipeline: str | None, job_id: str | None) -> ColumnElement[bool]:
    """Return what holds for the items of a pipeline's requests, or of those that a job asked for last."""
    if job_id is None:
        return HOLDINGS.c.pipeline == pipeline
    asked = select(LISTINGS.c.pipeline, LISTINGS.c.request).where(LISTINGS.c.job_id == job_id)
    if pipeline is not None:
        asked = asked.where(LISTINGS.c.pipeline == pipeline)
    places = [
        (HOLDINGS.c.pipeline == row.pipeline) & (HOLDINGS.c.request == row.request)
        for row in connection.execute(asked)
    ]
    return or_(false(), *places)


def find_documents(connection: Connection, names: Sequence[str]) -> tuple[KnownDocument, ...]:
    """Return the documents of these ids that the ledger knows."""
    return tuple(map(_known, document_rows_of(connection, names).values()))


def _verdict(row: Row[Any], held: Mapping[str, str | None], nobody: Verdict) -> Verdict:
    if row.decided_by is not None:
        return document_status(row.status), row.reason
    for status in (
        DocumentStatus.RETRACTED,
        DocumentStatus.CURRENT,
        DocumentStatus.QUARANTINED,
        DocumentStatus.SUPERSEDED,
    ):
        if status in held:
            return status, held[status]
    return nobody


def _known(row: Row[Any]) -> KnownDocument:
    values = {name: getattr(row, name) for name in KnownDocument.model_fields if name not in _OBJECTS}
    text_kept = None if row.text_kept is None else from_json(row.text_kept)
    return KnownDocument(**values, identifiers=from_json(row.identifiers), text_kept=text_kept)
