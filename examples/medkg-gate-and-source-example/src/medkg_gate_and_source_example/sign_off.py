"""The gate condition `sign-off`: everybody who must has approved.

A gate condition is no code that watches a job. Its `build` is called once, when pipelines are loaded, and
says in the terms of `GateCondition` what the parameters mean; sensors and the gate's stage know no other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from medkg_dagster.stage_api import Config, Extension, ExtensionKind, GateCondition

SECONDS_A_DAY = 86_400
APPROVED = "approved"

Role = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


def _each_once(roles: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(roles)) != len(roles):
        raise ValueError("a role is named twice")
    return roles


class SignOffParameters(Config):
    """Who signs, and how long the others wait for it."""

    roles: Annotated[tuple[Role, ...], AfterValidator(_each_once)] = Field(
        min_length=1,
        max_length=20,
        description="Who must approve; each sets its field `sign_off.<role>` to `approved`.",
    )
    timeout_days: float | None = Field(
        default=None, gt=0, le=3650, description="The longest wait; without it a job waits without end."
    )
    on_timeout: Literal["fail", "skip", "quarantine"] = Field(
        default="fail", description="What becomes of a job that waited too long."
    )


def build(parameters: SignOffParameters, home: Path) -> GateCondition:
    """Return the condition that the parameters mean.

    Args:
        parameters: Who signs.
        home: The folder for all data; a condition has no use for it.
    """
    del home
    days = parameters.timeout_days
    return GateCondition.model_validate(
        {
            "mode": "all",
            "clauses": [
                {"field": f"sign_off.{role}", "operator": "equals", "value": APPROVED}
                for role in parameters.roles
            ],
            "timeout_seconds": None if days is None else days * SECONDS_A_DAY,
            "on_timeout": parameters.on_timeout,
        }
    )


SIGN_OFF = Extension(
    kind=ExtensionKind.GATE_CONDITION,
    name="sign-off",
    description="Opens when every role has approved: the fields sign_off.<role> equal `approved`.",
    config_model=SignOffParameters,
    build=build,
)
