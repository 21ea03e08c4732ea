"""The checks that stage types declare on what their stages come to."""

from collections.abc import Sequence
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSpec,
    MetadataValue,
    multi_asset_check,
)

from medkg_dagster.compiler.translator import PipelineAssets
from medkg_dagster.runtime.materialization import described_of
from medkg_dagster.runtime.outcome_checks import evaluation
from medkg_dagster.topology.names import STAGE_CHECKS


def stage_checks(pipelines: Sequence[PipelineAssets]) -> list[AssetChecksDefinition]:
    """Return the checks of all stages, as one definition; none where no stage type declares one.

    A step judges its own outcome. Asked for by itself, a check judges the last materialization again.

    Args:
        pipelines: The pipelines' assets, translated.
    """
    checks = {
        (assets.key(stage.name), check.name): check
        for assets in pipelines
        for stage in assets.pipeline.stages
        for check in stage.contract.checks
    }
    if not checks:
        return []
    specs = [
        AssetCheckSpec(name, asset=asset, description=check.description)
        for (asset, name), check in checks.items()
    ]

    @multi_asset_check(name=STAGE_CHECKS, specs=specs, can_subset=True)
    def judge_again(context: AssetCheckExecutionContext) -> Any:
        for key in context.selected_asset_check_keys:
            event = context.instance.get_latest_materialization_event(key.asset_key)
            materialization = event.asset_materialization if event else None
            if materialization is None:
                nothing = {"judged": MetadataValue.text("nothing: the stage has not run yet")}
                yield AssetCheckResult(
                    asset_key=key.asset_key, check_name=key.name, passed=True, metadata=nothing
                )
                continue
            found = evaluation(
                checks[key.asset_key, key.name], key.asset_key, described_of(materialization.metadata)
            )
            yield AssetCheckResult(
                asset_key=found.asset_key,
                check_name=found.check_name,
                passed=found.passed,
                severity=found.severity,
                metadata=found.metadata,
            )

    return [judge_again]
