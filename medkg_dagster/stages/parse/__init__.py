"""The `parse` stage: raw payloads to documents in the IR, one module per format.

Parsers are imported when the first payload of their format arrives, so that registering the stage
costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import Field

from medkg_dagster.domain.holdings import ParsedDocument
from medkg_dagster.domain.identity import rank_of
from medkg_dagster.errors import UnreadableDocumentError, UnsafeDocumentError
from medkg_dagster.stage_api import (
    CheckVerdict,
    Config,
    Document,
    DocumentContext,
    DocumentResult,
    DownloadedFile,
    OutcomeCheck,
    Payload,
    PayloadFormat,
    StageContext,
    StageRegistration,
)

_RECORDED_AT_ONCE = 500


class ParseConfig(Config):
    """How payloads are turned into documents."""

    max_content_bytes: int = Field(
        default=100_000_000,
        ge=1,
        description="Refuse a payload of more bytes than this, also after unpacking, before it is parsed.",
    )
    max_text_characters: int = Field(
        default=5_000_000,
        ge=1,
        description="Refuse a document whose text has more characters than this.",
    )
    max_pages: int = Field(
        default=500, ge=1, description="Refuse a PDF of more pages than this; it is never cut silently."
    )
    include_tables: bool = Field(
        default=True,
        description="Keep the cells of tables in the text, rows on lines, cells by tabs; always of PDFs.",
    )
    abstract_without_file: bool = Field(
        default=False,
        description="Behind a download, use title and abstract of an article record without a file; by "
        "default it is left out.",
    )
    text_kept_warning: float = Field(
        default=0.85,
        ge=0,
        le=1,
        description="Let the check text_kept warn of a document that holds less of what is to be read of its "
        "source than this share.",
    )
    text_kept_minimum: float = Field(
        default=0.5, ge=0, le=1, description="Set a document aside that holds less than this share."
    )


class ParseStage:
    """Turns a payload into a document, or sets it aside."""

    def __init__(self, config: ParseConfig) -> None:
        self._config = config

    def execute(
        self,
        ctx: DocumentContext,
        payloads: Payload,
        downloaded_files: tuple[DownloadedFile, ...] | None = None,
    ) -> Document | None:
        """Return the document that a payload is; None for a record without the file that it promises.

        `downloaded_files` is the file that was fetched for the payload, if there is one; it is None in a
        pipeline without a download.

        Raises:
            UnreadableDocumentError: The payload or file cannot be parsed, or the file not be converted.
            UnsafeDocumentError: It is too large.
        """
        for file in downloaded_files or ():
            return self.parse_file(payloads, file, ctx.file(file))
        return self.parse(payloads) if downloaded_files is None or self._stands_alone(payloads) else None

    def is_hostile(self, given: Mapping[str, Mapping[str, Any]]) -> bool:
        """Say whether a document may break its process: PDFs are programs, and read by a library in C."""
        file = given.get("downloaded_files", {})
        return given["payloads"]["format"] == PayloadFormat.PDF or file.get("media_type") == "application/pdf"

    def conclude(self, ctx: StageContext, results: Sequence[DocumentResult]) -> None:
        """Let the ledger know which documents the payloads were found to be, and show how whole they are."""
        found = (_parsed(result.given["payloads"], result.made["document"]) for result in results)
        # Descriptions of all of them at once would be most of what the process holds.
        while some := list(islice(found, _RECORDED_AT_ONCE)):
            ctx.job.record_documents(some)
        from medkg_dagster.stages.parse.text_kept import describe_text_kept

        documents = [result.made["document"] for result in results]
        describe_text_kept(ctx, documents, self._config.text_kept_warning)

    def parse_file(self, payload: Payload, file: DownloadedFile, path: Path) -> Document:
        """Parse the file that was fetched for a payload, as converted where it was.

        The record of an article, which it was fetched for, completes the document.

        Raises:
            UnreadableDocumentError: The file could not be converted or cannot be parsed.
            UnsafeDocumentError: It is too large.
        """
        from medkg_dagster.stages.parse.articles import as_payload, complete, describe_record, read_converted

        document = read_converted(path)
        if document is None:
            document = self.parse(as_payload(payload, file, path, self._config.max_content_bytes))
        elif payload.synthetic:
            document = document.model_copy(update={"synthetic": True})
        if payload.format is PayloadFormat.ARTICLE_RECORD:
            return complete(document, describe_record(payload))
        return document

    def _stands_alone(self, payload: Payload) -> bool:
        return payload.format is not PayloadFormat.ARTICLE_RECORD or self._config.abstract_without_file

    def parse(self, payload: Payload) -> Document:
        """Parse one payload: one study, article or file.

        Raises:
            UnreadableDocumentError: The content is truncated, mis-encoded or not of its format, or too much
                of it cannot be read.
            UnsafeDocumentError: The content is too large, or declares entities.
        """
        size = len(payload.content)
        if size > self._config.max_content_bytes:
            raise UnsafeDocumentError(
                f"{payload.origin}: {size:,} bytes, the limit is {self._config.max_content_bytes:,}; "
                "split the file or raise max_content_bytes"
            )
        document = _parser(payload.format)(payload, self._config)
        kept = document.text_kept
        if kept is not None and kept.share < self._config.text_kept_minimum:
            losses = "; ".join(f"{loss}: {advice}" for loss, advice in kept.losses().items())
            raise UnreadableDocumentError(
                f"{payload.origin}: {losses}. {kept.share:.0%} of what is to be read can be, the least is "
                f"{self._config.text_kept_minimum:.0%} (text_kept_minimum)"
            )
        return document


def _judge_text_kept(described: Mapping[str, Any]) -> CheckVerdict:
    low = described.get("text_kept_low", 0)
    shown = {"documents_below": low, "percent_of_all": described.get("text_kept_percent")}
    return CheckVerdict(not low, {**shown, "worst": described["text_lost"]} if low else shown)


TEXT_KEPT = OutcomeCheck(
    "text_kept",
    "Every document holds what is to be read of its source, or nearly all of it (`text_kept_warning`).",
    _judge_text_kept,
)


def _parsed(payload: Mapping[str, Any], document: Mapping[str, Any]) -> ParsedDocument:
    return ParsedDocument(
        item=payload["id"],
        item_hash=payload["content_hash"],
        id=document["id"],
        title=document["title"],
        source=document["source"],
        url=document["url"],
        content_hash=document["content_hash"],
        synthetic=document["synthetic"],
        identifiers=document["identifiers"],
        versions=tuple(document["versions"]),
        retracts=tuple(document["retracts"]),
        date=document["date"],
        rank=rank_of(document["format"], document["characters"]),
        text_kept=document["text_kept"],
    )


def _parser(form: PayloadFormat) -> Callable[[Payload, ParseConfig], Document]:
    match form:
        case PayloadFormat.STUDY_JSON:
            from medkg_dagster.stages.parse.studies import parse
        case PayloadFormat.JATS_XML:
            from medkg_dagster.stages.parse.xml.jats import parse
        case PayloadFormat.PUBMED_XML:
            from medkg_dagster.stages.parse.xml.pubmed import parse
        case PayloadFormat.PDF:
            from medkg_dagster.stages.parse.pdf import parse
        case PayloadFormat.TEXT:
            from medkg_dagster.stages.parse.text import parse
        case PayloadFormat.HTML:
            from medkg_dagster.stages.parse.html import parse
        case PayloadFormat.DOCX:
            from medkg_dagster.stages.parse.docx import parse
        case PayloadFormat.EPUB:
            from medkg_dagster.stages.parse.epub import parse
        case PayloadFormat.ARTICLE_RECORD:
            from medkg_dagster.stages.parse.articles import parse
    return parse


def register() -> StageRegistration:
    """Register the stage type."""
    return StageRegistration.of(
        "parse",
        ParseStage,
        ParseConfig,
        description="Turns studies, articles, PubMed records, PDFs, HTML, EPUB, Word, text into documents.",
        state_types={"document": tuple[Document, ...]},
        dependencies=("ingest",),
        optional_dependencies=("download",),
        kinds=("python",),
        per_document=True,
        checks=(TEXT_KEPT,),
    )
