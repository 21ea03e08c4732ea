"""Mentions that a sentence lists together: "colitis, severe hepatitis and thyroiditis"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from medkg_dagster.stage_api import Entity
from medkg_dagster.stages.extract.phrases import MODIFIED
from medkg_dagster.stages.extract.relation_types import Role

_ROLES = {
    "biolink:Drug": Role.TREATMENT,
    "biolink:SmallMolecule": Role.TREATMENT,
    "biolink:ChemicalEntity": Role.TREATMENT,
    "biolink:MolecularMixture": Role.TREATMENT,
    "biolink:Procedure": Role.TREATMENT,
    "biolink:Treatment": Role.TREATMENT,
    "biolink:ClinicalIntervention": Role.TREATMENT,
    "biolink:Disease": Role.CONDITION,
    "biolink:PhenotypicFeature": Role.CONDITION,
    "biolink:DiseaseOrPhenotypicFeature": Role.CONDITION,
    "biolink:Gene": Role.GENE,
    "biolink:Protein": Role.GENE,
    "biolink:GeneFamily": Role.GENE,
}
_AND = "and|or|and/or|plus|as well as|including"
_WITH = "with|with or without|in combination with|combined with|added to|followed by"
# Up to two items that no vocabulary knows, none of them a verb or a preposition.
_UNKNOWN = (
    r"(?:, (?:(?!(?:and|or|but|which|who|that|with|in|of|by|to|for|is|are|was|were|has|had|have)\b)[\w\-]+ "
    r"?){1,3}"
    r"(?=,| and| or)){0,2}"
)
_LISTING = r"(?:-|{unknown}(?:,| ?-?,? (?:{words})|, (?:{words})) {modified}| ?[/+] ?|- (?:and|or) )"
_LIST = re.compile(_LISTING.format(unknown=_UNKNOWN, words=_AND, modified=MODIFIED))
_COMBINATION = re.compile(_LISTING.format(unknown=_UNKNOWN, words=f"{_AND}|{_WITH}", modified=MODIFIED))
_MAX_BETWEEN = 80
_OPENING, _CLOSING = frozenset("(["), frozenset(")]")


@dataclass(frozen=True, slots=True)
class MentionList:
    """Mentions of one role that a sentence lists together.

    Attributes:
        role: What they can be in a relation.
        members: The mentions in order.
        start: The first character of the noun phrase.
        end: One past its last.
    """

    role: Role
    members: tuple[Entity, ...]
    start: int
    end: int


def role_of(entity: Entity) -> Role | None:
    """Return what an entity can be in a claim, by its category."""
    return _ROLES.get(entity.category)


def mention_lists(text: str, entities: Sequence[Entity]) -> list[MentionList]:
    """Return the mentions of a sentence that can be in a claim, as they are listed.

    Args:
        text: The document's text.
        entities: The mentions in order.
    """
    lists: list[MentionList] = []
    for entity in entities:
        role = role_of(entity)
        if role is None or entity.start is None or entity.end is None:
            continue
        last = lists[-1] if lists else None
        if last and last.role is role and last.end <= entity.start:
            between = text[last.end : entity.start]
            if _is_aside(between, text, entity.end):
                members = last.members
                if entity.curie not in {one.curie for one in members}:
                    members = (*members, entity)
                lists[-1] = MentionList(role, members, last.start, entity.end + 1)
                continue
            listing = _COMBINATION if role is Role.TREATMENT else _LIST
            if len(between) <= _MAX_BETWEEN and listing.fullmatch(between.lower()):
                lists[-1] = MentionList(role, (*last.members, entity), last.start, entity.end)
                continue
        lists.append(MentionList(role, (entity,), entity.start, entity.end))
    return lists


def _is_aside(between: str, text: str, end: int) -> bool:
    """Whether a mention stands alone in brackets behind another one: its abbreviation or other name."""
    return between.strip() in _OPENING and text[end : end + 1] in _CLOSING
