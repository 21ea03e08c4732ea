"""Statements on documents, in the caller's transaction.

The status of a document follows from what holds it, from what people said, and from the other forms of the
same work: of these one is current.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, false, insert, or_, select, update

from medkg_dagster.domain.holdings import DocumentStatus, KnownDocument, ParsedDocument
from medkg_dagster.domain.identity import Form, best_form, group_forms, why_same
from medkg_dagster.ledger.database import lock_database
from medkg_dagster.ledger.encoding import from_json, storable, to_json
from medkg_dagster.ledger.schema import DOCUMENT_CHANGES, DOCUMENTS, HOLDINGS, IDENTIFIERS, LISTINGS

_BATCH = 500
_FEW = 5000
_NOT_LISTED = "no source lists it any more"
_NOT_JUDGED = {"status": DocumentStatus.CURRENT.value, "reason": None, "stage": None}
"""What a holding is where no stage has said anything of it."""

Verdict = tuple[DocumentStatus, str | None]


def refresh_documents(
    connection: Connection,
    names: Iterable[str | None],
    now: str,
    replaced: Mapping[str, Verdict] | None = None,
) -> None:
    """Let the status of documents, and of all forms of the same works, follow from what is known.

    Args:
        connection: The caller's.
        names: The documents that something has changed about; None is left out.
        now: The time.
        replaced: What to say of those that nothing holds any more; else they are withdrawn.
    """
    for some in portions(sorted(name for name in set(names) if name is not None)):
        members = sorted(find_works(connection, some))
        held: dict[str, list[Row[Any]]] = {}
        for part in portions(members):
            for row in connection.execute(select(HOLDINGS).where(HOLDINGS.c.document_id.in_(part))):
                held.setdefault(row.document_id, []).append(row)
        rows = {row.id: row for row in _rows(connection, members)}
        own: dict[str, Verdict] = {}
        for name, row in rows.items():
            nobody = (replaced or {}).get(name, (DocumentStatus.WITHDRAWN, _NOT_LISTED))
            if name not in some and row.status != DocumentStatus.CURRENT:
                nobody = DocumentStatus(row.status), row.reason
            own[name] = _verdict(row, held.get(name, ()), nobody)
        for name, (status, reason) in _judge_works(connection, rows, own).items():
            if (status, reason) != (rows[name].status, rows[name].reason):
                values = {"status": status.value, "reason": reason}
                this = update(DOCUMENTS).where(DOCUMENTS.c.id == name)
                connection.execute(this.values(**values, changed_at=now))
                _note(connection, [{"document_id": name, "at": now, "change": "status", **values}])


def find_works(connection: Connection, names: Sequence[str]) -> set[str]:
    """Return documents with all that identifiers lead to from them."""
    found, fresh = set(names), list(names)
    other = IDENTIFIERS.alias()
    same = (other.c.scheme == IDENTIFIERS.c.scheme) & (other.c.value == IDENTIFIERS.c.value)
    while fresh:
        reached: set[str] = set()
        for some in portions(fresh):
            query = select(other.c.document_id).distinct().select_from(IDENTIFIERS.join(other, same))
            reached.update(connection.scalars(query.where(IDENTIFIERS.c.document_id.in_(some))))
        fresh = sorted(reached - found)
        found |= reached
    return found


def forms_of(connection: Connection, rows: Mapping[str, Row[Any]]) -> list[Form]:
    """Return documents as forms of works."""
    named: dict[str, tuple[dict[str, str], list[str]]] = {name: ({}, []) for name in rows}
    for some in portions(sorted(rows)):
        for row in connection.execute(select(IDENTIFIERS).where(IDENTIFIERS.c.document_id.in_(some))):
            own, versions = named[row.document_id]
            if row.is_own:
                own[row.scheme] = row.value
            else:
                versions.append(f"{row.scheme}:{row.value}")
    return [
        Form(
            id=name,
            identifiers=own,
            rank=(rows[name].tier, rows[name].characters),
            versions=tuple(sorted(versions)),
            apart=rows[name].apart_by is not None,
        )
        for name, (own, versions) in named.items()
    ]


def _judge_works(
    connection: Connection, rows: Mapping[str, Row[Any]], own: Mapping[str, Verdict]
) -> dict[str, Verdict]:
    """Return what becomes of each document where of the forms of a work one is shown, or none."""
    verdicts = dict(own)
    forms = forms_of(connection, rows)
    for group in group_forms(forms):
        shown = [forms[place] for place in group if own[forms[place].id][0] is DocumentStatus.CURRENT]
        said = [
            (own[name], name)
            for name in (forms[place].id for place in group)
            if own[name][0] is DocumentStatus.RETRACTED or rows[name].decided_by is not None
        ]
        if said and shown:
            (status, reason), name = min(said)
            verdicts |= {form.id: (status, f"as {name} is: {reason}") for form in shown}
        elif len(shown) > 1:
            best = best_form(shown)
            for form in shown:
                if form != best:
                    reason = f"{why_same(form, best)} ({rows[best.id].origin})"
                    verdicts[form.id] = DocumentStatus.SUPERSEDED, reason
    return verdicts


def put_documents(
    connection: Connection, found: Mapping[str, tuple[ParsedDocument, str]], now: str
) -> set[str]:
    """Remember documents and their identifiers as they were parsed last, each with its file or address.

    Returns:
        The documents whose status may be another now.
    """
    known = {row.id: row for row in _rows(connection, sorted(found))}
    new, noted, named = [], [], []
    for name, (one, origin) in found.items():
        title = storable(one.title)
        values = {
            "title": title,
            "source": storable(one.source),
            "origin": origin,
            "url": None if one.url is None else storable(one.url),
            "content_hash": one.content_hash,
            "synthetic": int(one.synthetic),
            "identifiers": to_json(one.identifiers, "the document's identifiers"),
            "date": None if one.date is None else storable(one.date),
            "tier": one.rank[0],
            "characters": one.rank[1],
            "words": f"{name} {title} {origin} {' '.join(map(storable, one.identifiers.values()))}".lower(),
        }
        before = known.get(name)
        if before is not None and all(getattr(before, column) == value for column, value in values.items()):
            continue
        named.append(name)
        if before is None:
            times = {"since": now, "changed_at": now}
            new.append({"id": name, "status": DocumentStatus.CURRENT.value, **times, **values})
            change = {"change": "new", "status": DocumentStatus.CURRENT.value, "reason": None}
            noted.append({"document_id": name, "at": now, **change})
        else:
            this = update(DOCUMENTS).where(DOCUMENTS.c.id == name)
            connection.execute(this.values(**values, changed_at=now))
            if before.content_hash != one.content_hash:
                change = {"change": "content", "status": before.status, "reason": before.reason}
                noted.append({"document_id": name, "at": now, **change})
    if new:
        connection.execute(insert(DOCUMENTS), new)
    _note(connection, noted)
    # What lost an identifier may be a work of its own now, and so may those that it joined.
    parted = find_works(connection, named)
    _put_identifiers(connection, [found[name][0] for name in named])
    return parted


def _put_identifiers(connection: Connection, documents: Sequence[ParsedDocument]) -> None:
    rows = []
    for one in documents:
        form = Form(id=one.id, identifiers=one.identifiers, versions=one.versions)
        rows += [
            {"document_id": one.id, "scheme": scheme, "value": storable(value), "is_own": is_own}
            for is_own, named in ((0, form.stated), (1, form.named.items()))
            for scheme, value in named
        ]
    for some in portions([one.id for one in documents]):
        connection.execute(delete(IDENTIFIERS).where(IDENTIFIERS.c.document_id.in_(some)))
    unique = {(row["document_id"], row["scheme"], row["value"]): row for row in rows}
    if unique:
        connection.execute(insert(IDENTIFIERS), list(unique.values()))


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
    _note(connection, [{"document_id": name, "at": now, "change": "status", **said} for name in names])
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
        found |= {row.id: DocumentStatus(row.status) for row in connection.execute(query)}
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
    limit: int | None = 100,
) -> tuple[KnownDocument, ...]:
    """Return documents by id, those that fit."""
    query = select(DOCUMENTS).order_by(DOCUMENTS.c.id).limit(limit)
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
    return tuple(map(_known, _rows(connection, names)))


def work_of(connection: Connection, name: str) -> tuple[Form, ...]:
    """Return all forms of the work that a document is one of, itself included."""
    rows = {row.id: row for row in _rows(connection, sorted(find_works(connection, [name])))}
    forms = forms_of(connection, rows)
    for group in group_forms(forms):
        work = tuple(forms[place] for place in group)
        if any(form.id == name for form in work):
            return work
    return ()


def portions(items: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield items by so many as one statement takes."""
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]


def _rows(connection: Connection, names: Collection[str]) -> list[Row[Any]]:
    rows: list[Row[Any]] = []
    for some in portions(list(names)):
        rows += connection.execute(select(DOCUMENTS).where(DOCUMENTS.c.id.in_(some)))
    return rows


def _note(connection: Connection, changes: Sequence[Mapping[str, Any]]) -> None:
    if changes:
        connection.execute(insert(DOCUMENT_CHANGES), [dict(change) for change in changes])


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
    values = {name: getattr(row, name) for name in KnownDocument.model_fields if name != "identifiers"}
    return KnownDocument(**values, identifiers=from_json(row.identifiers))
