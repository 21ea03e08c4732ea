"""`config/plugins.yaml`: which plugins a deployment lets in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from medkg_dagster.domain import StrictModel, empty_dict_for_none, empty_list_for_none
from medkg_dagster.errors import Problem
from medkg_dagster.plugins import PluginPolicy, Replacement
from medkg_dagster.plugins.policy import LOAD_SECONDS
from medkg_dagster.topology.explain import validated
from medkg_dagster.topology.structure import Finding
from medkg_dagster.topology.yaml_source import YamlSource, read_yaml

PLUGINS_FILE = "plugins.yaml"


def _check_prefixes(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    for prefix in prefixes:
        if not all(part.isidentifier() for part in prefix.split(".")):
            raise PydanticCustomError(
                "prefix",
                "an import prefix is a package, for example 'my_lab.stages', got {prefix}",
                {"prefix": prefix},
            )
    return prefixes


Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(empty_list_for_none)]
Choices = Annotated[dict[str, str], BeforeValidator(empty_dict_for_none)]


class ReplacesSection(StrictModel):
    """By name the distribution whose registration is taken, also in the place of a built-in.

    Attributes:
        stages: By stage type.
        sources: By source.
        embedders: By embedder.
        extractors: By extractor.
        rerankers: By reranker.
        index_stores: By index store.
        graph_stores: By graph store.
        gate_conditions: By gate condition.
    """

    stages: Choices = Field(default_factory=dict)
    sources: Choices = Field(default_factory=dict)
    embedders: Choices = Field(default_factory=dict)
    extractors: Choices = Field(default_factory=dict)
    rerankers: Choices = Field(default_factory=dict)
    index_stores: Choices = Field(default_factory=dict)
    graph_stores: Choices = Field(default_factory=dict)
    gate_conditions: Choices = Field(default_factory=dict)


class PluginsFile(StrictModel):
    """Which plugins a deployment lets in.

    Attributes:
        autoload: Whether what is installed is loaded without being requested; otherwise only what a
            pipeline's `plugins:` section names.
        allow: Distributions, or `distribution:entry point`, that may be loaded; empty allows all.
        block: Distributions, or `distribution:entry point`, that are never loaded.
        import_prefixes: Packages that a pipeline file may name an import path in.
        replaces: Names for which a distribution is chosen.
        load_seconds: After this time the loading of one entry point is reported, and interrupted in the main
            thread.
    """

    autoload: bool = True
    allow: Names = ()
    block: Names = ()
    import_prefixes: Annotated[Names, AfterValidator(_check_prefixes)] = ()
    replaces: Annotated[ReplacesSection, BeforeValidator(empty_dict_for_none)] = ReplacesSection()
    load_seconds: float = Field(default=LOAD_SECONDS, gt=0, le=3600)


@dataclass(frozen=True, slots=True)
class LoadedPluginPolicy:
    """The deployment's policy.

    Attributes:
        policy: What is let in; built-ins only where the file is not valid.
        problems: What is wrong with the file.
    """

    policy: PluginPolicy
    problems: tuple[Problem, ...] = ()


def load_plugin_policy(config: Path, *, enabled: bool = True) -> LoadedPluginPolicy:
    """Read which plugins are let in.

    Args:
        config: The configuration folder, for the `plugins.yaml` in it, or the file itself; where it is
            missing, everything is let in.
        enabled: False where `MEDKG_PLUGINS=off` lets built-ins in only.
    """
    if not enabled:
        written = "MEDKG_PLUGINS=off"
        return LoadedPluginPolicy(PluginPolicy(closed=f"{written} lets built-ins in only", written=written))
    file = config / PLUGINS_FILE if config.is_dir() else config
    source = read_yaml(file)
    if source.is_missing:
        return LoadedPluginPolicy(PluginPolicy())
    problems = [] if source.is_empty else list(source.problems)
    if not problems:
        content, findings = validated(PluginsFile, {} if source.value is None else source.value)
        if content is not None:
            return LoadedPluginPolicy(_policy(content, source))
        problems = [_problem(source, finding) for finding in findings]
    # What the file meant to keep out must stay out.
    closed = PluginPolicy(closed=f"{file} is not valid, so built-ins are let in only", written=str(file))
    return LoadedPluginPolicy(closed, tuple(problems))


def _policy(content: PluginsFile, source: YamlSource) -> PluginPolicy:
    return PluginPolicy(
        autoload=content.autoload,
        allow=content.allow,
        block=content.block,
        import_prefixes=content.import_prefixes,
        replaces={(chosen.kind, chosen.name): chosen for chosen in _replacements(content, source)},
        load_seconds=content.load_seconds,
        written=str(source.file),
    )


def _replacements(content: PluginsFile, source: YamlSource) -> Iterator[Replacement]:
    for kind in ReplacesSection.model_fields:
        for name, distribution in getattr(content.replaces, kind).items():
            line = source.lines.line(("replaces", kind, name))
            yield Replacement(kind, name, distribution, f"{source.file}:{line}")


def _problem(source: YamlSource, finding: Finding) -> Problem:
    return Problem(finding.message, file=source.file, line=source.lines.line(finding.path), hint=finding.hint)
