"""Pipelines side by side: no two things of a code location have one name in Dagster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medkg_dagster.errors import Problem
from medkg_dagster.topology import names
from medkg_dagster.topology.models import PipelineTopologyConfig
from medkg_dagster.topology.yaml_source import SourceLines, YamlPath


@dataclass(frozen=True, slots=True)
class LoadedPipeline:
    """A valid pipeline and where it stands.

    Attributes:
        topology: The pipeline.
        file: Its file.
        lines: The line of each of the file's keys, by path: `("stages", 2, "config", "size")`.
        deprecations: The earlier forms in it, and what to write instead.
    """

    topology: PipelineTopologyConfig
    file: Path
    lines: SourceLines
    deprecations: tuple[Problem, ...] = ()

    def problem(self, path: YamlPath, message: str, hint: str | None = None) -> Problem:
        """Return a problem at a place in the file."""
        return Problem(message, file=self.file, line=self.lines.line(path), hint=hint)


Key = tuple[str, str]
"""Within what a name must be unique, and the name."""

_ASSET, _SENSOR, _COMPUTATION = "asset", "sensor", "computation"

_OWN: dict[Key, str] = {
    (_ASSET, "/".join(names.LOAD_REPORT)): "the report of loading",
    (_SENSOR, names.LOAD_REPORT_SENSOR): "the sensor that reports loading",
    (_SENSOR, names.ENDED_RUNS_SENSOR): "the sensor that looks for ended runs",
    (_SENSOR, names.ALERTS_SENSOR): "the sensor that tells of what happened",
    (_COMPUTATION, names.LOAD_REPORT_CHECKS): "the checks of loading",
    (_COMPUTATION, names.STAGE_CHECKS): "the checks of stages",
}


def without_clashes(
    pipelines: Sequence[LoadedPipeline],
) -> tuple[tuple[LoadedPipeline, ...], tuple[Problem, ...]]:
    """Keep the pipelines whose names in Dagster are free; a file called like its pipeline chooses first.

    Returns:
        Those that are kept, in order of name, and a problem for each of the others.
    """
    owners: dict[Key, tuple[str, LoadedPipeline]] = {}
    kept, problems = [], []
    for pipeline in sorted(pipelines, key=_claim):
        own: dict[Key, tuple[str, LoadedPipeline]] = {}
        clash = None
        for key, label in _claims(pipeline.topology):
            if key in _OWN:
                clash = f"{label} would be called '{key[1]}' in Dagster, like {_OWN[key]}"
                break
            other = owners.get(key) or own.get(key)
            if other is not None:
                clash = f"{label} and {other[0]} of {_place(other[1])} both become '{key[1]}' in Dagster"
                break
            own[key] = (label, pipeline)
        if clash is None:
            owners |= own
            kept.append(pipeline)
        else:
            problems.append(pipeline.problem(("name",), clash, "give one of them another name"))
    return tuple(sorted(kept, key=lambda pipeline: pipeline.topology.name)), tuple(problems)


def _claim(pipeline: LoadedPipeline) -> tuple[bool, Path]:
    return (names.dagster_name(pipeline.file.stem) != pipeline.topology.dagster_name, pipeline.file)


def _place(pipeline: LoadedPipeline) -> str:
    line = pipeline.lines.line(("name",))
    return f"{pipeline.file}:{line}" if line else str(pipeline.file)


def _claims(topology: PipelineTopologyConfig) -> Iterator[tuple[Key, str]]:
    """Yield every name that a pipeline takes: jobs, graphs and ops share one space in Dagster."""
    name = topology.name
    of_pipeline = f"pipeline '{name}'"
    yield (_COMPUTATION, names.job_name(name)), of_pipeline
    yield (_COMPUTATION, names.graph_name(name)), f"the graph of {of_pipeline}"
    yield (_SENSOR, names.submission_sensor_name(name)), f"the sensor of {of_pipeline}"
    for stage in topology.stages:
        label = f"stage '{stage.name}' of {of_pipeline}"
        yield (_COMPUTATION, names.op_name(name, stage.name)), label
        yield (_ASSET, "/".join(names.asset_path(name, stage.name))), label
    for trigger in topology.triggers:
        yield (_SENSOR, names.trigger_name(name, trigger.name)), f"trigger '{trigger.name}' of {of_pipeline}"
    for gate in topology.gates:
        label = f"gate '{gate.name}' of {of_pipeline}"
        yield (_COMPUTATION, names.job_name(name, gate.name)), label
        yield (_SENSOR, names.gate_sensor_name(name, gate.name)), f"the sensor of {label}"
        for decision in names.DECISIONS:
            yield (
                (_COMPUTATION, names.decision_job_name(name, gate.name, decision)),
                f"the job to {decision} {label}",
            )
            yield (
                (_COMPUTATION, names.decision_op_name(name, gate.name, decision)),
                f"the op to {decision} {label}",
            )
        stage_name = topology.gate_stage(gate.name)
        if stage_name is not None:
            yield (
                (_COMPUTATION, names.waiting_check_op_name(name, stage_name)),
                f"the check of {label}",
            )
