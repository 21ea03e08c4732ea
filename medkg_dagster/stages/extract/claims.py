"""Claims that sentences state.

What is mined from text has the primary knowledge source `infores:medkg`: a name of this project's own, which
is not in the public catalogue of information resources.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from medkg_dagster.stage_api import Claim, Document, Entity
from medkg_dagster.stages.extract.claim_ids import claim_id
from medkg_dagster.stages.extract.relations import HEDGES, Relation, Role, relation_between
from medkg_dagster.stages.extract.sentences import Sentence, is_denied

TEXT_SOURCE = "infores:medkg"

MAX_GAP = 160
MAX_SENTENCE = 1500

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
_AND = r"and|or|and/or|plus|as well as|and with|and to|and by"
_WITH = r"with|with or without|in combination with|combined with|added to|followed by"
_LISTING = r"\s*(?:,|(?:,\s*)?(?:{words}))\s+(?:(?!in |not )[\w\-]+\s+){{0,2}}|\s*[/+]\s*"
_LIST = re.compile(_LISTING.format(words=_AND), re.IGNORECASE)
_COMBINATION = re.compile(_LISTING.format(words=f"{_AND}|{_WITH}"), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Group:
    """Mentions of one role that a sentence lists together."""

    role: Role
    members: tuple[Entity, ...]

    @property
    def start(self) -> int:
        return self.members[0].start or 0

    @property
    def end(self) -> int:
        return self.members[-1].end or 0


def role_of(entity: Entity) -> Role | None:
    """Return what an entity can be in a claim, by its category."""
    return _ROLES.get(entity.category)


@dataclass(frozen=True, slots=True)
class _Statement:
    """What is claimed, before it has its evidence."""

    subject: str
    predicate: str
    object: str
    negated: bool
    method: str


def sentence_claims(
    document: Document, place: Sentence, entities: Sequence[Entity], negation: bool
) -> Iterator[Claim]:
    """Yield what one sentence states about the concepts it mentions."""
    text = document.text[place.start : place.end]
    if len(text) > MAX_SENTENCE or HEDGES.search(text):
        return
    groups = _groups(document.text, entities)
    for left, right in pairwise(groups):
        words = document.text[left.end : right.start]
        if len(words) > MAX_GAP:
            continue
        relation = relation_between(left.role, words, right.role)
        if relation is None:
            continue
        negated = negation and is_denied(
            text,
            (left.start - place.start, left.end - place.start),
            (right.start - place.start, right.end - place.start),
        )
        for statement in _statements(relation, left, right, negated):
            yield _claim(document, statement, place)


def _statements(relation: Relation, left: _Group, right: _Group, negated: bool) -> Iterator[_Statement]:
    subjects, objects = (right, left) if relation.reverse else (left, right)
    for subject in subjects.members:
        for object_ in objects.members:
            if subject.curie != object_.curie:
                yield _Statement(subject.curie, relation.predicate, object_.curie, negated, relation.name)


def _groups(text: str, entities: Sequence[Entity]) -> list[_Group]:
    groups: list[_Group] = []
    for entity in entities:
        role = role_of(entity)
        if role is None:
            continue
        last = groups[-1] if groups else None
        listing = _COMBINATION if role is Role.TREATMENT else _LIST
        if last and last.role is role and listing.fullmatch(text[last.end : entity.start]):
            groups[-1] = _Group(role, (*last.members, entity))
        else:
            groups.append(_Group(role, (entity,)))
    return groups


def _claim(document: Document, statement: _Statement, place: Sentence) -> Claim:
    said = (statement.subject, statement.predicate, statement.object)
    return Claim(
        id=claim_id(document, *said, str(statement.negated).lower(), place.start, place.end),
        document_id=document.id,
        document_hash=document.content_hash,
        subject=statement.subject,
        predicate=statement.predicate,
        object=statement.object,
        negated=statement.negated,
        sentence=document.text[place.start : place.end],
        start=place.start,
        end=place.end,
        method=statement.method,
        primary_knowledge_source=TEXT_SOURCE,
        knowledge_level="not_provided",
        agent_type="text_mining_agent",
    )
