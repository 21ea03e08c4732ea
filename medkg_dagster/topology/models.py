"""Pipelines and resilience policies as written in YAML, validated."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from medkg_dagster.domain import StrictModel, empty_dict_for_none, empty_list_for_none
from medkg_dagster.domain.decision_fields import DecisionField, overlapping
from medkg_dagster.domain.gate_conditions import GateCondition
from medkg_dagster.topology.explain import CUSTOM_TAG, FIELDS_TAG
from medkg_dagster.topology.names import Name, dagster_name
from medkg_dagster.topology.placement import Executor, PoolName, StageResources
from medkg_dagster.topology.plugin_keys import (
    IsolationLimits,
    MetadataOverrides,
    PluginRequirements,
    check_not_a_callable,
    expand_isolation,
)
from medkg_dagster.topology.structure import (
    GateShape,
    StageShape,
    find_gate_stage,
    structure_findings,
)
from medkg_dagster.topology.trigger_findings import trigger_findings
from medkg_dagster.topology.triggers import TriggerDefinition

STRUCTURE_CHECKED = "structure_checked"
_VERSION = re.compile(r"(\d{4}-\d{2}-\d{2})(-[A-Za-z0-9][A-Za-z0-9._-]*)?", re.ASCII)
_TAG_KEY = re.compile(r"([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_.-]{1,63}", re.ASCII)
_TAG_VALUE = re.compile(r"[A-Za-z0-9_.-]{0,63}", re.ASCII)
_OWNER = re.compile(r"team:\S.*|[^@\s]+@[^@\s]+\.[^@\s]+|[^@:]*[^@:\s][^@:]*")


def _check_version(version: str) -> str:
    match = _VERSION.fullmatch(version)
    try:
        if match is not None:
            datetime.date.fromisoformat(match[1])
            return version
    except ValueError:
        pass
    raise PydanticCustomError(
        "version", "a version is a date YYYY-MM-DD, or a date and a suffix YYYY-MM-DD-suffix"
    )


def _check_owner(owner: str) -> str:
    if owner and not _OWNER.fullmatch(owner):
        raise PydanticCustomError("owner", "an owner is a team's name, 'team:<name>' or an email address")
    return owner


def _check_tags(tags: dict[str, str]) -> dict[str, str]:
    for key, value in tags.items():
        if not _TAG_KEY.fullmatch(key) or not _TAG_VALUE.fullmatch(value):
            raise PydanticCustomError(
                "tag",
                "the tag {tag} must be letters, digits, '_', '-' and '.', at most 63 of them",
                {"tag": repr(f"{key}: {value}" if value else key)},
            )
    return tags


def _tags_from_list(tags: Any) -> Any:
    if isinstance(tags, list | tuple) and all(isinstance(tag, str) for tag in tags):
        return dict.fromkeys(tags, "")
    return {} if tags is None else tags


Tags = Annotated[dict[str, str], BeforeValidator(_tags_from_list), AfterValidator(_check_tags)]


class PipelineMetadata(StrictModel):
    """Who a pipeline belongs to and what it is for.

    Attributes:
        owner: A team's name, `team:<name>` or an email address; empty where nobody is named.
        description: What the pipeline does, for people.
        tags: Tags of its assets; a list of words is the same as tags with empty values.
    """

    owner: Annotated[str, AfterValidator(_check_owner)] = ""
    description: str = ""
    tags: Tags = Field(default_factory=dict)


class StageDefinition(StrictModel):
    """One stage of a pipeline.

    Attributes:
        name: Unique in the pipeline.
        type: The stage type in the registry.
        policy: The resilience policy.
        depends_on: Stages that run before it.
        config: The stage's configuration; the stage type's model validates it at resolution.
        gate: The gate that this stage checks; None where it checks none or is matched by its name.
        metadata_overrides: What this stage says differently from its stage type.
        isolation: The limits of a child process to run in; None for what the stage type says.
        workers: How many processes its documents are worked on in at once; None for what the deployment
            says.
        resources: What it is given on Kubernetes.
        pool: The pool of Dagster that limits how many steps of all stages which name it are at work in all
            runs; the deployment sets the limit.
    """

    name: Name
    type: str = Field(min_length=1)
    policy: str = "default"
    depends_on: Annotated[tuple[str, ...], BeforeValidator(empty_list_for_none)] = ()
    config: Annotated[dict[str, Any], BeforeValidator(empty_dict_for_none)] = Field(default_factory=dict)
    gate: str | None = None
    metadata_overrides: Annotated[
        MetadataOverrides, BeforeValidator(check_not_a_callable), BeforeValidator(empty_dict_for_none)
    ] = MetadataOverrides()
    isolation: Annotated[IsolationLimits | None, BeforeValidator(expand_isolation)] = None
    workers: int | None = Field(default=None, ge=1)
    resources: Annotated[StageResources, BeforeValidator(empty_dict_for_none)] = StageResources()
    pool: PoolName | None = None

    @property
    def stage_type(self) -> str:
        """The same as `type`, as builders of the earlier shape call it."""
        return self.type


class CustomCondition(StrictModel):
    """A condition that an installed extension makes of parameters, once, when pipelines are loaded.

    Attributes:
        custom: The extension's name, of the group `medical_kg.orchestration.gate_conditions`.
        parameters: Its parameters; the extension checks them.
    """

    custom: str = Field(min_length=1)
    parameters: Annotated[dict[str, Any], BeforeValidator(empty_dict_for_none)] = Field(default_factory=dict)


def _condition_tag(value: Any) -> str:
    is_custom = isinstance(value, CustomCondition) or (isinstance(value, dict) and "custom" in value)
    return CUSTOM_TAG if is_custom else FIELDS_TAG


Condition = Annotated[
    Annotated[GateCondition, Tag(FIELDS_TAG)] | Annotated[CustomCondition, Tag(CUSTOM_TAG)],
    Discriminator(_condition_tag),
]


def _check_inputs(fields: tuple[DecisionField, ...]) -> tuple[DecisionField, ...]:
    if wrong := overlapping(fields):
        raise PydanticCustomError("fields", "{wrong}; give it another name", {"wrong": wrong})
    return fields


class GateDefinition(StrictModel):
    """A condition on a ledger job, between two phases.

    Attributes:
        name: Unique in the pipeline; becomes part of the job's name.
        condition: When the gate opens, and how long it waits: clauses on the job's fields, or a custom one.
        resume_stage: A stage behind the gate, the first to go on; None for whatever follows the gate.
        description: What is waited for, for people.
        fields: What a person says with a decision: inputs that become fields of the job.
    """

    name: Name
    condition: Condition
    resume_stage: str | None = None
    description: str = ""
    fields: Annotated[
        tuple[DecisionField, ...], BeforeValidator(empty_list_for_none), AfterValidator(_check_inputs)
    ] = ()


def _check_stages(stages: tuple[StageDefinition, ...]) -> tuple[StageDefinition, ...]:
    if not stages:
        raise PydanticCustomError("stages", "a pipeline has at least one stage")
    return stages


class PipelineTopologyConfig(StrictModel):
    """A pipeline as written in YAML.

    Attributes:
        name: Unique among pipelines, also after hyphens have become underscores.
        version: A date `YYYY-MM-DD`, with a suffix where a day has several versions.
        applicable_sources: Sources the pipeline is meant for, for people.
        metadata: Owner, description, tags.
        stages: At least one, in the order of the file.
        gates: Gates between phases.
        plugins: The plugins it counts on.
        conversion: Who does the work at gates that stage types declare, such as converting downloaded PDFs:
            jobs of this deployment (`builtin`), or somebody else (`external`).
        triggers: What asks for its jobs by itself.
        execution: How the steps of its jobs are carried out: `in_process`, `multiprocess`, `celery` or `k8s`;
            None for what the deployment says.

    Raises:
        pydantic.ValidationError: A field is wrong, or the stages do not make a graph.
    """

    name: Name
    version: Annotated[str, AfterValidator(_check_version)]
    applicable_sources: Annotated[tuple[str, ...], BeforeValidator(empty_list_for_none)] = ()
    metadata: Annotated[PipelineMetadata, BeforeValidator(empty_dict_for_none)] = PipelineMetadata()
    stages: Annotated[tuple[StageDefinition, ...], AfterValidator(_check_stages)]
    gates: Annotated[tuple[GateDefinition, ...], BeforeValidator(empty_list_for_none)] = ()
    plugins: Annotated[PluginRequirements, BeforeValidator(empty_dict_for_none)] = PluginRequirements()
    conversion: Literal["builtin", "external"] = "builtin"
    triggers: Annotated[tuple[TriggerDefinition, ...], BeforeValidator(empty_list_for_none)] = ()
    execution: Executor | None = None

    @property
    def dagster_name(self) -> str:
        """The name with hyphens as underscores."""
        return dagster_name(self.name)

    def stage_shapes(self) -> tuple[StageShape, ...]:
        """Return the stages as the graph functions want them."""
        return tuple(
            StageShape(stage.name, stage.type, stage.depends_on, stage.gate) for stage in self.stages
        )

    def gate_stage(self, gate: str) -> str | None:
        """Return the name of the stage that checks a gate, named in the stage or matched by name."""
        return find_gate_stage(gate, self.stage_shapes())

    @model_validator(mode="after")
    def _check_structure(self, info: ValidationInfo) -> Self:
        if isinstance(info.context, dict) and info.context.get(STRUCTURE_CHECKED):
            return self
        gates = tuple(GateShape(gate.name, gate.resume_stage) for gate in self.gates)
        findings = structure_findings(self.stage_shapes(), gates)
        triggers = [trigger.model_dump(mode="json", exclude_unset=True) for trigger in self.triggers]
        findings += trigger_findings(triggers, self.name, [stage.name for stage in self.stages])
        if findings:
            text = "; ".join(finding.message for finding in findings)
            raise PydanticCustomError("topology", "{text}", {"text": text})
        return self


class BackoffPolicy(StrictModel):
    """The wait between attempts.

    Attributes:
        strategy: `exponential` doubles the wait, `linear` adds `initial` each time, `none` keeps it.
        initial: Seconds before the second attempt.
        maximum: The longest wait in seconds.
        jitter: Whether the wait varies at random, so that many do not come back at once.
    """

    strategy: Literal["exponential", "linear", "none"] = "exponential"
    initial: float = Field(default=0.5, ge=0)
    maximum: float = Field(default=30.0, ge=0)
    jitter: bool = True

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.maximum < self.initial:
            raise PydanticCustomError("bounds", "maximum must not be less than initial")
        return self


class CircuitBreakerPolicy(StrictModel):
    """When to stop calling something that keeps failing.

    Attributes:
        failure_threshold: Failures in a row that open the circuit.
        recovery_timeout: Seconds until one call is let through again.
    """

    failure_threshold: int = Field(default=5, ge=1)
    recovery_timeout: float = Field(default=60.0, gt=0)


class RateLimitPolicy(StrictModel):
    """How often something may be called.

    Attributes:
        rate_limit_per_second: Calls per second.
    """

    rate_limit_per_second: float = Field(gt=0)


class ResiliencePolicy(StrictModel):
    """How a stage bears failure.

    Attributes:
        max_attempts: Attempts in all, the first one included.
        timeout_seconds: The longest time of one attempt of one call to another service; None for no limit.
        backoff: The wait between attempts.
        circuit_breaker: When to stop calling; None for never.
        rate_limit: How often to call; None for no limit.
    """

    max_attempts: int = Field(default=3, ge=1, le=100)
    timeout_seconds: float | None = Field(default=None, gt=0)
    backoff: BackoffPolicy = BackoffPolicy()
    circuit_breaker: CircuitBreakerPolicy | None = None
    rate_limit: RateLimitPolicy | None = None
