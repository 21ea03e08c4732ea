"""What the parameters of `sign-off` mean."""

from pathlib import Path
from typing import Any

import pytest
from medkg_gate_and_source_example.sign_off import SIGN_OFF

from medkg_dagster.stage_api import (
    ConfigError,
    ExtensionKind,
    GateCondition,
    GateConditionError,
    InMemoryJobRecord,
)
from medkg_dagster.stage_api.testing import installed_extensions


def open_condition(**parameters: Any) -> GateCondition:
    condition = SIGN_OFF.open(parameters, Path())
    assert isinstance(condition, GateCondition)
    return condition


def test_every_role_becomes_a_clause_and_days_become_seconds() -> None:
    condition = open_condition(roles=["clinical", "data"], timeout_days=2, on_timeout="quarantine")

    assert condition.mode == "all"
    assert [(clause.field, clause.operator.value, clause.value) for clause in condition.clauses] == [
        ("sign_off.clinical", "equals", "approved"),
        ("sign_off.data", "equals", "approved"),
    ]
    assert (condition.timeout_seconds, condition.on_timeout) == (172_800, "quarantine")


def test_a_job_passes_when_all_have_approved_and_not_before() -> None:
    condition = open_condition(roles=["clinical", "data"])
    job = InMemoryJobRecord()
    job.set_fields({"sign_off.clinical": "approved", "sign_off.data": "rejected"})

    with pytest.raises(GateConditionError, match=r"sign_off\.data equals 'approved': 'rejected'"):
        job.pass_gate("signed", condition)
    job.set_fields({"sign_off.data": "approved"})

    assert job.pass_gate("signed", condition)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"roles": []},
        {"roles": ["Chief Physician"]},
        {"roles": ["a.b"]},
        {"roles": ["data", "data"]},
        {"roles": ["data"], "timeout_days": 0},
        {"roles": ["data"], "timeout_days": 4000},
        {"roles": ["data"], "on_timeout": "open"},
        {"roles": ["data"], "quorum": 1},
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="sign-off"):
        open_condition(**parameters)


def test_the_entry_point_names_the_condition() -> None:
    assert installed_extensions().find(ExtensionKind.GATE_CONDITION, "sign-off") is SIGN_OFF
