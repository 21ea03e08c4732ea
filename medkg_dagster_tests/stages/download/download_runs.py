"""Runs of the `download` stage against a loopback server."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medkg_dagster.io.backoff import Backoff
from medkg_dagster.stage_api import (
    DownloadedFile,
    ExternalCalls,
    FileRecord,
    InMemoryJobRecord,
    Payload,
    PayloadFormat,
    StageContext,
)
from medkg_dagster.stages.download import DownloadConfig
from medkg_dagster.stages.download.stage import DownloadStage

LOOPBACK = ["127.0.0.0/8"]
QUICK = {
    "allow_private_hosts": LOOPBACK,
    "connect_timeout_seconds": 5,
    "read_timeout_seconds": 5,
}


def stage(**config: Any) -> DownloadStage:
    """Build the stage with little patience and loopback allowed."""
    return DownloadStage(DownloadConfig.model_validate(QUICK | config))


def record_of(*urls: str, document_id: str = "doc:1") -> Payload:
    """Return a metadata record with addresses."""
    content = json.dumps({"locations": [{"pdf_url": url} for url in urls]}).encode()
    return Payload(
        id=document_id, format=PayloadFormat.STUDY_JSON, content=content, source="test", origin="memory"
    )


def records_of(urls: Sequence[str]) -> tuple[Payload, ...]:
    """Return one record for each address."""
    return tuple(record_of(url, document_id=f"doc:{number}") for number, url in enumerate(urls))


def context(
    home: Path, job: InMemoryJobRecord | None = None, calls: ExternalCalls | None = None
) -> StageContext:
    """Return the surroundings of a run, with little patience."""
    calls = calls or ExternalCalls()
    calls.backoff = Backoff(initial=0.01)
    return StageContext(
        "test",
        "download",
        "default",
        home,
        log=logging.getLogger("medkg.tests.download"),
        job=job or InMemoryJobRecord(),
        calls=calls,
    )


def run(
    home: Path, payloads: Sequence[Payload], job: InMemoryJobRecord | None = None, **config: Any
) -> tuple[tuple[DownloadedFile, ...], StageContext]:
    """Run the stage and return its files and the surroundings."""
    ctx = context(home, job)
    return stage(**config).execute(ctx, payloads=tuple(payloads)), ctx


def refused(home: Path, *urls: str, **config: Any) -> str:
    """Fetch one document that must be quarantined; return class and message of the error."""
    files, ctx = run(home, [record_of(*urls)], **config)
    assert files == ()
    (document,) = ctx.quarantined
    return f"{document.error_class}: {document.message}"


def files_under(home: Path) -> dict[str, bytes]:
    """Return every file under its final name."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in sorted((home / "files").rglob("*"))
        if path.is_file() and ".partial" not in path.parts
    }


def partials_under(home: Path) -> list[Path]:
    """Return every file that is on its way, and the notes beside them."""
    return sorted((home / "files" / ".partial").iterdir())


def record(ctx: StageContext, document_id: str = "doc:1") -> FileRecord:
    """Return what the ledger remembers of a document's file."""
    return ctx.job.files()[document_id]


def rows(ctx: StageContext) -> Sequence[Mapping[str, Any]]:
    """Return the table of files."""
    table = ctx.described["files"]
    assert isinstance(table, list)
    return table
