"""Custom conditions of gates, made into conditions on fields before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from medkg_dagster.domain.gate_conditions import GateClause, GateCondition, GateOperator
from medkg_dagster.plugins import LoadGuard
from medkg_dagster.resolution.phase_cuts import expand_conditions
from medkg_dagster.stage_api import Extension, ExtensionKind
from medkg_dagster.stage_api.testing import installed_extensions
from medkg_dagster.topology.models import PipelineTopologyConfig
from medkg_dagster.topology.structure import Finding


class SignOff(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: str = "lab"


def made(parameters: SignOff, home: Path) -> GateCondition:
    clause = GateClause(field=f"signed.{parameters.by}", operator=GateOperator.EXISTS)
    return GateCondition(clauses=(clause,), timeout_seconds=float(len(str(home))))


def topology(*conditions: dict[str, Any]) -> PipelineTopologyConfig:
    names = [f"g{number}" for number in range(len(conditions))]
    stages: list[dict[str, Any]] = [{"name": "a", "type": "ingest"}]
    for name in names:
        stages.append(
            {"name": f"stage_{name}", "type": "gate", "gate": name, "depends_on": [stages[-1]["name"]]}
        )
    return PipelineTopologyConfig.model_validate(
        {
            "name": "p",
            "version": "2026-01-01",
            "stages": stages,
            "gates": [
                {"name": name, "condition": condition}
                for name, condition in zip(names, conditions, strict=True)
            ],
        }
    )


def expand(
    *conditions: dict[str, Any], build: Callable[[Any, Path], Any] = made, limit: float = 5.0
) -> tuple[PipelineTopologyConfig, dict[str, GateCondition], list[Finding]]:
    extension = Extension(ExtensionKind.GATE_CONDITION, "sign-off", "Signed.", SignOff, build)
    with LoadGuard(limit) as guard:
        return expand_conditions(
            topology(*conditions), installed_extensions([extension]), Path("/data"), guard
        )


CUSTOM = {"custom": "sign-off"}
WRITTEN = {"field": "ready", "equals": True}


def test_a_pipeline_without_custom_conditions_stays_as_it_is() -> None:
    written = topology(WRITTEN)
    with LoadGuard(5.0) as guard:
        expanded, conditions, findings = expand_conditions(written, installed_extensions([]), Path(), guard)

    assert expanded is written
    assert conditions == {"g0": written.gates[0].condition}
    assert findings == []


def test_a_custom_condition_becomes_what_its_extension_makes_of_the_parameters_and_the_home() -> None:
    expanded, conditions, findings = expand(CUSTOM | {"parameters": {"by": "ann"}}, WRITTEN)

    assert findings == []
    assert conditions["g0"].clauses[0].field == "signed.ann"
    assert conditions["g0"].timeout_seconds == 5.0
    assert [gate.condition for gate in expanded.gates] == [conditions["g0"], conditions["g1"]]


def test_a_condition_that_is_not_installed_is_told_with_those_that_are() -> None:
    _, conditions, (finding,) = expand({"custom": "sign-of"})

    assert finding.path == ("gates", 0, "condition")
    assert "unknown gate condition 'sign-of'" in finding.message
    assert "sign-off" in finding.message
    assert conditions == {}


def test_wrong_parameters_are_told_with_the_condition() -> None:
    _, _, (finding,) = expand(CUSTOM | {"parameters": {"bye": "ann"}})

    assert (
        finding.message == "custom condition: sign-off: unknown parameter 'bye'; did you mean 'by'? known: by"
    )


def breaks(_parameters: Any, _home: Path) -> Any:
    raise ZeroDivisionError("no luck")


def exits(_parameters: Any, _home: Path) -> Any:
    raise SystemExit(3)


def loops(_parameters: Any, _home: Path) -> Any:
    while True:
        pass


def is_mute(_parameters: Any, _home: Path) -> Any:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise ValueError

    raise MuteError


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (breaks, "the condition 'sign-off' broke on these parameters: ZeroDivisionError: no luck"),
        (exits, "the condition 'sign-off' broke on these parameters: SystemExit: 3"),
        (loops, "broke on these parameters: PluginTimeoutError: interrupted after 0.2 s"),
        (is_mute, "broke on these parameters: MuteError: its text cannot be shown"),
        (lambda: None, "broke on these parameters: TypeError"),
        (lambda _p, _h: None, "the condition 'sign-off' made NoneType; it must make a GateCondition"),
        (lambda _p, _h: {"field": "x"}, "the condition 'sign-off' made dict; it must make a GateCondition"),
        (lambda _p, _h: GateCondition, "made ModelMetaclass; it must make a GateCondition"),
    ],
)
def test_what_an_extension_does_wrong_is_told_at_its_gate_and_other_gates_are_made(
    build: Callable[..., Any], message: str
) -> None:
    _, conditions, (finding,) = expand(WRITTEN, CUSTOM, build=build, limit=0.2)

    assert message in finding.message
    assert finding.path == ("gates", 1, "condition")
    assert finding.hint == "tell the authors of the condition"
    assert list(conditions) == ["g0"]
