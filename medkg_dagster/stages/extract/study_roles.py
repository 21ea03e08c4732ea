"""Which part an intervention plays in a study: whether it is what the study tests.

Arms say most of it. What they leave open, names and descriptions say in set phrases ("as background therapy",
"active comparator"); a registrant who calls the arm of the comparator experimental often says so there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum

from medkg_dagster.domain.studies import Study, StudyArm, StudyIntervention


class InterventionRole(StrEnum):
    """The part of an intervention in a study.

    `COMPARED` is what a study without an experimental arm compares, `UNSTATED` what one without arms lists,
    `UNASSIGNED` what no arm gets where there are arms.
    """

    EXPERIMENTAL = "experimental"
    COMPARED = "compared"
    UNSTATED = "unstated"
    COMPARATOR = "comparator"
    BACKGROUND = "background"
    PLACEBO = "placebo"
    UNASSIGNED = "unassigned"


TESTED = frozenset({InterventionRole.EXPERIMENTAL, InterventionRole.COMPARED, InterventionRole.UNSTATED})
"""What a study with such an intervention tests."""

_EXPERIMENTAL = "EXPERIMENTAL"
_CONTROLS = frozenset({"ACTIVE_COMPARATOR", "PLACEBO_COMPARATOR", "SHAM_COMPARATOR", "NO_INTERVENTION"})
_INERT = frozenset({"PLACEBO_COMPARATOR", "SHAM_COMPARATOR", "NO_INTERVENTION"})

_DUMMY = re.compile(
    r"\b(?:placebos?|sham|dummy|vehicle|mock|inert|sugar pills?|(?:normal|physiological|isotonic) saline)\b",
    re.IGNORECASE,
)
_BEGINS_AS_DUMMY = re.compile(r"\W*(?:match(?:ing|ed) )?(?:placebo|sham|vehicle)\b", re.IGNORECASE)
_CONTROL = r"(?:active |positive )?(?:comparator|control|reference)\b"
_ARM_OF_CONTROL = re.compile(rf"\W*(?:{_CONTROL}|(?:placebo|sham)\b)", re.IGNORECASE)
_CONTROL_NAME = re.compile(
    r"\b(?:comparator|active control|control (?:group|arm)|reference (?:product|drug|formulation))\b",
    re.IGNORECASE,
)
_CONTROL_TEXT = re.compile(
    rf"\W*{_CONTROL}|.*?\b(?:as|is) (?:an? |the )?{_CONTROL}", re.IGNORECASE | re.DOTALL
)
_BESIDE = (
    r"(?:background|rescue|pre-?medication|backbone|concomitant|standard[- ]of[- ]care|"
    r"(?:standard|usual) care)\b"
)
_BACKGROUND_NAME = re.compile(
    rf"\b(?:{_BESIDE}|(?:standard|conventional|best available|best supportive) (?:\w+ )?"
    r"(?:therapy|treatment|care|medicines?)\b)",
    re.IGNORECASE,
)
_BACKGROUND_TEXT = re.compile(
    rf"\W*{_BESIDE}|.*?\b(?:as|is|are) (?:an? |the )?{_BESIDE}", re.IGNORECASE | re.DOTALL
)
_AFTER_BACKGROUND = re.compile(r"\bbackground\b.{0,60}", re.IGNORECASE | re.DOTALL)
_MAX_GIVEN = 2000
"""Of more in all arms together it is not looked for what is compared with itself."""
_READ = 2000
"""So many characters of a description are read."""


def roles(study: Study) -> tuple[InterventionRole, ...]:
    """Return the role of each intervention of a study, in their order."""
    if not study.arms:
        return tuple(_said_of(one) or InterventionRole.UNSTATED for one in study.interventions)
    arms = _Arms(study)
    return tuple(arms.role(number, one) for number, one in enumerate(study.interventions))


def backbones(study: Study, given: Sequence[frozenset[str]]) -> set[str]:
    """Return what experimental arms get together with something else and arms of control get without it.

    Two doses of one medicine are compared with each other; a medicine that is compared with the same and
    another one is not what is tested.

    Args:
        study: The study.
        given: By intervention what it is, in the same words for the same thing; nothing for a placebo.
    """
    arms = [(arm_type(arm), frozenset().union(*(given[n] for n in arm.interventions))) for arm in study.arms]
    is_large = sum(len(items) for _, items in arms) > _MAX_GIVEN
    beside: dict[str, set[str]] = {}
    for kind, items in arms:
        for one in items if kind in _CONTROLS else ():
            beside.setdefault(one, set()).update(() if is_large else items)
    alone = {
        one
        for kind, items in arms
        if kind == _EXPERIMENTAL and not is_large
        for one in items & beside.keys()
        if items <= beside[one]
    }
    return beside.keys() - alone


def is_dummy(name: str) -> bool:
    """Say whether what is named so has no effect of its own: placebo, sham, vehicle."""
    return _DUMMY.search(name) is not None


def _said_of(intervention: StudyIntervention) -> InterventionRole | None:
    """Return the role that an intervention's own name and description give it."""
    name, text = intervention.name.text, intervention.description[:_READ]
    if is_dummy(name) or _BEGINS_AS_DUMMY.match(text):
        return InterventionRole.PLACEBO
    if _BACKGROUND_NAME.search(name) or _BACKGROUND_TEXT.match(text):
        return InterventionRole.BACKGROUND
    if _CONTROL_NAME.search(name) or _CONTROL_TEXT.match(text):
        return InterventionRole.COMPARATOR
    return None


def arm_type(arm: StudyArm) -> str | None:
    """Return an arm's type; one that calls itself a control is one, whatever its type."""
    is_control = _ARM_OF_CONTROL.match(arm.label) or _ARM_OF_CONTROL.match(arm.description)
    return "ACTIVE_COMPARATOR" if arm.type == _EXPERIMENTAL and is_control else arm.type


class _Arms:
    """Who gets what in a study."""

    def __init__(self, study: Study) -> None:
        self._types = [arm_type(arm) for arm in study.arms]
        self._has_experimental = _EXPERIMENTAL in self._types
        self._of: list[list[int]] = [[] for _ in study.interventions]
        for place, arm in enumerate(study.arms):
            for number in arm.interventions:
                self._of[number].append(place)
        active = {
            number
            for number, one in enumerate(study.interventions)
            if self._of[number] and not is_dummy(one.name.text)
        }
        everywhere = {number for number in active if len(self._of[number]) == len(study.arms) > 1}
        self._constant = self._find_constant(study.arms, everywhere, active - everywhere)
        self._background = set(_named_as_background(study))

    def _find_constant(self, arms: Sequence[StudyArm], everywhere: set[int], others: set[int]) -> set[int]:
        """Return what every arm gets beside what the arms differ in."""
        has_control = not _CONTROLS.isdisjoint(self._types)
        never_alone = all(not others.isdisjoint(arm.interventions) for arm in arms)
        return everywhere if others and (has_control or never_alone) else set()

    def role(self, number: int, intervention: StudyIntervention) -> InterventionRole:
        """Return the role of an intervention."""
        said = _said_of(intervention)
        if said in {InterventionRole.PLACEBO, InterventionRole.BACKGROUND}:
            return said
        types = [self._types[place] for place in self._of[number]]
        if not types:
            return said or InterventionRole.UNASSIGNED
        if number in self._constant or number in self._background:
            return InterventionRole.BACKGROUND
        return said or self._role_in(types)

    def _role_in(self, types: Sequence[str | None]) -> InterventionRole:
        """Return the role of what arms of these types get, and not all arms alike."""
        if _INERT.issuperset(types):
            return InterventionRole.COMPARATOR
        if not self._has_experimental:
            return InterventionRole.COMPARED
        is_everywhere = len(types) == len(self._types)
        is_control = not _CONTROLS.isdisjoint(types)
        tested = _EXPERIMENTAL in types and (is_everywhere or not is_control)
        return InterventionRole.EXPERIMENTAL if tested else InterventionRole.COMPARATOR


def _named_as_background(study: Study) -> Iterator[int]:
    """Yield the interventions that an arm's description names as background."""
    for arm in study.arms:
        said = " ".join(_AFTER_BACKGROUND.findall(arm.description[:_READ])).casefold()
        for number in arm.interventions if said else ():
            name = study.interventions[number].name.text.casefold()
            if name and name in said:
                yield number
