"""Mentions that a sentence lists together: "colitis, severe hepatitis and thyroiditis"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from medkg_dagster.stage_api import Entity
from medkg_dagster.stages.extract.phrases import MAX_GAP, MODIFIED, NOUN, plain
from medkg_dagster.stages.extract.relation_types import Role
from medkg_dagster.stages.extract.specific import ORGANISM

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
    ORGANISM: Role.ORGANISM,
}
_AND = "and|or|and/or|plus|as well as|including|such as|like|especially|particularly|e\\.g\\.,?|i\\.e\\.,?"
_WITH = "with|with or without|in combination with|combined with|added to|followed by"
# Up to two items that no vocabulary knows, none of them a verb or a preposition.
_UNKNOWN = (
    r"(?:, (?:(?!(?:and|or|but|which|who|that|with|in|of|by|to|for|is|are|was|were|has|had|have)\b)[\w\-]+ "
    r"?){1,3}"
    r"(?=,| and| or)){0,2}"
)
_LISTING = r"(?:-|{unknown}(?:,| ?-?,? (?:{words})|, (?:{words})) {modified}| ?[/+] ?|- (?:and|or) )"
_LIST = re.compile(_LISTING.format(unknown=_UNKNOWN, words=_AND, modified=f"{MODIFIED}(?:{NOUN})?"))
_COMBINATION = re.compile(_LISTING.format(unknown=_UNKNOWN, words=f"{_AND}|{_WITH}", modified=MODIFIED))
_OPENING, _CLOSING = frozenset("(["), frozenset(")]")
# "A (P = 0.01), B": a number of A ends what is said of it.
_COMPARED = re.compile(r"[=<>]")
# "IL-8, a cytokine": what it is, and no other one beside it; "fever, a rash" are two.
_CLASSES = (", a ", ", an ")
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
# "Signs of malaria such as fever": what follows is no kind of malaria.
_EXAMPLE = re.compile(r"\b(?:such as|like|including|especially|particularly|[ei]\.g?\.?e?\.?)")
_OF_ANOTHER = re.compile(r"\b(?:of|in|with|for|by|to|from) (?:[\w\-]+ ){0,3}$")


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
            if (
                len(between) <= MAX_GAP
                and not _COMPARED.search(between)
                and (role is Role.CONDITION or not between.startswith(_CLASSES))
                and listing.fullmatch(plain(between))
                and not (
                    _EXAMPLE.search(between)
                    and _OF_ANOTHER.search(text[max(0, last.start - 40) : last.start])
                )
            ):
                lists[-1] = MentionList(role, (*last.members, entity), last.start, entity.end)
                continue
        lists.append(MentionList(role, (entity,), entity.start, entity.end))
    return lists


def apart(text: str, start: int, end: int, entities: Sequence[Entity]) -> Iterator[Sequence[Entity]]:
    """Yield the mentions of a sentence outside of brackets, and then those inside each pair of them.

    What stands alone in brackets is another name of what stands before them.

    Args:
        text: The document's text.
        start: The first character of the sentence.
        end: One past its last.
        entities: The mentions in order.
    """
    insides = [(place.start() + 1, place.end() - 1) for place in _BRACKETS.finditer(text, start, end)]
    within: dict[int, list[Entity]] = {}
    outside: list[Entity] = []
    for entity in entities:
        first, last = entity.start or 0, entity.end or 0
        number = next(
            (n for n, (a, b) in enumerate(insides) if a <= first and last <= b and (a, b) != (first, last)),
            None,
        )
        (outside if number is None else within.setdefault(number, [])).append(entity)
    yield outside
    yield from within.values()


def _is_aside(between: str, text: str, end: int) -> bool:
    """Whether a mention stands alone in brackets behind another one: its abbreviation or other name."""
    return between.strip() in _OPENING and text[end : end + 1] in _CLOSING
