"""Rows of a CSV file, good and bad, each with the line it begins on."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from medkg_dagster.stage_api import SourceError

_SHOWN = 40
_NOT_TEXT = re.compile("[\ud800-\udfff\x00-\x08\x0e-\x1f]")


@dataclass(frozen=True, slots=True)
class Row:
    """A row with what is wanted of it.

    Attributes:
        line: The line it begins on, counted from 1.
        id: The note's id.
        title: Its title, on one line.
        text: Its text.
    """

    line: int
    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read.

    Attributes:
        line: The line it begins on, counted from 1.
        problem: What is wrong with it.
    """

    line: int
    problem: str


def read_rows(
    stream: TextIO, delimiter: str, columns: tuple[str, str, str], file: str
) -> Iterator[Row | BadRow]:
    """Yield the rows of a file, one at a time; empty lines are left out.

    Args:
        stream: The file, at its beginning.
        delimiter: What stands between columns.
        columns: The names of the columns of id, title and text.
        file: What the file is called, for messages.

    Yields:
        Rows in order.

    Raises:
        SourceError: The first line does not have each column once.
    """
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise SourceError(f"{file}: the line of column names cannot be read: {error}") from error
    places = _places(header, columns, file)
    while True:
        before = reader.line_num
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if reader.line_num - before > 1:
                # Whether a later line begins a row or stands within quotes can no longer be told.
                yield BadRow(before + 1, f"{error}; close its quotes. Nothing after it is read")
                return
            yield BadRow(before + 1, str(error))
            continue
        if any(cell.strip() for cell in cells):
            yield _row(before + 1, cells, len(header), places)


def _places(header: Sequence[str], columns: tuple[str, str, str], file: str) -> tuple[int, int, int]:
    for name in columns:
        if header.count(name) != 1:
            found = ", ".join(f"'{_printable(one)}'" for one in header[:_SHOWN]) or "none"
            how_often = "no" if name not in header else "more than one"
            raise SourceError(
                f"{file} has {how_often} column '{name}'; its first line names {found}. Correct the file, or "
                "`delimiter` and the names of the columns"
            )
    first, second, third = (header.index(name) for name in columns)
    return first, second, third


def _printable(name: str) -> str:
    return name[:_SHOWN].encode("utf-8", "backslashreplace").decode()


def _row(line: int, cells: Sequence[str], width: int, places: tuple[int, int, int]) -> Row | BadRow:
    if len(cells) != width:
        return BadRow(
            line, f"{len(cells)} cells, the first line has {width}; quote cells with delimiters in them"
        )
    note_id, title, text = (cells[place].strip() for place in places)
    for cell in (note_id, title, text):
        if found := _NOT_TEXT.search(cell):
            what = "is not UTF-8" if found[0] >= "\ud800" else f"has the control character {found[0]!r}"
            return BadRow(line, f"a cell {what}; convert the file to UTF-8 text")
    return Row(line, " ".join(note_id.split()), " ".join(title.split()), text)
