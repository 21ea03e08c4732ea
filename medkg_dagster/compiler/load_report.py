"""The asset that shows in the UI what could not be loaded, how plugins changed and how long they took."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    AssetMaterialization,
    AssetSpec,
    DefaultSensorStatus,
    MetadataValue,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    TableColumn,
    TableRecord,
    TableSchema,
    multi_asset_check,
    sensor,
)

from medkg_dagster.errors import Problem
from medkg_dagster.io.times import stamp, utc_now
from medkg_dagster.ledger import JobLedger
from medkg_dagster.ledger.models import Registration
from medkg_dagster.plugins import OWN_DISTRIBUTION
from medkg_dagster.resolution.ledger_checks import (
    audit_plugins,
    known_phases,
    record_load,
    registrations,
    stranded_jobs,
)
from medkg_dagster.resolution.plan import Plan, PluginReport
from medkg_dagster.runtime.ticks import TICK_SECONDS
from medkg_dagster.settings import Settings
from medkg_dagster.topology import names
from medkg_dagster.topology.names import JOBS_GO_ON, PIPELINES_LOAD, PLUGINS_LOAD, PLUGINS_UNCHANGED

LOAD_REPORT = AssetKey(names.LOAD_REPORT)
CHECKS = {
    PIPELINES_LOAD: "Every file of pipelines and settings is valid and can be resolved.",
    PLUGINS_LOAD: "Every stage plugin and extension that is let in loads.",
    PLUGINS_UNCHANGED: "No plugin has another version or other files than at the load before.",
    JOBS_GO_ON: "No job waits at a gate, or for a pipeline, that is defined no longer.",
}

_PROBLEMS = TableSchema(
    columns=[TableColumn("where"), TableColumn("problem"), TableColumn("what_to_do"), TableColumn("details")]
)
_CHANGES = TableSchema(
    columns=[
        TableColumn(name)
        for name in (
            "distribution",
            "version",
            "entry_point",
            "subject",
            "outcome",
            "change",
            "configured_by",
        )
    ]
)
_LONGEST_DETAILS = 4000
_RECENT = 500


def load_report_asset() -> AssetSpec:
    """Return the asset that stands for the last load of pipelines and stage plugins."""
    return AssetSpec(
        LOAD_REPORT,
        description="The last load of pipelines and plugins; its checks fail on any problem.",
        group_name=names.LOAD_REPORT_GROUP,
        kinds={"yaml"},
    )


def load_report_checks(plan: Plan, settings: Settings) -> AssetChecksDefinition:
    """Return the checks that fail while a pipeline or plugin cannot be loaded.

    Args:
        plan: What the load gave.
        settings: Where the ledger with the audit is.
    """

    @multi_asset_check(
        name=names.LOAD_REPORT_CHECKS,
        specs=[AssetCheckSpec(name, asset=LOAD_REPORT, description=text) for name, text in CHECKS.items()],
    )
    def load_report_checks() -> Any:
        with JobLedger.of(settings) as ledger:
            verdicts = _verdicts(plan, _audit(plan, ledger), stranded_jobs(plan.pipelines, ledger))
        for name, (passed, severity, metadata) in verdicts.items():
            yield AssetCheckResult(
                asset_key=LOAD_REPORT, check_name=name, passed=passed, severity=severity, metadata=metadata
            )

    return load_report_checks


def load_report_sensor(plan: Plan, settings: Settings) -> SensorDefinition:
    """Return the sensor that records each load once.

    Code servers that found the same do not report in turns: only a later load counts.

    Args:
        plan: What the load gave.
        settings: Where the ledger with the audit is.
    """
    loaded = _found(plan)
    has_broken_files = any(problem.file is not None for problem in plan.problems)

    @sensor(
        name=names.LOAD_REPORT_SENSOR,
        description="Shows what became of pipeline files and plugins as checks; starts no run.",
        default_status=DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=TICK_SECONDS,
    )
    def load_report(context: SensorEvaluationContext) -> SensorResult | SkipReason:
        reported = _Reported.read(context.cursor)
        with JobLedger.of(settings) as ledger:
            stranded = stranded_jobs(plan.pipelines, ledger)
            # What a file defines that cannot be loaded at the moment may come back.
            if stranded and not has_broken_files:
                ledger.gates.time_out_stranded(known_phases(plan.pipelines))
                stranded = stranded_jobs(plan.pipelines, ledger)
            found = hashlib.sha256("\n".join([*loaded, *map(str, stranded)]).encode()).hexdigest()
            if reported.found == found and reported.loaded_at >= plan.report.loaded_at:
                return SkipReason("This load has been reported.")
            # No later than now: a clock that was ahead would hide for as long what changes.
            since = min(reported.audited_until, stamp(utc_now))
            news = _audit(plan, ledger, since=since)
            record_load(plan.report, ledger)
        verdicts = _verdicts(plan, news, stranded)
        return SensorResult(
            cursor=_Reported(
                max(reported.loaded_at, plan.report.loaded_at),
                max([reported.audited_until, *(entry.at for entry in news)]),
                found,
            ).write(),
            asset_events=[
                AssetMaterialization(LOAD_REPORT, metadata=_figures(plan)),
                *(
                    AssetCheckEvaluation(
                        asset_key=LOAD_REPORT,
                        check_name=name,
                        passed=passed,
                        severity=severity,
                        metadata=metadata,
                    )
                    for name, (passed, severity, metadata) in verdicts.items()
                ),
            ],
        )

    return load_report


@dataclass(frozen=True, slots=True)
class _Reported:
    """The sensor's cursor: the load it reported last.

    Attributes:
        loaded_at: When it was loaded.
        audited_until: The time of the latest record of the audit that was reported.
        found: What was found.
    """

    loaded_at: str = ""
    audited_until: str = ""
    found: str = ""

    @classmethod
    def read(cls, cursor: str | None) -> "_Reported":
        try:
            return cls(**json.loads(cursor or "{}"))
        except (TypeError, ValueError):
            # The cursor of another release; the load is reported again.
            return cls()

    def write(self) -> str:
        return json.dumps(asdict(self))


Verdict = tuple[bool, AssetCheckSeverity, dict[str, MetadataValue[Any]]]


def _verdicts(plan: Plan, added: Sequence[Registration], stranded: Sequence[Problem]) -> dict[str, Verdict]:
    of_files = [problem for problem in plan.problems if problem.file is not None]
    of_plugins = [problem for problem in plan.problems if problem.file is None]
    changed = [entry for entry in added if entry.change]
    error, warn = AssetCheckSeverity.ERROR, AssetCheckSeverity.WARN
    return {
        PIPELINES_LOAD: (not of_files, error, _problem_table(of_files)),
        PLUGINS_LOAD: (not of_plugins, error, _problem_table(of_plugins)),
        PLUGINS_UNCHANGED: (not changed, warn, _change_table(added)),
        JOBS_GO_ON: (not stranded, warn, _problem_table(stranded)),
    }


def _audit(plan: Plan, ledger: JobLedger, since: str = "") -> tuple[Registration, ...]:
    """Bring the audit up to date; return what was added after a time, by whichever load."""
    added = audit_plugins(plan.report.events, ledger)
    recent = ledger.registrations.list(max(_RECENT, len(added)))
    if since:
        return tuple(entry for entry in reversed(recent) if entry.at > since)
    return tuple(reversed(recent[: len(added)]))


def _found(plan: Plan) -> list[str]:
    return [
        *(pipeline.name for pipeline in plan.pipelines),
        *(str(problem) for problem in plan.problems),
        *map(str, registrations(plan.report.events)),
    ]


def _figures(plan: Plan) -> dict[str, MetadataValue[Any]]:
    report = plan.report
    return {
        "pipelines": MetadataValue.int(len(plan.pipelines)),
        "problems": MetadataValue.int(len(plan.problems)),
        "discovery_seconds": MetadataValue.float(_total(report.discovery_seconds)),
        "resolution_seconds": MetadataValue.float(_total(report.resolution_seconds)),
        **_by_plugin("discovery_seconds", report.discovery_seconds),
        **_by_plugin("resolution_seconds", report.resolution_seconds),
        "plugins": _plugin_table(report),
    }


def _total(seconds: Mapping[str, float]) -> float:
    return round(sum(seconds.values(), 0.0), 6)


def _by_plugin(name: str, seconds: Mapping[str, float]) -> dict[str, MetadataValue[Any]]:
    """Return one number for each distribution, so that the UI plots each."""
    return {
        f"{name}/{re.sub(r'[^A-Za-z0-9_.-]', '_', distribution)}": MetadataValue.float(round(spent, 6))
        for distribution, spent in sorted(seconds.items())
    }


def _plugin_table(report: PluginReport) -> MetadataValue[Any]:
    columns = ("outcome", "subject", "distribution", "version", "entry_point", "configured_by", "details")
    entries = registrations(report.events)
    records = [
        TableRecord({name: str(getattr(entry, name)) for name in columns})
        for entry in sorted(entries, key=lambda entry: entry.distribution == OWN_DISTRIBUTION)
    ]
    return MetadataValue.table(records, schema=TableSchema([TableColumn(name) for name in columns]))


def _change_table(added: Sequence[Registration]) -> dict[str, MetadataValue[Any]]:
    if not added:
        return {}
    columns = [column.name for column in _CHANGES.columns]
    rows = [TableRecord({name: str(getattr(entry, name)) for name in columns}) for entry in added]
    return {"since_the_load_before": MetadataValue.table(rows, schema=_CHANGES)}


def _problem_table(problems: Sequence[Problem]) -> dict[str, MetadataValue[Any]]:
    if not problems:
        return {}
    rows = [
        TableRecord(
            {
                "where": f"{item.file or item.subject or ''}{f':{item.line}' if item.line else ''}",
                "problem": item.message,
                "what_to_do": item.hint or "",
                "details": (item.details or "")[-_LONGEST_DETAILS:],
            }
        )
        for item in problems
    ]
    return {"problems": MetadataValue.table(rows, schema=_PROBLEMS)}
