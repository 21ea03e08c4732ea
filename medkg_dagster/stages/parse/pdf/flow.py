"""Running text out of placed PDF lines: title, headings, paragraphs, words hyphenated at line ends."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from medkg_dagster.stages.parse.pdf.layout import PlacedLine
from medkg_dagster.stages.parse.pdf.lines import LINE_END_HYPHEN

Flow = list[tuple[bool, str]]
"""`(is a heading, text)` in reading order."""

_KNOWN_HEADING = re.compile(
    r"(?:\d{1,2}\.?\s+)?(?:abstract|summary|background|introduction|(?:materials? and )?methods?|results?"
    r"|(?:results and )?discussion|conclusions?|references|acknowledge?ments?|keywords?|abbreviations"
    r"|supporting information|competing interests|conflicts? of interest|author contributions)$",
    re.IGNORECASE,
)
_NUMBERED_HEADING = re.compile(r"\d{1,2}(?:\.\d{1,2}){0,3}\.?\s+[A-Z]\S*(?:\s\S+){0,12}$")
_SENTENCE_END = (".", "?", "!", ":", ";", ".”", ".)", '."')
_LAST_WORD = re.compile(r"([^\W\d_]+)$")
_FIRST_WORD = re.compile(r"([^\W\d_]+)")
_COMPOUND = re.compile(r"[^\W\d_]+-[^\W\d_]+")
_WORD = re.compile(r"[^\W\d_]+")
CAPTION = re.compile(r"(?:table|figure|fig\.|box)\s*S?\d+\b", re.IGNORECASE)
MAX_HEADING_CHARACTERS = 120


def body_size(placed: Sequence[PlacedLine]) -> float:
    """Return the font height of most of the text, in points."""
    sizes: Counter[float] = Counter()
    for item in placed:
        sizes[round(item.line.size, 1)] += len(item.line.text)
    return max(sizes, key=lambda size: (sizes[size], size))


def page_one_title(placed: Sequence[PlacedLine], usual: float) -> tuple[str, frozenset[int]]:
    """Return the biggest text of page one that reads like a title, and the positions of its lines."""
    candidates = [
        (position, item)
        for position, item in enumerate(placed)
        if item.page == 0 and item.line.size > usual * 1.15
    ]
    for size in sorted({round(item.line.size, 1) for _, item in candidates}, reverse=True):
        runs: list[list[int]] = []
        for position, item in candidates:
            if abs(item.line.size - size) > 0.06 * size:
                continue
            if runs and runs[-1][-1] == position - 1:
                runs[-1].append(position)
            else:
                runs.append([position])
        for run in runs:
            text = _join([placed[position].line.text for position in run], frozenset())
            if len(text.split()) >= 3 and len(text) >= 15:
                return text, frozenset(run)
    return "", frozenset()


def flow_text(placed: Sequence[PlacedLine], usual: float, *, skip: frozenset[int] = frozenset()) -> Flow:
    """Turn lines into headings and paragraphs.

    Args:
        placed: Lines in reading order.
        usual: See `body_size`.
        skip: Positions of lines to leave out.
    """
    bold_body = _mostly_bold(placed, usual)
    vocabulary = _vocabulary(placed)
    flow: list[_Passage] = []
    before: PlacedLine | None = None
    for position, item in enumerate(placed):
        if position in skip:
            continue
        heading = is_heading(item, usual, bold_body=bold_body)
        if flow and before is not None and _continues(flow[-1], before, item, heading=heading):
            flow[-1].lines.append(item.line.text)
        else:
            flow.append(_Passage(heading, [item.line.text]))
        before = item
    return [(passage.heading, _join(passage.lines, vocabulary)) for passage in flow]


@dataclass(slots=True)
class _Passage:
    heading: bool
    lines: list[str] = field(default_factory=list)


def is_heading(item: PlacedLine, usual: float, *, bold_body: bool) -> bool:
    """Return whether a line is a heading by its font, its number or its words."""
    line = item.line
    text = line.text.strip()
    if len(text) > MAX_HEADING_CHARACTERS or sum(map(str.isalpha, text)) < 3:
        return False
    if _KNOWN_HEADING.match(text):
        return True
    if not text[0].isalnum() or CAPTION.match(text) or text.endswith((",", ";", LINE_END_HYPHEN)):
        return False
    if line.size > usual * 1.12 and not text[0].islower():
        return True
    short = line.x1 - line.x0 < 0.9 * (item.right - item.left) or item.right - item.left < 10 * line.size
    distinct = line.bold and not bold_body and line.size > usual * 0.9
    return (
        distinct
        and short
        and not text.endswith(".")
        and (text[0].isupper() or bool(_NUMBERED_HEADING.match(text)))
    )


def _mostly_bold(placed: Sequence[PlacedLine], usual: float) -> bool:
    body = [item.line for item in placed if abs(item.line.size - usual) < 0.1 * usual]
    return sum(len(line.text) for line in body if line.bold) * 2 > sum(len(line.text) for line in body)


def _continues(passage: _Passage, before: PlacedLine, item: PlacedLine, *, heading: bool) -> bool:
    """Return whether a line goes on with the passage that the line before it belongs to."""
    last, line = before.line, item.line
    if passage.heading or heading:
        same_font = abs(last.size - line.size) < 0.05 * line.size and last.bold == line.bold
        close = before.column == item.column and last.y0 - line.y1 < 0.5 * line.size
        known = bool(_KNOWN_HEADING.match(passage.lines[-1].strip()))
        return passage.heading and heading and same_font and close and not known
    if last.text.endswith(LINE_END_HYPHEN):
        return True
    if abs(last.size - line.size) > 0.15 * max(last.size, line.size):
        return False
    ended = last.text.rstrip().endswith(_SENTENCE_END)
    if before.column != item.column:
        return not ended and line.text[:1].islower()
    if last.y0 - line.y1 > 0.6 * line.size:
        return False
    indented = line.x0 - item.left > 0.8 * line.size and last.x0 - before.left < 0.8 * last.size
    short = before.right - last.x1 > 4 * last.size
    return not (ended and (indented or short))


def _vocabulary(placed: Sequence[PlacedLine]) -> frozenset[str]:
    """Words and hyphenated compounds that stand within a line, to judge hyphens at line ends by."""
    found: set[str] = set()
    for item in placed:
        lowered = item.line.text.lower()
        found.update(_WORD.findall(lowered))
        found.update(_COMPOUND.findall(lowered))
    return frozenset(found)


def _join(lines: Sequence[str], vocabulary: frozenset[str]) -> str:
    text = ""
    for line in lines:
        part = line.strip()
        soft = text.endswith(LINE_END_HYPHEN)
        if soft or (re.search(r"[^\W\d_]-$", text) and part[:1].isalpha()):
            stem = text[:-1]
            text = stem + _hyphen(stem, part, vocabulary, soft=soft) + part
        else:
            text = f"{text} {part}" if text else part
    return text.replace(LINE_END_HYPHEN, "-")


def _hyphen(stem: str, part: str, vocabulary: frozenset[str], *, soft: bool) -> str:
    """Return the hyphen where the two parts are a compound, nothing where they are one word."""
    left, right = _LAST_WORD.search(stem), _FIRST_WORD.match(part)
    if not left or not right:
        return "-"
    first, second = left.group().lower(), right.group().lower()
    if first + second in vocabulary:
        return ""
    if f"{first}-{second}" in vocabulary or right.group()[0].isupper():
        return "-"
    if not soft and first in vocabulary and second in vocabulary and len(first) > 2:
        return "-"
    return ""
