"""The `download` stage: the files of documents, fetched once, safely, and kept under their hash."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from medkg_dagster.stage_api import Config, DownloadedFile, PayloadFormat, StageRegistration
from medkg_dagster.stages.download.url_paths import parse_extractor
from medkg_dagster.stages.pdf_conversion import PDF_CONVERSION

if TYPE_CHECKING:
    from medkg_dagster.stages.download.stage import DownloadStage

MEBIBYTE = 1024 * 1024
DEFAULT_EXTRACTORS = (
    "pdf_url",
    "best_oa_location.pdf_url",
    "best_oa_location.url_for_pdf",
    "primary_location.pdf_url",
    "locations.*.pdf_url",
    "oa_locations.*.url_for_pdf",
    "fullTextUrlList.fullTextUrl[documentStyle=pdf].url",
    "openAccessPdf.url",
    "link[content-type=application/pdf].URL",
    "open_access.oa_url",
)


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _check_path(text: str) -> str:
    parse_extractor(text)
    return text


def _check_hash(text: str) -> str:
    if len(text) != 64 or not all(character in "0123456789abcdef" for character in text.lower()):
        raise ValueError(f"{text!r} is no SHA-256; give 64 hexadecimal digits")
    return text.lower()


def _check_host(text: str) -> str:
    if "/" in text:
        ipaddress.ip_network(text, strict=False)
    if not text or "://" in text or text != text.strip():
        raise ValueError(f"{text!r} is neither a host name nor a range such as 10.0.0.0/8")
    return text.lower()


ExtractorPath = Annotated[str, AfterValidator(_check_path)]
Addresses = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]
Sha256 = Annotated[str, AfterValidator(_check_hash)]
PrivateHost = Annotated[str, AfterValidator(_check_host)]


class DownloadConfig(Config):
    """What is fetched, from where, and how patiently."""

    url_extractors: tuple[ExtractorPath, ...] = Field(
        default=DEFAULT_EXTRACTORS,
        description="Dot paths to addresses in a payload, tried in order: keys or element names, `*` or a "
        "number for list items, `[key=value]` to choose among them, `@attribute` at the end in XML. An "
        "address with such paths in braces is filled in.",
    )
    urls: dict[str, Addresses] = Field(
        default_factory=dict,
        description="Addresses by document id, one or a list; tried before those found in the payload.",
    )
    sha256: dict[str, Sha256] = Field(
        default_factory=dict, description="The SHA-256 a document's file must have, by document id."
    )
    skip_formats: tuple[PayloadFormat, ...] = Field(
        default=(
            PayloadFormat.JATS_XML,
            PayloadFormat.PDF,
            PayloadFormat.TEXT,
            PayloadFormat.HTML,
            PayloadFormat.DOCX,
            PayloadFormat.EPUB,
        ),
        description="Payloads of these formats are full text already; nothing is fetched for them.",
    )
    accept: tuple[Literal["application/pdf", "application/xml"], ...] = Field(
        default=("application/pdf", "application/xml"),
        min_length=1,
        description="Kinds of file that are taken, recognised by content.",
    )
    max_connections: int = Field(default=16, ge=1, le=256, description="Requests at once, in all.")
    max_per_host: int = Field(default=4, ge=1, le=256, description="Requests at once to one host.")
    connect_timeout_seconds: float = Field(default=10.0, gt=0, description="Longest wait for a connection.")
    read_timeout_seconds: float = Field(
        default=30.0, gt=0, description="Longest wait for the next bytes; the policy may make it shorter."
    )
    max_seconds_per_file: float = Field(default=600.0, gt=0, description="Longest time of one transfer.")
    max_file_bytes: int = Field(
        default=200 * MEBIBYTE, ge=1, description="Larger files are refused, declared or not."
    )
    max_redirects: int = Field(default=5, ge=0, le=20, description="Redirects followed for one address.")
    max_attempts: int | None = Field(
        default=None,
        ge=1,
        description="Attempts at one address in one run where they are to be fewer than the stage policy's "
        "`max_attempts`; only where a fault may pass.",
    )
    give_up_after: int = Field(
        default=12,
        ge=1,
        description="Attempts at one document over all runs of a job, after which it is quarantined; "
        "being turned away by an open circuit counts as one.",
    )
    budget_seconds: float = Field(
        default=3600.0, gt=0, description="What is not fetched by then is left for a later attempt."
    )
    max_retry_after: float = Field(
        default=120.0,
        ge=0,
        description="Longest wait, in seconds, a server may ask for; a longer one is left to a later run.",
    )
    allow_private_hosts: tuple[PrivateHost, ...] = Field(
        default=(),
        description="Host names, addresses or ranges (10.0.0.0/8) that may be fetched from although they "
        "are not public.",
    )
    verify_stored: bool = Field(
        default=False, description="Hash files that are already there instead of trusting their size."
    )
    revalidate: bool = Field(
        default=False, description="Ask servers whether files that are already there have changed."
    )
    resets: tuple[str, ...] = Field(
        default=(),
        description="Ledger fields to set to false at the start, besides `pdf_downloaded`, for example "
        "`pdf_ir_ready`.",
    )
    user_agent: str = Field(
        default="",
        pattern=r"^[\x20-\x7e]*$",
        description="The `User-Agent` of requests; name and version of this program by default.",
    )
    progress_seconds: float = Field(default=10.0, gt=0, description="Seconds between two lines of the log.")
    keep_partial_days: float = Field(
        default=7.0, ge=0, description="Broken transfers older than this are removed."
    )


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
