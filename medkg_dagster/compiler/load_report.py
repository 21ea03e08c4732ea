"""The asset that shows in the UI what could not be loaded."""

from collections.abc import Sequence

from dagster import (
    AssetCheckEvaluation,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
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
    TableMetadataValue,
    TableRecord,
    TableSchema,
    asset_check,
    sensor,
)

from medkg_dagster.errors import Problem
from medkg_dagster.resolution.plan import Plan

LOAD_REPORT = AssetKey(["medkg", "load_report"])
CHECK = "everything_loads"

_SCHEMA = TableSchema(columns=[TableColumn("where"), TableColumn("problem"), TableColumn("what_to_do")])


def load_report_asset() -> AssetSpec:
    """Return the asset that stands for the last load of pipelines and stage plugins."""
    return AssetSpec(
        LOAD_REPORT,
        description="The last load of pipelines and stage plugins; its check fails on any problem.",
        group_name="medkg",
        kinds={"yaml"},
    )


def load_report_check(plan: Plan) -> AssetChecksDefinition:
    """Return the check that fails while a pipeline or plugin cannot be loaded.

    Args:
        plan: What the load gave.
    """

    @asset_check(name=CHECK, asset=LOAD_REPORT, description="Every pipeline file and stage plugin loads.")
    def everything_loads() -> AssetCheckResult:
        return AssetCheckResult(passed=not plan.problems, metadata=_check_metadata(plan))

    return everything_loads


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
                    metadata=_check_metadata(plan),
                ),
            ],
        )

    return load_report


def _check_metadata(plan: Plan) -> dict[str, TableMetadataValue]:
    return {"problems": _table(plan.problems)} if plan.problems else {}


def _table(problems: Sequence[Problem]) -> TableMetadataValue:
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
