"""A process that answers one question, `python -m medkg_dagster.cypher.answering COPY`, with bounded memory.

The question comes on stdin and the answer goes to stdout, both as JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from medkg_dagster.io.child_process import address_space, limit_memory

MEMORY_BYTES = 1 << 30
_BUFFER_BYTES = 256 << 20
_MOST_SPACE = 1 << 36  # address space that is only laid claim to
_INTERNAL = ("_ID", "_SRC", "_DST")


def main() -> None:
    """Answer the question."""
    import ladybug

    asked = json.load(sys.stdin)
    with (
        ladybug.Database(
            sys.argv[1],
            read_only=True,
            buffer_pool_size=_BUFFER_BYTES,
            max_num_threads=1,
            max_db_size=_MOST_SPACE,
        ) as database,
        ladybug.Connection(database) as connection,
    ):
        if taken := address_space():
            limit_memory(taken + MEMORY_BYTES)
        connection.set_query_timeout(asked["timeout_seconds"] * 1000)
        try:
            answer = _answer(connection, asked["statement"], asked["limit"])
        except (RuntimeError, MemoryError) as error:
            answer = {"problem": str(error)}
    json.dump(answer, sys.stdout, default=str)


def _answer(connection: Any, statement: str, limit: int) -> dict[str, Any]:
    found = connection.execute(statement)
    rows: list[Any] = []
    while found.has_next() and len(rows) < limit:
        rows.append(_plain(found.get_next()))
    return {"columns": found.get_column_names(), "rows": rows, "total": found.get_num_tuples()}


def _plain(value: Any) -> Any:
    """Return a value without what only the database's own copy means by it."""
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items() if name not in _INTERNAL}
    return [_plain(one) for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
