"""The frozen result of resolution: everything the compiler needs, nothing it has to look up."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medkg_dagster.domain.decision_fields import DecisionField
from medkg_dagster.domain.gate_conditions import GateCondition
from medkg_dagster.errors import Problem
from medkg_dagster.plugins import Origin, counted_origin
from medkg_dagster.plugins.events import PluginEvent
from medkg_dagster.stage_api import StageBuilder, StageMetadata, SubprocessIsolation, WorkAtGate
from medkg_dagster.topology.alerts_file import AlertsFile
from medkg_dagster.topology.models import PipelineTopologyConfig, ResiliencePolicy, StageDefinition
from medkg_dagster.topology.names import APPROVE, asset_path
from medkg_dagster.topology.triggers import TriggerDefinition


@dataclass(frozen=True, slots=True)
class Wire:
    """One input of a stage.

    Attributes:
        state_key: The key that is read, as it is stored.
        source: The name of the stage that writes it, the nearest one upstream.
        argument: The keyword argument of `execute`: the key as the stage type that writes it calls it.
    """

    state_key: str
    source: str
    argument: str


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """A stage with all its questions answered.

    Attributes:
        name: The stage's name in its pipeline.
        definition: The stage as written in YAML.
        metadata: Its type's metadata with the stage's overrides.
        contract: The same under the state keys of the type: what the plugin's code is held to.
        origin: The entry point of its type; None where code registered it.
        isolation: The limits of the child process it runs in; None for the step's own process.
        builder: Its type's builder.
        wires: Its inputs, in the order of the type's dependencies.
        order_after: Stages it waits for without reading from them.
        policy: Its resilience policy.
        code_version: Changes when the type's version or the stage's configuration does.
    """

    name: str
    definition: StageDefinition
    metadata: StageMetadata
    contract: StageMetadata
    origin: Origin | None
    isolation: SubprocessIsolation | None
    builder: StageBuilder
    wires: tuple[Wire, ...]
    order_after: tuple[str, ...]
    policy: ResiliencePolicy
    code_version: str

    @property
    def counted_origin(self) -> str:
        """Whose type it is, as runs are counted by: `built-in`, a distribution, or `code`."""
        return "code" if self.origin is None else counted_origin(self.origin.distribution)


@dataclass(frozen=True, slots=True)
class Phase:
    """The stages between two gates; one Dagster job.

    Attributes:
        job_name: `<pipeline>` for the first phase, `<pipeline>__after_<gate>` for the others.
        after_gate: The gate that lets this phase begin; None for the first.
        stages: Names of its stages, upstream first.
    """

    job_name: str
    after_gate: str | None
    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlannedWork:
    """Work that this deployment does while a job waits at a gate.

    Attributes:
        declared: The work as its stage type declares it.
        stage: The name of the stage whose type that is.
    """

    declared: WorkAtGate
    stage: str


@dataclass(frozen=True, slots=True)
class PlannedGate:
    """A gate with all its questions answered.

    Attributes:
        name: The gate's name.
        stage: The stage that checks it.
        job_name: The Dagster job behind it.
        condition: When it opens.
        description: What is waited for, for people.
        upstream: The stages that finish before a job waits at it.
        work: What this deployment does while a job waits, so that the gate opens.
        fields: What a person says with a decision.
    """

    name: str
    stage: str
    job_name: str
    condition: GateCondition
    description: str
    upstream: frozenset[str]
    work: tuple[PlannedWork, ...]
    fields: tuple[DecisionField, ...] = ()

    def decision_command(self, decision: str, job: str) -> str:
        """Return the command by which a person decides about a job, to be copied and filled in.

        Args:
            decision: `approve` or `reject`.
            job: The job, as `pipeline/job_id`.
        """
        asked = self.fields if decision == APPROVE else ()
        inputs = [
            f"--field {shlex.quote(f'{item.name}={item.example}')}" for item in asked if item.must_be_given
        ]
        return " ".join(["medkg gate", decision, shlex.quote(job), self.name, "--reason '...'", *inputs])


@dataclass(frozen=True, slots=True)
class PlannedTrigger:
    """What asks for jobs of a pipeline by itself.

    Attributes:
        name: The trigger's name.
        kind: What it looks at: `schedule`, `files`, `ledger`, `asset`.
        definition: The trigger as written in YAML.
        job_id: The id of its jobs, placeholders included.
        request: What its jobs work on, placeholders included.
    """

    name: str
    kind: str
    definition: TriggerDefinition
    job_id: str
    request: Mapping[str, Any]

    @property
    def looks_at(self) -> str:
        """What it looks at, for people."""
        return self.definition.looks_at


@dataclass(frozen=True, slots=True)
class PipelinePlan:
    """A resolved pipeline.

    Attributes:
        name: The pipeline's name in YAML.
        dagster_name: The same with hyphens as underscores.
        topology: The pipeline as written.
        stages: Its stages, upstream first.
        phases: Its phases in order; one where the pipeline has no gate.
        gates: Its gates, upstream first.
        triggers: What asks for its jobs by itself.
    """

    name: str
    dagster_name: str
    topology: PipelineTopologyConfig
    stages: tuple[PlannedStage, ...]
    phases: tuple[Phase, ...]
    gates: tuple[PlannedGate, ...] = ()
    triggers: tuple[PlannedTrigger, ...] = ()

    def phase_of(self, stage: str) -> Phase:
        """Return the phase a stage belongs to."""
        return next(phase for phase in self.phases if stage in phase.stages)

    @property
    def work(self) -> Mapping[str, PlannedWork]:
        """What is done while a job waits at one of its gates, by name; of equal names the first gate's."""
        return {work.declared.name: work for gate in reversed(self.gates) for work in gate.work}

    @property
    def downstream(self) -> Mapping[str, frozenset[str]]:
        """Each stage to all that cannot run before it has finished."""
        behind: dict[str, set[str]] = {stage.name: set() for stage in self.stages}
        for stage in reversed(self.stages):
            for name in stage.definition.depends_on:
                behind[name] |= {stage.name, *behind[stage.name]}
        return {name: frozenset(stages) for name, stages in behind.items()}

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The names of its stages, upstream first."""
        return tuple(stage.name for stage in self.stages)

    def find_stage(self, name: str) -> PlannedStage:
        """Return the stage of that name."""
        return next(stage for stage in self.stages if stage.name == name)

    def find_gate(self, name: str) -> PlannedGate | None:
        """Return the gate of that name; None where there is none."""
        return next((gate for gate in self.gates if gate.name == name), None)


@dataclass(frozen=True, slots=True)
class PluginReport:
    """What became of plugins in one load.

    Attributes:
        events: What became of each entry point, stage type, extension and override.
        discovery_seconds: By distribution, the time its entry points took to import and register.
        stage_seconds: By pipeline, stage, stage type and distribution, the time it took to resolve.
        loaded_at: When, in UTC, ISO 8601; empty where nothing was loaded.
    """

    events: tuple[PluginEvent, ...] = ()
    discovery_seconds: Mapping[str, float] = field(default_factory=dict)
    stage_seconds: Mapping[tuple[str, ...], float] = field(default_factory=dict)
    loaded_at: str = ""

    @property
    def resolution_seconds(self) -> Mapping[str, float]:
        """By distribution, the time the stages of its types took to resolve."""
        totals: dict[str, float] = {}
        for (*_, provider), seconds in self.stage_seconds.items():
            totals[provider] = totals.get(provider, 0.0) + seconds
        return totals


@dataclass(frozen=True, slots=True)
class Plan:
    """Every pipeline that could be resolved, and every problem met on the way.

    Attributes:
        pipelines: In order of name.
        problems: Of files, plugins and resolution; empty for a clean load.
        report: What became of plugins, and how long they took.
        deprecations: The earlier forms that pipeline files are written in, and what to write instead.
        alerts: Who is told outside of what happens.
    """

    pipelines: tuple[PipelinePlan, ...]
    problems: tuple[Problem, ...]
    report: PluginReport = PluginReport()
    deprecations: tuple[Problem, ...] = ()
    alerts: AlertsFile = field(default_factory=AlertsFile)

    @property
    def job_names(self) -> frozenset[str]:
        """The Dagster jobs of all phases of all pipelines."""
        return frozenset(phase.job_name for pipeline in self.pipelines for phase in pipeline.phases)

    @property
    def gates(self) -> tuple[tuple[PipelinePlan, PlannedGate], ...]:
        """Every gate with its pipeline."""
        return tuple((pipeline, gate) for pipeline in self.pipelines for gate in pipeline.gates)

    @property
    def state_types(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        """By the path of each stage's asset, the types of the state keys it writes."""
        return {
            asset_path(pipeline.name, stage.name): stage.metadata.state_types
            for pipeline in self.pipelines
            for stage in pipeline.stages
        }

    @property
    def work(self) -> Mapping[str, PlannedWork]:
        """What is done while jobs wait at gates, by name; a Dagster job each."""
        return {name: work for pipeline in self.pipelines for name, work in pipeline.work.items()}
