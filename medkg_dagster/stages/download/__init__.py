"""The `download` stage: the files of documents, fetched once, safely, and kept under their hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkg_dagster.stage_api import DownloadedFile, StageRegistration
from medkg_dagster.stages.download.config import DownloadConfig
from medkg_dagster.stages.pdf_conversion import PDF_CONVERSION

if TYPE_CHECKING:
    from medkg_dagster.stages.download.stage import DownloadStage


def register() -> StageRegistration:
    """Register the stage type."""
    return StageRegistration.of(
        "download",
        _open,
        DownloadConfig,
        description="Fetches the PDF or XML of each document, resumes what broke, skips what is there.",
        state_types={"downloaded_files": tuple[DownloadedFile, ...]},
        dependencies=("ingest",),
        kinds=("python",),
        work_at_gates=(PDF_CONVERSION,),
        # Of addresses that call themselves open access, a third and more lead to a paywall or a page.
        max_failure_ratio=0.5,
    )


def _open(config: DownloadConfig) -> DownloadStage:
    from medkg_dagster.stages.download.stage import DownloadStage

    return DownloadStage(config)
