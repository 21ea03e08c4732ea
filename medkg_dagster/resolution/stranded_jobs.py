"""Ledger jobs that wait at gates, or for pipelines, which are defined no longer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from medkg_dagster.errors import Problem
from medkg_dagster.ledger import JobLedger
from medkg_dagster.resolution.plan import PipelinePlan


def stranded_jobs(pipelines: Sequence[PipelinePlan], ledger: JobLedger) -> list[Problem]:
    """Return a problem for each gate or phase that jobs wait for and that is defined no longer.

    Args:
        pipelines: The pipelines that there are.
        ledger: The open ledger.
    """
    known = known_phases(pipelines)
    names = {pipeline.name for pipeline in pipelines}
    found = []
    for item in ledger.phases.open():
        if (item.pipeline, item.phase) in known:
            continue
        place = f"gate '{item.gate}'" if item.gate else f"the start of '{item.phase}'"
        jobs = f"{item.jobs} jobs wait" if item.jobs > 1 else "a job waits"
        cancel = f"`medkg ledger cancel {item.pipeline}/{item.example} --reason WHY` ends one"
        move = (
            f"`medkg gate move {item.pipeline} {item.gate} NEW_GATE --reason WHY` lets them wait at another"
        )
        is_movable = item.gate is not None and item.pipeline in names
        found.append(
            Problem(
                f"{jobs} for {place} of pipeline '{item.pipeline}', which nothing that is loaded defines: "
                f"{item.example}{' and others' if item.jobs > 1 else ''}",
                hint=f"{move}, {cancel}" if is_movable else cancel,
                subject=f"ledger {ledger.place}",
            )
        )
    return found


def known_phases(pipelines: Iterable[PipelinePlan]) -> frozenset[tuple[str, str]]:
    """Return pipeline and Dagster job of every phase, and of all work that goes on while jobs wait."""
    return frozenset(
        (pipeline.name, name)
        for pipeline in pipelines
        for name in (*(phase.job_name for phase in pipeline.phases), *pipeline.work)
    )
