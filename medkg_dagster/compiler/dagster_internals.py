"""What Dagster does not export and the compiler needs: its places may move with any release of Dagster."""

from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
from dagster._core.definitions.output import OutputDefinition
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

__all__ = ["IMPLICIT_ASSET_JOB_NAME", "OutputDefinition", "UnresolvedAssetJobDefinition"]
