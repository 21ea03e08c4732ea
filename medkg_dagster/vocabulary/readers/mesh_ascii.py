"""MeSH as NLM publishes it in ASCII: `*NEWRECORD`, then lines `ELEMENT = value`.

Records name their actions, and supplementary ones the headings that they are mapped to: what of these the
file does not describe further up is counted, as no more than a name is known of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from medkg_dagster.vocabulary.categories import category_of_mesh
from medkg_dagster.vocabulary.concepts import Concept
from medkg_dagster.vocabulary.readers.mesh_records import CHEMICAL, MeshRecord, mesh_concept
from medkg_dagster.vocabulary.readers.source_file import SourceFile

_NEW = "*NEWRECORD"
_ELEMENT = re.compile(r"([A-Z][A-Z0-9_ ]*?) ?= ?(.*)")
_TYPES = {
    **dict.fromkeys(("T019", "T020", "T037", "T046", "T047", "T048", "T049", "T190", "T191"), "Disease"),
    **dict.fromkeys(("T033", "T184"), "PhenotypicFeature"),
    **dict.fromkeys(("T058", "T059", "T060", "T061", "T062", "T063"), "Procedure"),
    **dict.fromkeys(("T001", "T002", "T004", "T005", "T007", "T204"), "OrganismTaxon"),
}
"""Semantic types of the UMLS that tell what a supplementary record is; all others are of chemicals."""


@dataclass(slots=True)
class _Headings:
    """What is known of the headings that the file described so far, by name."""

    identifiers: dict[str, str] = field(default_factory=dict)
    tree_numbers: dict[str, list[str]] = field(default_factory=dict)


@dataclass(slots=True)
class _Written:
    """A record as it is written: its values by element, in order."""

    line: int
    values: dict[str, list[str]] = field(default_factory=dict)

    def all(self, *elements: str) -> list[str]:
        return [value for element in elements for value in self.values.get(element, ())]

    def first(self, *elements: str) -> str:
        return next(iter(self.all(*elements)), "")


def read(path: Path, left_out: Counter[str] | None = None) -> Iterator[Concept]:
    """Read the records.

    Args:
        path: The file.
        left_out: Counts what is left out, by its reason.

    Raises:
        VocabularyError: The file is not of the format or damaged; the message names the line.
    """
    source = SourceFile(path, left_out)
    headings = _Headings()
    for written in _records(source):
        if written.first("RECTYPE") == "Q":
            source.left_out["qualifiers"] += 1
        else:
            yield mesh_concept(_record(written, headings, source), source)
    source.check_any("record")


def _records(source: SourceFile) -> Iterator[_Written]:
    written: _Written | None = None
    for text in source.text_lines():
        line = text.strip()
        if not line:
            continue
        if line == _NEW:
            if written is not None:
                yield written
            written = _Written(source.line)
            continue
        found = _ELEMENT.fullmatch(line)
        if found is None or written is None:
            raise source.error(
                f"{line[:60]!r} is no `ELEMENT = value` of a record that begins with {_NEW}; "
                "this is not MeSH in ASCII, or it is damaged"
            )
        written.values.setdefault(found[1], []).append(found[2].strip())
    if written is not None:
        yield written


def _record(written: _Written, headings: _Headings, source: SourceFile) -> MeshRecord:
    record = MeshRecord(
        identifier=written.first("UI"),
        name=written.first("MH", "NM"),
        # Behind the term stand codes, as in `Term|T109|NON|EQV|NLM (1975)|abcdef`.
        terms=[value.partition("|")[0].strip() for value in written.all("ENTRY", "PRINT ENTRY", "SY")],
        tree_numbers=written.all("MN"),
        registry_numbers=written.all("RN"),
        line=written.line,
    )
    if written.first("RECTYPE") == "C":
        names = [value.lstrip("*").partition("/")[0] for value in written.all("HM")]
        record.mapped = _identifiers(names, headings, source)
        numbers = [number for name in names for number in headings.tree_numbers.get(name, ())]
        record.category = category_of_mesh(numbers) if numbers else _category(written.all("ST"))
    else:
        headings.identifiers[record.name] = record.identifier
        headings.tree_numbers[record.name] = record.tree_numbers
    record.actions = _identifiers(written.all("PA"), headings, source)
    return record


def _identifiers(names: list[str], headings: _Headings, source: SourceFile) -> list[str]:
    known = [headings.identifiers[name] for name in names if name in headings.identifiers]
    if unknown := len(names) - len(known):
        source.left_out["headings that the file does not describe before they are named"] += unknown
    return known


def _category(semantic_types: list[str]) -> str:
    found = (f"biolink:{_TYPES[one]}" for one in semantic_types if one in _TYPES)
    return next(found, CHEMICAL)
