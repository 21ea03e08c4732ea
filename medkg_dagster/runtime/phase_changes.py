"""What a step tells the ledger about phases: this run begins one, this job has come to a gate."""

from collections.abc import Set as AbstractSet

from medkg_dagster.ledger import Job, JobLedger, RunIdentity, StageStatus
from medkg_dagster.resolution.plan import PipelinePlan
from medkg_dagster.runtime.ledger_job_record import gate_rule
from medkg_dagster.topology.names import dagster_name


def enter_phase(  # noqa: PLR0917 - what, where, who: the order in which one tells it
    pipeline: PipelinePlan,
    stage: str,
    ledger: JobLedger,
    job: Job,
    run: RunIdentity,
    asked: AbstractSet[str],
) -> None:
    """Let a run into a phase, or keep it out.

    A gate's own stage checks the gate itself. A run that leaves that stage out is held to the gate here.

    Args:
        pipeline: The pipeline's plan.
        stage: The stage about to begin.
        ledger: The ledger.
        job: The ledger job.
        run: The run.
        asked: Dagster names of the stages the run was asked for.

    Raises:
        SupersededRunError: Another run has begun the phase, or there is a later attempt.
        GateConditionError: The stage lies behind a closed gate.
    """
    phase = pipeline.phase_of(stage)
    gate = pipeline.find_gate(phase.after_gate) if phase.after_gate else None
    if gate is None:
        ledger.phases.begin(job.key, phase.job_name, run)
    elif stage == gate.stage:
        ledger.phases.check_turn(job.key, gate.job_name, run)
    elif dagster_name(gate.stage) not in asked:
        ledger.phases.check_gate(job.key, gate_rule(gate))


def arrive_at_gates(  # noqa: PLR0917 - what, where, who: the order in which one tells it
    pipeline: PipelinePlan,
    stage: str,
    ledger: JobLedger,
    job: Job,
    run: RunIdentity,
    asked: AbstractSet[str],
) -> None:
    """Let the job wait at every gate whose last upstream stage has just finished.

    Args:
        pipeline: The pipeline's plan.
        stage: The stage that has finished.
        ledger: The ledger.
        job: The ledger job.
        run: The run.
        asked: Dagster names of the stages the run was asked for.
    """
    gates = [gate for gate in pipeline.gates if stage in gate.upstream]
    if not gates:
        return
    finished = {
        item.stage
        for item in ledger.stage_runs.of_job(job.key)
        if item.status is StageStatus.FINISHED
        and (item.run_id == run.run_id or dagster_name(item.stage) not in asked)
    }
    for gate in gates:
        if not gate.upstream <= finished:
            continue
        for work in gate.work:
            ledger.phases.plan_start(job.key, work.declared.name, actor=run.actor)
        ledger.phases.arrive(job.key, gate_rule(gate), run)
