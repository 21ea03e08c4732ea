"""The work of the `extract` stage, document by document: an extractor reads, and what it says is checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from medkg_dagster.errors import StageContractError
from medkg_dagster.stage_api import (
    Claim,
    CountedItems,
    Document,
    DocumentContext,
    DocumentResult,
    Entity,
    ExtensionKind,
    Extraction,
    Extractor,
    PreparedExtractor,
    StageContext,
)
from medkg_dagster.stages.extract import ExtractConfig

Extracted = tuple[tuple[Entity, ...], tuple[Claim, ...]]
_SHOWN = 10
Said = TypeVar("Said", Entity, Claim)


class ExtractStage:
    """Lets an extractor read documents, and adds what it finds to what an earlier stage of the type found."""

    def __init__(self, config: ExtractConfig) -> None:
        self._config = config
        self._opened: Extractor | None = None

    def _open(self, ctx: StageContext) -> Extractor:
        if self._opened is None:
            extension = ctx.extensions.find(ExtensionKind.EXTRACTOR, self._config.extractor)
            self._opened = extension.open(self._config.params, ctx.home)
        assert self._opened is not None
        return self._opened

    @property
    def _name(self) -> str:
        assert self._opened is not None
        return f"{self._config.extractor} {self._opened.version}"

    def fingerprints(self, ctx: StageContext) -> Mapping[str, str]:
        """Return the extractor's version, and what else it depends on.

        Raises:
            ConfigError: It cannot be opened.
        """
        extractor = self._open(ctx)
        others = extractor.fingerprints(ctx) if isinstance(extractor, PreparedExtractor) else {}
        return {"extractor": self._name, **others}

    def prepare(self, ctx: StageContext) -> None:
        """Open the extractor.

        Raises:
            ConfigError: It cannot be opened.
        """
        extractor = self._open(ctx)
        if isinstance(extractor, PreparedExtractor):
            extractor.prepare(ctx)

    def execute(
        self,
        ctx: DocumentContext,
        document: Document,
        entities: tuple[Entity, ...] = (),
        claims: tuple[Claim, ...] = (),
    ) -> Extracted:
        """Return what was found of a document so far, and what the extractor finds in it.

        Args:
            ctx: The surroundings.
            document: The document.
            entities: What an earlier stage found, if there is one.
            claims: What an earlier stage found, if there is one.

        Raises:
            StageContractError: The extractor says what the document does not.
        """
        assert self._opened is not None
        found = self._opened.extract(ctx, document)
        self._check(document, found, entities)
        name = self._name
        known = {(entity.curie, entity.start, entity.end) for entity in entities}
        said = {claim.id for claim in claims}
        more = [_signed(one, name) for one in found.entities if (one.curie, one.start, one.end) not in known]
        stated = [_signed(claim, name) for claim in found.claims if claim.id not in said]
        left_out = found.claims.counts if isinstance(found.claims, CountedItems) else {}
        # What is passed on as it came is not stored again.
        return (
            (*entities, *more) if more else entities,
            CountedItems((*claims, *stated), left_out) if stated or left_out else claims,
        )

    def review(self, ctx: StageContext, results: Sequence[DocumentResult]) -> None:
        """Show in how many documents nothing was found, and the longest of them."""
        without = [
            result.given["document"] for result in results if not result.made["entities"].get("items", 0)
        ]
        ctx.describe("documents_without_entities", len(without))
        if without:
            rows = [{name: header.get(name) for name in ("id", "title", "characters")} for header in without]
            ctx.describe("without_entities", sorted(rows, key=_longest_first)[:_SHOWN])

    def _check(self, document: Document, found: Extraction, earlier: Iterable[Entity]) -> None:
        """Hold an extractor to what every reader of a graph counts on: evidence that stands where it says."""
        curies = {entity.curie for entity in (*earlier, *found.entities)}
        for claim in found.claims:
            wrong = _wrong_with(document, claim, curies)
            if wrong:
                raise StageContractError(
                    f"extractor '{self._config.extractor}' of {document.id}: the claim {claim.subject} "
                    f"{claim.predicate} {claim.object} {wrong}; tell the authors of the extractor"
                )


def _longest_first(row: Mapping[str, Any]) -> tuple[int, str]:
    return -(row["characters"] or 0), row["id"]


def _wrong_with(document: Document, claim: Claim, curies: set[str]) -> str:
    if (claim.document_id, claim.document_hash) != (document.id, document.content_hash):
        return f"is of the document {claim.document_id}"
    begin, end = claim.start, claim.end
    if not 0 <= begin < end <= len(document.text) or document.text[begin:end] != claim.sentence:
        return f"has a sentence that does not stand at {begin} to {end}"
    hanging = {claim.subject, claim.object} - curies
    return f"is about {min(hanging)}, of which there is no entity" if hanging else ""


def _signed(one: Said, extractor: str) -> Said:
    """Say who said it, but not of what the source itself assigned."""
    if one.extractor or one.start is None:
        return one
    return one.model_copy(update={"extractor": extractor})
