"""The pipelines that commands work on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkg_dagster.errors import ConfigError, counted, did_you_mean
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.ledger import JobKey
    from medkg_dagster.resolution.plan import PipelinePlan, Plan


def load_pipelines(settings: Settings) -> Plan:
    """Load and resolve every pipeline of the configuration folder."""
    from medkg_dagster.resolution import load_deployment

    return load_deployment(settings).plan


def way_to_start_again(loaded: Plan, key: JobKey) -> str:
    """Return how a job that has ended is started again, where its pipeline is loaded and where it is not."""
    again = f"`medkg ledger retry {key}` starts it again"
    if any(candidate.name == key.pipeline for candidate in loaded.pipelines):
        return again
    return f"nothing that is loaded defines its pipeline '{key.pipeline}': once its file is back, {again}"


def find_pipeline(loaded: Plan, name: str) -> PipelinePlan:
    """Return the pipeline of that name, hyphens and underscores being the same.

    Raises:
        ConfigError: There is none; where files had problems, it says so.
    """
    for candidate in loaded.pipelines:
        if name in {candidate.name, candidate.dagster_name}:
            return candidate
    hint = did_you_mean(name, [candidate.name for candidate in loaded.pipelines])
    problems = (
        f"; {counted(len(loaded.problems), 'problem')} while loading, see `medkg check`"
        if loaded.problems
        else ""
    )
    raise ConfigError(f"unknown pipeline {name!r}; {hint}{problems}")
