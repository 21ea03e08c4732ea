"""What the checks that a stage type declares say of what a stage described, for the asset catalog."""

from collections.abc import Mapping

from dagster import AssetCheckEvaluation, AssetCheckSeverity, AssetKey

from medkg_dagster.errors import StageContractError
from medkg_dagster.runtime.materialization import metadata_of
from medkg_dagster.stage_api import CheckVerdict, OutcomeCheck
from medkg_dagster.stage_api._context import Described
from medkg_dagster.stage_api._stage_types.metadata import qualified_name


def evaluation(
    check: OutcomeCheck, asset: AssetKey, described: Mapping[str, Described]
) -> AssetCheckEvaluation:
    """Judge an outcome.

    Args:
        check: What is judged.
        asset: The stage's asset.
        described: What the stage described.

    Raises:
        StageContractError: The check gives no verdict.
        Exception: Whatever its `judge` raises.
    """
    verdict = check.judge(described)
    if not isinstance(verdict, CheckVerdict):
        raise StageContractError(
            f"check {check.name!r}: {qualified_name(check.judge)} returned {type(verdict).__name__}; it must "
            "return a CheckVerdict"
        )
    return AssetCheckEvaluation(
        asset_key=asset,
        check_name=check.name,
        passed=bool(verdict.passed),
        severity=AssetCheckSeverity.WARN,
        metadata=metadata_of(verdict.described),
    )
