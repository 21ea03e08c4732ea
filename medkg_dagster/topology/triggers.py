"""Triggers of a pipeline as written in YAML: what asks for jobs by itself, and what they work on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from medkg_dagster.domain import StrictModel, empty_dict_for_none
from medkg_dagster.domain.cron import Cron
from medkg_dagster.domain.job_ids import check_job_id
from medkg_dagster.domain.placeholders import Placeholder, fill, find_placeholders, short_text
from medkg_dagster.errors import ConfigError, did_you_mean
from medkg_dagster.topology.names import Name, dagster_name
from medkg_dagster.topology.structure import Finding

MAX_TRIGGERS = 100
CatchUp = Literal["one", "all", "none"]

PLACEHOLDERS: Mapping[str, tuple[str, ...]] = {
    "schedule": ("window_start", "window_end"),
}
"""What a request may ask for, by kind of trigger."""
_TIMES = frozenset({"window_start", "window_end"})
_DEFAULT_JOB_IDS = {"schedule": "{window_end}"}


@lru_cache(maxsize=256)
def _check_cron(cron: str) -> str:
    try:
        Cron.parse(cron)
    except ValueError as error:
        raise PydanticCustomError("cron", "{error}", {"error": str(error)}) from None
    return cron


@lru_cache(maxsize=256)
def _check_timezone(timezone: str) -> str:
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        close = did_you_mean(timezone, available_timezones()).partition("? ")[0]
        hint = f"{close}?" if close.startswith("did") else "write one like Europe/Berlin"
        raise PydanticCustomError("timezone", "there is no such time zone; {hint}", {"hint": hint}) from None
    return timezone


class ScheduleTrigger(StrictModel):
    """Asks for a job at set times.

    Attributes:
        cron: When: minute, hour, day of the month, month, day of the week; or `@hourly`, `@daily`, `@weekly`,
            `@monthly`, `@yearly`.
        timezone: The time zone that the times are of.
        catch_up: What becomes of times at which nobody looked: `one` job for all of them, a job each
            (`all`), or `none`.
    """

    cron: Annotated[str, AfterValidator(_check_cron)]
    timezone: Annotated[str, AfterValidator(_check_timezone)] = "UTC"
    catch_up: CatchUp = "one"

    @property
    def times(self) -> Cron:
        """The times."""
        return Cron.parse(self.cron, self.timezone)


class TriggerRequest(StrictModel):
    """What a trigger's jobs work on, where it differs from what the pipeline says.

    Attributes:
        adapter: The source to fetch from; none for the pipeline's own.
        params: Parameters of the source.
        stages: Options of stages, by the stage's name.
    """

    adapter: str | None = Field(default=None, min_length=1)
    params: Annotated[dict[str, Any], BeforeValidator(empty_dict_for_none)] = Field(default_factory=dict)
    stages: Annotated[dict[str, dict[str, Any]], BeforeValidator(empty_dict_for_none)] = Field(
        default_factory=dict
    )

    def as_submitted(self) -> dict[str, Any]:
        """Return it as the ledger keeps a request: without what says nothing."""
        return {key: value for key, value in self.model_dump(mode="json").items() if value}


class TriggerDefinition(StrictModel):
    """What asks for jobs of a pipeline by itself.

    Attributes:
        name: Unique in the pipeline; becomes part of the name of its schedule or sensor.
        description: What it is for, for people.
        default_status: Whether it is on as soon as it is deployed; Dagster's UI turns it on and off.
        schedule: Asks at set times.
        request: What its jobs work on.
        job_id: The id of its jobs; with placeholders a job each, without one job that runs again each time.
            By default `<pipeline>-<trigger>`, and where the request has placeholders
            `<pipeline>-{window_end}`.
    """

    name: Name
    description: str = ""
    default_status: Literal["running", "stopped"] = "running"
    schedule: ScheduleTrigger
    request: Annotated[TriggerRequest, BeforeValidator(empty_dict_for_none)] = TriggerRequest()
    job_id: str | None = Field(default=None, min_length=1)

    @property
    def kind(self) -> str:
        """What it looks at: the key that says so."""
        return "schedule"

    def job_id_of(self, pipeline: str) -> str:
        """Return the id of its jobs, placeholders included."""
        return _job_id(self.model_dump(mode="json"), self.kind, pipeline)


def _job_id(trigger: Mapping[str, Any], kind: str, pipeline: str) -> str:
    written = trigger.get("job_id")
    if isinstance(written, str):
        return written
    each = any(find_placeholders(trigger.get("request")))
    return f"{pipeline}-{_DEFAULT_JOB_IDS[kind] if each else trigger.get('name')}"


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
        if kind is None:
            continue
        wrong = list(_wrong_placeholders(index, trigger, name, kind))
        yield from wrong or _wrong_job_id(index, trigger, kind, pipeline, asked)


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
                "write for example {window_start:%Y-%m-%d}",
            )


def _writes_a_time(found: Placeholder) -> bool:
    return found.name in _TIMES and "%" in found.form


def _wrong_job_id(
    index: int, trigger: Mapping[str, Any], kind: str, pipeline: str, asked: dict[str, tuple[int, Any]]
) -> Iterator[Finding]:
    job_id, request, path = _job_id(trigger, kind, pipeline), trigger.get("request"), ("triggers", index)
    key = "job_id" if "job_id" in trigger else "name"
    if any(find_placeholders(request)) and not any(find_placeholders(job_id)):
        example = f"{pipeline}-{_DEFAULT_JOB_IDS[kind]}"
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
    return {name: moment if name in _TIMES else "sample" for name in PLACEHOLDERS[kind]}
