"""The run that converts the PDFs of a waiting job, and then says that they are ready."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medkg_dagster.conversion.pdf_files import ConversionLimits, ConversionReport, convert_files
from medkg_dagster.domain.file_records import PDF_CONVERSION, PDF_IR_READY
from medkg_dagster.ledger import JobLedger, RunIdentity
from medkg_dagster.runtime.progress import RunProgress
from medkg_dagster.settings import Settings
from medkg_dagster.stage_api.context.quarantine import QuarantinedDocument


@dataclass(frozen=True, slots=True)
class ConversionRun:
    """Converts the PDFs of one job.

    Attributes:
        settings: Where the ledger and all data are.
        pipeline: The pipeline's name.
        job_id: The job's id.
        limits: Limits of each conversion.
        parse_config: The configuration of the pipeline's `parse` stage.
    """

    settings: Settings
    pipeline: str
    job_id: str
    limits: ConversionLimits
    parse_config: Mapping[str, Any]

    def execute(self, run: RunIdentity, log: logging.Logger) -> ConversionReport:
        """Convert what is not converted yet, and set `pdf_ir_ready`.

        A PDF that cannot be converted is set aside, and the job goes on without it.

        Args:
            run: The run.
            log: Where progress is logged.

        Raises:
            SupersededRunError: Another run converts them, or there is a later attempt.
        """
        place = (self.pipeline, self.job_id)
        with JobLedger.of(self.settings) as ledger:
            ledger.phases.begin(*place, PDF_CONVERSION, run)
            ledger.begin_stage(*place, PDF_CONVERSION, run.run_id, keep_status=True)
            files = ledger.files.of_job(*place)
            progress = RunProgress(PDF_CONVERSION, log)
            try:
                report = convert_files(
                    files,
                    self.settings.home,
                    self.limits,
                    log,
                    progress,
                    parse_config=self.parse_config,
                    retry_failed=(run.attempt or 1) > 1,
                )
            except Exception as error:
                # Whatever stopped it, the ledger must say so before Dagster does.
                ledger.fail_stage(*place, PDF_CONVERSION, run.run_id, f"{type(error).__name__}: {error}")
                raise
            finally:
                progress.close()
            ledger.finish_stage(
                *place,
                PDF_CONVERSION,
                run.run_id,
                output_count=report.converted + report.reused,
                succeeded=report.converted + report.reused,
                quarantined=quarantined(report),
            )
            ledger.set_fields(*place, ready_fields(report), actor=run.actor, reason="PDFs converted")
        return report


def ready_fields(report: ConversionReport) -> dict[str, Any]:
    """Return what a finished conversion says in the fields of its job."""
    return {
        f"{PDF_CONVERSION}.converted": report.converted + report.reused,
        f"{PDF_CONVERSION}.failed": len(report.failed),
        PDF_IR_READY: True,
    }


def quarantined(report: ConversionReport) -> tuple[QuarantinedDocument, ...]:
    """Return the documents that could not be converted."""
    return tuple(
        QuarantinedDocument(item.document_id, PDF_CONVERSION, item.error_class, item.message)
        for item in report.failed
    )
