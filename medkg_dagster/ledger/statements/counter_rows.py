"""Counters of what has happened, kept in the transaction in which it happens.

Runs end and their processes with them, so that only the ledger can count over all of them. A counter is a
name and labels, of which there are as many as pipelines, stages, gates and classes of errors, and not as many
as jobs or documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, TextClause, delete, insert, select, text

from medkg_dagster.io.times import seconds_between
from medkg_dagster.ledger.encoding import from_json, storable
from medkg_dagster.ledger.schema import COUNTERS

STAGE_RUNS = "stage_runs"
STAGE_SECONDS = "stage_seconds"
STAGE_DOCUMENTS = "stage_documents"
STAGE_MEMO = "stage_memo"
STAGE_SUCCESS = "stage_last_success"
GATES = "gate_outcomes"
GATE_SECONDS = "gate_wait_seconds"
DOWNLOADS = "downloads"
DISCOVERY = "plugin_discovery_seconds"
STAGE_RESOLUTION = "stage_resolution_seconds"

Counter = tuple[str, tuple[str, ...]]
"""A name, and the values of its labels in their order."""

_PUT = "INSERT INTO ledger_counters (name, labels, value) VALUES (:name, :labels, :value) "
_ADD = text(f"{_PUT} ON CONFLICT (name, labels) DO UPDATE SET value = ledger_counters.value + excluded.value")
_RAISE = text(
    f"{_PUT} ON CONFLICT (name, labels) DO UPDATE SET value = excluded.value "
    "WHERE ledger_counters.value < excluded.value"
)


def count(connection: Connection, amounts: Mapping[Counter, float]) -> None:
    """Add to counters; in one order, so that no two transactions wait for each other."""
    _put(connection, _ADD, {counter: amount for counter, amount in amounts.items() if amount})


def raise_to(connection: Connection, values: Mapping[Counter, float]) -> None:
    """Let counters have at least some values."""
    _put(connection, _RAISE, values)


def replace_all(connection: Connection, name: str, values: Mapping[tuple[str, ...], float]) -> None:
    """Let a name have these values alone, by their labels."""
    connection.execute(delete(COUNTERS).where(COUNTERS.c.name == name))
    rows = [
        {"name": name, "labels": _labels(labels), "value": value} for labels, value in sorted(values.items())
    ]
    if rows:
        connection.execute(insert(COUNTERS), rows)


def seconds_spent(start: str, end: str) -> float:
    """Return the seconds between two stored times, 0 where somebody has written what is none."""
    try:
        return seconds_between(start, end)
    except (ValueError, TypeError):
        return 0.0


def read_counters(connection: Connection) -> dict[str, dict[tuple[str, ...], float]]:
    """Return all counters: by name, the value by labels."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for name, labels, value in connection.execute(select(COUNTERS)):
        found.setdefault(name, {})[tuple(from_json(labels))] = value
    return found


def _put(connection: Connection, statement: TextClause, values: Mapping[Counter, float]) -> None:
    rows = [
        {"name": name, "labels": _labels(labels), "value": float(value)}
        for (name, labels), value in sorted(values.items())
    ]
    if rows:
        connection.execute(statement, rows)


def _labels(values: Iterable[str]) -> str:
    return json.dumps([storable(value) for value in values], ensure_ascii=False)
