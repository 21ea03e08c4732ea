"""How commands print: tables, JSON, text of others made safe for a terminal."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from medkg_dagster.settings import DEFAULT_JOB_ID

WIDTH = 100
ROWS = click.IntRange(1, 1_000_000_000)
"""How many rows a list may be asked for: all there ever are, and no more than a database counts."""
_TIMES = {"at", "since", "deadline"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def run_command(pipeline: str, job_id: str | None) -> str:
    """Return the command that runs a job, to be shown; None for a job that nobody knows any more."""
    named = "" if job_id in {None, DEFAULT_JOB_ID} else f" --job-id {job_id}"
    return f"`medkg run {pipeline}{named}`"


def echo_json(value: Any) -> None:
    """Print a value as indented JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def echo_table(header: Sequence[str], rows: Iterable[Sequence[object]], indent: str = "") -> None:
    """Print rows under a header, columns aligned; nothing where there are no rows."""
    cells = [[one_line(str(cell)) for cell in row] for row in rows]
    if not cells:
        return
    table = [list(header), *cells]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for number, row in enumerate(table):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.echo(indent + (click.style(line, bold=True) if number == 0 else line))


def echo_records(columns: Mapping[str, str], records: Iterable[Mapping[str, Any]], indent: str = "") -> None:
    """Print plain values as a table: to each header the name of its value; times are shown to the second."""
    rows = [[_cell(name, record[name]) for name in columns.values()] for record in records]
    echo_table(tuple(columns), rows, indent)


def _cell(name: str, value: Any) -> Any:
    if value is None or value == "":
        return "-"
    return seconds(value) if name in _TIMES or name.endswith("_at") else value


def seconds(stamp: str | None) -> str:
    """Return a stored time to the second."""
    return f"{stamp[:19]}Z" if stamp else "-"


def one_line(text: str) -> str:
    """Return text from documents as one line that cannot steer a terminal."""
    return _CONTROL.sub("�", " ".join(text.split()))


def paragraph(text: str, indent: str = "   ") -> str:
    """Return text as one wrapped, indented paragraph; what is to be typed, in backticks, stays whole."""
    whole = re.sub(
        "`[^`]+`", lambda named: named.group().replace(" ", "\0").replace("-", "\1"), one_line(text)
    )
    wrapped = textwrap.fill(whole, WIDTH, initial_indent=indent, subsequent_indent=indent)
    return wrapped.replace("\0", " ").replace("\1", "-")


def highlight(text: str, words: Iterable[str]) -> str:
    """Return text with the words in bold; a terminal shows it, a pipe gets plain text."""
    alternatives = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    if not alternatives:
        return text
    pattern = re.compile(rf"(?<!\w)(?:{alternatives})", re.IGNORECASE)
    return pattern.sub(lambda match: click.style(match.group(), bold=True, fg="yellow"), text)
