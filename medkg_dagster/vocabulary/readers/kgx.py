"""Nodes of KGX (https://github.com/biolink/kgx), as a table or as JSON Lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from medkg_dagster.vocabulary.categories import category_of
from medkg_dagster.vocabulary.concepts import CURIE, Concept, prefix_of
from medkg_dagster.vocabulary.readers.source_file import SourceFile
from medkg_dagster.vocabulary.readers.tables import records, split_list
from medkg_dagster.vocabulary.readers.terms import written_curie

_NEEDED = ("id", "name")
_SAME = ("equivalent_identifiers", "same_as", "xref")
_SAYS_LITTLE = frozenset(
    f"biolink:{name}"
    for name in (
        "Entity",
        "NamedThing",
        "BiologicalEntity",
        "ThingWithTaxon",
        "PhysicalEssence",
        "PhysicalEssenceOrOccurrent",
        "OntologyClass",
        "DiseaseOrPhenotypicFeature",
        "ChemicalEntityOrGeneOrGeneProduct",
        "GeneOrGeneProduct",
        "GenomicEntity",
        "MacromolecularMachineMixin",
    )
)
"""Categories above those that say what a node is; nodes may carry all of them."""


def read(path: Path, left_out: Counter[str] | None = None) -> Iterator[Concept]:
    """Read the nodes.

    Args:
        path: The file.
        left_out: Counts what is left out, by its reason.

    Raises:
        VocabularyError: The file is unreadable or wrong; the message names the line.
    """
    source = SourceFile(path, left_out)
    lines = source.text_lines()
    first = next(lines)
    is_json = first.lstrip().startswith("{")
    whole = chain((first,), lines)
    found = _json_nodes(source, whole) if is_json else records(source, whole, _NEEDED, is_quoted=False)
    for line, node in found:
        if str(node.get("deprecated", "")).lower() == "true":
            source.left_out["deprecated nodes"] += 1
        else:
            yield _concept(node, line, source)
    source.check_any("node")


def _json_nodes(source: SourceFile, lines: Iterator[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for text in lines:
        if not text.strip():
            continue
        try:
            node = from_json(text)
        except ValueError as error:
            raise source.error(f"not JSON: {error}; write one node a line") from error
        if not isinstance(node, dict):
            raise source.error("not an object; write one node a line")
        yield source.line, node


def _concept(node: Mapping[str, Any], line: int, source: SourceFile) -> Concept:
    curie, name = written_curie(_text(node.get("id"))), _text(node.get("name"))
    source.add(curie, name, line)
    category = _category(_values(node, "category"), curie)
    source.check_category(category, line)
    same_as = []
    for other in (written_curie(one) for key in _SAME for one in _values(node, key)):
        if not CURIE.fullmatch(other) or "://" in other:
            source.left_out["references that are no CURIE"] += 1
        elif other != curie:
            same_as.append(other)
    synonyms = _values(node, "synonym")
    return Concept(
        curie,
        name,
        category,
        synonyms=tuple(one for one in synonyms if one != name),
        same_as=tuple(dict.fromkeys(same_as)),
    )


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _values(node: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = node.get(key)
    if isinstance(value, list):
        return tuple(dict.fromkeys(one.strip() for one in value if isinstance(one, str) and one.strip()))
    return split_list(_text(value))


def _category(written: tuple[str, ...], curie: str) -> str:
    """Return the category that says what a node is; where none does, what its prefix tells."""
    usual = category_of(prefix_of(curie))
    if usual in written:
        return usual
    telling = [one for one in written if one not in _SAYS_LITTLE]
    return next(iter(telling or written), usual)
