"""Following a job from the console until it has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from medkg_dagster.cli.output import paragraph

if TYPE_CHECKING:
    from medkg_dagster.ledger import Job, JobLedger, Phase, StageRun
    from medkg_dagster.resolution.plan import PipelinePlan

LOOK_EVERY_SECONDS = 0.5
PATIENCE_SECONDS = 20.0
_FAILED = 1


def follow(book: JobLedger, pipeline: PipelinePlan, job_id: str) -> int:
    """Print every step of a job until it has ended.

    Args:
        book: The open ledger.
        pipeline: The pipeline's plan.
        job_id: The job's id.

    Returns:
        The exit code: 0 where it succeeded.
    """
    from medkg_dagster.ledger import JobStatus

    open_statuses = {JobStatus.SUBMITTED, JobStatus.RUNNING, JobStatus.WAITING}
    told: set[str] = set()
    began = time.monotonic()
    try:
        while True:
            job = book.job(pipeline.name, job_id)
            for line in _steps(book, pipeline, job):
                if line not in told:
                    told.add(line)
                    click.echo(f"  {line}")
            if job.status not in open_statuses:
                return _conclude(job)
            if job.status is JobStatus.SUBMITTED and time.monotonic() - began > PATIENCE_SECONDS:
                began = float("inf")
                click.echo(
                    "medkg: nobody has started the job; does a daemon run for this DAGSTER_HOME? `make dev` "
                    "starts one",
                    err=True,
                )
            time.sleep(LOOK_EVERY_SECONDS)
    except KeyboardInterrupt:
        click.echo(f"\nno longer following; the job goes on: medkg ledger show {pipeline.name}/{job_id}")
        return 0


def _steps(book: JobLedger, pipeline: PipelinePlan, job: Job) -> Iterator[str]:
    lines = [
        *(
            (run.started_at, text)
            for run in book.stage_runs(job.pipeline, job.job_id)
            for text in _stage_steps(run)
        ),
        *(
            (phase.since, text)
            for phase in book.phases.phases(job.pipeline, job.job_id)
            for text in _gate_steps(pipeline, phase)
        ),
    ]
    return (text for _, text in sorted(lines))


def _stage_steps(run: StageRun) -> Iterator[str]:
    from medkg_dagster.ledger import StageStatus

    if run.status is StageStatus.FINISHED:
        refused = f", {run.quarantined} documents set aside" if run.quarantined else ""
        yield f"{run.stage}: {run.output_count} made{refused}"
    elif run.status is StageStatus.FAILED:
        yield f"{run.stage}: failed: {run.error}"


def _gate_steps(pipeline: PipelinePlan, phase: Phase) -> Iterator[str]:
    from medkg_dagster.domain.gates import describe_condition

    gate = pipeline.find_gate(phase.gate) if phase.gate else None
    if gate is None:
        return
    yield f"waits at gate {gate.name} for {describe_condition(gate.condition)} (attempt {phase.attempt})"
    if phase.opened_at is not None:
        yield f"gate {gate.name} opened: {phase.reason}, by {phase.opened_by}"


def _conclude(job: Job) -> int:
    from medkg_dagster.ledger import JobStatus

    place = f"{job.pipeline}/{job.job_id}"
    if job.status is JobStatus.SUCCEEDED:
        click.echo(f"{place} succeeded")
        return 0
    click.echo(f"{place}: {job.status}")
    if job.error:
        click.echo(paragraph(job.error, indent="  "))
    click.echo(f"  medkg ledger show {place} tells more; medkg ledger retry {place} starts it again")
    return _FAILED
