"""The `ingest` stage: a source fetches raw documents; nothing is understood yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Self

from pydantic import Field, ValidationInfo, model_validator

from medkg_dagster.domain.holdings import DocumentStatus, ListedItem, Listing
from medkg_dagster.errors import PermanentSourceError, RejectedDocumentError
from medkg_dagster.stage_api import (
    Config,
    ExtensionKind,
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

    def execute(self, ctx: StageContext) -> Iterator[Payload]:
        """Yield the payloads in the source's order, each id once.

        Raises:
            SourceError: The source cannot fetch.
            PermanentSourceError: There was nothing to fetch.
        """
        extension = ctx.extensions.find(ExtensionKind.SOURCE, self._config.adapter)
        source: Source = extension.open(self._config.params, ctx.home)
        items: dict[str, ListedItem] = {}
        for payload in source.fetch(ctx):
            if payload.id in items:
                refusal = _duplicate(payload, items[payload.id].origin)
                ctx.quarantine(f"{payload.id} in {payload.origin}", refusal)
                continue
            items[payload.id] = ListedItem(
                id=payload.id, origin=payload.origin, content_hash=payload.content_hash
            )
            ctx.succeeded += 1
            ctx.report_progress(len(items), None, "payloads")
            yield payload
        if not items and not ctx.quarantined:
            raise PermanentSourceError(
                f"source '{self._config.adapter}' found no documents with parameters {self._config.params}; "
                "check that the place is not empty and that no filter excludes everything; what it gave "
                "before stays, `medkg documents withdraw` takes it out"
            )
        self._list(ctx, items.values(), is_full=isinstance(source, ListingSource) and source.lists_all)
        ctx.log.info("fetched %d payloads, refused %d", len(items), len(ctx.quarantined))

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
            ctx.log.warning(
                "%d of %d documents are listed no more: too many to go by themselves, they stay for now; "
                "where that is right, `medkg documents withdraw --unlisted %s` takes them out",
                *(found.waiting, found.current, ctx.pipeline),
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


def _duplicate(payload: Payload, first_origin: str) -> RejectedDocumentError:
    return RejectedDocumentError(
        f"{payload.origin}: {payload.id} was already fetched from {first_origin}; the first copy is used",
        DocumentStatus.SUPERSEDED,
    )
