"""A table of one's own: UTF-8 with the header `curie  name  category  synonyms`, separated by tabs.

Synonyms are separated by a vertical bar.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medkg_dagster.errors import VocabularyError
from medkg_dagster.io.regular_files import read_regular
from medkg_dagster.vocabulary.concepts import CATEGORY, CURIE, Concept

COLUMNS = ("curie", "name", "category", "synonyms")

MAX_BYTES = 256 * 1024 * 1024


def read(path: Path) -> Iterator[Concept]:
    """Read a table.

    Args:
        path: The file.

    Raises:
        VocabularyError: It is unreadable or wrong; the message names the line.
    """
    try:
        lines = read_regular(path, MAX_BYTES).decode("utf-8-sig").splitlines()
    except OSError as error:
        raise VocabularyError(
            f"vocabulary {path}: {error.strerror or error}; correct the path, or leave it out"
        ) from error
    except UnicodeDecodeError as error:
        at = error.object[: error.start].count(b"\n") + 1
        raise VocabularyError(f"vocabulary {path}:{at}: not UTF-8; save the file as UTF-8") from error
    if not lines or tuple(lines[0].split("\t")) != COLUMNS:
        raise VocabularyError(
            f"vocabulary {path}:1: the header must be {', '.join(COLUMNS)}, separated by tabs"
        )
    seen: dict[str, int] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        concept = _concept(line, f"vocabulary {path}:{number}")
        if (first := seen.setdefault(concept.curie, number)) != number:
            raise VocabularyError(
                f"vocabulary {path}:{number}: {concept.curie} is already on line {first}; join the lines"
            )
        yield concept
    if not seen:
        raise VocabularyError(f"vocabulary {path}:1: the file names no concept")


def _concept(line: str, place: str) -> Concept:
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) not in {3, 4}:
        raise VocabularyError(
            f"{place}: {len(fields)} fields; expected {', '.join(COLUMNS)}, separated by tabs"
        )
    curie, name, category = fields[:3]
    if not CURIE.fullmatch(curie):
        raise VocabularyError(f"{place}: {curie!r} is not a CURIE such as MESH:D008545")
    if not name:
        raise VocabularyError(f"{place}: {curie} has no name")
    if not CATEGORY.fullmatch(category):
        raise VocabularyError(f"{place}: {category!r} is not a Biolink category such as biolink:Disease")
    synonyms = fields[3].split("|") if len(fields) == 4 else []
    others = dict.fromkeys(other.strip() for other in synonyms if other.strip())
    return Concept(curie, name, category, tuple(other for other in others if other != name))
