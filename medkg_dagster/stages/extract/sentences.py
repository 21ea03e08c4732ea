"""Splits a document into sentences with exact offsets, never across blocks."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from medkg_dagster.stage_api import Block, BlockKind, Document, Section

# What may end a sentence: the mark, closing quotes and brackets (and a citation such as [12]), white space.
_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’)\]]*(?:\[[\d,;–\-\s]+\])?(\s+)(?=[\"'“‘(\[]*[^\W_a-zà-öø-ÿ])")
# "J", "J. R" and "Smith J" are initials, "hepatitis B" is none.
_INITIAL = re.compile(r"(?:^|[^\w\s]\s|\b[A-Z]\w*\s)[A-Z]$")
_LOOK_BACK = 40
_LIST_NUMBER = re.compile(r"\(?(?:\d{1,3}|[ivxIVX]{1,4})")

# Written with a full stop inside a sentence; compared in lower case without the last full stop.
_ABBREVIATIONS = frozenset(
    word
    for line in (
        "e.g i.e cf etc vs viz approx ca c al et resp incl excl no nos fig figs tab tabl ref refs eq eqs sec",
        "vol pp p ed eds dr drs prof mr mrs ms st jr sr inc ltd co corp dept univ jan feb mar apr jun jul",
        "aug sep sept oct nov dec mon tue wed thu fri max min avg est spp sp subsp var u.s u.k a.m p.m",
        "i.v i.m s.c p.o b.i.d t.i.d q.d b.w s.d s.e n.s",
    )
    for word in line.split()
)
# These end sentences as often as they stand inside one: a capital letter after them decides.
_MAY_END = frozenset({"etc", "al", "a.m", "p.m", "u.s", "u.k", "inc", "ltd", "co", "corp", "no"})
NUMBERED = frozenset({"al", "no", "nos", "fig", "figs", "tab", "ref", "refs", "eq", "eqs", "sec", "vol"})
"""Behind these stands a number: "Fig. 4" and, where the full stop is left out, "Fig 4", which is no gene."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, `document.text[start:end]`, without white space around it.

    Attributes:
        start: First character.
        end: One past the last character.
        section: The title of the section it is in.
        in_table: Whether it is a line of a table.
    """

    start: int
    end: int
    section: str
    in_table: bool = False


def document_sentences(document: Document) -> tuple[Sentence, ...]:
    """Split a document's blocks into sentences; each line of a table counts as one."""
    return tuple(
        sentence
        for section in document.sections
        for block in section.blocks
        for sentence in _sentences_of(document, section, block)
    )


class SentencesAround:
    """Finds the sentences that places in a document stand in; only blocks that are asked for are split.

    Args:
        document: The document.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        places = ((section, block) for section in document.sections for block in section.blocks)
        self._blocks = sorted(places, key=lambda place: place[1].start)
        self._starts = [block.start for _, block in self._blocks]
        self._split: dict[int, Sequence[Sentence]] = {}

    def find(self, start: int, end: int) -> Sentence | None:
        """Return the sentence that holds all from a first character to one past the last, if one does."""
        number = bisect_right(self._starts, start) - 1
        if number < 0:
            return None
        if number not in self._split:
            self._split[number] = _sentences_of(self._document, *self._blocks[number])
        return next((one for one in self._split[number] if one.start <= start and end <= one.end), None)


def _sentences_of(document: Document, section: Section, block: Block) -> Sequence[Sentence]:
    text = document.text[block.start : block.end]
    in_table = block.kind is BlockKind.TABLE
    spans = _lines(text) if in_table else sentence_spans(text)
    return [Sentence(block.start + a, block.start + b, section.title, in_table) for a, b in spans]


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the sentences of a block stand; together they hold all of it but white space.

    Yields:
        First character and one past the last one of each sentence.
    """
    start = 0
    for match in _END.finditer(text):
        if not _inside(text, start, match):
            yield from _stripped(text, start, match.start(1))
            start = match.end()
    yield from _stripped(text, start, len(text))


def _inside(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether the full stop belongs to an abbreviation, an initial or a list number."""
    if text[match.start()] != ".":
        return False
    before = text[max(start, match.start() - _LOOK_BACK) : match.start()]
    word = before.rsplit(None, 1)[-1].lstrip("([/\"'“‘") if before.strip() else ""
    after = text[match.end()]
    if len(word) == 1 and word.isupper():
        return after.isupper() and _INITIAL.search(before) is not None
    if match.start() - start <= _LOOK_BACK and _LIST_NUMBER.fullmatch(text[start : match.start()].strip()):
        return True
    lower = word.lower()
    if lower in NUMBERED and after.isdigit():
        return True
    return lower in _ABBREVIATIONS and lower not in _MAY_END


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for line in text.split("\n"):
        yield from _stripped(text, start, start + len(line))
        start += len(line) + 1


def _stripped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end
