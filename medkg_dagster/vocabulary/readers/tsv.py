"""A table of one's own: UTF-8 with the header `curie  name  category  synonyms`, separated by tabs.

Synonyms are separated by a vertical bar and may be left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from medkg_dagster.vocabulary.concepts import Concept
from medkg_dagster.vocabulary.readers.source_file import SourceFile
from medkg_dagster.vocabulary.readers.tables import records, split_list

MAX_BYTES = 256 * 1024 * 1024


def read(path: Path, left_out: Counter[str] | None = None) -> Iterator[Concept]:
    """Read a table.

    Args:
        path: The file.
        left_out: Counts what is left out, by its reason; here nothing is.

    Raises:
        VocabularyError: The file is unreadable or wrong; the message names the line.
    """
    source = SourceFile(path, left_out, limit=MAX_BYTES)
    needed = ("curie", "name", "category")
    for line, of in records(source, source.text_lines(), needed, is_quoted=False):
        curie, name = of["curie"], of["name"]
        source.add(curie, name, line)
        source.check_category(of["category"], line)
        synonyms = split_list(of.get("synonyms", ""))
        yield Concept(curie, name, of["category"], tuple(one for one in synonyms if one != name))
    source.check_any("concept")
