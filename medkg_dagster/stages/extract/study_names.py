"""What a study's own names mean: its interventions, its conditions, its adverse events.

A name is a concept only where all of it is understood. "Caudal epidural betamethasone injection" is
betamethasone, as what stands around it is route and form; "PD-1 inhibitor" is not PD-1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from medkg_dagster.domain.studies import StudyField, StudyIntervention
from medkg_dagster.stage_api import Entity
from medkg_dagster.stages.extract.intervention_words import AROUND
from medkg_dagster.stages.extract.mentions import Mention
from medkg_dagster.stages.extract.study_roles import is_dummy
from medkg_dagster.stages.extract.terms import KnownConcepts
from medkg_dagster.vocabulary.concepts import Concept

MEDICINES = frozenset(
    {"DRUG", "BIOLOGICAL", "COMBINATION_PRODUCT", "DIETARY_SUPPLEMENT", "GENETIC", "RADIATION"}
)
"""Types of interventions that can be a chemical or biological."""

_CHEMICALS = frozenset(
    {
        "biolink:ChemicalEntity",
        "biolink:Drug",
        "biolink:MolecularMixture",
        "biolink:Protein",
        "biolink:SmallMolecule",
    }
)
_CONDITIONS = frozenset(
    {"biolink:Disease", "biolink:DiseaseOrPhenotypicFeature", "biolink:PhenotypicFeature"}
)
_NOT_GIVEN = _CONDITIONS | {"biolink:Gene"}
_MAX_NAME = 300
"""A longer one is the name of nothing."""

_BRACKETS = re.compile(r"\(([^()]*)\)|\[([^\[\]]*)\]")
_CODE = re.compile(r"[A-Za-z][- ]?\d")
_LISTED = re.compile(r"\s+(?:and|or|and/or)\s+|\s*/\s*|[,;]\s*")
_JOINED = re.compile(r"\s+(?:and|plus|with)\s+|\s*[+/&,;]\s*")
_FROM = re.compile(
    r"\s+(?:secondary to|due to|caused by|resulting from|associated with|following|after|with)\s.*",
    re.IGNORECASE,
)
_LETTERS = re.compile(r"[^\W\d_]+")
_TURNING = re.compile(
    r"\b(?:placebos?|sham|vehicle|dummy|without|withdraw\w*|discontinu\w*|cessation|stop\w*|avoid\w*|no|non|not|"
    r"free|versus|vs|or|control|standard|conventional)\b",
    re.IGNORECASE,
)
_STAGE = (
    r"(?:stage (?:0|[1-4]|i{1,3}|iv)[abc]?[1-3]?|ajcc v\d+|(?:un|pre|heavily |previously )?treated|"
    r"(?:locally )?advanced|metastatic|metastasi[sz]ed|recurrent|refractory|relapsed|relapsing|unresectable|"
    r"resectable|resected|locali[sz]ed|early|late|newly diagnosed|active|symptomatic|persistent|progressive|"
    r"moderate to severe|mild to moderate|severe|moderate|mild|(?:un)?complicated|"
    r"(?:hospital|community|ventilator)[- ](?:acquired|associated)|in (?:adults|children))"
)
_STAGING = re.compile(rf"\b{_STAGE}(?:(?:,? (?:and|or) |, ?|/){_STAGE})*\b", re.IGNORECASE)
_COURSE = re.compile(
    r"\b(?:acute|chronic|degenerative|lumbar|cervical|thoracic|postoperative|adult|childhood|p(?:a)?ediatric)\b",
    re.IGNORECASE,
)
_UNSAID = re.compile(
    r"(?:(?:acute|chronic) )?(?:conditions?|diseases?|disorders?|illness|syndromes?|recurrence)", re.I
)


def is_no_intervention(entity: Entity) -> bool:
    """Say whether what an intervention's field seems to name cannot be one.

    "Sham" is no salicylhydroxamic acid, and "BAT", best available therapy, no gene.
    """
    return is_dummy(entity.surface) or entity.category in _NOT_GIVEN


class FindsMentions(Protocol):
    """What finds the names of concepts in text."""

    def find(self, text: str) -> Sequence[Mention]:
        """Return the mentions in a text, in order and without overlap."""


@dataclass(frozen=True, slots=True)
class Named:
    """A concept that a field names.

    Attributes:
        concept: The concept.
        surface: How it is written there.
        field: The field of an intervention that names it; None where it is of something else.
    """

    concept: Concept
    surface: str
    field: StudyField | None = None


class StudyNames:
    """Finds the concepts of a study's fields.

    Args:
        known: Concepts by name.
        matcher: What finds names in text.
    """

    def __init__(self, known: KnownConcepts, matcher: FindsMentions) -> None:
        self._known = known
        self._matcher = matcher

    def medicines(self, intervention: StudyIntervention) -> tuple[Named, ...]:
        """Return the chemicals that an intervention's name is, else the first that another name of it is."""
        if found := self._chemicals_of(intervention.name):
            return found
        others = () if _TURNING.search(intervention.name.text) else intervention.other_names
        named = (self._chemicals_of(other) for other in others if not _TURNING.search(other.text))
        return next(filter(None, named), ())

    def _chemicals_of(self, field: StudyField) -> tuple[Named, ...]:
        return tuple(replace(one, field=field) for one in self.chemicals(field.text))

    def conditions(self, name: str) -> tuple[Named, ...]:
        """Return the condition that a name is, or those that it lists, where it lists nothing else."""
        if found := self.condition(name):
            return (found,)
        parts = _LISTED.split(name) if len(name) <= _MAX_NAME else []
        named = [self.condition(part) for part in parts]
        return tuple(one for one in named if one is not None) if len(parts) > 1 and all(named) else ()

    def condition(self, name: str) -> Named | None:
        """Return the disease or phenotypic feature that a name is, without its stage and course."""
        for written in dict.fromkeys(_conditions(name)) if len(name) <= _MAX_NAME else ():
            concept = None if _UNSAID.fullmatch(written) else self._known.by_name(written)
            if concept is not None and concept.category in _CONDITIONS:
                return Named(concept, written)
        return None

    def beside_placebo(self, name: str) -> tuple[Named, ...]:
        """Return the chemicals that a name lists beside a placebo: "placebo + paclitaxel"."""
        parts = _JOINED.split(name) if len(name) <= _MAX_NAME else []
        return tuple(one for part in parts if not is_dummy(part) for one in self.chemicals(part))

    def chemicals(self, name: str) -> tuple[Named, ...]:
        """Return the chemicals that a name is; none where some of it is not understood."""
        if len(name) > _MAX_NAME:
            return ()
        outside = " ".join(_BRACKETS.sub(" ; ", name).split())
        if found := self._understood(outside):
            return found
        # What is in brackets explains a code or a brand: "MK-3475 (pembrolizumab)".
        unknown = [word for word in _LETTERS.findall(outside) if word.lower() not in AROUND]
        at_most = 2 if _CODE.search(outside) else 1
        if not 0 < len(unknown) <= at_most or _TURNING.search(outside):
            return ()
        inside = (match[1] or match[2] or "" for match in _BRACKETS.finditer(name))
        return next(filter(None, map(self._understood, inside)), ())

    def _understood(self, text: str) -> tuple[Named, ...]:
        """Return the chemicals in a text of which every other word is one that stands around them."""
        named: dict[str, Named] = {}
        rest, done = [], 0
        for mention in self._matcher.find(text):
            surface = text[mention.start : mention.end]
            if mention.concept.category in _CHEMICALS and not _is_around(surface):
                named.setdefault(mention.concept.curie, Named(mention.concept, surface))
                rest.append(text[done : mention.start])
                done = mention.end
        rest.append(text[done:])
        return tuple(named.values()) if named and _is_around(" ".join(rest)) else ()


def _is_around(text: str) -> bool:
    """Say whether a text has only words around names, signs, digits and single letters."""
    return all(len(word) == 1 or word.lower() in AROUND for word in _LETTERS.findall(text))


def _conditions(name: str) -> Iterator[str]:
    """Yield a condition as written, and with less and less said of its stage, course and site."""
    bare = " ".join(_BRACKETS.sub(" ", name).split())
    unstaged = _tidy(_STAGING.sub(" ", bare))
    yield from (name.strip(), bare)
    if _TURNING.search(unstaged):
        return
    # MedDRA, and some registrants, put last what is first elsewhere: "gastroenteritis viral".
    first, _, last = unstaged.rpartition(" ")
    # What it comes from or with says which one it is: it is one all the same.
    for written in (unstaged, f"{last} {first}".strip(), _FROM.sub("", unstaged)):
        yield written
        # One word alone would be too little of what it was: a thoracic tumour is not any tumour.
        if " " in (anywhere := _tidy(_COURSE.sub(" ", written))):
            yield anywhere


def _tidy(name: str) -> str:
    return " ".join(name.split()).strip(" ,;/")
