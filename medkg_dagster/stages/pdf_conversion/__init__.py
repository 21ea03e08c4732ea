"""Converting downloaded PDFs to the IR while a job waits for `pdf_ir_ready`, as `download` declares it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from medkg_dagster.stage_api import QuarantinedDocument, StageContext, WaitingJob, WorkAtGate

NAME = "pdf_conversion"
PDF_IR_READY = "pdf_ir_ready"
PARSE_TYPE = "parse"


class ConversionLimits(BaseModel):
    """What the conversion of one PDF may use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout_seconds: float = Field(default=120.0, description="The longest time for one PDF.")
    memory_bytes: int = Field(default=2 * 1024**3, description="The most memory for one PDF.")
    workers: int = Field(default=2, description="PDFs converted at the same time.")


def convert_pdfs(ctx: StageContext, job: WaitingJob) -> Mapping[str, Any]:
    """Convert what is not converted yet; a PDF that cannot be is set aside, and the job goes on without it.

    Args:
        ctx: The surroundings of the work.
        job: The waiting job; its PDFs are converted as the `parse` stage of its pipeline is configured.
    """
    from medkg_dagster.stages.pdf_conversion.pdf_files import convert_files

    configs = [stage.config for stage in job.stages if stage.type == PARSE_TYPE]
    report = convert_files(
        tuple(ctx.job.files().values()),
        ctx.home,
        job.options,
        ctx.log,
        ctx.report_progress,
        parse_config=configs[-1] if configs else {},
        retry_failed=job.attempt > 1,
    )
    ctx.succeeded = report.converted + report.reused
    ctx.quarantined += [
        QuarantinedDocument(item.document_id, ctx.stage, item.error_class, item.message)
        for item in report.failed
    ]
    ctx.describe("converted", report.converted)
    ctx.describe("reused", report.reused)
    ctx.describe("failed", [asdict(item) for item in report.failed])
    return {
        f"{NAME}.converted": ctx.succeeded,
        f"{NAME}.failed": len(report.failed),
        PDF_IR_READY: True,
    }


PDF_CONVERSION = WorkAtGate(
    name=NAME,
    sets=PDF_IR_READY,
    execute=convert_pdfs,
    description="Converts downloaded PDFs to the IR, each in a process with limits of time and memory.",
    options_model=ConversionLimits,
    op_name="convert_pdfs",
)
