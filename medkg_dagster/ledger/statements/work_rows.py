"""Statements on which documents are one work, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.domain.identity import Form, group_forms, identify, normal_curies
from medkg_dagster.ledger.encoding import read_member, storable
from medkg_dagster.ledger.schema import DOCUMENTS, IDENTIFIERS

_BATCH = 500


def document_status(text: str) -> DocumentStatus:
    """Return the status of a row of the documents.

    Raises:
        LedgerError: It is none.
    """
    return read_member(DocumentStatus, text, "ledger_documents.status")


def portions(items: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield items by so many as one statement takes."""
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]


def document_rows_of(connection: Connection, names: Iterable[str]) -> dict[str, Row[Any]]:
    """Return the rows of those of the documents that the ledger knows."""
    rows: dict[str, Row[Any]] = {}
    for some in portions(list(names)):
        found = connection.execute(select(DOCUMENTS).where(DOCUMENTS.c.id.in_(some)))
        rows |= {row.id: row for row in found}
    return rows


def find_joined(connection: Connection, names: Iterable[str]) -> set[str]:
    """Return what identifiers join: those of the documents that share one, and all that they lead to."""
    fresh = list(names)
    seen, joined = set(fresh), set[str]()
    other = IDENTIFIERS.alias()
    same = (other.c.scheme == IDENTIFIERS.c.scheme) & (other.c.value == IDENTIFIERS.c.value)
    is_other = other.c.document_id != IDENTIFIERS.c.document_id
    pairs = select(IDENTIFIERS.c.document_id, other.c.document_id).distinct()
    pairs = pairs.select_from(IDENTIFIERS.join(other, same)).where(is_other)
    while fresh:
        for some in portions(fresh):
            for pair in connection.execute(pairs.where(IDENTIFIERS.c.document_id.in_(some))):
                joined.update(pair)
        fresh = sorted(joined - seen)
        seen |= joined
    return joined


def forms_of(connection: Connection, rows: Mapping[str, Row[Any]]) -> list[Form]:
    """Return documents as forms of works."""
    named: dict[str, tuple[dict[str, str], list[str]]] = {name: ({}, []) for name in rows}
    for row in _identifier_rows(connection, sorted(rows)):
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


def work_of(connection: Connection, name: str) -> tuple[Form, ...]:
    """Return all forms of the work that a document is one of, itself included."""
    forms = forms_of(
        connection, document_rows_of(connection, sorted({name, *find_joined(connection, [name])}))
    )
    for group in group_forms(forms):
        work = tuple(forms[place] for place in group)
        if any(form.id == name for form in work):
            return work
    return ()


def put_identifiers(
    connection: Connection, described: Mapping[str, tuple[Mapping[str, str], Sequence[str]]]
) -> set[str]:
    """Remember the identifiers of documents, and of what they state to be versions of themselves.

    Args:
        connection: The caller's.
        described: Document to both.

    Returns:
        The documents that were of the same works as those whose identifiers are others now.
    """
    known: dict[str, set[tuple[str, str, int]]] = {name: set() for name in described}
    for row in _identifier_rows(connection, sorted(described)):
        known[row.document_id].add((row.scheme, row.value, row.is_own))
    wanted = {name: _identifiers(name, *given) for name, given in described.items()}
    changed = sorted(name for name in wanted if wanted[name] != known[name])
    # What lost an identifier may be a work of its own now, and so may those that it joined.
    parted = find_joined(connection, [name for name in changed if known[name]])
    for some in portions(changed):
        connection.execute(delete(IDENTIFIERS).where(IDENTIFIERS.c.document_id.in_(some)))
    rows = [
        {"document_id": name, "scheme": scheme, "value": value, "is_own": is_own}
        for name in changed
        for scheme, value, is_own in sorted(wanted[name])
    ]
    if rows:
        connection.execute(insert(IDENTIFIERS), rows)
    return parted


def _identifiers(
    name: str, identifiers: Mapping[str, str], versions: Sequence[str]
) -> set[tuple[str, str, int]]:
    own = {(scheme, storable(value), 1) for scheme, value in identify(name, identifiers).items()}
    stated = {(scheme, storable(value), 0) for scheme, value in normal_curies(versions)}
    return own | {item for item in stated if (*item[:2], 1) not in own}


def _identifier_rows(connection: Connection, names: Sequence[str]) -> Iterator[Row[Any]]:
    for some in portions(names):
        yield from connection.execute(select(IDENTIFIERS).where(IDENTIFIERS.c.document_id.in_(some)))
