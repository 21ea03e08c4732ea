"""What a model claims, held against the text: a claim is kept only where quote, names and categories hold."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from medkg_dagster.domain.biolink import categories, fits
from medkg_dagster.domain.knowledge import Certainty
from medkg_dagster.stage_api import Document, Entity
from medkg_dagster.stages.extract.relation_types import (
    ADVERSE_EVENT,
    AFFECTS,
    ASSOCIATED,
    CAUSES,
    CONTRAINDICATED,
    CONTRIBUTES,
    DIRECTION,
    INTERACTS,
    PREVENTS,
    TREATS,
)

_CHEMICAL = frozenset({"biolink:ChemicalEntity", "biolink:Treatment", "biolink:Procedure"})
_CONDITION = frozenset({"biolink:DiseaseOrPhenotypicFeature"})
_GENE = frozenset({"biolink:Gene", "biolink:GeneFamily", "biolink:Protein"})


@dataclass(frozen=True, slots=True)
class Relates:
    """What a word of the model's states.

    Attributes:
        predicate: Biolink predicate.
        subjects: What the subject has to be one of.
        objects: What the object has to be one of.
        qualifiers: What narrows the statement, by slot of the Biolink Model.
    """

    predicate: str
    subjects: frozenset[str]
    objects: frozenset[str]
    qualifiers: Mapping[str, str] = field(default_factory=dict)


PREDICATES: Mapping[str, Relates] = {
    "treats": Relates(TREATS, _CHEMICAL, _CONDITION),
    "prevents": Relates(PREVENTS, _CHEMICAL, _CONDITION),
    "causes": Relates(CAUSES, _CHEMICAL | _CONDITION | _GENE, _CONDITION),
    "contributes_to": Relates(CONTRIBUTES, _CHEMICAL | _CONDITION | _GENE, _CONDITION),
    "has_adverse_event": Relates(ADVERSE_EVENT, _CHEMICAL, _CONDITION),
    "contraindicated_in": Relates(CONTRAINDICATED, _CHEMICAL, _CONDITION),
    "increases": Relates(AFFECTS, _CHEMICAL, _GENE, {DIRECTION: "increased"}),
    "decreases": Relates(AFFECTS, _CHEMICAL, _GENE, {DIRECTION: "decreased"}),
    "interacts_with": Relates(INTERACTS, _CHEMICAL, _CHEMICAL),
    "associated_with": Relates(ASSOCIATED, _CHEMICAL | _CONDITION | _GENE, _CONDITION | _GENE),
}
"""What a model may claim, by the word that it uses."""

UNDIRECTED = "affects"
"""What a model says where a text does not tell in which direction; that is not worth a claim, but counted."""

_LONGEST_QUOTE = 1500
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"\w")


class Reason(StrEnum):
    """Why a claim of a model is not kept."""

    MALFORMED = "malformed"
    PREDICATE_UNKNOWN = "predicate unknown"
    DIRECTION_UNSTATED = "direction unstated"
    QUOTE_ABSENT = "quote absent"
    QUOTE_ALTERED = "quote altered"
    QUOTE_TOO_LONG = "quote too long"
    END_NOT_IN_QUOTE = "end not in quote"
    END_UNKNOWN = "end unknown"
    ENDS_SAME = "ends same"
    ENDS_UNFIT = "ends unfit"
    REPEATED = "repeated"


class Proposed(BaseModel):
    """A claim as the schema of the answer has it; nothing is converted, nothing may be added."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    quote: str
    subject: str
    predicate: str
    object: str
    negated: bool
    certainty: Certainty
    background: bool


@dataclass(frozen=True, slots=True)
class Borne:
    """A claim that the text bears out.

    Attributes:
        proposed: What the model claimed.
        relates: What it states of subject and object.
        subject: The mention that is the subject.
        object: The mention that is the object.
        start: First character of the quote in the document's text.
        end: One past the last.
    """

    proposed: Proposed
    relates: Relates
    subject: Entity
    object: Entity
    start: int
    end: int


Ground = Callable[[str, int, int], Entity | None]
"""Given a surface with its place, returns the concept that is meant."""


def bear_out(document: Document, start: int, end: int, proposed: Proposed, ground: Ground) -> Borne | Reason:
    """Return what a claim rests on, or why it is not kept.

    Args:
        document: The document.
        start: First character of the passage that the model was given.
        end: One past the last.
        proposed: The claim.
        ground: Finds the concept of an end.
    """
    place = _quoted_at(document.text, start, end, proposed.quote)
    if isinstance(place, Reason):
        return place
    if proposed.predicate == UNDIRECTED:
        return Reason.DIRECTION_UNSTATED
    if proposed.predicate not in PREDICATES:
        return Reason.PREDICATE_UNKNOWN
    stop = place + len(proposed.quote)
    subject = _mention(document.text, place, stop, proposed.subject, ground)
    object_ = _mention(document.text, place, stop, proposed.object, ground)
    if isinstance(subject, Reason):
        return subject
    if isinstance(object_, Reason):
        return object_
    relates = PREDICATES[proposed.predicate]
    return _unrelated(relates, subject, object_) or Borne(proposed, relates, subject, object_, place, stop)


def _quoted_at(text: str, start: int, end: int, quote: str) -> int | Reason:
    """Return where a quote stands between two places of a text, character by character."""
    if len(quote) > _LONGEST_QUOTE:
        return Reason.QUOTE_TOO_LONG
    place = text.find(quote, start, end) if quote.strip() else -1
    if place >= 0:
        return place
    loose = _loose(quote)
    return Reason.QUOTE_ALTERED if loose and loose in _loose(text[start:end]) else Reason.QUOTE_ABSENT


def _mention(text: str, start: int, end: int, surface: str, ground: Ground) -> Entity | Reason:
    """Return what a name that stands between two places means."""
    found = _words(surface, text, start, end)
    if not found:
        return Reason.END_NOT_IN_QUOTE
    return next(filter(None, (ground(surface, *span) for span in found)), None) or Reason.END_UNKNOWN


def _unrelated(relates: Relates, subject: Entity, object_: Entity) -> Reason | None:
    """Return why two things cannot be the ends of a claim; None where they can."""
    if subject.curie == object_.curie:
        return Reason.ENDS_SAME
    are = categories(subject.category), categories(object_.category)
    wanted = relates.subjects, relates.objects
    are_fit = all(not kinds.isdisjoint(one) for one, kinds in zip(are, wanted, strict=True))
    return None if are_fit and fits(relates.predicate, *are) else Reason.ENDS_UNFIT


def _words(surface: str, text: str, start: int, end: int) -> Sequence[tuple[int, int]]:
    """Return where a name stands as whole words, from one place to another."""
    found: list[tuple[int, int]] = []
    place = text.find(surface, start, end) if surface.strip() else -1
    while place >= 0:
        after = place + len(surface)
        if not (_WORD.match(text, place - 1) if place else None) and not _WORD.match(text, after):
            found.append((place, after))
        place = text.find(surface, after, end)
    return found


def _loose(text: str) -> str:
    """Return a text without what an inexact copy gets wrong: case, white space, ligatures."""
    return _SPACE.sub("", unicodedata.normalize("NFKC", text)).casefold()
