"""The `ir-validation` stage: lets only usable documents on to search and knowledge graph."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pydantic import Field

from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.domain.identity import Form, select
from medkg_dagster.errors import RejectedDocumentError, UnreadableDocumentError, counted
from medkg_dagster.stage_api import (
    Config,
    Document,
    DocumentContext,
    DocumentResult,
    StageContext,
    StageRegistration,
    hash_content,
)

# UTF-8 read as Windows-1252 or Latin-1: a lead byte's letter followed by letters of continuation bytes.
_CONTINUATION = (
    "[\u0080-\u00bf\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d"
    "\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178]"
)
_MOJIBAKE = re.compile(
    f"[\u00c2-\u00df]{_CONTINUATION}|[\u00e0-\u00ef]{_CONTINUATION}{{2}}|[\u00f0-\u00f4]{_CONTINUATION}{{3}}"
)
_REPLACEMENT = re.compile("\ufffd")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_ANY_GARBLED = re.compile("[\x00-\x08\x0b-\x1f\x7f\u00c2-\u00f4\ufffd]")
_TRUNCATED = re.compile(
    r"(?:[\[<(](?:(?:the )?(?:text|content|file|document|article|output|message)(?: was| is| has been)? )?"
    r"(?:\.{3}|…)?\s*(?:truncated|cut off|clipped)(?:\s*(?:\.{3}|…))?[\]>)])\W*$",
    re.IGNORECASE,
)
MIN_GARBLED = 3


class IrValidationConfig(Config):
    """What counts as a usable document."""

    min_characters: int = Field(
        default=20,
        ge=1,
        description="Reject documents whose text has fewer characters than this, white space not counted.",
    )
    keep_records: bool = Field(
        default=True,
        description="Keep what has a title and no other text, however short it is, if it has an identifier, "
        "or authors and a date.",
    )
    max_garbled_share: float = Field(
        default=0.002,
        ge=0,
        le=1,
        description="Reject documents with at least three garbled places (U+FFFD, control characters, "
        "UTF-8 read as Latin-1) that make up more than this share of the text, 0 to 1.",
    )
    reject_retracted: bool = Field(
        default=True, description="Reject retracted articles and retraction notices."
    )


class IrValidationStage:
    """Passes a usable document on unchanged; of duplicates the first usable one."""

    def __init__(self, config: IrValidationConfig) -> None:
        self._config = config

    def execute(self, _ctx: DocumentContext, document: Document) -> Document:
        """Return the document unchanged; see `check`."""
        self.check(document)
        return document

    def conclude(
        self, ctx: StageContext, results: Sequence[DocumentResult]
    ) -> dict[int, RejectedDocumentError]:
        """Of several forms of a work keep the best one, by what their headers say and people have said."""
        headers = [result.made["document"] for result in results]
        forms = [Form.of(header, header["characters"]) for header in headers]
        outcomes = select(forms)
        if outcomes:
            known = ctx.job.used_forms(sorted({form.id for form in forms}))
            apart = {name for name, one in known.items() if one.is_apart}
            outcomes = select([form.model_copy(update={"apart": form.id in apart}) for form in forms])
        return {
            place: RejectedDocumentError(reason, DocumentStatus.SUPERSEDED)
            for place, reason in sorted(outcomes.items())
        }

    def check(self, document: Document) -> None:
        """Check one document by itself.

        Raises:
            RejectedDocumentError: It is empty or retracted.
            UnreadableDocumentError: It is truncated, mis-encoded, or its offsets do not fit its text.
        """
        for problem in _offset_problems(document):
            raise UnreadableDocumentError(f"{document.id}: {problem}; parse it again")
        characters = len("".join(document.text.split()))
        if characters < self._config.min_characters and not (
            self._config.keep_records and _is_record(document)
        ):
            raise RejectedDocumentError(
                f"{document.id}: empty: {counted(characters, 'character')} of text, at least "
                f"{self._config.min_characters} are needed (min_characters)"
            )
        if marker := _TRUNCATED.search(document.text[-200:]):
            raise UnreadableDocumentError(
                f"{document.id}: truncated: the text ends with {marker.group().strip()!r}; fetch it again"
            )
        if garbled := _encoding_problem(document, self._config.max_garbled_share):
            raise UnreadableDocumentError(f"{document.id}: {garbled}")
        if document.retracted and self._config.reject_retracted:
            raise RejectedDocumentError(
                f"{document.id}: retracted: it is a {document.retracted}", DocumentStatus.RETRACTED
            )


def _is_record(document: Document) -> bool:
    """Whether a document is the title of an article that it names: by an identifier, or authors and date."""
    is_named = bool(document.identifiers or (document.authors and document.date))
    return is_named and document.text.strip() == document.title.strip() != ""


def _offset_problems(document: Document) -> Iterator[str]:
    if document.content_hash != hash_content(document.title, document.text):
        yield "the content hash does not belong to title and text"
    length, position = len(document.text), 0
    for section in document.sections:
        label = f"section {section.title!r}"
        if section.end > length:
            yield f"truncated: {label} ends at {section.end}, the text at {length}"
        if not position <= section.start <= section.end:
            yield f"{label} ({section.start} to {section.end}) overlaps what stands before it"
        inner = section.start
        for block in section.blocks:
            if not inner <= block.start < block.end <= section.end:
                yield f"a {block.kind.value} ({block.start} to {block.end}) of {label} is out of place"
            inner = block.end
        position = section.end


def _encoding_problem(document: Document, max_share: float) -> str | None:
    text = document.text
    if not _ANY_GARBLED.search(text):
        return None
    for pattern, what in (
        (_REPLACEMENT, "replacement characters (U+FFFD)"),
        (_CONTROL, "control characters"),
        (_MOJIBAKE, "sequences of UTF-8 read as Latin-1"),
    ):
        found = list(pattern.finditer(text))
        share = sum(len(match.group()) for match in found) / len(text)
        if len(found) >= MIN_GARBLED and share > max_share:
            first = found[0].start()
            return (
                f"mis-encoded: {len(found)} {what}, the first at offset {first} "
                f"({text[max(0, first - 10) : first + 10]!r}); fetch it again with the right encoding"
            )
    return None


def register() -> StageRegistration:
    """Register the stage type."""
    return StageRegistration.of(
        "ir-validation",
        IrValidationStage,
        IrValidationConfig,
        description="Quarantines empty, truncated, mis-encoded, duplicate and retracted documents.",
        state_types={"document": tuple[Document, ...]},
        dependencies=("parse",),
        kinds=("python",),
        max_failure_ratio=0.5,
        per_document=True,
    )
