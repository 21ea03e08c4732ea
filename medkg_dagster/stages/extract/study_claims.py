"""Claims of registered studies: what a record's own fields assert."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import ahocorasick_rs

from medkg_dagster.stage_api import Claim, Document, Entity
from medkg_dagster.stages.extract.claim_ids import claim_id
from medkg_dagster.stages.extract.sentences import Sentence
from medkg_dagster.vocabulary.names import fold

STUDIES_SOURCE = "infores:clinicaltrials"
TESTED = "biolink:in_clinical_trials_for"

SUMMARY_TITLE = "Conditions and interventions"

_PLACEBO = "MESH:D010919"
_WORD = re.compile(r"\w")


def study_claims(
    document: Document,
    interventions: Sequence[Entity],
    conditions: Sequence[Entity],
    sentences: Sequence[Sentence],
) -> Iterator[Claim]:
    """Yield that a study tests each of its interventions in each of its conditions.

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
                yield _claim(document, *pair, evidence)


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


def _claim(document: Document, subject: str, object_: str, place: Sentence) -> Claim:
    return Claim(
        id=claim_id(document, subject, TESTED, object_, "false", place.start, place.end),
        document_id=document.id,
        document_hash=document.content_hash,
        subject=subject,
        predicate=TESTED,
        object=object_,
        sentence=document.text[place.start : place.end],
        start=place.start,
        end=place.end,
        method="trial_record",
        primary_knowledge_source=STUDIES_SOURCE,
        knowledge_level="knowledge_assertion",
        agent_type="manual_agent",
    )
