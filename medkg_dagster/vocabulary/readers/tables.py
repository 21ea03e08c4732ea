"""Tables of vocabularies: records of fields, the header decides which is which."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence

from medkg_dagster.errors import counted, did_you_mean
from medkg_dagster.vocabulary.readers.source_file import SourceFile


def records(
    source: SourceFile,
    lines: Iterable[str],
    needed: Sequence[str],
    *,
    delimiter: str = "\t",
    is_quoted: bool = True,
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the records of a table, each with the line that it begins on.

    Args:
        source: The file.
        lines: Its lines, from the header on.
        needed: Columns that the header must name; the others are in the records too.
        delimiter: What separates fields.
        is_quoted: Whether quotation marks around a field are not part of it.

    Raises:
        VocabularyError: A column is missing, or a record has too few or too many fields.
    """
    reader = csv.reader(
        lines,
        delimiter=delimiter,
        strict=True,
        quoting=csv.QUOTE_MINIMAL if is_quoted else csv.QUOTE_NONE,
    )
    header: list[str] = []
    while True:
        line = source.line + 1 if header else 1
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise source.error(
                f"not a record of a table: {error}; check the quotation marks from here on", line
            ) from error
        if fields is None:
            return
        if not header:
            header = [field.strip() for field in fields]
            line = source.line
            if missing := [column for column in needed if column not in header]:
                raise source.error(
                    f"the header has no column {missing[0]!r}; {did_you_mean(missing[0], header)}", line
                )
            least = max(header.index(column) for column in needed) + 1
        elif any(field.strip() for field in fields):
            if not least <= len(fields) <= len(header):
                raise source.error(
                    f"{counted(len(fields), 'field')}; the header has {len(header)}, correct the record", line
                )
            yield line, dict(zip(header, map(str.strip, fields), strict=False))


def split_list(text: str, separator: str = "|") -> tuple[str, ...]:
    """Return what a field lists, each once."""
    return tuple(dict.fromkeys(one for part in text.split(separator) if (one := part.strip())))
