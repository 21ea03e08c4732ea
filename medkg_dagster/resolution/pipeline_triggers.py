"""A pipeline's triggers: what they ask for, checked against the stages that are to work on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from medkg_dagster.domain.placeholders import fill
from medkg_dagster.errors import Problem, did_you_mean
from medkg_dagster.plugins import LoadGuard
from medkg_dagster.resolution.plan import PipelinePlan, PlannedStage, PlannedTrigger
from medkg_dagster.resolution.requested_config import requested_config
from medkg_dagster.resolution.stage_config import check_config
from medkg_dagster.stage_api import Extensions
from medkg_dagster.topology.clashes import LoadedPipeline
from medkg_dagster.topology.models import PipelineTopologyConfig
from medkg_dagster.topology.structure import Finding, find_cycles
from medkg_dagster.topology.trigger_findings import sample_values


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


def check_upstream(
    loaded: Sequence[LoadedPipeline], plans: Sequence[PipelinePlan]
) -> tuple[list[PipelinePlan], list[Problem]]:
    """Check what triggers look at in other pipelines.

    A pipeline whose trigger looks at what is not there is loaded all the same: the other one's file may be
    what is wrong. Triggers by which pipelines would start one another without end are left out.

    Args:
        loaded: The valid files.
        plans: The resolved pipelines.

    Returns:
        The pipelines, and what is wrong.
    """
    problems = [problem for pipeline in loaded for problem in _missing_upstream(pipeline, loaded)]
    names = [plan.name for plan in plans]
    place = {name: index for index, name in enumerate(names)}
    watched = [{place[name] for name in _watched(plan) if name in place} for plan in plans]
    files = {pipeline.topology.name: pipeline for pipeline in loaded}
    left_out: set[tuple[str, str]] = set()
    while cycles := find_cycles([sorted(edges) for edges in watched]):
        for cycle in cycles:
            shown = " -> ".join(names[at] for at in (*cycle, cycle[0]))
            for at, other in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
                watched[at].discard(other)
                left_out.add((names[at], names[other]))
            problems.append(
                files[names[cycle[0]]].problem(
                    ("triggers",),
                    f"the pipelines {shown} would start one another without end (an arrow reads 'looks at'); "
                    "these triggers are left out",
                    "remove one of them",
                )
            )
    return [_without(plan, left_out) for plan in plans], problems


def _watched(plan: PipelinePlan) -> set[str]:
    return {name for trigger in plan.triggers if (name := trigger.definition.upstream) is not None}


def _without(plan: PipelinePlan, left_out: set[tuple[str, str]]) -> PipelinePlan:
    kept = tuple(item for item in plan.triggers if (plan.name, item.definition.upstream) not in left_out)
    return plan if kept == plan.triggers else replace(plan, triggers=kept)


def _missing_upstream(pipeline: LoadedPipeline, loaded: Sequence[LoadedPipeline]) -> Iterator[Problem]:
    known = {other.topology.name: other.topology for other in loaded}
    for index, trigger in enumerate(pipeline.topology.triggers):
        upstream, path = trigger.upstream, ("triggers", index, trigger.kind)
        if upstream is None:
            continue
        said = f"trigger '{trigger.name}' looks at"
        if upstream not in known:
            others = [name for name in known if name != pipeline.topology.name]
            hint = did_you_mean(upstream, others)
            yield pipeline.problem(
                (*path, "pipeline"), f"{said} the pipeline '{upstream}', which is not there", hint
            )
        elif trigger.asset is not None:
            stages = [stage.name for stage in known[upstream].stages]
            if trigger.asset.stage not in stages:
                message = f"{said} '{trigger.asset.stage}', which is no stage of the pipeline '{upstream}'"
                yield pipeline.problem((*path, "stage"), message, did_you_mean(trigger.asset.stage, stages))
