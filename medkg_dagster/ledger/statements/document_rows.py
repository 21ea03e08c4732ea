"""Statements on documents and on who holds them, in the caller's transaction.

A request, which is a pipeline's source with its parameters, holds items: payloads. An item is known to be a
document once it was parsed. The status of a document follows from what holds it, and from what people said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, delete, insert, or_, select, update

from medkg_dagster.domain.holdings import (
    DocumentStatus,
    Holding,
    KnownDocument,
    Listing,
    ListingOutcome,
    ParsedDocument,
)
from medkg_dagster.ledger.database import lock_database
from medkg_dagster.ledger.encoding import from_json, storable, to_json
from medkg_dagster.ledger.models import JobKey
from medkg_dagster.ledger.schema import DOCUMENTS, HOLDINGS, LISTINGS, REQUESTS
from medkg_dagster.ledger.statements.stage_rows import StageKey
from medkg_dagster.stage_api import QuarantinedDocument

_BATCH = 500
MAX_SHARE = 5
"""A listing takes at most one in so many items from its request, or one item, without somebody's word."""
_NOT_LISTED = "no source lists it any more"

Verdict = tuple[DocumentStatus, str | None]


def record_listing(connection: Connection, job: JobKey, listing: Listing, now: str) -> ListingOutcome:
    """Let a request hold what was listed, and no more what it lists no more."""
    lock_database(connection)
    request = _put_request(connection, job, listing, now)
    of_request = and_(HOLDINGS.c.pipeline == job.pipeline, HOLDINGS.c.request == request)
    known = {row.item: row for row in connection.execute(select(HOLDINGS).where(of_request))}
    listed = {storable(item.id): item for item in listing.items}
    values = {
        name: {"origin": storable(item.origin), "content_hash": item.content_hash}
        for name, item in listed.items()
    }
    new = [name for name in listed if name not in known]
    changed = [
        name for name in listed if name in known and known[name].content_hash != listed[name].content_hash
    ]
    blank = {"pipeline": job.pipeline, "request": request, "status": DocumentStatus.CURRENT.value}
    if new:
        connection.execute(insert(HOLDINGS), [{**blank, **values[name], "item": name} for name in new])
    differing = [name for name in listed if name in known and _differs(known[name], values[name], listing)]
    if differing:
        relist = update(HOLDINGS).where(of_request, HOLDINGS.c.item == bindparam("name"))
        relist = relist.values(
            origin=bindparam("origin"), content_hash=bindparam("content_hash"), unlisted_at=None
        )
        connection.execute(relist, [{"name": name, **values[name]} for name in differing])
        accepted = [name for name in differing if known[name].stage == listing.stage]
        _set_items(connection, of_request, accepted, (DocumentStatus.CURRENT, None), None)
    # An empty listing is a folder that is not there rather than one that lost everything.
    is_full = listing.is_full and bool(listed)
    missing = [row for name, row in known.items() if is_full and name not in listed]
    leaving = [row for row in missing if row.status == DocumentStatus.CURRENT]
    held = sum(row.status == DocumentStatus.CURRENT for row in known.values())
    gone, waits = 0, len(leaving) > max(1, held // MAX_SHARE)
    if waits:
        names = [row.item for row in missing]
        _each(connection, update(HOLDINGS).values(unlisted_at=now).where(of_request), names)
    else:
        gone = _let_go(connection, of_request, missing, listing)
    refresh_documents(
        connection, {row.document_id for row in (*missing, *(known[name] for name in differing))}, now
    )
    return ListingOutcome(
        current=len(known) + len(new) - gone,
        new=len(new),
        changed=len(changed),
        withdrawn=gone,
        waiting=len(missing) if waits else 0,
    )


def record_documents(
    connection: Connection, pipeline: str, documents: Iterable[ParsedDocument], now: str
) -> None:
    """Remember which document each payload was found to be, whichever request of the pipeline holds it."""
    lock_database(connection)
    by_item = {storable(one.item): one.model_copy(update={"id": storable(one.id)}) for one in documents}
    touched: set[str | None] = set()
    replaced: dict[str, Verdict] = {}
    origins: dict[str, str] = {}
    for some in _portions(sorted(by_item)):
        held = connection.execute(
            select(HOLDINGS).where(HOLDINGS.c.pipeline == pipeline, HOLDINGS.c.item.in_(some))
        ).all()
        for row in held:
            found = by_item[row.item]
            if row.content_hash != found.item_hash:
                continue
            origins[found.id] = row.origin
            if row.document_id != found.id:
                if row.document_id is not None:
                    touched.add(row.document_id)
                    why = f"{row.origin} is {found.id} now"
                    replaced[row.document_id] = (DocumentStatus.SUPERSEDED, why)
                here = and_(HOLDINGS.c.pipeline == row.pipeline, HOLDINGS.c.request == row.request)
                this = update(HOLDINGS).where(here, HOLDINGS.c.item == row.item)
                connection.execute(this.values(document_id=found.id))
    described = {one.id: one for one in by_item.values() if one.id in origins}
    _put_documents(connection, described, origins, now)
    refresh_documents(connection, touched | set(described), now, replaced)


def record_outcomes(
    connection: Connection,
    key: StageKey,
    quarantined: Sequence[QuarantinedDocument],
    passed: Collection[str],
    now: str,
) -> None:
    """Let what a stage set aside be so, and what it lets pass be current where it was this stage's doing.

    Of several forms of a document one that passes is enough, unless another says that it is retracted. All
    this is of what the job listed last, not of files of the same name elsewhere, nor of copies of other jobs.
    """
    aside = {
        storable(item.document_id): item
        for item in quarantined
        if item.document_id not in passed or item.status is DocumentStatus.RETRACTED
    }
    requests = connection.scalars(select(LISTINGS.c.request).where(_of_job(key.job))).all()
    of_job = and_(HOLDINGS.c.pipeline == key.pipeline, HOLDINGS.c.request.in_(requests))
    touched: set[str | None] = set()
    for some in _portions(sorted(aside)):
        named = or_(HOLDINGS.c.document_id.in_(some), HOLDINGS.c.item.in_(some))
        for row in connection.execute(select(HOLDINGS).where(of_job, named)).all():
            item = aside.get(row.document_id) or aside[row.item]
            here = and_(of_job, HOLDINGS.c.request == row.request)
            verdict = (item.status, storable(item.message))
            _set_items(connection, here, [row.item], verdict, key.stage)
            touched.add(row.document_id)
    for some in _portions(sorted(set(map(storable, passed)) - aside.keys())):
        here = and_(of_job, HOLDINGS.c.document_id.in_(some), HOLDINGS.c.stage == key.stage)
        touched.update(connection.scalars(select(HOLDINGS.c.document_id).where(here)))
        cleared = {"status": DocumentStatus.CURRENT.value, "reason": None, "stage": None}
        connection.execute(update(HOLDINGS).where(here).values(cleared))
    refresh_documents(connection, touched, now)


def refresh_documents(
    connection: Connection,
    names: Iterable[str | None],
    now: str,
    replaced: Mapping[str, Verdict] | None = None,
) -> None:
    """Let the status of documents follow from who holds them and what people said.

    Args:
        connection: The caller's.
        names: The documents that something has changed about; None is left out.
        now: The time.
        replaced: What to say of those that nothing holds any more; else they are withdrawn.
    """
    for some in _portions(sorted(name for name in set(names) if name is not None)):
        held: dict[str, list[Row[Any]]] = {}
        for row in connection.execute(select(HOLDINGS).where(HOLDINGS.c.document_id.in_(some))):
            held.setdefault(row.document_id, []).append(row)
        for row in connection.execute(select(DOCUMENTS).where(DOCUMENTS.c.id.in_(some))).all():
            nobody = (replaced or {}).get(row.id, (DocumentStatus.WITHDRAWN, _NOT_LISTED))
            status, reason = _verdict(row, held.get(row.id, ()), nobody)
            if (status, reason) != (row.status, row.reason):
                values = {"status": status.value, "reason": reason, "changed_at": now}
                connection.execute(update(DOCUMENTS).where(DOCUMENTS.c.id == row.id).values(values))


def accept_unlisted(connection: Connection, pipeline: str, now: str) -> list[str]:
    """Take from a pipeline's requests what waits to go; return the documents that nothing holds then."""
    lock_database(connection)
    waiting = and_(HOLDINGS.c.pipeline == pipeline, HOLDINGS.c.unlisted_at.is_not(None))
    names = set(connection.scalars(select(HOLDINGS.c.document_id).where(waiting)))
    connection.execute(delete(HOLDINGS).where(waiting))
    refresh_documents(connection, names, now)
    found = standing(connection, sorted(name for name in names if name))
    return [name for name, status in found.items() if status is not DocumentStatus.CURRENT]


def withdraw(connection: Connection, names: Iterable[str], by: str, reason: str, now: str) -> None:
    """Let documents be withdrawn by somebody, also such as only a store knows."""
    lock_database(connection)
    said = {"status": DocumentStatus.WITHDRAWN.value, "reason": storable(reason), "decided_by": storable(by)}
    blank = {"title": "", "source": "", "origin": "", "content_hash": "", "since": now}
    for name in map(storable, names):
        this = update(DOCUMENTS).where(DOCUMENTS.c.id == name).values(**said, changed_at=now)
        if connection.execute(this).rowcount == 0:
            connection.execute(insert(DOCUMENTS).values(id=name, **blank, **said, changed_at=now))


def restore(connection: Connection, names: Sequence[str], now: str) -> None:
    """Take back what people and stages said of documents; the next run judges them again."""
    lock_database(connection)
    for some in _portions(names):
        cleared = {"status": DocumentStatus.CURRENT.value, "reason": None, "stage": None}
        connection.execute(update(HOLDINGS).where(HOLDINGS.c.document_id.in_(some)).values(cleared))
        connection.execute(update(DOCUMENTS).where(DOCUMENTS.c.id.in_(some)).values(decided_by=None))
    refresh_documents(connection, names, now)


def standing(connection: Connection, names: Sequence[str]) -> dict[str, DocumentStatus]:
    """Return the status of those of the documents that the ledger knows."""
    found: dict[str, DocumentStatus] = {}
    for some in _portions(names):
        query = select(DOCUMENTS.c.id, DOCUMENTS.c.status).where(DOCUMENTS.c.id.in_(some))
        found |= {row.id: DocumentStatus(row.status) for row in connection.execute(query)}
    return found


def list_documents(
    connection: Connection,
    *,
    status: str | None = None,
    source: str | None = None,
    text: str | None = None,
    pipeline: str | None = None,
    synthetic: bool = False,
    limit: int | None = 100,
) -> tuple[KnownDocument, ...]:
    """Return documents by id, those that fit."""
    query = select(DOCUMENTS).order_by(DOCUMENTS.c.id).limit(limit)
    if status is not None:
        query = query.where(DOCUMENTS.c.status == status)
    if source is not None:
        query = query.where(DOCUMENTS.c.source == source)
    if text is not None:
        columns = (DOCUMENTS.c.id, DOCUMENTS.c.title, DOCUMENTS.c.origin)
        query = query.where(or_(*(column.icontains(text, autoescape=True) for column in columns)))
    if pipeline is not None:
        held = select(HOLDINGS.c.document_id).where(HOLDINGS.c.pipeline == pipeline)
        query = query.where(DOCUMENTS.c.id.in_(held))
    if synthetic:
        query = query.where(DOCUMENTS.c.synthetic == 1)
    return tuple(map(_known, connection.execute(query)))


def find_documents(connection: Connection, names: Sequence[str]) -> tuple[KnownDocument, ...]:
    """Return the documents of these ids that the ledger knows."""
    rows: list[Row[Any]] = []
    for some in _portions(names):
        rows += connection.execute(select(DOCUMENTS).where(DOCUMENTS.c.id.in_(some)))
    return tuple(map(_known, rows))


def list_holdings(connection: Connection, document: str) -> tuple[Holding, ...]:
    """Return who holds a document."""
    same = and_(HOLDINGS.c.pipeline == REQUESTS.c.pipeline, HOLDINGS.c.request == REQUESTS.c.request)
    query = (
        select(HOLDINGS, REQUESTS.c.source, REQUESTS.c.parameters)
        .join(REQUESTS, same)
        .where(HOLDINGS.c.document_id == document)
        .order_by(HOLDINGS.c.pipeline, HOLDINGS.c.request, HOLDINGS.c.item)
    )
    return tuple(
        Holding(
            **{name: getattr(row, name) for name in Holding.model_fields if name != "parameters"},
            parameters=from_json(row.parameters),
        )
        for row in connection.execute(query)
    )


def _put_request(connection: Connection, job: JobKey, listing: Listing, now: str) -> str:
    parameters = to_json(listing.parameters, "the source's parameters")
    request = hashlib.sha256(f"{listing.source}\x00{parameters}".encode()).hexdigest()[:32]
    place = and_(REQUESTS.c.pipeline == job.pipeline, REQUESTS.c.request == request)
    if connection.execute(select(REQUESTS.c.request).where(place)).first() is None:
        made = {"pipeline": job.pipeline, "request": request, "source": listing.source}
        connection.execute(insert(REQUESTS).values(**made, parameters=parameters))
    here = and_(_of_job(job), LISTINGS.c.stage == listing.stage)
    connection.execute(delete(LISTINGS).where(here))
    said = {"stage": listing.stage, "request": request, "is_full": int(listing.is_full), "at": now}
    connection.execute(insert(LISTINGS).values(**job._asdict(), **said))
    return request


def _of_job(job: JobKey) -> ColumnElement[bool]:
    return and_(LISTINGS.c.pipeline == job.pipeline, LISTINGS.c.job_id == job.job_id)


def _differs(row: Row[Any], values: Mapping[str, str], listing: Listing) -> bool:
    is_other = any(getattr(row, name) != value for name, value in values.items())
    return is_other or row.unlisted_at is not None or row.stage == listing.stage


def _let_go(connection: Connection, of_request: Any, missing: Sequence[Row[Any]], listing: Listing) -> int:
    """Take items from a request and count them; one whose file is there but of no use stays, with the why."""
    refused = {storable(name): storable(reason) for name, reason in listing.refused.items()}
    gone: list[str] = []
    for row in missing:
        reason = next((refused[name] for name in _names(row) if name in refused), None)
        if reason is None:
            gone.append(row.item)
        else:
            verdict = (DocumentStatus.QUARANTINED, reason)
            _set_items(connection, of_request, [row.item], verdict, listing.stage)
    _each(connection, delete(HOLDINGS).where(of_request), gone)
    return len(gone)


def _names(row: Row[Any]) -> Iterator[str]:
    """Yield what a source may call the file that an item came from: its name from any folder on."""
    yield row.item
    parts = row.origin.split("/")
    for start in range(len(parts)):
        yield "/".join(parts[start:])


def _set_items(
    connection: Connection, of_request: Any, items: Sequence[str], verdict: Verdict, stage: str | None
) -> None:
    status, reason = verdict
    values = {"status": status.value, "reason": reason, "stage": stage}
    _each(connection, update(HOLDINGS).where(of_request).values(values), items)


def _each(connection: Connection, statement: Any, items: Sequence[str]) -> None:
    for some in _portions(items):
        connection.execute(statement.where(HOLDINGS.c.item.in_(some)))


def _put_documents(
    connection: Connection, found: Mapping[str, ParsedDocument], origins: Mapping[str, str], now: str
) -> None:
    known = {item.id: item for item in find_documents(connection, sorted(found))}
    new = []
    for name, one in found.items():
        values = {
            "title": storable(one.title),
            "source": storable(one.source),
            "origin": origins[name],
            "url": None if one.url is None else storable(one.url),
            "content_hash": one.content_hash,
            "synthetic": int(one.synthetic),
        }
        before = known.get(name)
        if before is None:
            times = {"since": now, "changed_at": now}
            new.append({"id": name, "status": DocumentStatus.CURRENT.value, **times, **values})
        elif any(getattr(before, column) != value for column, value in values.items()):
            this = update(DOCUMENTS).where(DOCUMENTS.c.id == name)
            connection.execute(this.values(**values, changed_at=now))
    if new:
        connection.execute(insert(DOCUMENTS), new)


def _verdict(row: Row[Any], held: Sequence[Row[Any]], nobody: Verdict) -> Verdict:
    if row.decided_by is not None:
        return DocumentStatus(row.status), row.reason
    found = {holding.status: holding.reason for holding in held}
    for status in (
        DocumentStatus.RETRACTED,
        DocumentStatus.CURRENT,
        DocumentStatus.QUARANTINED,
        DocumentStatus.SUPERSEDED,
    ):
        if status in found:
            return status, found[status]
    return nobody


def _known(row: Row[Any]) -> KnownDocument:
    return KnownDocument.model_validate(dict(row._mapping))


def _portions(items: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
