"""Claims of what a study found: adverse events and outcomes, with their numbers.

An adverse event is what some participants had while they were given something. That says nothing of its
cause, and is what `biolink:has_adverse_event` means. An outcome is what was measured in them:
`biolink:studied_to_treat`, with the values. Both are claimed of what the participants of a group were given,
and of nothing that all groups were given alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from medkg_dagster.domain.studies import (
    EventCount,
    OutcomeAnalysis,
    OutcomeValue,
    Study,
    StudyEvent,
    StudyOutcome,
)
from medkg_dagster.stages.extract.study_roles import InterventionRole, is_dummy
from medkg_dagster.vocabulary.names import fold

Numbers = dict[str, str | int | float]

_MAX_ARMS = 200
"""Of more arms only those are found whose label a group has word for word."""
_MAX_BESIDE = 10
"""So many of the other interventions of an arm are told."""
_BETWEEN = re.compile(r"[,:;()\[\]]")
_MAX_DIGITS = 30
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
# How the registry's own types of estimates begin, and what the Biolink Model calls them.
_EFFECTS = (
    ("hazard ratio", "hazard_ratio"),
    ("odds ratio", "odds_ratio"),
    ("risk ratio", "relative_risk"),
    ("relative risk", "relative_risk"),
)


class GroupArms:
    """Which arm a group of a study's results is.

    Args:
        study: The study.
    """

    def __init__(self, study: Study) -> None:
        self._labels = [_words(arm.label) for arm in study.arms]
        self._exact: dict[str, list[int]] = {}
        for place, label in enumerate(self._labels):
            self._exact.setdefault(label, []).append(place)
        self._known: dict[str, int | None] = {}

    def arm(self, title: str) -> int | None:
        """Return the place of the arm that a group's title names; None where it names none or several."""
        if title not in self._known:
            place = self._find(_words(title))
            is_another = place is not None and is_dummy(title) and not is_dummy(self._labels[place])
            self._known[title] = None if is_another else place
        return self._known[title]

    def _find(self, title: str) -> int | None:
        if len(self._labels) == 1:
            return 0
        found = self._exact.get(title, [])
        if not found and title.strip() and len(self._labels) <= _MAX_ARMS:
            named = [place for place, label in enumerate(self._labels) if label.strip() and label in title]
            longest = max((self._labels[place] for place in named), key=len, default="")
            # "A plus B" names the arms "A" and "A plus B", and means the second.
            if all(self._labels[place] in longest for place in named):
                found = [place for place in named if self._labels[place] == longest]
            found = found or [
                place for place, label in enumerate(self._labels) if not named and title in label
            ]
        return found[0] if len(found) == 1 else None


def _words(name: str) -> str:
    """Return the words of a name between spaces, so that one holds another where it has its words."""
    return f" {' '.join(_BETWEEN.sub(' ', fold(name)).split())} "


@dataclass(frozen=True, slots=True)
class Given:
    """A chemical that participants were given.

    Attributes:
        curie: The concept.
        intervention: The place of the intervention.
        role: The intervention's role.
        type: The intervention's type.
        beside: What else the same participants were given; empty where nothing is listed.
    """

    curie: str
    intervention: int
    role: InterventionRole
    type: str
    beside: str = ""

    def qualified(self, numbers: Numbers) -> Numbers:
        """Return the qualifiers of a claim: numbers, and as what it was given."""
        return _stated(
            numbers, intervention_role=self.role.value, intervention_type=self.type, given_with=self.beside
        )


def event_numbers(study: Study, event: StudyEvent, count: EventCount) -> Numbers:
    """Return how many had an adverse event, as slots of the Biolink Model where there are some."""
    numbers: Numbers = {"has_count": count.affected}
    if count.at_risk and count.at_risk >= count.affected:
        numbers["has_total"] = count.at_risk
        numbers["has_percentage"] = round(100 * count.affected / count.at_risk, 2)
    if count.events is not None:
        numbers["events"] = count.events
    numbers["seriousness"] = "serious" if event.is_serious else "other"
    return _stated(numbers, study_group=study.event_groups[count.group], time_frame=study.events_time_frame)


def value_numbers(outcome: StudyOutcome, measured: OutcomeValue) -> Numbers:
    """Return what was measured in a group."""
    return _stated(
        _measure(outcome),
        study_group=outcome.groups[measured.group],
        outcome_row=measured.row,
        outcome_value=number(measured.value),
        outcome_parameter=outcome.parameter,
        outcome_unit=outcome.unit,
        outcome_dispersion=outcome.dispersion if measured.spread or measured.lower else "",
        outcome_spread=number(measured.spread),
        lower_limit=number(measured.lower),
        upper_limit=number(measured.upper),
    )


def analysis_numbers(outcome: StudyOutcome, analysis: OutcomeAnalysis) -> Numbers:
    """Return what a comparison of groups came to."""
    p_value, estimate = number(analysis.p_value.lstrip("= ")), number(analysis.estimate)
    stated = analysis.estimate_type.lower()
    effect = next((code for words, code in _EFFECTS if stated.startswith(words)), "")
    is_effect = (
        effect != "" and isinstance(estimate, int | float) and "log" not in analysis.estimate_type.lower()
    )
    is_exact = isinstance(p_value, int | float)
    return _stated(
        _measure(outcome),
        study_groups="; ".join(outcome.groups[group] for group in analysis.groups),
        statistical_method=analysis.method,
        p_value=p_value if is_exact else "",
        p_value_stated="" if is_exact else analysis.p_value,
        effect_type=effect if is_effect else "",
        effect_size=estimate if is_effect else "",
        estimate_type=analysis.estimate_type if estimate != "" and not is_effect else "",
        estimate=estimate if not is_effect else "",
        confidence_level=number(analysis.level),
        lower_limit=number(analysis.lower),
        upper_limit=number(analysis.upper),
    )


def _measure(outcome: StudyOutcome) -> Numbers:
    return _stated(
        {},
        outcome_measure=outcome.title.text,
        outcome_type=(outcome.type or "").lower(),
        time_frame=outcome.time_frame,
    )


def _stated(numbers: Mapping[str, str | int | float], **more: str | int | float) -> Numbers:
    """Return numbers and what else is stated; what is not is left out."""
    return {**numbers, **{slot: value for slot, value in more.items() if value != ""}}


def number(stated: str) -> str | int | float:
    """Return a value as stated as a number, where it is written as one; else the words."""
    text = stated.strip()
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    if len(text) > _MAX_DIGITS or not _NUMBER.fullmatch(text):
        return stated.strip()
    return float(text) if not text.lstrip("+-").isdecimal() else int(text)


def given_by_arm(study: Study, medicines: Sequence[Sequence[Given]]) -> list[list[Given]]:
    """Return by arm the chemicals that its participants were given.

    Args:
        study: The study.
        medicines: By intervention the chemicals that it is.
    """
    return [list(_given(study, arm.interventions, medicines)) for arm in study.arms]


def _given(
    study: Study, interventions: Sequence[int], medicines: Sequence[Sequence[Given]]
) -> Iterator[Given]:
    names = [study.interventions[place].name.text for place in interventions[: _MAX_BESIDE + 1]]
    done: set[str] = set()
    for number, place in enumerate(interventions):
        for one in medicines[place]:
            if one.curie not in done:
                done.add(one.curie)
                beside = (name for other, name in enumerate(names) if other != number)
                yield replace(one, beside="; ".join(islice(beside, _MAX_BESIDE)))
