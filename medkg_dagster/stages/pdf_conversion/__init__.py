"""Converting downloaded PDFs to the IR while a job waits for `pdf_ir_ready`, as `download` declares it."""

from __future__ import annotations

import hashlib
import json
import logging
import queue
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from medkg_dagster.domain.payloads import CONVERSION_FAILED, CONVERTED, FileRecord, FileStatus
from medkg_dagster.io.atomic_files import write_atomically
from medkg_dagster.io.regular_files import RefusedFileError, read_regular
from medkg_dagster.stage_api import QuarantinedDocument, StageContext, WaitingJob, WorkAtGate
from medkg_dagster.stage_api._context import ProgressReporter

if TYPE_CHECKING:
    from medkg_dagster.stages.pdf_conversion.converter import ConversionFailure

NAME = "pdf_conversion"
PDF_IR_READY = "pdf_ir_ready"
PARSE_TYPE = "parse"
PDF_TYPE = "application/pdf"
CONVERTED_BY = ".ir.by"
_MAX_NOTE_BYTES = 1024 * 1024
_PROCESS = "medkg_dagster.stages.pdf_conversion.converting_process"


class ConversionLimits(BaseModel):
    """What the conversion of one PDF may use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout_seconds: float = Field(default=120.0, description="The longest time for one PDF.")
    memory_bytes: int = Field(default=2 * 1024**3, description="The most memory for one PDF.")
    workers: int = Field(default=2, description="PDFs converted at the same time.")


@dataclass(frozen=True, slots=True)
class FailedConversion:
    """A PDF that could not be converted.

    Attributes:
        document_id: The document it belongs to.
        path: The file, relative to the folder for all data.
        error_class: The class of the error.
        message: What was wrong.
    """

    document_id: str
    path: str
    error_class: str
    message: str


@dataclass(frozen=True, slots=True)
class ConversionReport:
    """What became of the PDFs of a job.

    Attributes:
        converted: PDFs converted now.
        reused: PDFs that were converted before.
        failed: PDFs that could not be converted, now or before.
    """

    converted: int
    reused: int
    failed: tuple[FailedConversion, ...]


def convert_pdfs(ctx: StageContext, job: WaitingJob) -> Mapping[str, Any]:
    """Convert what is not converted yet; a PDF that cannot be is set aside, and the job goes on without it.

    Args:
        ctx: The surroundings of the work.
        job: The waiting job; its PDFs are converted as the `parse` stage of its pipeline is configured.
    """
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


def convert_files(
    files: Sequence[FileRecord],
    home: Path,
    limits: ConversionLimits,
    log: logging.Logger,
    report_progress: ProgressReporter,
    *,
    parse_config: Mapping[str, Any] | None = None,
    retry_failed: bool = False,
    command: Sequence[str] | None = None,
) -> ConversionReport:
    """Write `<sha256>.ir.json` for each PDF, or `<sha256>.ir.failed.json` where it cannot be converted.

    What this package converted with another release or other options, as `<sha256>.ir.by` tells, is converted
    anew. What somebody else converted stays.

    Args:
        files: The files of a job; those that are no stored PDFs are left out.
        home: The folder for all data.
        limits: Limits of each conversion.
        log: Where failures are reported.
        report_progress: Called after each PDF.
        parse_config: The configuration of the `parse` stage behind the gate.
        retry_failed: Whether to try again what failed before.
        command: The converting process and its arguments; this package's own by default.

    Raises:
        StoreError: What is worth another try met a conversion; what was converted stays.
    """
    converter = _describe_converter(parse_config or {})
    pdfs = {file.path: file for file in files if file.path is not None and _is_pdf(file)}
    pending = []
    reused = 0
    failed: list[FailedConversion] = []
    for path, file in sorted(pdfs.items()):
        is_current = _converted_by(home / path) in {None, converter}
        known = _earlier_failure(home / path) if is_current else None
        if is_current and (home / path).with_suffix(CONVERTED).is_file():
            reused += 1
        elif known is not None and not retry_failed:
            failed.append(FailedConversion(file.document_id, path, known.error_class, known.message))
        else:
            pending.append(file)
            _begin(home / path, converter)
    options = json.dumps(dict(parse_config or {}))
    command = command or [sys.executable, "-m", _PROCESS, str(limits.memory_bytes), options]
    for done, (file, failure) in enumerate(_convert_all(pending, home, limits, command), start=1):
        if failure is not None:
            path = str(file.path)
            log.warning("%s cannot be converted: %s", path, failure)
            failed.append(FailedConversion(file.document_id, path, failure.error_class, failure.message))
            _record_failure(home / path, failure)
        report_progress(done, len(pending), "PDFs")
    converted = len(pdfs) - reused - len(failed)
    return ConversionReport(converted, reused, tuple(failed))


def _describe_converter(parse_config: Mapping[str, Any]) -> str:
    options = json.dumps(dict(parse_config), sort_keys=True, default=str)
    return f"medkg-dagster {version('medkg-dagster')} {hashlib.sha256(options.encode()).hexdigest()[:16]}"


def _converted_by(path: Path) -> str | None:
    try:
        return _read_sidecar(path, CONVERTED_BY).decode()
    except FileNotFoundError:
        return None
    except (RefusedFileError, UnicodeDecodeError):
        return ""  # nobody's; it is replaced


def _read_sidecar(path: Path, suffix: str) -> bytes:
    return read_regular(path.with_suffix(suffix), _MAX_NOTE_BYTES, within=path.parent)


def _begin(path: Path, converter: str) -> None:
    """Remove what is out of date and say who converts, in this order, so that a kill leaves nothing false."""
    for suffix in (CONVERTED, CONVERSION_FAILED):
        path.with_suffix(suffix).unlink(missing_ok=True)
    write_atomically(path.with_suffix(CONVERTED_BY), converter.encode())


def _is_pdf(file: FileRecord) -> bool:
    return file.status is FileStatus.STORED and file.media_type == PDF_TYPE


def _earlier_failure(path: Path) -> ConversionFailure | None:
    from medkg_dagster.stages.pdf_conversion.converter import ConversionFailure

    try:
        said = json.loads(_read_sidecar(path, CONVERSION_FAILED))
        return ConversionFailure(str(said["error_class"]), str(said["message"]))
    except (FileNotFoundError, RefusedFileError, ValueError, KeyError, TypeError):
        return None


def _record_failure(path: Path, failure: ConversionFailure) -> None:
    said = {"error_class": failure.error_class, "message": failure.message}
    write_atomically(path.with_suffix(CONVERSION_FAILED), json.dumps(said, ensure_ascii=False).encode())


def _convert_all(
    files: Sequence[FileRecord], home: Path, limits: ConversionLimits, command: Sequence[str]
) -> Iterator[tuple[FileRecord, ConversionFailure | None]]:
    """Convert with a few processes, each kept for as long as it behaves; yield as they finish."""
    if not files:
        return
    # Whoever loads definitions imports this module; processes start only here.
    from concurrent.futures import ThreadPoolExecutor

    from medkg_dagster.stages.pdf_conversion.converter import ConversionFailure, Converter

    workers = max(1, min(limits.workers, len(files)))
    todo: queue.SimpleQueue[FileRecord] = queue.SimpleQueue()
    for file in files:
        todo.put(file)
    results: queue.SimpleQueue[tuple[FileRecord, ConversionFailure | None]] = queue.SimpleQueue()

    def work() -> None:
        with Converter(command) as converter:
            while True:
                try:
                    file = todo.get_nowait()
                except queue.Empty:
                    return
                try:
                    converter.convert(home / str(file.path), limits.timeout_seconds)
                except ConversionFailure as failure:
                    results.put((file, failure))
                else:
                    results.put((file, None))

    with ThreadPoolExecutor(workers, thread_name_prefix="conversion") as pool:
        futures = [pool.submit(work) for _ in range(workers)]
        for _ in files:
            yield _next_result(results, futures)
        for future in futures:
            future.result()


def _next_result(
    results: queue.SimpleQueue[tuple[FileRecord, ConversionFailure | None]], futures: Sequence[Any]
) -> tuple[FileRecord, ConversionFailure | None]:
    while True:
        try:
            return results.get(timeout=1.0)
        except queue.Empty:
            for future in futures:
                if future.done():
                    future.result()  # raises what stopped a worker, such as a missing interpreter


PDF_CONVERSION = WorkAtGate(
    name=NAME,
    sets=PDF_IR_READY,
    execute=convert_pdfs,
    description="Converts downloaded PDFs to the IR, each in a process with limits of time and memory.",
    options_model=ConversionLimits,
    op_name="convert_pdfs",
)
