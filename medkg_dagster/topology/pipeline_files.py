"""Pipeline files and the resilience file, loaded together; one bad file never stops the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medkg_dagster.errors import Problem, did_you_mean
from medkg_dagster.topology.clashes import LoadedPipeline, without_clashes
from medkg_dagster.topology.explain import validated
from medkg_dagster.topology.legacy_forms import read_legacy_forms
from medkg_dagster.topology.models import STRUCTURE_CHECKED, PipelineTopologyConfig, ResiliencePolicy
from medkg_dagster.topology.structure import Finding, GateShape, StageShape, mappings_at, structure_findings
from medkg_dagster.topology.trigger_findings import trigger_findings
from medkg_dagster.topology.yaml_source import SUFFIXES, YamlSource, parse_yaml, read_yaml

DEFAULT_POLICY = "default"


@dataclass(frozen=True, slots=True)
class ConfigFiles:
    """Where the configuration files of a deployment are.

    Attributes:
        folders: Folders of pipeline files.
        resilience: The resilience file.
        plugins: The file that says which plugins are let in; it may be missing.
        alerts: The file that says who is told outside of what happens; it may be missing.
        others: Files in those folders that are no pipelines.
    """

    folders: tuple[Path, ...]
    resilience: Path
    plugins: Path
    alerts: Path
    others: frozenset[Path] = frozenset()

    @classmethod
    def of(cls, config: Path) -> ConfigFiles:
        """Return those of a configuration folder."""
        folder = config / "orchestration"
        return cls(
            (folder / "pipelines",),
            folder / "resilience.yaml",
            config / "plugins.yaml",
            config / "alerts.yaml",
        )


@dataclass(frozen=True, slots=True)
class LoadedPolicies:
    """The resilience policies.

    Attributes:
        policies: The valid ones, by name.
        broken: Names of those that are there and not valid.
        problems: What is wrong with the file.
    """

    policies: dict[str, ResiliencePolicy]
    broken: frozenset[str]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class LoadedTopologies:
    """All that was found in a configuration folder.

    Attributes:
        pipelines: The valid pipelines, in order of name.
        policies: The valid resilience policies, by name.
        problems: Everything that is wrong, in file and line order.
    """

    pipelines: tuple[LoadedPipeline, ...]
    policies: dict[str, ResiliencePolicy]
    problems: tuple[Problem, ...]

    @property
    def deprecations(self) -> tuple[Problem, ...]:
        """The earlier forms in valid pipelines, and what to write instead."""
        return tuple(note for pipeline in self.pipelines for note in pipeline.deprecations)


def load_pipelines(config: Path | ConfigFiles) -> LoadedTopologies:
    """Load pipeline files and the resilience file.

    Args:
        config: The configuration folder, for `orchestration/pipelines/*.yaml` and
            `orchestration/resilience.yaml` in it; or where those files are.

    Returns:
        The valid pipelines and policies, and a problem for everything else.
    """
    places = ConfigFiles.of(config) if isinstance(config, Path) else config
    loaded = load_policies(places.resilience)
    problems = list(loaded.problems)
    pipelines = []
    for folder in places.folders:
        files, folder_problems = _pipeline_files(folder)
        problems += folder_problems
        for file in files:
            if file in places.others:
                continue
            pipeline, found = _to_pipeline(read_yaml(file, folder), loaded)
            problems += found
            if pipeline is not None:
                pipelines.append(pipeline)
    unique, clashes = without_clashes(pipelines)
    problems += clashes
    return LoadedTopologies(unique, loaded.policies, tuple(problems))


def parse_pipeline(
    text: str, file: Path, policies: LoadedPolicies
) -> tuple[LoadedPipeline | None, tuple[Problem, ...]]:
    """Load one pipeline from text; `file` names it in problems."""
    return _to_pipeline(parse_yaml(text, file), policies)


def load_policies(file: Path) -> LoadedPolicies:
    """Load a resilience file.

    Args:
        file: The file; where it is missing, there is the policy `default` with its built-in values.
    """
    source = read_yaml(file)
    if source.is_missing:
        problem = Problem(
            "the resilience file is missing", file=file, hint="only the policy 'default' is known"
        )
        return LoadedPolicies({DEFAULT_POLICY: ResiliencePolicy()}, frozenset(), (problem,))
    written = source.value.get("policies") if isinstance(source.value, dict) else None
    if not isinstance(written, dict):
        findings = [] if source.value is None and source.problems else [_not_policies(source.value)]
        problems = _sorted_problems(source, findings)
        return LoadedPolicies({DEFAULT_POLICY: ResiliencePolicy()}, frozenset(), problems)
    findings = [
        Finding((key,), f"unknown key '{key}'", did_you_mean(key, ["policies"]))
        for key in source.value
        if key != "policies"
    ]
    policies: dict[str, ResiliencePolicy] = {}
    broken = set()
    for name, value in written.items():
        policy, wrong = validated(ResiliencePolicy, value, ("policies", name))
        findings += wrong
        if policy is None:
            broken.add(name)
        else:
            policies[name] = policy
    return LoadedPolicies(policies, frozenset(broken), _sorted_problems(source, findings))


def _not_policies(value: Any) -> Finding:
    if isinstance(value, dict) and "policies" in value:
        return Finding(("policies",), "'policies' must be a mapping of names to policies")
    return Finding((), "the file must be a mapping with the key 'policies'")


def _pipeline_files(folder: Path) -> tuple[list[Path], list[Problem]]:
    try:
        files = [
            file
            for file in folder.iterdir()
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
        ]
    except OSError as error:
        hint = "create it, or set MEDKG_CONFIG to the folder that holds orchestration/"
        return [], [
            Problem(f"the folder of pipelines cannot be read: {error.strerror}", file=folder, hint=hint)
        ]
    return sorted(files), []


def _to_pipeline(
    source: YamlSource, policies: LoadedPolicies
) -> tuple[LoadedPipeline | None, tuple[Problem, ...]]:
    if source.value is None and source.problems:
        return None, source.problems
    if not isinstance(source.value, dict):
        finding = Finding((), "a pipeline file must be a mapping with the keys name, version and stages")
        return None, _sorted_problems(source, [finding])
    source, deprecations = read_legacy_forms(source)
    topology, findings = validated(PipelineTopologyConfig, source.value, context={STRUCTURE_CHECKED: True})
    findings += [*_raw_structure(source.value), *_unknown_policies(source.value, policies)]
    problems = _sorted_problems(source, findings)
    if topology is None or problems:
        return None, problems
    return LoadedPipeline(topology, source.file, source.lines, deprecations), ()


def _raw_structure(value: dict[str, Any]) -> list[Finding]:
    stages = [StageShape.of(stage) for stage in mappings_at(value, "stages")]
    gates = [GateShape.of(gate) for gate in mappings_at(value, "gates")]
    findings = structure_findings(stages, gates)
    name = value.get("name")
    names = [stage.name for stage in stages]
    findings += trigger_findings(mappings_at(value, "triggers"), name if isinstance(name, str) else "", names)
    return findings


def _unknown_policies(value: dict[str, Any], policies: LoadedPolicies) -> Iterator[Finding]:
    for index, stage in enumerate(mappings_at(value, "stages")):
        name = stage.get("policy", DEFAULT_POLICY)
        if not isinstance(name, str) or name in policies.policies:
            continue
        path = ("stages", index, "policy")
        if name in policies.broken:
            yield Finding(path, f"the policy '{name}' is not valid", "correct it in resilience.yaml")
        else:
            yield Finding(path, f"unknown policy '{name}'", did_you_mean(name, policies.policies))


def _sorted_problems(source: YamlSource, findings: Iterable[Finding]) -> tuple[Problem, ...]:
    problems = [*source.problems, *(_to_problem(source, finding) for finding in findings)]
    return tuple(sorted(problems, key=lambda problem: problem.line or 0))


def _to_problem(source: YamlSource, finding: Finding) -> Problem:
    message = finding.message
    if finding.first is not None:
        message += f" (first on line {source.lines.line(finding.first)})"
    return Problem(message, file=source.file, line=source.lines.line(finding.path), hint=finding.hint)
