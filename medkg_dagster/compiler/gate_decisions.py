"""Two Dagster jobs for each gate, by which a person approves or rejects it in the UI, without a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from dagster import (
    Enum,
    EnumValue,
    ExecutorDefinition,
    Failure,
    Field,
    JobDefinition,
    Nothing,
    OpExecutionContext,
    Out,
    Shape,
    job,
    op,
)

from medkg_dagster.domain.decision_fields import InputType
from medkg_dagster.errors import LedgerError, MedkgError
from medkg_dagster.ledger import GateDecision, JobKey, JobLedger, PhaseStatus
from medkg_dagster.resolution.plan import PipelinePlan, PlannedGate
from medkg_dagster.runtime.ledger_job_record import gate_rule
from medkg_dagster.runtime.tags import ACTOR_TAG
from medkg_dagster.settings import Settings
from medkg_dagster.topology.names import (
    APPROVE,
    DECISIONS,
    REJECT,
    STATE_RESOURCE,
    decision_choices_name,
    decision_job_name,
    decision_op_name,
)

INPUTS = "fields"
_TYPES = {InputType.TEXT: str, InputType.INTEGER: int, InputType.NUMBER: float, InputType.BOOLEAN: bool}
_SAID = {APPROVE: GateDecision.APPROVED, REJECT: GateDecision.REJECTED}
_DESCRIPTIONS = {
    APPROVE: "Opens gate `{gate}` for a job, whatever its condition says; a job that has not come "
    "to it yet will find it open.",
    REJECT: "Closes gate `{gate}` for a job for good: what lies behind it does not run.",
}


def decision_jobs(
    pipeline: PipelinePlan, settings: Settings, executor: ExecutorDefinition
) -> Iterator[JobDefinition]:
    """Yield the jobs that decide the gates of a pipeline.

    Args:
        pipeline: The pipeline.
        settings: Where the ledger is.
        executor: How their one step is carried out.
    """
    for gate in pipeline.gates:
        for decision in DECISIONS:
            yield _decision_job(pipeline, gate, decision, settings, executor)


def _decision_job(
    pipeline: PipelinePlan,
    gate: PlannedGate,
    decision: str,
    settings: Settings,
    executor: ExecutorDefinition,
) -> JobDefinition:
    description = _DESCRIPTIONS[decision].format(gate=gate.name)

    @op(
        name=decision_op_name(pipeline.name, gate.name, decision),
        description=description,
        config_schema={
            "job_id": Field(str, description=f"The job of pipeline `{pipeline.name}`."),
            "by": Field(
                str,
                default_value="",
                description="Who decides: a name, as the history of the job will show it. Where a proxy in "
                "front of the webserver says who asks, that name counts.",
            ),
            "reason": Field(str, description="Why."),
            **_input_schema(pipeline, gate, decision),
        },
        # Nothing is stored, but Dagster opens what could store it.
        out=Out(Nothing, io_manager_key=STATE_RESOURCE),
    )
    def decide(context: OpExecutionContext) -> None:
        given = {name: context.op_config[name].strip() for name in ("job_id", "by", "reason")}
        given["by"] = context.run.tags.get(ACTOR_TAG, given["by"])
        if missing := [name for name, text in given.items() if not text]:
            raise Failure(f"{' and '.join(missing)}: say it in the launchpad", allow_retries=False)
        key = JobKey(pipeline.name, given["job_id"])
        try:
            inputs = context.op_config.get(INPUTS, {})
            said = _decide(settings, key, gate, _SAID[decision], (given["by"], given["reason"]), inputs)
        except MedkgError as error:
            raise Failure(str(error), allow_retries=False) from error
        context.log.info("%s", said)
        context.add_output_metadata({"decision": said})

    @job(
        name=decision_job_name(pipeline.name, gate.name, decision),
        description=description,
        executor_def=executor,
    )
    def decision_job() -> None:
        decide()

    return decision_job


def _input_schema(pipeline: PipelinePlan, gate: PlannedGate, decision: str) -> dict[str, Field]:
    """Return what the launchpad asks for besides who and why; nothing where the gate asks for nothing."""
    if not gate.fields:
        return {}
    approves = decision == APPROVE
    inputs = {}
    for number, item in enumerate(gate.fields, 1):
        described = f"{item.description or item.name}: {item.meant}"
        kind: Any = _TYPES[item.type]
        if item.choices and item.type is InputType.TEXT:
            # A name of its own: Dagster wants one definition of each.
            name = decision_choices_name(pipeline.name, gate.name, decision, number)
            kind = Enum(name, [EnumValue(choice) for choice in item.choices])
        if approves and item.default is not None:
            inputs[item.name] = Field(kind, default_value=item.default, description=described)
        else:
            required = approves and item.must_be_given
            inputs[item.name] = Field(kind, is_required=required, description=described)
    return {INPUTS: Field(Shape(inputs), description="What is said with the decision.")}


def _decide(  # noqa: PLR0917 - where, what, which, by whom, with what: the order in which one tells it
    settings: Settings,
    key: JobKey,
    gate: PlannedGate,
    decision: GateDecision,
    who: tuple[str, str],
    inputs: Mapping[str, Any],
) -> str:
    """Decide a gate, and say what came of it.

    Raises:
        ConfigError: An input is missing, or not what the gate asks for.
        LedgerError: There is no such job, or it is too late.
    """
    if not JobLedger.exists(settings):
        raise LedgerError(f"there is no job {key}: nothing was submitted yet")
    by, reason = who
    with JobLedger.of(settings) as ledger:
        ledger.jobs.get(key)
        phase = ledger.gates.decide(key, gate_rule(gate), decision, actor=by, reason=reason, inputs=inputs)
    ahead = " ahead, for when the job comes to it" if phase.status is PhaseStatus.EXPECTED else ""
    return f"gate '{gate.name}' of {key}: {decision.value}{ahead}, by {phase.opened_by}"
