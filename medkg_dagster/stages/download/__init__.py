"""The `download` stage: the files of documents, fetched once, safely, and kept under their hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkg_dagster.stage_api import (
    DownloadedFile,
    StageDefinitionView,
    StageMetadata,
    StageRegistration,
    write_key,
)
from medkg_dagster.stages.download.config import DownloadConfig

if TYPE_CHECKING:
    from medkg_dagster.stages.download.stage import DownloadStage


def build(definition: StageDefinitionView) -> DownloadStage:
    """Build the stage from its YAML."""
    from medkg_dagster.stages.download.stage import DownloadStage

    return DownloadStage(DownloadConfig.model_validate(definition.config))


def register() -> StageRegistration:
    """Return the registration of the stage type `download`."""
    return StageRegistration(
        metadata=StageMetadata(
            stage_type="download",
            state_key="downloaded_files",
            output_handler=write_key("downloaded_files"),
            output_counter=len,
            description="Fetches the PDF or XML of each document, resumes what broke, skips what is there.",
            dependencies=("ingest",),
            config_model=DownloadConfig,
            state_types={"downloaded_files": tuple[DownloadedFile, ...]},
            kinds=("python",),
            # Of addresses that call themselves open access, a third and more lead to a paywall or a page.
            max_failure_ratio=0.5,
        ),
        builder=build,
    )
