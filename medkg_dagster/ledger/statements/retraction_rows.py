"""Statements on which documents are retracted by the notice of another, in the caller's transaction.

A notice and the article that it names may be held by different requests and come in any order. A notice
speaks for as long as a request holds it as one, and nobody withdrew it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, insert, select

from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.domain.identity import normal_curies
from medkg_dagster.ledger.encoding import storable
from medkg_dagster.ledger.schema import DOCUMENTS, HOLDINGS, IDENTIFIERS, RETRACTIONS
from medkg_dagster.ledger.statements.work_rows import portions

_NAMED = and_(
    IDENTIFIERS.c.scheme == RETRACTIONS.c.scheme,
    IDENTIFIERS.c.value == RETRACTIONS.c.value,
    IDENTIFIERS.c.document_id != RETRACTIONS.c.document_id,
    IDENTIFIERS.c.is_own == 1,
)
_PAIRS = RETRACTIONS.join(IDENTIFIERS, _NAMED)


def put_retractions(connection: Connection, described: Mapping[str, Iterable[str]]) -> set[str]:
    """Remember what documents state to be retracted, by CURIE.

    Returns:
        The documents that those name now, or named before, whose statements are others now.
    """
    known: dict[str, set[tuple[str, str]]] = {name: set() for name in described}
    for some in portions(sorted(described)):
        stated = select(RETRACTIONS).where(RETRACTIONS.c.document_id.in_(some))
        for row in connection.execute(stated):
            known[row.document_id].add((row.scheme, row.value))
    wanted = {
        name: {(scheme, storable(value)) for scheme, value in normal_curies(curies)}
        for name, curies in described.items()
    }
    changed = sorted(name for name in wanted if wanted[name] != known[name])
    named = retracted_by(connection, changed)
    for some in portions(changed):
        connection.execute(delete(RETRACTIONS).where(RETRACTIONS.c.document_id.in_(some)))
    rows = [
        {"document_id": name, "scheme": scheme, "value": value}
        for name in changed
        for scheme, value in sorted(wanted[name])
    ]
    if rows:
        connection.execute(insert(RETRACTIONS), rows)
    return named | retracted_by(connection, changed)


def retracted_by(connection: Connection, names: Sequence[str]) -> set[str]:
    """Return the documents that others state to be retracted."""
    found: set[str] = set()
    for some in portions(names):
        named = select(IDENTIFIERS.c.document_id).select_from(_PAIRS)
        found.update(connection.scalars(named.where(RETRACTIONS.c.document_id.in_(some))))
    return found


def find_notices(connection: Connection, names: Sequence[str]) -> dict[str, str]:
    """Return of those of the documents that a notice names why they are retracted."""
    found: dict[str, str] = {}
    for some in portions(names):
        for row in connection.execute(_speaking().where(IDENTIFIERS.c.document_id.in_(some))):
            found.setdefault(row.retracted, f"{row.notice} is the notice of its retraction ({row.origin})")
    return found


def _speaking() -> Select[Any]:
    of_notice = HOLDINGS.c.document_id == RETRACTIONS.c.document_id
    is_one = select(HOLDINGS.c.item).where(of_notice, HOLDINGS.c.status == DocumentStatus.RETRACTED.value)
    pairs = _PAIRS.join(DOCUMENTS, DOCUMENTS.c.id == RETRACTIONS.c.document_id)
    columns = (
        IDENTIFIERS.c.document_id.label("retracted"),
        DOCUMENTS.c.id.label("notice"),
        DOCUMENTS.c.origin,
    )
    query = select(*columns).select_from(pairs).where(DOCUMENTS.c.decided_by.is_(None), is_one.exists())
    return query.order_by(DOCUMENTS.c.id)
