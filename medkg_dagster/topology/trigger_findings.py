"""What is wrong with the triggers of a pipeline beyond what each key says alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from medkg_dagster.domain.job_ids import check_job_id
from medkg_dagster.domain.placeholders import Placeholder, fill, find_placeholders, short_text
from medkg_dagster.errors import ConfigError, did_you_mean
from medkg_dagster.topology.names import dagster_name
from medkg_dagster.topology.structure import Finding
from medkg_dagster.topology.triggers import PLACEHOLDERS, TIMES, default_part, job_id_of

MAX_TRIGGERS = 100


def trigger_findings(
    triggers: Sequence[Mapping[str, Any]], pipeline: str, stages: Sequence[str | None]
) -> Iterator[Finding]:
    """Yield what is wrong with the triggers of a pipeline, as written, beyond what each key says alone.

    Args:
        triggers: The triggers as written.
        pipeline: The pipeline's name.
        stages: The names of its stages.
    """
    if len(triggers) > MAX_TRIGGERS:
        yield Finding(("triggers",), f"a pipeline has at most {MAX_TRIGGERS} triggers", "split it")
        return
    named: dict[str, int] = {}
    asked: dict[str, tuple[int, Any]] = {}
    for index, trigger in enumerate(triggers):
        name, kind = trigger.get("name"), next((kind for kind in PLACEHOLDERS if kind in trigger), None)
        if not isinstance(name, str):
            continue
        first = named.setdefault(dagster_name(name), index)
        if first != index:
            yield Finding(
                ("triggers", index, "name"),
                f"triggers '{triggers[first].get('name')}' and '{name}' have one name in Dagster",
                "give one another name",
                ("triggers", first, "name"),
            )
        yield from _unknown_stages(index, trigger, name, stages)
        yield from _own_pipeline(index, trigger, name, pipeline)
        if kind is None:
            continue
        wrong = list(_wrong_placeholders(index, trigger, name, kind))
        yield from wrong or _wrong_job_id(index, trigger, kind, pipeline, asked)


def _own_pipeline(index: int, trigger: Mapping[str, Any], name: str, pipeline: str) -> Iterator[Finding]:
    for kind in ("ledger", "asset"):
        watched = trigger.get(kind)
        if isinstance(watched, dict) and watched.get("pipeline") == pipeline:
            yield Finding(
                ("triggers", index, kind, "pipeline"),
                f"trigger '{name}' looks at its own pipeline, whose jobs would start one another without end",
                "name another pipeline; what goes on within a job is for gates",
            )


def _unknown_stages(
    index: int, trigger: Mapping[str, Any], name: str, stages: Sequence[str | None]
) -> Iterator[Finding]:
    request = trigger.get("request")
    given = request.get("stages") if isinstance(request, dict) else None
    known = [stage for stage in stages if stage is not None]
    for stage in given if isinstance(given, dict) else ():
        if stage not in known:
            path = ("triggers", index, "request", "stages", stage)
            yield Finding(
                path,
                f"trigger '{name}' gives options to '{stage}', which is no stage of this pipeline",
                did_you_mean(stage, known),
            )


def _wrong_placeholders(index: int, trigger: Mapping[str, Any], name: str, kind: str) -> Iterator[Finding]:
    known = PLACEHOLDERS[kind]
    within = {key: trigger.get(key) for key in ("job_id", "request")}
    for found in find_placeholders(within, ("triggers", index)):
        if found.error:
            yield Finding(found.path, f"trigger '{name}': {found.error}")
        elif found.name not in known:
            shown = "{" + found.name + "}"
            yield Finding(
                found.path,
                f"trigger '{name}' cannot fill in {shown}",
                f"{did_you_mean(found.name, known)}; double a brace that means itself",
            )
        elif found.form and not _writes_a_time(found):
            yield Finding(
                found.path,
                f"trigger '{name}': ':{found.form}' is no form of a time",
                "write for example {window_start:%Y-%m-%d}"
                if found.name in TIMES
                else "it is no time; leave it out",
            )


def _writes_a_time(found: Placeholder) -> bool:
    return found.name in TIMES and "%" in found.form


def _wrong_job_id(
    index: int, trigger: Mapping[str, Any], kind: str, pipeline: str, asked: dict[str, tuple[int, Any]]
) -> Iterator[Finding]:
    job_id, request, path = job_id_of(trigger, kind, pipeline), trigger.get("request"), ("triggers", index)
    key = "job_id" if "job_id" in trigger else "name"
    if any(find_placeholders(request)) and not any(find_placeholders(job_id)):
        example = f"{pipeline}-{default_part(kind)}"
        yield Finding(
            (*path, "job_id"),
            f"all jobs of trigger '{trigger.get('name')}' would be called '{job_id}', but what they work on "
            "differs",
            f"leave job_id out, or put a placeholder into it, as in {example}",
        )
    try:
        check_job_id(fill(job_id, sample_values(kind), short_text))
    except ConfigError as error:
        yield Finding((*path, key), str(error))
    first, other = asked.setdefault(job_id, (index, request))
    if other != request:
        yield Finding(
            (*path, key),
            f"this trigger and another one would call jobs '{job_id}' that work on different things",
            "give one of them a job_id",
            ("triggers", first),
        )


def sample_values(kind: str) -> dict[str, datetime | str]:
    """Return a value for each placeholder of a kind of trigger, to check a request with."""
    moment = datetime(2026, 1, 1, 6, tzinfo=UTC)
    return {name: moment if name in TIMES else "sample" for name in PLACEHOLDERS[kind]}
