"""Records of MeSH, in whatever form they are written, and the concepts that they are.

All entry terms of a record are its names, those of narrower concepts too: MeSH has no other id for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from medkg_dagster.vocabulary.categories import category_of_mesh
from medkg_dagster.vocabulary.concepts import Concept, curie_of
from medkg_dagster.vocabulary.readers.source_file import SourceFile

CHEMICAL = "biolink:ChemicalEntity"

_CAS = re.compile(r"\d{2,7}-\d\d-\d")
_UNII = re.compile(r"[A-Z0-9]{10}")


@dataclass(slots=True)
class MeshRecord:
    """A record while it is read.

    Attributes:
        identifier: Its unique identifier.
        name: Its heading or name.
        terms: Its entry terms.
        tree_numbers: Its places in the tree.
        registry_numbers: Numbers in the registries of CAS and FDA.
        actions: Identifiers of its pharmacological actions.
        mapped: Identifiers of the headings that a supplementary record is mapped to.
        category: What a supplementary record is, as the file tells; of a descriptor the tree decides.
        line: Where it begins.
    """

    identifier: str = ""
    name: str = ""
    terms: list[str] = field(default_factory=list)
    tree_numbers: list[str] = field(default_factory=list)
    registry_numbers: list[str] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    mapped: list[str] = field(default_factory=list)
    category: str = ""
    line: int = 1


def mesh_concept(record: MeshRecord, source: SourceFile) -> Concept:
    """Return the concept that a record is.

    Raises:
        VocabularyError: It has no identifier or no name, or was there before.
    """
    if not record.identifier:
        raise source.error(f"the record {record.name!r} has no identifier; add it", record.line)
    curie = curie_of("MESH", record.identifier)
    source.add(curie, record.name, record.line)
    return Concept(
        curie,
        record.name,
        record.category or category_of_mesh(record.tree_numbers),
        synonyms=tuple(one for one in dict.fromkeys(record.terms) if one and one != record.name),
        same_as=_registered(record.registry_numbers),
        parents=_curies(record.mapped),
        tree_numbers=tuple(dict.fromkeys(record.tree_numbers)),
        roles=_curies(record.actions),
    )


def _curies(identifiers: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(curie_of("MESH", one) for one in identifiers))


def _registered(numbers: Iterable[str]) -> tuple[str, ...]:
    found = []
    for number in numbers:
        if _CAS.fullmatch(number):
            found.append(curie_of("CAS", number))
        elif _UNII.fullmatch(number):
            found.append(curie_of("UNII", number))
    return tuple(dict.fromkeys(found))
