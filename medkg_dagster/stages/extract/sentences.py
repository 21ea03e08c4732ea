"""Splits a document into sentences with exact offsets, never across blocks, and says what a sentence negates.

Negation is by trigger words and their scope, in the manner of NegEx (Chapman et al., 2001). A trigger before
a mention ("no evidence of") or after it ("was ruled out") negates what stands within a few words of it; words
such as "but" end the scope; look-alikes ("not only") negate nothing.
"""

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
_NUMBERED = frozenset({"al", "no", "nos", "fig", "figs", "tab", "ref", "refs", "eq", "eqs", "sec", "vol"})
BEFORE_WORDS = 8
AFTER_WORDS = 5
_NEAR = 300
"""So many characters hold these words and a look-alike at their edge."""

_LOOK_ALIKES = re.compile(
    r"\b(?:not only|not just|not necessarily|no (?:significant |clear |apparent )?(?:increase|change|"
    r"difference|improvement|worsening)|no longer than|without (?:delay|difficulty|interruption)|"
    r"not (?:yet )?(?:known|clear|certain|recommended|approved|studied|evaluated|assessed|established|all|"
    r"every|uncommon|infrequent|rare|unusual)|no doubt|nothing but|whether or not|no other|with or without|"
    r"no more than|not less than|"
    r"no less than)\b"
)
_BEFORE = re.compile(
    r"\b(?:no|not|none of|neither|nor|never|without|absence of|absent|lack of|lacked|lacking|free of|"
    r"free from|negative for|denie[sd]|denying|rule[sd]? out|ruling out|exclude[sd]?|excluding|failed to|"
    r"fails to|cannot|rather than|instead of)\b"
)
_AFTER = re.compile(
    r"^\W*(?:\w+\W+){0,3}?(?:(?:was|were|is|are|has been|have been|had been|could be|can be) (?:\w+ly )?"
    r"(?:ruled out|excluded|absent|not (?:\w+ly )?(?:seen|observed|found|detected|reported|recorded|noted|"
    r"present|identified|confirmed|associated|caused|induced))|did not (?:occur|develop|recur)|"
    r"never (?:occurred|developed|recurred))\b"
)
_DIRECTLY_BEFORE = re.compile(
    r"\b(?:no|without|neither|nor|absence of|lack of|no evidence of|no cases? of|none of the)\s+"
    r"(?:(?!except|but|other)\w+\s+){0,2}$"
)
_STOP = re.compile(
    r"[;:]|\b(?:but|however|although|though|except|whereas|while|yet|nevertheless|still|which|who|because|since|"
    r"apart from|aside from|other than|despite|secondary to|until|cause of|causes of|reason for)\b"
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, `document.text[start:end]`, without white space around it.

    Attributes:
        start: First character.
        end: One past the last character.
        section: The title of the section it is in.
    """

    start: int
    end: int
    section: str


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
    spans = _lines(text) if block.kind is BlockKind.TABLE else sentence_spans(text)
    return [Sentence(block.start + a, block.start + b, section.title) for a, b in spans]


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
    if lower in _NUMBERED and after.isdigit():
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


def is_negated(sentence: str, start: int, end: int) -> bool:
    """Whether a mention stands under a negation.

    Returns:
        True for "no evidence of colitis", False for "not only colitis".
    """
    first, last = max(0, start - _NEAR), end + _NEAR
    before, after = sentence[first:start].lower(), sentence[end:last].lower()
    # A word that is cut in two is none.
    before = _blank_look_alikes(before.partition(" ")[2] if first else before)
    for opening in list(_STOP.finditer(before))[-1:]:
        before = before[opening.end() :]
    scope = " ".join(before.split()[-BEFORE_WORDS:])
    if _BEFORE.search(scope):
        return True
    after = _blank_look_alikes(after.rpartition(" ")[0] if last < len(sentence) else after)
    stop = _STOP.search(after)
    after = after[: stop.start()] if stop else after
    return _AFTER.search(" ".join(after.split()[: AFTER_WORDS + 4])) is not None


def is_denied(sentence: str, left: tuple[int, int], right: tuple[int, int]) -> bool:
    """Whether a sentence denies what it says about two concepts.

    A negation anywhere before both ("is not needed in hepatitis caused by ...") denies something else;
    only one that stands directly before the first, between the two, or after the second counts.

    Args:
        sentence: The sentence.
        left: First character and one past the last one of what stands first.
        right: The same of what stands second.

    Returns:
        True for "was not associated with", "no colitis was caused by", "... was ruled out".
    """
    between = _blank_look_alikes(sentence[left[1] : right[0]].lower())
    if _BEFORE.search(between) or _DIRECTLY_BEFORE.search(sentence[: left[0]].lower()):
        return True
    return _AFTER.search(sentence[right[1] :].lower()) is not None


def _blank_look_alikes(text: str) -> str:
    return _LOOK_ALIKES.sub(lambda match: "x" * len(match.group()), text)
