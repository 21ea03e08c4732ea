"""Claims: what a trial record asserts, and what sentences state.

`Claim.id` is the first 32 hexadecimal digits of the SHA-256 over document id, content hash, subject,
predicate, object, negation (`true` or `false`) and the sentence's offsets, each followed by a NUL: the same
statement of the same text has the same id in every run.

What is mined from text has the primary knowledge source `infores:medkg`: a name of this project's own, which
is not in the public catalogue of information resources.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import ahocorasick_rs

from medkg_dagster.stage_api import Claim, Document, Entity
from medkg_dagster.stages.extract.relations import HEDGES, Relation, Role, relation_between
from medkg_dagster.stages.extract.sentences import Sentence, is_denied
from medkg_dagster.vocabulary.names import fold

TEXT_SOURCE = "infores:medkg"
TRIALS_SOURCE = "infores:clinicaltrials"

TESTED = "biolink:in_clinical_trials_for"

SUMMARY_TITLE = "Conditions and interventions"

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
_PLACEBO = "MESH:D010919"
_WORD = re.compile(r"\w")
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
    source: str


def trial_claims(
    document: Document,
    interventions: Sequence[Entity],
    conditions: Sequence[Entity],
    sentences: Sequence[Sentence],
) -> Iterator[Claim]:
    """Yield that a trial tests each of its interventions in each of its conditions.

    Yields:
        One claim a pair, with the sentence that names both, else the record's own sentence on all its
        conditions and interventions; a pair with neither is left out.
    """
    named = _naming(document, sentences, (*interventions, *conditions))
    summary = _summary(document)
    done: set[tuple[str, str]] = set()
    for intervention in interventions:
        for condition in conditions:
            pair = (intervention.curie, condition.curie)
            if intervention.curie in {_PLACEBO, condition.curie} or pair in done:
                continue
            both = named[intervention.surface] & named[condition.surface]
            evidence = sentences[min(both)] if both else summary
            if evidence:
                done.add(pair)
                statement = _Statement(pair[0], TESTED, pair[1], False, "trial_record", TRIALS_SOURCE)
                yield _claim(document, statement, evidence)


def _summary(document: Document) -> Sentence | None:
    """Return the sentence that the parser composes of a record's interventions and conditions."""
    for section in document.sections:
        if section.title == SUMMARY_TITLE and section.blocks:
            return Sentence(section.blocks[0].start, section.blocks[0].end, section.title)
    return None


def _naming(
    document: Document, sentences: Sequence[Sentence], entities: Iterable[Entity]
) -> dict[str, set[int]]:
    """Return by surface the numbers of the sentences that hold an entity's surface or name as words."""
    found: dict[str, set[int]] = {}
    surfaces: dict[str, dict[str, None]] = {}
    for entity in entities:
        found[entity.surface] = set()
        for name in filter(None, map(fold, (entity.surface, entity.name))):
            surfaces.setdefault(name, {})[entity.surface] = None
    names = list(surfaces)
    automaton = ahocorasick_rs.AhoCorasick(names, matchkind=ahocorasick_rs.MatchKind.Standard)
    for number, place in enumerate(sentences if names else ()):
        text = fold(document.text[place.start : place.end])
        for which, start, end in automaton.find_matches_as_indexes(text, overlapping=True):
            if not (start and _WORD.match(text, start - 1)) and not _WORD.match(text, end):
                for surface in surfaces[names[which]]:
                    found[surface].add(number)
    return found


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
                yield _Statement(
                    subject.curie, relation.predicate, object_.curie, negated, relation.name, TEXT_SOURCE
                )


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
    asserted = statement.source == TRIALS_SOURCE
    return Claim(
        id=_claim_id(document, statement, place),
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
        primary_knowledge_source=statement.source,
        knowledge_level="knowledge_assertion" if asserted else "not_provided",
        agent_type="manual_agent" if asserted else "text_mining_agent",
    )


def _claim_id(document: Document, statement: _Statement, place: Sentence) -> str:
    parts = (
        document.id,
        document.content_hash,
        statement.subject,
        statement.predicate,
        statement.object,
        str(statement.negated).lower(),
        str(place.start),
        str(place.end),
    )
    return hashlib.sha256("".join(f"{part}\x00" for part in parts).encode()).hexdigest()[:32]
