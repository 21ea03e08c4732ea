"""The asset that shows in the UI what could not be loaded."""

from collections.abc import Sequence

from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
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
    sensor,
)

from medkg_dagster.errors import Problem
from medkg_dagster.resolution.plan import Plan

LOAD_REPORT = AssetKey(["medkg", "load_report"])
CHECK = "everything_loads"

_SCHEMA = TableSchema(columns=[TableColumn("where"), TableColumn("problem"), TableColumn("what_to_do")])


def load_report_asset() -> AssetSpec:
    """Return the asset that stands for the last load of pipelines and plugins."""
    return AssetSpec(
        LOAD_REPORT,
        description="The last load of pipelines and stage plugins; its check fails on any problem.",
        group_name="medkg",
        kinds={"yaml"},
    )


def load_report_check() -> AssetCheckSpec:
    """Return the check that fails while a pipeline or plugin cannot be loaded."""
    return AssetCheckSpec(CHECK, asset=LOAD_REPORT, description="Every pipeline file and stage plugin loads.")


def load_report_sensor(plan: Plan) -> SensorDefinition:
    """Return the sensor that records the load, once per change of what was found.

    Args:
        plan: What the load gave.
    """
    found = "\n".join(
        [*(pipeline.name for pipeline in plan.pipelines), *(str(item) for item in plan.problems)]
    )

    @sensor(
        name="load_report",
        description="Shows problems of pipeline files and plugins as a failed check; starts no run.",
        default_status=DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
    )
    def load_report(context: SensorEvaluationContext) -> SensorResult | SkipReason:
        if context.cursor == found:
            return SkipReason("Nothing changed since the last load.")
        return SensorResult(
            cursor=found,
            asset_events=[
                AssetMaterialization(
                    LOAD_REPORT,
                    metadata={"pipelines": len(plan.pipelines), "problems": len(plan.problems)},
                ),
                AssetCheckEvaluation(
                    asset_key=LOAD_REPORT,
                    check_name=CHECK,
                    passed=not plan.problems,
                    severity=AssetCheckSeverity.ERROR,
                    metadata={"problems": _table(plan.problems)} if plan.problems else {},
                ),
            ],
        )

    return load_report


def check_key() -> AssetCheckKey:
    """Return the key of the check."""
    return AssetCheckKey(LOAD_REPORT, CHECK)


def _table(problems: Sequence[Problem]) -> MetadataValue[object]:
    rows = [
        TableRecord(
            {
                "where": f"{item.file or item.subject or ''}{f':{item.line}' if item.line else ''}",
                "problem": item.message,
                "what_to_do": item.hint or "",
            }
        )
        for item in problems
    ]
    return MetadataValue.table(rows, schema=_SCHEMA)
