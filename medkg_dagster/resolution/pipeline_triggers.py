"""A pipeline's triggers: what they ask for, checked against the stages that are to work on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medkg_dagster.domain.placeholders import fill
from medkg_dagster.plugins import LoadGuard
from medkg_dagster.resolution.plan import PlannedStage, PlannedTrigger
from medkg_dagster.resolution.requested_config import requested_config
from medkg_dagster.resolution.stage_config import check_config
from medkg_dagster.stage_api import Extensions
from medkg_dagster.topology.models import PipelineTopologyConfig
from medkg_dagster.topology.structure import Finding
from medkg_dagster.topology.triggers import sample_values


def plan_triggers(topology: PipelineTopologyConfig) -> tuple[PlannedTrigger, ...]:
    """Return the triggers of a pipeline with the ids of their jobs."""
    return tuple(
        PlannedTrigger(
            name=trigger.name,
            kind=trigger.kind,
            definition=trigger,
            job_id=trigger.job_id_of(topology.name),
            request=trigger.request.as_submitted(),
        )
        for trigger in topology.triggers
    )


def request_findings(
    triggers: Sequence[PlannedTrigger],
    stages: Sequence[PlannedStage],
    extensions: Extensions,
    guard: LoadGuard,
) -> Iterator[Finding]:
    """Yield what in the requests of triggers the stages would not take.

    Args:
        triggers: The triggers.
        stages: The stages of their pipeline.
        extensions: What options may name.
        guard: Ends what a plugin's validators do not end themselves.
    """
    for index, trigger in enumerate(triggers):
        request = fill(trigger.request, sample_values(trigger.kind))
        for planned in stages:
            given = requested_config(request, planned)
            if not given:
                continue
            config = {**planned.definition.config, **given}
            _, findings = check_config(planned.metadata, config, (), extensions, guard)
            for finding in findings:
                own = finding.path[:1] and finding.path[0] in request.get("stages", {}).get(planned.name, {})
                place = ("stages", planned.name) if own else ()
                yield Finding(
                    ("triggers", index, "request", *place, *finding.path),
                    f"trigger '{trigger.name}': stage '{planned.name}' refuses this: {finding.message}",
                    finding.hint,
                )
