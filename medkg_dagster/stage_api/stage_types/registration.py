"""How a stage type reaches the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from medkg_dagster.domain.gates import GateCondition
from medkg_dagster.stage_api.stage_types.metadata import OutputHandler, StageMetadata


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


class Stage(Protocol):
    """What a builder returns: an object whose `execute` does the work.

    `execute(ctx, **inputs)` gets a `StageContext` and one keyword argument per input, named by state key.
    """

    @property
    def execute(self) -> Callable[..., Any]:
        """The method that does the work."""


StageBuilder = Callable[..., Stage]
"""`(definition) -> Stage` or `(topology, definition) -> Stage`."""


@dataclass(frozen=True, slots=True)
class StageRegistration:
    """A stage type and the builder of its stages.

    Attributes:
        metadata: The type's description.
        builder: Called inside the step, never while definitions load.
    """

    metadata: StageMetadata
    builder: StageBuilder


class StagePlugin(Protocol):
    """What an entry point of the group `medical_kg.orchestration.stages` names."""

    def __call__(self) -> StageRegistration | Iterable[StageRegistration]:
        """Return one registration or several; cheap, without importing heavy libraries."""


def write_key(key: str) -> OutputHandler:
    """Return the output handler of a stage type with one state key: the output is the value.

    Args:
        key: The state key.

    Returns:
        A handler `(state, stage_name, output)`.
    """

    def write(state: MutableMapping[str, Any], stage_name: str, output: Any) -> None:
        del stage_name
        state[key] = output

    write.__qualname__ = f"write_key({key!r})"
    return write
