"""Two Dagster jobs for each gate, by which a person approves or rejects it in the UI, without a terminal."""

from collections.abc import Iterator

from dagster import (
    ExecutorDefinition,
    Failure,
    Field,
    JobDefinition,
    Nothing,
    OpExecutionContext,
    Out,
    job,
    op,
)

from medkg_dagster.errors import LedgerError
from medkg_dagster.ledger import GateDecision, JobKey, JobLedger, PhaseStatus
from medkg_dagster.resolution.plan import PipelinePlan, PlannedGate
from medkg_dagster.runtime.ledger_job_record import gate_rule
from medkg_dagster.settings import Settings
from medkg_dagster.topology.names import (
    APPROVE,
    DECISIONS,
    REJECT,
    STATE_RESOURCE,
    decision_job_name,
    decision_op_name,
)

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
            "by": Field(str, description="Who decides: a name, as the history of the job will show it."),
            "reason": Field(str, description="Why."),
        },
        # Nothing is stored, but Dagster opens what could store it.
        out=Out(Nothing, io_manager_key=STATE_RESOURCE),
    )
    def decide(context: OpExecutionContext) -> None:
        given = {name: text.strip() for name, text in context.op_config.items()}
        if missing := [name for name, text in given.items() if not text]:
            raise Failure(f"{' and '.join(missing)}: say it in the launchpad", allow_retries=False)
        key = JobKey(pipeline.name, given["job_id"])
        try:
            said = _decide(settings, key, gate, _SAID[decision], (given["by"], given["reason"]))
        except LedgerError as error:
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


def _decide(
    settings: Settings, key: JobKey, gate: PlannedGate, decision: GateDecision, who: tuple[str, str]
) -> str:
    """Decide a gate, and say what came of it.

    Raises:
        LedgerError: There is no such job, or it is too late.
    """
    if not JobLedger.exists(settings):
        raise LedgerError(f"there is no job {key}: nothing was submitted yet")
    by, reason = who
    with JobLedger.of(settings) as ledger:
        ledger.jobs.get(key)
        phase = ledger.gates.decide(key, gate_rule(gate), decision, actor=by, reason=reason)
    ahead = " ahead, for when the job comes to it" if phase.status is PhaseStatus.EXPECTED else ""
    return f"gate '{gate.name}' of {key}: {decision.value}{ahead}, by {phase.opened_by}"
