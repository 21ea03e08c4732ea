"""What plugins see of a pipeline's YAML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from medkg_dagster.domain.gate_conditions import GateCondition


class StageDefinitionView(Protocol):
    """What a builder sees of its stage's YAML, with the configuration of this very run."""

    @property
    def name(self) -> str:
        """The stage's name in its pipeline."""

    @property
    def type(self) -> str:
        """The stage type."""

    @property
    def config(self) -> dict[str, Any]:
        """The stage's configuration: YAML, then the job's request, then the launchpad, the later winning."""


class GateView(Protocol):
    """What a builder sees of a gate's YAML."""

    @property
    def name(self) -> str:
        """The gate's name."""

    @property
    def condition(self) -> GateCondition:
        """When it opens."""


class TopologyView(Protocol):
    """What a builder that takes `(topology, definition)` sees of its pipeline's YAML."""

    @property
    def name(self) -> str:
        """The pipeline's name."""

    @property
    def gates(self) -> Sequence[GateView]:
        """The pipeline's gates."""

    def gate_stage(self, gate: str) -> str | None:
        """Return the name of the stage that checks a gate."""
