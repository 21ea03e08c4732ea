"""Triggers of a pipeline as written in YAML: what asks for jobs by itself, and what they work on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from medkg_dagster.domain import StrictModel, empty_dict_for_none
from medkg_dagster.domain.cron import Cron
from medkg_dagster.domain.gate_conditions import GateCondition, describe_condition
from medkg_dagster.domain.placeholders import find_placeholders
from medkg_dagster.errors import did_you_mean
from medkg_dagster.topology.names import Name

CatchUp = Literal["one", "all", "none"]

PLACEHOLDERS: Mapping[str, tuple[str, ...]] = {
    "schedule": ("window_start", "window_end"),
    "files": ("path",),
    "ledger": ("job_id",),
    "asset": ("job_id",),
}
"""What a request may ask for, by kind of trigger; in the id of a job each the last one stands by default."""
TIMES = frozenset({"window_start", "window_end"})
_OF_GATES_ALONE = ("timeout_seconds", "poll_interval_seconds", "on_timeout")


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


def _check_condition(condition: GateCondition) -> GateCondition:
    for key in _OF_GATES_ALONE:
        if key in condition.model_fields_set:
            raise PydanticCustomError(
                "condition", "'{key}' says how a gate waits; a trigger's condition has none", {"key": key}
            )
    return condition


class FilesTrigger(StrictModel):
    """Asks for a job when files appear, change or go.

    Attributes:
        path: A folder, or an address of one that fsspec can list, such as `s3://bucket/folder`.
        include: Glob patterns of file names or relative paths to look at.
        exclude: Glob patterns of relative paths, or of names in them, to leave out.
        recursive: Whether to look into its folders too.
        stable_seconds: How long a file has to be the same before it counts.
        poll_seconds: Seconds between two looks.
        max_files: A folder with more files than this is not looked at.
    """

    path: str = Field(min_length=1)
    include: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    exclude: tuple[str, ...] = (".*", "*.part", "*.partial", "*.tmp", "*.crdownload", "*~")
    recursive: bool = True
    stable_seconds: float = Field(default=10.0, ge=1, le=86_400)
    poll_seconds: int = Field(default=30, ge=5, le=86_400)
    max_files: int = Field(default=10_000, ge=1, le=1_000_000)


class LedgerTrigger(StrictModel):
    """Asks for a job when the fields of another pipeline's job come to fulfil a condition.

    Attributes:
        pipeline: The other pipeline.
        condition: What its job's fields must come to: clauses as for a gate.
    """

    pipeline: str = Field(min_length=1)
    condition: Annotated[GateCondition, AfterValidator(_check_condition)]


class AssetTrigger(StrictModel):
    """Asks for a job when a stage of another pipeline has been materialized.

    Attributes:
        pipeline: The other pipeline.
        stage: The stage of that pipeline.
    """

    pipeline: str = Field(min_length=1)
    stage: str = Field(min_length=1)


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
        schedule: Asks at set times; this or one of the next three.
        files: Asks when files appear, change or go.
        ledger: Asks when the fields of another pipeline's job come to fulfil a condition.
        asset: Asks when a stage of another pipeline has been materialized.
        request: What its jobs work on.
        job_id: The id of its jobs; with placeholders a job each, without one job that runs again each time.
            By default `<pipeline>-<trigger>`, and where the request has placeholders
            `<pipeline>-{window_end}`, `<pipeline>-{path}` or `<pipeline>-{job_id}`.
    """

    name: Name
    description: str = ""
    default_status: Literal["running", "stopped"] = "running"
    schedule: ScheduleTrigger | None = None
    files: FilesTrigger | None = None
    ledger: LedgerTrigger | None = None
    asset: AssetTrigger | None = None
    request: Annotated[TriggerRequest, BeforeValidator(empty_dict_for_none)] = TriggerRequest()
    job_id: str | None = Field(default=None, min_length=1)

    @property
    def kind(self) -> str:
        """What it looks at: the key that says so."""
        return next(kind for kind in PLACEHOLDERS if getattr(self, kind) is not None)

    @property
    def looks_at(self) -> str:
        """What it looks at, for people."""
        if self.schedule is not None:
            return f"{self.schedule.cron} ({self.schedule.timezone}), catching up {self.schedule.catch_up}"
        if self.files is not None:
            return f"files in {self.files.path}"
        if self.ledger is not None:
            return f"jobs of {self.ledger.pipeline}: {describe_condition(self.ledger.condition)}"
        assert self.asset is not None
        return f"stage {self.asset.stage} of {self.asset.pipeline}"

    @property
    def upstream(self) -> str | None:
        """The other pipeline that it looks at; None where it looks at none."""
        watched = self.ledger or self.asset
        return None if watched is None else watched.pipeline

    def job_id_of(self, pipeline: str) -> str:
        """Return the id of its jobs, placeholders included."""
        return job_id_of(self.model_dump(mode="json", exclude_unset=True), self.kind, pipeline)

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        found = [kind for kind in PLACEHOLDERS if getattr(self, kind) is not None]
        if len(found) != 1:
            kinds = " or ".join(f"'{kind}'" for kind in PLACEHOLDERS)
            given = " and ".join(f"'{kind}'" for kind in found) or "none of them"
            raise PydanticCustomError(
                "trigger",
                "a trigger looks at one thing: write {kinds}, not {given}",
                {"kinds": kinds, "given": given},
            )
        return self


def job_id_of(trigger: Mapping[str, Any], kind: str, pipeline: str) -> str:
    """Return the id of the jobs of a trigger as written, placeholders included."""
    written = trigger.get("job_id")
    if isinstance(written, str):
        return written
    each = any(find_placeholders(trigger.get("request")))
    return f"{pipeline}-{default_part(kind) if each else trigger.get('name')}"


def default_part(kind: str) -> str:
    """Return what tells jobs of a kind of trigger apart."""
    return "{" + PLACEHOLDERS[kind][-1] + "}"
