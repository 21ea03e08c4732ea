"""Text and documents with identifiers replaced, every offset carried along."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from medkg_dagster.stage_api import Annotation, Block, Document, Section, hash_content
from medkg_stage_example.config import DeidentifyConfig, IdentifierKind, ReplacementStyle
from medkg_stage_example.finding import Finder, Finding

_MAX_PASSES = 5


@dataclass(frozen=True, slots=True)
class Edit:
    """A stretch of text and what takes its place.

    Attributes:
        start: Its first character.
        end: One past its last.
        replacement: What takes its place.
    """

    start: int
    end: int
    replacement: str


class EditedText:
    """A text with edits made, and where its places have gone.

    Args:
        text: The text before.
        edits: Edits in order, without overlaps.
    """

    def __init__(self, text: str, edits: Sequence[Edit]) -> None:
        parts, position = [], 0
        for edit in edits:
            parts += [text[position : edit.start], edit.replacement]
            position = edit.end
        self.text = "".join([*parts, text[position:]])
        self._ends = [edit.end for edit in edits]
        growth = (len(edit.replacement) - (edit.end - edit.start) for edit in edits)
        self._shifts = list(accumulate(growth, initial=0))

    def place(self, offset: int) -> int:
        """Return where a place outside of every edit, or at its border, has gone."""
        return offset + self._shifts[bisect_right(self._ends, offset)]


@dataclass(slots=True)
class Tally:
    """What was done to a document.

    Attributes:
        replaced: Identifiers by kind.
        dropped_annotations: Concepts whose names held an identifier.
        dropped_blocks: Blocks of which nothing was left.
    """

    replaced: Counter[IdentifierKind] = field(default_factory=Counter)
    dropped_annotations: int = 0
    dropped_blocks: int = 0


class Rewriter:
    """Replaces identifiers in documents.

    Args:
        config: What is replaced, and by what.
    """

    def __init__(self, config: DeidentifyConfig) -> None:
        self._config = config
        self._finder = Finder(config)

    def rewrite(self, document: Document) -> tuple[Document, Tally]:
        """Return the document without identifiers; itself where it holds none.

        What a replacement leaves side by side may look like another identifier, so the document is looked
        through until nothing is found.

        Args:
            document: The document.
        """
        tally = Tally()
        for _ in range(_MAX_PASSES):
            rewritten = self._rewrite_once(document, tally)
            if rewritten == document:
                break
            document = rewritten
        return document, tally

    def _rewrite_once(self, document: Document, tally: Tally) -> Document:
        edited = EditedText(
            document.text, list(self._edits_between(document.text, _borders(document), tally))
        )
        title = self._line(document.title, tally)
        sections = tuple(self._section(section, edited, tally) for section in document.sections)
        return document.model_copy(
            update={
                "title": title,
                "authors": tuple(filter(None, (self._line(name, tally) for name in document.authors))),
                "date": self._date(document.date, tally),
                "licence": self._line(document.licence or "", tally) or None,
                "url": None if document.url and self._finder.find(document.url) else document.url,
                "text": edited.text,
                "sections": sections,
                "annotations": tuple(self._kept(document.annotations, tally)),
                "content_hash": hash_content(title, edited.text),
            }
        )

    def _section(self, section: Section, edited: EditedText, tally: Tally) -> Section:
        blocks = [
            block.model_copy(update={"start": edited.place(block.start), "end": edited.place(block.end)})
            for block in section.blocks
        ]
        kept = tuple(block for block in blocks if block.start < block.end)
        tally.dropped_blocks += len(blocks) - len(kept)
        return section.model_copy(
            update={
                # The heading stands in the text as well and is counted there.
                "title": self._line(section.title, Tally()),
                "start": edited.place(section.start),
                "end": edited.place(section.end),
                "blocks": kept,
            }
        )

    def _kept(self, annotations: Sequence[Annotation], tally: Tally) -> Iterator[Annotation]:
        for annotation in annotations:
            if self._finder.find(annotation.name):
                tally.dropped_annotations += 1
            else:
                yield annotation

    def _date(self, date: str | None, tally: Tally) -> str | None:
        if date is None or IdentifierKind.DATE not in self._config.kinds:
            return date
        year = date[:4] if self._config.keep_years else None
        tally.replaced[IdentifierKind.DATE] += date != year
        return year

    def _line(self, text: str, tally: Tally) -> str:
        edits = list(self._edits_between(text, (0, len(text)), tally))
        return EditedText(text, edits).text if edits else text

    def _edits_between(self, text: str, borders: Sequence[int], tally: Tally) -> Iterator[Edit]:
        """Yield the edits of each stretch between two borders, none of them across a border."""
        for start, end in pairwise(borders):
            findings = self._finder.find(text[start:end])
            tally.replaced.update(finding.kind for finding in findings)
            for edit in self._edits(text[start:end], findings):
                yield Edit(start + edit.start, start + edit.end, edit.replacement)

    def _edits(self, text: str, findings: Sequence[Finding]) -> Iterator[Edit]:
        before = 0
        for number, finding in enumerate(findings):
            replacement = self._replacement(finding)
            start, end = finding.start, finding.end
            if not replacement:
                limit = findings[number + 1].start if number + 1 < len(findings) else len(text)
                start, end = _with_its_space(text, start, end, before, limit)
            yield Edit(start, end, replacement)
            before = end

    def _replacement(self, finding: Finding) -> str:
        year = finding.year if self._config.keep_years else None
        if self._config.style is ReplacementStyle.REMOVAL:
            return year or ""
        return f"{finding.kind.placeholder} {year}" if year else finding.kind.placeholder


def _borders(document: Document) -> list[int]:
    places: set[int] = {0, len(document.text)}
    parts: list[Section | Block] = [*document.sections]
    parts += [block for section in document.sections for block in section.blocks]
    for part in parts:
        places |= {part.start, part.end}
    return sorted(places)


def _with_its_space(text: str, start: int, end: int, lowest: int, highest: int) -> tuple[int, int]:
    """Widen a removal by one space where two would be left side by side, or one at the border of a line."""
    before = text[start - 1] if start > 0 else "\n"
    after = text[end] if end < len(text) else "\n"
    if after == " " and before in " \n\t" and end < highest:
        return start, end + 1
    if before == " " and after in "\n\t" and start > lowest:
        return start - 1, end
    return start, end
