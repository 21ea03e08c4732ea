"""Several registrations of one name: configuration decides, and the order never does."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import pytest

from medkg_dagster.errors import Problem
from medkg_dagster.plugins import OWN_DISTRIBUTION, Origin, PluginPolicy, Replacement
from medkg_dagster.plugins.events import Outcome, PluginEvent
from medkg_dagster.registry import STAGE_TYPES, StageRegistry
from medkg_dagster.registry._collisions import Settlement, settle
from medkg_dagster_tests.registry.given import GivenEntryPoints
from medkg_dagster_tests.registry.stage_types import registration

OWN = Origin("ocr", "medkg_dagster.stages.ocr:register", OWN_DISTRIBUTION, "0.1.0")
LAB = Origin("ocr", "lab:register", "lab-ocr", "1.0")
LAB_TWO = Origin("ocr-two", "lab:register_two", "lab-ocr", "1.0")
OTHER = Origin("ocr", "other:register", "other-ocr", "2.0")


def settled(offered: Sequence[Origin], chosen: Replacement | None = None) -> Settlement:
    return settle(STAGE_TYPES, "ocr", offered, chosen)


def choice(distribution: str) -> Replacement:
    return Replacement("stages", "ocr", distribution, "plugins.yaml:7")


def outcomes(settlement: Settlement) -> dict[Origin, Outcome]:
    return {event.origin: event.outcome for event in settlement.events}


def test_one_registration_is_taken() -> None:
    settlement = settled([LAB])

    assert settlement.taken == LAB
    assert settlement.problems == ()
    assert settlement.events == (PluginEvent(LAB, Outcome.REGISTERED, "ocr"),)


@pytest.mark.parametrize("order", list(itertools.permutations([OWN, LAB, OTHER])))
def test_the_built_in_is_kept_and_every_other_is_told_how_to_take_its_place(
    order: tuple[Origin, ...],
) -> None:
    settlement = settled(order)

    assert settlement.taken == OWN
    problems = {problem.subject: problem for problem in settlement.problems}
    assert set(problems) == {str(LAB), str(OTHER)}
    assert f"registered already by {OWN}; the built-in is kept" in problems[str(LAB)].message
    assert "`replaces: {stages: {ocr: lab-ocr}}` in config/plugins.yaml" in str(problems[str(LAB)].hint)
    assert outcomes(settlement) == {
        OWN: Outcome.REGISTERED,
        LAB: Outcome.REJECTED,
        OTHER: Outcome.REJECTED,
    }


@pytest.mark.parametrize("order", list(itertools.permutations([LAB, OTHER])))
def test_of_two_plugins_none_is_used_and_each_is_told_of_the_other(order: tuple[Origin, ...]) -> None:
    settlement = settled(order)

    assert settlement.taken is None
    for problem, other in zip(settlement.problems, reversed(order), strict=True):
        assert f"is registered by {other} too; none of them is used" in problem.message
    assert set(outcomes(settlement).values()) == {Outcome.REJECTED}


@pytest.mark.parametrize("order", list(itertools.permutations([OWN, LAB, OTHER])))
def test_the_one_that_is_chosen_takes_the_place_of_all_others(order: tuple[Origin, ...]) -> None:
    settlement = settled(order, choice("Lab.OCR"))

    assert settlement.taken == LAB
    assert settlement.problems == ()
    assert outcomes(settlement) == {
        OWN: Outcome.REPLACED,
        LAB: Outcome.REGISTERED,
        OTHER: Outcome.REPLACED,
    }
    assert {event.configured_by for event in settlement.events} == {"plugins.yaml:7"}


def test_a_distribution_that_offers_two_cannot_be_chosen() -> None:
    settlement = settled([LAB, LAB_TWO], choice("lab-ocr"))

    assert settlement.taken is None
    assert len(settlement.problems) == 2


def test_a_choice_of_somebody_who_is_not_there_changes_nothing() -> None:
    assert settled([OWN, LAB], choice("gone")).taken == OWN


def test_of_one_entry_point_the_first_registration_counts_and_the_rest_is_one_problem() -> None:
    first = dataclasses.replace(LAB)

    settlement = settled([first, LAB, LAB])

    assert settlement.taken is first
    (problem,) = settlement.problems
    assert "registered already by the same entry point (2 times too often)" in problem.message


def registry(*origins: Origin, replaces: tuple[Replacement, ...] = ()) -> StageRegistry:
    policy = PluginPolicy(replaces={(chosen.kind, chosen.name): chosen for chosen in replaces})
    return StageRegistry(policy, GivenEntryPoints([(origin, "ocr") for origin in origins]))


def told(found: StageRegistry) -> tuple[Problem, ...]:
    return found.load_plugins()


def test_a_replacement_that_does_not_register_the_type_is_a_problem_where_it_is_written() -> None:
    (problem,) = told(registry(OWN, replaces=(choice("gone"),)))

    assert "`replaces` chooses gone for the stage type 'ocr', but it does not register it" in problem.message
    assert problem.subject == "plugins.yaml:7"
    assert problem.hint == "install it, let it in, correct its name, or remove the line"


def test_a_replacement_of_another_kind_is_no_matter_of_stage_types() -> None:
    source = Replacement("sources", "ocr", "gone", "plugins.yaml:7")

    assert told(registry(OWN, replaces=(source,))) == ()


def test_what_code_registered_stays_whatever_plugins_offer() -> None:
    found = registry(LAB)
    found.add(registration("ocr", version="code"))

    assert told(found) == ()
    assert found.get_metadata("ocr").version == "code"
