"""Questions in Cypher, each answered within bounds."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkg_dagster.cypher.answering import MEMORY_BYTES
from medkg_dagster.cypher.copying import current_copy
from medkg_dagster.cypher.statement import check_statement
from medkg_dagster.errors import QueryError, StoreError
from medkg_dagster.io.child_process import ChildProcess, describe_end
from medkg_dagster.query.answers import Answer
from medkg_dagster.query.opened import OpenedStores
from medkg_dagster.query.selection import MOST, check_limit, check_text

if TYPE_CHECKING:
    from medkg_dagster.settings import Settings

MOST_SECONDS = 600
_BEGIN_SECONDS = 30


class CypherAnswer(Answer):
    """What a question in Cypher found.

    Attributes:
        columns: The names of what it returns.
        rows: A value for each; a node or an edge is a mapping, whose `_LABEL` is its table.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def ask_cypher(
    settings: Settings, statement: str, *, limit: int = 100, timeout_seconds: int = 30
) -> CypherAnswer:
    """Answer a question in Cypher, from a copy of the graph as it is now.

    The copy is made anew where the graph, or what of it is current, has changed since the last question.

    Args:
        settings: Says where the home is.
        statement: One statement that reads: `MATCH ... RETURN ...`.
        limit: At most so many rows.
        timeout_seconds: So long it may take, the making of the copy left out.

    Raises:
        QueryError: The question is none, does more than read, or takes too much time or memory.
        ConfigError: The extra is not installed.
        StoreError: There is no graph, or the copy cannot be made.
    """
    asked = check_text("statement", statement)
    check_limit("limit", limit, 100 * MOST)
    check_limit("timeout", timeout_seconds, MOST_SECONDS)
    check_statement(asked)
    stores = OpenedStores(settings)
    try:
        copy = current_copy(stores)
    finally:
        stores.close()
    said = _answered(copy, {"statement": asked, "limit": limit, "timeout_seconds": timeout_seconds})
    if problem := said.get("problem"):
        raise QueryError(f"the question has no answer: {_explained(problem, timeout_seconds)}")
    left = said["total"] - len(said["rows"])
    cut = (f"{left:,} more of {said['total']:,} rows; raise the limit, or ask for less",) if left else ()
    return CypherAnswer(columns=said["columns"], rows=tuple(map(tuple, said["rows"])), cut=cut)


def _answered(copy: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """Let another process answer: what a question takes is bounded there, and ends nothing but it."""
    command = [sys.executable, "-P", "-m", "medkg_dagster.cypher.answering", str(copy)]
    patience = asked["timeout_seconds"] + _BEGIN_SECONDS
    with tempfile.TemporaryFile() as complaints:
        with ChildProcess(command, stdin=subprocess.PIPE, stderr=complaints) as child:
            ending = threading.Timer(patience, child.kill)
            ending.start()
            try:
                assert child.stdin is not None
                assert child.stdout is not None
                with suppress(BrokenPipeError), child.stdin:
                    child.stdin.write(json.dumps(asked).encode())
                said = child.stdout.read()
                code = child.wait()
            finally:
                ending.cancel()
        if code == 0:
            found: dict[str, Any] = json.loads(said)
            return found
        complaints.seek(0)
        last = complaints.read().decode(errors="replace").strip().rpartition("\n")[2]
    raise StoreError(f"what answers in Cypher ended {describe_end(code)}: {last or 'it said nothing'}")


def _explained(problem: str, timeout_seconds: int) -> str:
    if "Interrupted" in problem:
        return f"it took longer than {timeout_seconds} s; ask for less, or give it more time"
    if "bad_alloc" in problem or not problem or "buffer pool is full" in problem:
        return f"it needs more than {MEMORY_BYTES >> 20:,} MB of memory; ask for less"
    return problem.partition("\n")[0]
