"""The `ingest` stage: a source fetches raw documents; nothing is understood yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Self

from pydantic import Field, ValidationInfo, model_validator

from medkg_dagster.domain.holdings import DocumentStatus, ListedItem, Listing
from medkg_dagster.errors import PermanentSourceError, RejectedDocumentError, counted
from medkg_dagster.stage_api import (
    Config,
    DocumentPart,
    EndOfFile,
    ExtensionKind,
    FetchedFile,
    FileListingSource,
    Header,
    ListingSource,
    Payload,
    Source,
    StageContext,
    StageRegistration,
    check_extension,
)


class IngestConfig(Config):
    """Which source fetches, and with which parameters."""

    adapter: str = Field(
        default="files",
        description="The source that fetches, for example `files` (also called `auto`) or `clinicaltrials`.",
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="The source's own parameters, for example `path` for `files`; the source checks them.",
    )

    @model_validator(mode="after")
    def _check_source(self, info: ValidationInfo) -> Self:
        check_extension(ExtensionKind.SOURCE, self.adapter, self.params, info)
        return self


class IngestStage:
    """Collects what a source fetches."""

    def __init__(self, config: IngestConfig) -> None:
        self._config = config

    def execute(self, ctx: StageContext) -> Iterator[Payload | DocumentPart | EndOfFile]:
        """Yield the payloads in the source's order, each id once; of files known before as they are kept.

        Raises:
            SourceError: The source cannot fetch.
            PermanentSourceError: There was nothing to fetch.
        """
        extension = ctx.extensions.find(ExtensionKind.SOURCE, self._config.adapter)
        source: Source = extension.open(self._config.params, ctx.home)
        items: dict[str, ListedItem] = {}
        if isinstance(source, FileListingSource):
            for file in source.files(ctx):
                yield from _of_file(ctx, file, items)
        else:
            for payload in source.fetch(ctx):
                if _is_first(ctx, payload.header(), items):
                    yield payload
        if not items and not ctx.quarantined:
            raise PermanentSourceError(
                f"source '{self._config.adapter}' found no documents with parameters {self._config.params}; "
                "check that the place is not empty and that no filter excludes everything; what it gave "
                f"before stays, `medkg ledger remove {ctx.pipeline}/{ctx.job_id}` takes it out"
            )
        self._list(ctx, items.values(), is_full=isinstance(source, ListingSource) and source.lists_all)
        ctx.log.info("fetched %s, refused %d", counted(len(items), "payload"), len(ctx.quarantined))

    def _list(self, ctx: StageContext, items: Iterable[ListedItem], *, is_full: bool) -> None:
        """Let the ledger know what the source has now, and show what that changed."""
        listing = Listing(
            stage=ctx.stage,
            source=self._config.adapter,
            parameters=self._config.params,
            items=tuple(items),
            is_full=is_full,
            refused={item.document_id: item.message for item in ctx.quarantined},
        )
        found = ctx.job.record_listing(listing)
        for name, count in found.model_dump().items():
            ctx.describe(f"documents_{name}", count)
        ctx.describe("listing_is_full", is_full)
        ctx.log.info(
            "%d current, %d new, %d changed, %d withdrawn%s",
            *(found.current, found.new, found.changed, found.withdrawn),
            "" if is_full else "; the listing is not all the source has, so nothing is taken for gone",
        )
        if found.waiting:
            of = f"of {counted(found.current, 'document')}"
            ctx.log.warning(
                "%s listed no more: too many to go without a word, all stay for now; where that is "
                "right, `medkg documents withdraw --accept %s` takes them out",
                *(counted(found.waiting, f"{of} is", f"{of} are"), ctx.pipeline),
            )


def register() -> StageRegistration:
    """Register the stage type."""
    return StageRegistration.of(
        "ingest",
        IngestStage,
        IngestConfig,
        description="Fetches raw documents through a source: files of a folder, ClinicalTrials.gov, ...",
        state_types={"payloads": tuple[Payload, ...]},
        kinds=("python",),
        # A folder may hold other things than documents: more is let pass here than between documents.
        max_failure_ratio=0.5,
        streams_documents=True,
    )


def _of_file(
    ctx: StageContext, file: FetchedFile, items: dict[str, ListedItem]
) -> Iterator[Payload | DocumentPart | EndOfFile]:
    """Yield what is in a file; only a file of which nothing was refused is remembered."""
    known = ctx.recall(file.version)
    if known is not None:
        yield from (part for part in known if _is_first(ctx, part.header, items))
        return
    refused = len(ctx.quarantined)
    yield from (payload for payload in file.split() if _is_first(ctx, payload.header(), items))
    yield EndOfFile(file.version if len(ctx.quarantined) == refused else None)


def _is_first(ctx: StageContext, payload: Header, items: dict[str, ListedItem]) -> bool:
    """Enter a payload, by its header, among the listed items; another of its id is superseded."""
    name, origin = payload["id"], payload["origin"]
    if name in items:
        refusal = RejectedDocumentError(
            f"{origin}: {name} was already fetched from {items[name].origin}; the first copy is used",
            DocumentStatus.SUPERSEDED,
        )
        ctx.quarantine(f"{name} in {origin}", refusal)
        return False
    items[name] = ListedItem(id=name, origin=origin, content_hash=payload["content_hash"])
    ctx.succeeded += 1
    ctx.report_progress(len(items), None, "payloads")
    return True
