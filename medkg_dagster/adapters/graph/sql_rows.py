"""Rows of the SQL graph, written and looked for by as many as a statement takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, or_
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

AT_ONCE = 500
"""Below the number of parameters that any SQLite accepts in one statement."""


def write_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, or update those that are there already."""
    if not rows:
        return
    statement = insert_into(connection, table)
    keys = [column.name for column in table.primary_key]
    changed = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    differs = or_(*(table.c[name].is_distinct_from(value) for name, value in changed.items()))
    connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=changed, where=differs),
        [dict(row) for row in rows],
    )


def insert_into(connection: Connection, table: Table) -> Any:
    """Return an insert that can say what to do about rows that are there."""
    make = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    return make(table)


def portions(items: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield items by so many as one statement takes."""
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]
