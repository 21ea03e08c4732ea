"""Which statements of Cypher are let through: those that read the graph and nothing else.

The database is opened to be read only, which does not keep a statement from files: `LOAD FROM` reads any,
`COPY ... TO` and `EXPORT` write some, `INSTALL` fetches code.
"""

from __future__ import annotations

import re

from medkg_dagster.errors import QueryError

_BEGINNINGS = ("MATCH", "OPTIONAL", "UNWIND", "WITH", "RETURN", "EXPLAIN", "PROFILE")
_REFUSED = frozenset({"LOAD", "CALL", "COPY", "EXPORT", "IMPORT", "ATTACH", "INSTALL", "USE"})
_TOKEN = re.compile(
    r"""
    (?P<skipped>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    |(?P<word>\w+)
    |(?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def check_statement(statement: str) -> None:
    """Refuse a statement that does anything but read the graph.

    Raises:
        QueryError: It does, or is several.
    """
    found = [match for match in _TOKEN.finditer(statement) if match.lastgroup != "skipped"]
    while found and found[-1].group() == ";":
        found.pop()
    if not found or found[0].group().upper() not in _BEGINNINGS:
        first = found[0].group()[:40] if found else ""
        raise QueryError(f"a question begins with {', '.join(_BEGINNINGS[:-1])} or PROFILE, not {first!r}")
    for match in found:
        if match.lastgroup == "word" and match.group().upper() in _REFUSED:
            word = match.group()
            raise QueryError(f"{word} is refused, as only the graph is read; as a name, write `{word}`")
        if match.group() in {'"', "'", "`"}:
            raise QueryError(f"the text that begins at character {match.start()} has no end")
        if match.group() == ";":
            raise QueryError("that is more than one statement; ask one at a time")
