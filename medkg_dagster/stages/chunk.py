"""The `chunk` stage: documents become pieces of bounded size that know where they stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from medkg_dagster.stage_api import (
    Chunk,
    Config,
    Document,
    DocumentContext,
    Section,
    StageRegistration,
    chunk_id,
)

if TYPE_CHECKING:
    from semantic_text_splitter import TextSplitter

Span = tuple[int, int]

_WINDOW_CHUNKS = 16


class ChunkConfig(Config):
    """How large chunks are, all in characters (Unicode code points)."""

    max_characters: int = Field(
        default=1200, ge=50, le=100_000, description="The most characters a chunk may have."
    )
    overlap: int = Field(
        default=200,
        ge=0,
        description="How many characters of one chunk the next may repeat; at most half of max_characters.",
    )
    min_characters: int = Field(
        default=200,
        ge=0,
        description="A shorter last chunk of a section is evened out with the one before it.",
    )

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        """Refuse sizes that contradict each other."""
        if 2 * self.overlap > self.max_characters:
            raise ValueError(
                f"overlap is {self.overlap}; set it to at most half of max_characters ({self.max_characters})"
            )
        if 2 * self.min_characters > self.max_characters:
            raise ValueError(
                f"min_characters is {self.min_characters}; set it to at most half of "
                f"max_characters ({self.max_characters})"
            )
        return self


class ChunkStage:
    """Cuts a document along its structure."""

    def __init__(self, config: ChunkConfig) -> None:
        self._config = config
        self._window = _WINDOW_CHUNKS * config.max_characters

    def execute(self, _ctx: DocumentContext, document: Document) -> tuple[Chunk, ...]:
        """Cut a document in reading order; its title, which every chunk has, only where there is no more."""
        from semantic_text_splitter import TextSplitter

        splitter = TextSplitter(self._config.max_characters, overlap=self._config.overlap)
        titled = [section for section in document.sections if not _is_title(section, document)]
        spans = (
            (section, span)
            for section in titled or document.sections
            for span in self._cut_section(document.text, section, splitter)
        )
        return tuple(
            Chunk(
                id=chunk_id(document.id, document.content_hash, start, end),
                document_id=document.id,
                document_hash=document.content_hash,
                title=document.title,
                section=section.title,
                ordinal=ordinal,
                start=start,
                end=end,
                text=document.text[start:end],
                synthetic=document.synthetic,
            )
            for ordinal, (section, (start, end)) in enumerate(spans)
        )

    def _cut_section(self, text: str, section: Section, splitter: TextSplitter) -> list[Span]:
        """Cut the blocks of one section; its heading stands before them and is no part of any chunk."""
        if not section.blocks:
            return []
        start = min(block.start for block in section.blocks)
        end = max(block.end for block in section.blocks)
        return self._even_out(text, list(_split(text, (start, end), splitter, self._window)))

    def _even_out(self, text: str, spans: list[Span]) -> list[Span]:
        """Give a tiny last chunk some of the text before it, where a good place to cut exists."""
        from semantic_text_splitter import TextSplitter

        if len(spans) < 2 or spans[-1][1] - spans[-1][0] >= self._config.min_characters:
            return spans
        both = (spans[-2][0], spans[-1][1])
        half = (both[1] - both[0] + 1) // 2
        if both[1] - both[0] <= self._config.max_characters:
            return [*spans[:-2], both]
        upper = self._config.max_characters - self._config.min_characters
        evened = TextSplitter((min(half, upper), upper), overlap=min(self._config.overlap, half // 2))
        cut = list(_split(text, both, evened, self._window))
        fits = len(cut) == 2 and min(end - start for start, end in cut) >= self._config.min_characters
        return [*spans[:-2], *cut] if fits else spans


def register() -> StageRegistration:
    """Register the stage type."""
    return StageRegistration.of(
        "chunk",
        ChunkStage,
        ChunkConfig,
        description="Cuts documents into chunks of bounded size, section by section, with exact offsets.",
        state_types={"chunks": tuple[Chunk, ...]},
        dependencies=("parse",),
        kinds=("python",),
        per_document=True,
    )


def _is_title(section: Section, document: Document) -> bool:
    return [document.text[block.start : block.end] for block in section.blocks] == [document.title]


def _split(text: str, span: Span, splitter: TextSplitter, window: int) -> Iterator[Span]:
    """Yield the pieces of a span; one longer than `window` is cut window by window.

    The splitter's time grows with the square of a text without spaces, and a broken PDF may be full of it.
    """
    start, end = span
    while start < end:
        stop = min(end, start + window)
        pieces = [
            (start + offset, start + offset + len(piece))
            for offset, piece in splitter.chunk_indices(text[start:stop])
        ]
        # The window's end cuts its last piece: the next window begins where that piece does.
        again = stop < end and len(pieces) > 1
        yield from pieces[:-1] if again else pieces
        start = pieces[-1][0] if again else stop
