"""Statements on the forms of documents, in the caller's transaction.

What an item was found to be is a form of a document. A document is described by the best of its forms,
whichever request holds it, and has the identifiers of all of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, insert, select, update

from medkg_dagster.domain.holdings import DocumentStatus, HeldForm, ParsedDocument, UsedForm
from medkg_dagster.ledger.encoding import dump_json, storable
from medkg_dagster.ledger.schema import DOCUMENTS, HOLDINGS
from medkg_dagster.ledger.statements.change_rows import note_changes
from medkg_dagster.ledger.statements.retraction_rows import put_retractions
from medkg_dagster.ledger.statements.work_rows import (
    document_rows_of,
    document_status,
    portions,
    put_identifiers,
)

_OF_ITEM = {"item", "item_hash", "id"}
_PUT_DESCRIPTION = update(DOCUMENTS).where(DOCUMENTS.c.id == bindparam("name"))


def encode_form(document: ParsedDocument) -> str:
    """Return what is to be known of a form, as text: equal forms give equal text."""
    return dump_json(document.model_dump(exclude=_OF_ITEM))


def form_key(row: Row[Any]) -> str:
    """Return the key of the form that an item is: by its request, its name, and what it was found to be."""
    return f"{request_key(row.pipeline, row.request)}.{_digest(row.item)}.{_digest(row.form)}"


@lru_cache(maxsize=1024)
def request_key(pipeline: str, request: str) -> str:
    """Return what the keys of all forms that a request holds begin with."""
    return _digest(f"{pipeline}\x00{request}")


def used_forms(connection: Connection, own: Collection[str], names: Sequence[str]) -> dict[str, UsedForm]:
    """Return the status of those of the documents that are known, and which form of each is used.

    Args:
        connection: The caller's.
        own: The keys of the requests of the job that asks.
        names: The documents.
    """
    found: dict[str, UsedForm] = {}
    query = select(DOCUMENTS.c.id, DOCUMENTS.c.status, DOCUMENTS.c.used, DOCUMENTS.c.apart_by)
    for some in portions(names):
        for name, status, used, apart_by in connection.execute(query.where(DOCUMENTS.c.id.in_(some))):
            found[name] = UsedForm(document_status(status), used, _is_own(used, own), apart_by is not None)
    return found


def current_forms(
    connection: Connection, own: Collection[str], names: Sequence[str]
) -> dict[str, tuple[HeldForm, ...]]:
    """Return the forms of documents that are current, the best first; see `used_forms`."""
    found: dict[str, list[tuple[Row[Any], dict[str, Any]]]] = {name: [] for name in names}
    current = and_(HOLDINGS.c.status == DocumentStatus.CURRENT.value, HOLDINGS.c.form.is_not(None))
    for some in portions(names):
        for row in connection.execute(select(HOLDINGS).where(HOLDINGS.c.document_id.in_(some), current)):
            found[row.document_id].append((row, json.loads(row.form)))
    keys = {
        name: [form_key(row) for row, _ in sorted(forms, key=lambda one: _preference(*one))]
        for name, forms in found.items()
    }
    return {name: tuple(HeldForm(key, _is_own(key, own)) for key in some) for name, some in keys.items()}


def showable(connection: Connection, names: Collection[str]) -> dict[str, frozenset[str]]:
    """Return the content hashes of the current forms of documents; none of those that are not current."""
    known = document_rows_of(connection, sorted(set(names)))
    shown = [name for name, row in known.items() if row.status == DocumentStatus.CURRENT]
    found: dict[str, set[str]] = {}
    current = and_(HOLDINGS.c.status == DocumentStatus.CURRENT.value, HOLDINGS.c.form.is_not(None))
    for some in portions(shown):
        of_some = select(HOLDINGS.c.document_id, HOLDINGS.c.form).where(
            HOLDINGS.c.document_id.in_(some), current
        )
        for name, form in connection.execute(of_some):
            found.setdefault(name, set()).add(json.loads(form)["content_hash"])
    is_unknown = set(shown) - found.keys()
    return {name: frozenset(found.get(name, ())) for name in names if name not in is_unknown}


def _is_own(key: str | None, own: Collection[str]) -> bool:
    return key is not None and key.partition(".")[0] in own


def describe_documents(connection: Connection, names: Sequence[str], now: str) -> set[str]:
    """Let documents be what the best of their forms says; those without a form stay as they were.

    Returns:
        The other documents whose status may be another by that: those that were of the same works, and those
        that one of them states to be retracted.
    """
    forms: dict[str, list[tuple[Row[Any], dict[str, Any]]]] = {}
    query = select(HOLDINGS).where(HOLDINGS.c.document_id.in_(names), HOLDINGS.c.form.is_not(None))
    for row in connection.execute(query):
        forms.setdefault(row.document_id, []).append((row, json.loads(row.form)))
    known = document_rows_of(connection, sorted(forms))
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    noted: list[dict[str, Any]] = []
    identified = {}
    retractions = {}
    for name, some in forms.items():
        some.sort(key=lambda one: _preference(*one))
        values, identifiers = _description(name, some)
        identified[name] = identifiers, _stated(some, "versions")
        retractions[name] = _stated(some, "retracts")
        before = known.get(name)
        if before is not None and all(getattr(before, column) == value for column, value in values.items()):
            continue
        note = {"document_id": name, "at": now}
        if before is None:
            blank = {"id": name, "status": DocumentStatus.CURRENT.value, "since": now, "changed_at": now}
            new.append({**blank, **values})
            noted.append({**note, "change": "new", "status": blank["status"], "reason": None})
            continue
        changed.append({"name": name, "changed_at": now, **values})
        if before.content_hash != values["content_hash"]:
            noted.append({**note, "change": "content", "status": before.status, "reason": before.reason})
    if new:
        connection.execute(insert(DOCUMENTS), new)
    if changed:
        connection.execute(
            _PUT_DESCRIPTION.values(
                {column: bindparam(column) for column in sorted(changed[0].keys() - {"name"})}
            ),
            changed,
        )
    note_changes(connection, noted)
    return put_identifiers(connection, identified) | put_retractions(connection, retractions)


def _preference(row: Row[Any], form: Mapping[str, Any]) -> tuple[bool, int, int, str]:
    """Return what orders forms: those that no stage set aside, then by rank, and never by time."""
    tier, characters = form["rank"]
    return row.status != DocumentStatus.CURRENT, -tier, -characters, form_key(row)


def _stated(forms: Sequence[tuple[Row[Any], Mapping[str, Any]]], what: str) -> list[str]:
    return sorted({curie for _, form in forms for curie in form.get(what, ())})


def _description(
    name: str, forms: Sequence[tuple[Row[Any], Mapping[str, Any]]]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a document's columns and its identifiers, by its forms, the best first."""
    row, best = forms[0]
    identifiers: dict[str, str] = {}
    for _, form in forms:
        identifiers = {**form["identifiers"], **identifiers}
    title, url, date = storable(best["title"]), best["url"], best["date"]
    # An earlier release counted nothing.
    kept = best.get("text_kept")
    words = (name, title, row.origin, *map(storable, identifiers.values()))
    values = {
        "title": title,
        "source": storable(best["source"]),
        "origin": row.origin,
        "url": None if url is None else storable(url),
        "content_hash": best["content_hash"],
        "synthetic": int(best["synthetic"]),
        "identifiers": dump_json(identifiers),
        "date": None if date is None else storable(date),
        "tier": best["rank"][0],
        "characters": best["rank"][1],
        "text_kept": None if kept is None else dump_json(kept),
        "words": " ".join(words).lower(),
        "used": form_key(row) if row.status == DocumentStatus.CURRENT else None,
    }
    return values, identifiers


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
