"""The source `csv-notes`: one document for each row of a CSV or TSV file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from medkg_dagster.stage_api import (
    Config,
    Extension,
    ExtensionKind,
    Payload,
    PayloadFormat,
    SourceError,
    UnreadableDocumentError,
)
from medkg_gate_and_source_example.rows import BadRow, Row, read_rows

if TYPE_CHECKING:
    from medkg_dagster.stage_api import StageContext

NAME = "csv-notes"
LONGEST_CELL = 131_072  # what Python's reader takes, a setting of the whole process
_DELIMITERS = ("\t", ";", ",")
_HEADER_CHARACTERS = 65_536


class CsvNotesParameters(Config):
    """What to read."""

    path: str = Field(
        min_length=1,
        description="The file, UTF-8 with a line of column names; relative paths start from the working "
        "directory, `~` is the home folder.",
    )
    delimiter: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="Between columns; by default tab, semicolon or comma, whichever the first line has most.",
    )
    id_column: str = Field(default="id", description="The column of the note's id, unique in the file.")
    title_column: str = Field(default="title", description="The column of the title; a cell may be empty.")
    text_column: str = Field(default="text", description="The column of the text.")
    max_file_bytes: int = Field(
        default=100 * 1024 * 1024, ge=1, description="A larger file is refused as a whole; bytes."
    )
    max_rows: int = Field(default=100_000, ge=1, description="A file with more rows is refused as a whole.")
    max_characters: int = Field(
        default=100_000, ge=1, le=LONGEST_CELL, description="A note with a longer text is quarantined."
    )


class CsvNotes:
    """Reads notes; a bad row is quarantined and the others go on.

    Args:
        parameters: What to read.
    """

    def __init__(self, parameters: CsvNotesParameters) -> None:
        self._parameters = parameters

    def fetch(self, ctx: StageContext) -> Iterator[Payload]:
        """Yield one payload of plain text for each row, in order.

        Args:
            ctx: The surroundings of this run; bad rows are quarantined there.

        Yields:
            Payloads; the id is the file's name and the note's id.

        Raises:
            SourceError: The file cannot be read, is too large, or lacks a column.
        """
        path = Path(self._parameters.path).expanduser()
        stream = io.StringIO(self._read(path), newline="")
        rows = read_rows(stream, self._delimiter(stream), self._columns, path.name)
        ids: set[str] = set()
        for number, row in enumerate(rows, start=1):
            if number > self._parameters.max_rows:
                raise SourceError(
                    f"{path.name} has more than max_rows = {self._parameters.max_rows} rows; raise it or "
                    "split the file"
                )
            problem = row.problem if isinstance(row, BadRow) else self._problem(row, ids)
            if problem:
                place = f"{path.name}:{row.line}"
                ctx.quarantine(place, UnreadableDocumentError(f"{place}: {problem}"))
            elif isinstance(row, Row):
                ids.add(row.id)
                yield self._payload(row, path.name)

    @property
    def _columns(self) -> tuple[str, str, str]:
        wanted = self._parameters
        return wanted.id_column, wanted.title_column, wanted.text_column

    def _read(self, path: Path) -> str:
        limit = self._parameters.max_file_bytes
        shown = self._parameters.path
        try:
            if not path.is_file():
                raise SourceError(f"{shown} is no file (looked for {path.absolute()}); correct `path`")
            with path.open("rb") as stream:
                content = stream.read(limit + 1)
        except OSError as error:
            raise SourceError(f"{shown} cannot be read: {error.strerror or error}") from error
        if len(content) > limit:
            raise SourceError(f"{shown} is larger than max_file_bytes = {limit}; raise it or split the file")
        # Bytes that are not UTF-8 become lone surrogates, so that only the rows that hold them are refused.
        return content.decode("utf-8-sig", "surrogateescape")

    def _delimiter(self, stream: io.StringIO) -> str:
        if self._parameters.delimiter is not None:
            return self._parameters.delimiter
        header = stream.readline(_HEADER_CHARACTERS)
        stream.seek(0)
        return max(_DELIMITERS, key=header.count)

    def _problem(self, row: Row, ids: set[str]) -> str | None:
        """Say what is wrong with a row that could be read."""
        limit = self._parameters.max_characters
        if not row.id:
            return f"the column '{self._parameters.id_column}' is empty; give the note an id"
        if row.id in ids:
            return f"the id {row.id!r} stands above already; give each note its own"
        if not row.text:
            return f"the column '{self._parameters.text_column}' is empty"
        if len(row.text) > limit:
            return f"{len(row.text)} characters of text, max_characters = {limit}; raise it or split the note"
        return None

    def _payload(self, row: Row, file: str) -> Payload:
        # In plain text the first line is the title.
        text = f"{row.title}\n\n{row.text}\n" if row.title else f"{row.text}\n"
        return Payload(
            id=f"{file}#{row.id}",
            format=PayloadFormat.TEXT,
            content=text.encode(),
            source=NAME,
            origin=f"{self._parameters.path}:{row.line}",
        )


def build(parameters: CsvNotesParameters, home: Path) -> CsvNotes:
    """Build the source; called inside a step.

    Args:
        parameters: What to read.
        home: The folder for all data; this source keeps nothing there.
    """
    del home
    return CsvNotes(parameters)


CSV_NOTES = Extension(
    kind=ExtensionKind.SOURCE,
    name=NAME,
    description="Notes out of a CSV or TSV file with the columns id, title and text.",
    config_model=CsvNotesParameters,
    build=build,
)
