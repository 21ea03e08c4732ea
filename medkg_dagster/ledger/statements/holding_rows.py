"""Statements on what requests hold, in the caller's transaction.

A request, which is a pipeline's source with its parameters, holds items: payloads. An item is known to be a
document once it was parsed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    insert,
    or_,
    select,
    union,
    update,
)

from medkg_dagster.domain.holdings import (
    DocumentStatus,
    Holding,
    Listing,
    ListingOutcome,
    ParsedDocument,
    short_name,
)
from medkg_dagster.ledger.database import lock_database
from medkg_dagster.ledger.encoding import from_json, storable, to_json
from medkg_dagster.ledger.models import JobKey
from medkg_dagster.ledger.schema import DOCUMENTS, HOLDINGS, LISTINGS, REQUESTS
from medkg_dagster.ledger.statements.document_rows import Verdict, refresh_documents
from medkg_dagster.ledger.statements.form_rows import encode_form, form_key, request_key
from medkg_dagster.ledger.statements.stage_rows import StageKey
from medkg_dagster.ledger.statements.work_rows import portions
from medkg_dagster.stage_api import QuarantinedDocument


def _bound(*columns: str) -> dict[str, Any]:
    return {name: bindparam(name) for name in columns}


_OF_ITEM = and_(HOLDINGS.c.request == bindparam("of_request"), HOLDINGS.c.item == bindparam("of_item"))
_PUT_FORM = update(HOLDINGS).where(_OF_ITEM).values(_bound("document_id", "form"))
_PUT_VERDICT = update(HOLDINGS).where(_OF_ITEM).values(_bound("status", "reason", "stage"))
_LISTED = [column for column in HOLDINGS.columns if column is not HOLDINGS.c.form]

MAX_SHARE = 5
"""A listing takes at most one in so many items from its request, or one item, without somebody's word."""


def record_listing(connection: Connection, job: JobKey, listing: Listing, now: str) -> ListingOutcome:
    """Let a request hold what was listed, and no more what it lists no more."""
    lock_database(connection)
    request = _put_request(connection, job, listing, now)
    of_request = and_(HOLDINGS.c.pipeline == job.pipeline, HOLDINGS.c.request == request)
    known = {row.item: row for row in connection.execute(select(*_LISTED).where(of_request))}
    listed = {storable(item.id): item for item in listing.items}
    values = {
        name: {
            "origin": storable(item.origin),
            "file": short_name(storable(item.origin)),
            "content_hash": item.content_hash,
        }
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
        relist = relist.values({**_bound("origin", "file", "content_hash"), "unlisted_at": None})
        connection.execute(relist, [{"name": name, **values[name]} for name in differing])
        accepted = [name for name in differing if known[name].stage == listing.stage]
        _set_items(connection, of_request, accepted, (DocumentStatus.CURRENT, None), None)
    # An empty listing is a folder that is not there rather than one that lost everything.
    is_full = listing.is_full and bool(listed)
    missing = [row for name, row in known.items() if is_full and name not in listed]
    leaving = [row for row in missing if _is_current(row)]
    # What never became a document and was set aside is none that goes.
    documents = {row.document_id or row.item for row in missing if row.document_id or _is_current(row)}
    held = sum(map(_is_current, known.values()))
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
        waiting=len(documents) if waits else 0,
    )


def _is_current(row: Row[Any]) -> bool:
    return bool(row.status == DocumentStatus.CURRENT)


def record_documents(
    connection: Connection, pipeline: str, documents: Iterable[ParsedDocument], now: str
) -> None:
    """Remember which document each payload was found to be, whichever request of the pipeline holds it.

    What is as it was is not looked at again.
    """
    lock_database(connection)
    by_item = {storable(one.item): one for one in documents}
    columns = ("request", "item", "origin", "content_hash", "document_id", "form")
    of_pipeline = select(*(HOLDINGS.c[name] for name in columns)).where(HOLDINGS.c.pipeline == pipeline)
    touched: set[str] = set()
    replaced: dict[str, Verdict] = {}
    for some in portions(sorted(by_item)):
        found = []
        for row in connection.execute(of_pipeline.where(HOLDINGS.c.item.in_(some))):
            one = by_item[row.item]
            name, form = storable(one.id), encode_form(one)
            if row.content_hash != one.item_hash or (row.document_id, row.form) == (name, form):
                continue
            found.append({**_place(row), "document_id": name, "form": form})
            touched.add(name)
            if row.document_id not in {None, name}:
                touched.add(row.document_id)
                replaced[row.document_id] = (DocumentStatus.SUPERSEDED, f"{row.origin} is {name} now")
        if found:
            connection.execute(_PUT_FORM.where(HOLDINGS.c.pipeline == pipeline), found)
    refresh_documents(connection, touched, now, replaced)


def record_outcomes(
    connection: Connection,
    key: StageKey,
    quarantined: Sequence[QuarantinedDocument],
    passed: Collection[str],
    now: str,
) -> None:
    """Let what a stage set aside be so, and what it lets pass be current where it was this stage's doing.

    Of several forms of a document one that passes is enough, unless another says that it is retracted; what
    was refused is not the form that is used then. All this is of what the job listed last, not of files of
    the same name elsewhere, nor of copies of other jobs.
    """
    aside = {
        storable(item.document_id): item
        for item in quarantined
        if item.document_id not in passed or item.status is DocumentStatus.RETRACTED
    }
    of_job = _held_by_job(connection, key.job)
    refused = {
        (storable(item.document_id), item.content_hash): item
        for item in quarantined
        if item.content_hash is not None and item.status is DocumentStatus.QUARANTINED
    }
    touched: set[str | None] = set()
    verdicts = []
    is_refused = set()
    for row in _items_named(connection, of_job, sorted(aside.keys() | {name for name, _ in refused})):
        item = aside.get(row.document_id) or aside.get(row.item) or _refused_form(row, refused)
        if item is None:
            continue
        is_refused.add((row.request, row.item))
        said = _said(item.status, storable(item.message), key.stage)
        if said != {name: getattr(row, name) for name in said}:
            verdicts.append(_place(row) | said)
            touched.add(row.document_id)
    set_by_stage = select(*_LISTED).where(of_job, HOLDINGS.c.stage == key.stage)
    cleared = set(map(storable, passed)) - aside.keys()
    for row in connection.execute(set_by_stage).all():
        if row.document_id in cleared and (row.request, row.item) not in is_refused:
            verdicts.append(_place(row) | _said(DocumentStatus.CURRENT, None, None))
            touched.add(row.document_id)
    if verdicts:
        connection.execute(_PUT_VERDICT.where(HOLDINGS.c.pipeline == key.pipeline), verdicts)
    refresh_documents(connection, touched, now)


def _refused_form(
    row: Row[Any], refused: Mapping[tuple[str, str], QuarantinedDocument]
) -> QuarantinedDocument | None:
    """Return what speaks against an item, or against the form of a document that it is."""
    content = json.loads(row.form)["content_hash"] if row.form else ""
    return refused.get((row.document_id, content)) or refused.get((row.item, row.content_hash))


def find_origins(connection: Connection, job: JobKey, names: Collection[str]) -> dict[str, str]:
    """Return the file or address of each of a job's documents or items, of those that it holds."""
    if not names:
        return {}
    found: dict[str, str] = {}
    rows = _items_named(connection, _held_by_job(connection, job), sorted(set(names)))
    for row in sorted(rows, key=attrgetter("item"), reverse=True):
        found |= {row.document_id: row.origin, row.item: row.origin}
    return {name: found[name] for name in names if name in found}


def accept_unlisted(connection: Connection, pipeline: str, now: str) -> list[str]:
    """Take from a pipeline's requests what waits to go; return the documents that it was."""
    lock_database(connection)
    waiting = and_(HOLDINGS.c.pipeline == pipeline, HOLDINGS.c.unlisted_at.is_not(None))
    names = set(connection.scalars(select(HOLDINGS.c.document_id).where(waiting)))
    connection.execute(delete(HOLDINGS).where(waiting))
    refresh_documents(connection, names, now)
    return sorted(name for name in names if name)


def find_waiting(connection: Connection, pipeline: str) -> list[str]:
    """Return the documents that nothing would hold once what waits to go from a pipeline is let go."""
    waiting = and_(HOLDINGS.c.pipeline == pipeline, HOLDINGS.c.unlisted_at.is_not(None))
    more = HOLDINGS.alias()
    stays = or_(more.c.pipeline != pipeline, more.c.unlisted_at.is_(None))
    is_held = select(more.c.item).where(more.c.document_id == HOLDINGS.c.document_id, stays).exists()
    found = select(HOLDINGS.c.document_id).where(waiting, HOLDINGS.c.document_id.is_not(None), ~is_held)
    return list(connection.scalars(found.distinct().order_by(HOLDINGS.c.document_id)))


def find_sole(connection: Connection, job: JobKey) -> tuple[list[str], list[str]]:
    """Return the requests that no other job asked for last, and the documents that nothing else holds."""
    others = LISTINGS.alias()
    same = and_(others.c.pipeline == LISTINGS.c.pipeline, others.c.request == LISTINGS.c.request)
    of_others = select(others.c.request).where(same, others.c.job_id != job.job_id).exists()
    requests = connection.scalars(select(LISTINGS.c.request).where(_of_job(job), ~of_others).distinct()).all()
    own = and_(HOLDINGS.c.pipeline == job.pipeline, HOLDINGS.c.request.in_(requests))
    more = HOLDINGS.alias()
    elsewhere = or_(more.c.pipeline != job.pipeline, more.c.request.not_in(requests))
    is_held = select(more.c.item).where(more.c.document_id == HOLDINGS.c.document_id, elsewhere).exists()
    found = select(HOLDINGS.c.document_id).where(own, HOLDINGS.c.document_id.is_not(None), ~is_held)
    return list(requests), list(connection.scalars(found.distinct().order_by(HOLDINGS.c.document_id)))


def remove_holdings(connection: Connection, job: JobKey, requests: Sequence[str], now: str) -> None:
    """Let a job ask for nothing any more, and nothing hold what it alone asked for."""
    lock_database(connection)
    own = and_(HOLDINGS.c.pipeline == job.pipeline, HOLDINGS.c.request.in_(requests))
    names = set(connection.scalars(select(HOLDINGS.c.document_id).where(own)))
    connection.execute(delete(HOLDINGS).where(own))
    placed = and_(REQUESTS.c.pipeline == job.pipeline, REQUESTS.c.request.in_(requests))
    connection.execute(delete(REQUESTS).where(placed))
    connection.execute(delete(LISTINGS).where(_of_job(job)))
    gone = DocumentStatus.WITHDRAWN, f"the job {job} was removed"
    refresh_documents(connection, names, now, {name: gone for name in names if name is not None})


def of_items(connection: Connection, names: Collection[str]) -> ColumnElement[bool]:
    """Return what holds for items of these names, whichever pipeline's; they are looked up by pipeline."""
    pipelines = connection.scalars(select(REQUESTS.c.pipeline).distinct()).all()
    return and_(HOLDINGS.c.pipeline.in_(pipelines), HOLDINGS.c.item.in_(names))


def requests_of(connection: Connection, job: JobKey) -> frozenset[str]:
    """Return the keys of the requests that a job made last."""
    requests = connection.scalars(select(LISTINGS.c.request).where(_of_job(job)))
    return frozenset(request_key(job.pipeline, request) for request in requests)


def list_holdings(connection: Connection, document: str) -> tuple[Holding, ...]:
    """Return who holds a document, or an item that was found to be none."""
    of_document = or_(
        HOLDINGS.c.document_id == document,
        and_(HOLDINGS.c.document_id.is_(None), of_items(connection, [document])),
    )
    same = and_(HOLDINGS.c.pipeline == REQUESTS.c.pipeline, HOLDINGS.c.request == REQUESTS.c.request)
    asked = and_(HOLDINGS.c.pipeline == LISTINGS.c.pipeline, HOLDINGS.c.request == LISTINGS.c.request)
    last = select(LISTINGS.c.job_id).where(asked).order_by(LISTINGS.c.at.desc()).limit(1).scalar_subquery()
    query = (
        select(HOLDINGS, REQUESTS.c.source, REQUESTS.c.parameters, last.label("job_id"), DOCUMENTS.c.used)
        .join(REQUESTS, same)
        .outerjoin(DOCUMENTS, DOCUMENTS.c.id == HOLDINGS.c.document_id)
        .where(of_document)
        .order_by(HOLDINGS.c.pipeline, HOLDINGS.c.request, HOLDINGS.c.item)
    )
    rows = connection.execute(query).all()
    used = next((row for row in rows if row.used and row.form and form_key(row) == row.used), None)
    return tuple(_holding(row, used) for row in rows)


def _holding(row: Row[Any], used: Row[Any] | None) -> Holding:
    values = {name: getattr(row, name) for name in Holding.model_fields}
    if used is not None and row.status == DocumentStatus.CURRENT and row.form != used.form:
        reason = f"a better form of it is used ({used.origin})"
        values |= {"status": DocumentStatus.SUPERSEDED, "reason": reason}
    return Holding(**{**values, "parameters": from_json(row.parameters)})


def _items_named(
    connection: Connection, of_job: ColumnElement[bool], names: Sequence[str]
) -> Iterator[Row[Any]]:
    """Yield the items of a job that are called so, or that were found to be a document called so."""
    for some in portions(names):
        by_document = select(HOLDINGS).where(of_job, HOLDINGS.c.document_id.in_(some))
        by_item = select(HOLDINGS).where(of_job, HOLDINGS.c.item.in_(some))
        yield from connection.execute(union(by_document, by_item)).all()


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


def _held_by_job(connection: Connection, job: JobKey) -> ColumnElement[bool]:
    requests = connection.scalars(select(LISTINGS.c.request).where(_of_job(job))).all()
    return and_(HOLDINGS.c.pipeline == job.pipeline, HOLDINGS.c.request.in_(requests))


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


def _place(row: Row[Any]) -> dict[str, Any]:
    return {"of_request": row.request, "of_item": row.item}


def _said(status: DocumentStatus, reason: str | None, stage: str | None) -> dict[str, Any]:
    return {"status": status.value, "reason": reason, "stage": stage}


def _set_items(
    connection: Connection, of_request: Any, items: Sequence[str], verdict: Verdict, stage: str | None
) -> None:
    status, reason = verdict
    _each(connection, update(HOLDINGS).where(of_request).values(_said(status, reason, stage)), items)


def _each(connection: Connection, statement: Any, items: Sequence[str]) -> None:
    for some in portions(items):
        connection.execute(statement.where(HOLDINGS.c.item.in_(some)))
