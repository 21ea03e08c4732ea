"""The `gate` stage: checks, inside the run behind a gate, that the gate really is open."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from medkg_dagster.domain.gate_conditions import describe_condition
from medkg_dagster.errors import ConfigError
from medkg_dagster.stage_api import (
    Config,
    GateCondition,
    StageContext,
    StageDefinitionView,
    StageMetadata,
    StageRegistration,
    TopologyView,
)


class GateConfig(Config):
    """A gate is configured under `gates:`; its stage has no options of its own."""


class GateStage:
    """Lets a job through an open gate and nobody through a closed one."""

    def __init__(self, gate: str, condition: GateCondition) -> None:
        self._gate = gate
        self._condition = condition

    def execute(self, ctx: StageContext) -> None:
        """Check the gate and show how it came to be open.

        Raises:
            GateConditionError: The condition does not hold, or the gate was rejected or timed out.
        """
        passage = ctx.job.pass_gate(self._gate, self._condition)
        ctx.describe("gate", self._gate)
        ctx.describe("condition", describe_condition(self._condition))
        ctx.describe("opened_because", passage.because)
        ctx.describe("opened_by", passage.opened_by)
        ctx.describe("opened_at", passage.opened_at)
        ctx.describe("waited_seconds", round(passage.waited_seconds, 3))
        ctx.log.info("gate %s: %s, by %s", self._gate, passage.because, passage.opened_by)


def build(topology: TopologyView, definition: StageDefinitionView) -> GateStage:
    """Build the stage from its pipeline's YAML; raises `ConfigError` where no gate belongs to it."""
    for gate in topology.gates:
        if topology.gate_stage(gate.name) == definition.name:
            return GateStage(gate.name, gate.condition)
    raise ConfigError(
        f"stage '{definition.name}' of pipeline '{topology.name}' checks no gate; name one with `gate:` and "
        "define it under `gates:`"
    )


def register() -> StageRegistration:
    """Register the stage type, in the long form: its builder takes the pipeline, whose `gates` it reads."""
    return StageRegistration(
        metadata=StageMetadata(
            stage_type="gate",
            state_key=None,
            output_handler=write_nothing,
            output_counter=count_nothing,
            description="Checks that a gate is open: a condition on the ledger job, or an approval.",
            config_model=GateConfig,
            kinds=("gate",),
        ),
        builder=build,
    )


def write_nothing(state: MutableMapping[str, Any], stage_name: str, output: None) -> None:
    """Write nothing: a gate makes no data."""
    del state, stage_name, output


def count_nothing(output: None) -> int:
    """Return 0: a gate makes no data."""
    del output
    return 0
