"""The works that a PDF cites, out of its list of references."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from medkg_dagster.stage_api import Reference
from medkg_dagster.stages.parse.pdf.flow import join_lines
from medkg_dagster.stages.parse.pdf.layout import PlacedLine

_NUMBER = re.compile(r"[\[(]?(\d{1,3})[\]).]{0,2}\s+(?=\S)")
_DOI = re.compile(r"\b(10\.\d{4,9}/[^\s\"“”|]+[^\s\"“”|.,;:)\]}>])")
_PMID = re.compile(r"\bPMID:?\s*(\d{5,9})\b")
_PMCID = re.compile(r"\b(PMC\d{4,9})\b")
_YEAR = re.compile(r"\b((?:18|19|20)\d\d)[a-z]?\b")
_YEAR_OF_PRINT = re.compile(r"\(((?:18|19|20)\d\d)[a-z]?\)|[;,.]\s*((?:18|19|20)\d\d)[a-z]?\s*[;:,(.]")
# A number of four digits behind a colon or a dash is a page, as is the first of a range.
_YEAR_IN_TEXT = re.compile(r"(?<![\d:–−-])(?<!: )\b((?:18|19|20)\d\d)[a-z]?\b(?! ?[–−-] ?\d)")
_BEFORE_VOLUME = re.compile(r"\b((?:18|19|20)\d\d), ?(?:\d{1,4} ?[:(,]|\d{1,4} Suppl)")
_BEHIND = re.compile(
    r"©|cite this article|doi:\s*10\.|submit your|publisher.s note|received:|this (?:article|is an open)",
    re.IGNORECASE,
)
_FAMILY = r"(?:[^\W\d_][\w'’\-]{0,40} ){0,3}?[^\W\d_a-z][\w'’\-]{0,40}"
_INITIALS = r"[A-Z]\.(?:[ -]?[A-Z]\.){0,4}"
# "Smith JA", "Smith, J. A.", "J. A. Smith"
_AUTHOR = re.compile(
    rf"(?:{_FAMILY} [A-Z]{{1,4}}(?:-[A-Z]| [A-Z])?(?: (?:Jr|Sr|I{{2,3}}|[23][nr]d)\.?)?(?![\w'’])"
    rf"|{_FAMILY},? {_INITIALS}|{_INITIALS} ?{_FAMILY}|et al\b\.?)"
)
_ONE_NAME = re.compile(r"[^\W\d_a-z][^\W\d_]{2,40}(?=, ?[^\W\d_a-z])")
_QUOTED = re.compile(r"(?:^|[\s.,)])[“\"]([^“”\"]{10,400}[.,?!])[”\"]")
_NEXT_AUTHOR = re.compile(r" ?[,;]? ?(?:and |& )?(?!\()|(?<=\.)")
_TITLE_BEGINS = re.compile(r"[., ]*(?:\((?:18|19|20)\d\d[a-z]?\)[.:,]? ?|: ?|(?<=\.) ?)")
_TITLE_ENDS = re.compile(r"(?:\.|(?<=[?!])) ?(?=[^\W_])")
_SMALL_WORD = r"(?:of|the|and|in|for|on|de|der|et|la|und|für|di|&)"
_JOURNAL = re.compile(
    rf"[^\W\d_a-z][^\s\d,;:]{{0,40}}(?:[ ](?:{_SMALL_WORD}|\(?[^\W\d_a-z][^\s\d,;]{{0,40}})){{0,12}}[,;:]? ?"
    r"(?:\(?(?:18|19|20)\d\d\b|\d{1,4}\b(?! ?p))"
)
_BOOK = re.compile(
    r"In\b[: ]|[^\W\d_a-z][^\d:;]{2,40}: [^\d:;]{2,80}(?:[;,] ?(?:18|19|20)\d\d\b|\. \d{2,4} p\b|\.$)"
)
MIN_TITLE = 10
MIN_ENTRIES = 3


def parse_references(
    items: Sequence[PlacedLine], vocabulary: frozenset[str]
) -> tuple[tuple[Reference, ...], int, Counter[str]]:
    """Divide a list of references into its entries.

    Args:
        items: The lines below its heading.
        vocabulary: See `join_lines`.

    Returns:
        The references, how many of the lines they are made of, and the glyphs that are not in them by reason;
        none where the list cannot be divided.
    """
    starts = next(
        (found for find in (_numbered, _hanging, _spaced) if _are_entries(items, found := find(items))), []
    )
    left_out: Counter[str] = Counter()
    if not starts:
        return (), 0, left_out
    end = _end_of_entry(items, starts[-1])
    references = []
    for start, stop in pairwise([*starts, end]):
        text, hyphens = join_lines([item.line.text for item in items[start:stop]], vocabulary)
        match = _NUMBER.match(text)
        entry = text[match.end() :] if match else text
        left_out["hyphens at line ends"] += hyphens
        left_out["numbers of references"] += len(match.group().strip()) if match else 0
        references.append(read_reference(entry))
    return tuple(references), end, left_out


def _are_entries(items: Sequence[PlacedLine], starts: Sequence[int]) -> bool:
    """Return whether lines are divided into entries: the first begins the list, most name a year."""
    if len(starts) < MIN_ENTRIES or starts[0] != 0:
        return False
    entries = [items[start:stop] for start, stop in pairwise([*starts, len(items)])]
    dated = sum(any(_YEAR.search(item.line.text) for item in entry) for entry in entries)
    return dated > 0.6 * len(entries)


def _end_of_entry(items: Sequence[PlacedLine], start: int) -> int:
    """Return where the last entry ends: at a gap, other type or a note on the article itself."""
    for position in range(start + 1, len(items)):
        last, item = items[position - 1], items[position]
        if item.column == last.column and last.line.y0 - item.line.y1 > 0.5 * item.line.size:
            return position
        if abs(item.line.size - items[start].line.size) > 0.08 * item.line.size or _BEHIND.match(
            item.line.text
        ):
            return position
    return len(items)


def _numbered(items: Sequence[PlacedLine]) -> list[int]:
    """Return where entries begin whose numbers count from one."""
    starts: list[int] = []
    for position, item in enumerate(items):
        match = _NUMBER.match(item.line.text)
        if match and int(match.group(1)) == len(starts) + 1:
            starts.append(position)
    return starts if len(starts) >= MIN_ENTRIES else []


def _hanging(items: Sequence[PlacedLine]) -> list[int]:
    """Return where entries begin whose first line stands further left than those below it."""
    edges: dict[int, float] = {}
    for item in items:
        edges[item.column] = min(edges.get(item.column, item.line.x0), item.line.x0)
    starts = [
        position
        for position, item in enumerate(items)
        if item.line.x0 < edges[item.column] + 4 and item.line.text[:1].isupper()
    ]
    return starts if 0.15 * len(items) < len(starts) < 0.75 * len(items) else []


def _spaced(items: Sequence[PlacedLine]) -> list[int]:
    """Return where entries begin that stand a little further apart than their lines."""
    steps = [
        last.line.y0 - item.line.y0 if item.column == last.column else 0.0 for last, item in pairwise(items)
    ]
    within = median([step for step in steps if step > 0] or [0.0])
    starts = [0]
    for position, step in enumerate(steps, start=1):
        new_column = items[position].column != items[position - 1].column
        capital = items[position].line.text[:1].isupper()
        if (
            step > 1.15 * within or (new_column and items[position - 1].line.text.endswith((".", "Text")))
        ) and capital:
            starts.append(position)
    return starts if 0.15 * len(items) < len(starts) < 0.75 * len(items) else []


def read_reference(entry: str) -> Reference:
    """Return the work that an entry without its number names."""
    identifiers = {}
    for prefix, mark, pattern in (("DOI", "10.", _DOI), ("PMID", "PMID", _PMID), ("PMCID", "PMC", _PMCID)):
        if mark in entry and (match := pattern.search(entry)):
            identifiers[prefix] = match.group(1)
    match = _BEFORE_VOLUME.search(entry) or _YEAR_OF_PRINT.search(entry)
    year = next((group for group in match.groups() if group), None) if match else None
    if year is None and (years := _YEAR_IN_TEXT.findall(entry) or _YEAR.findall(entry)):
        year = years[-1]
    title = title_of(entry)
    return Reference(
        identifiers=identifiers, title=title, year=int(year) if year else None, text=entry.strip()
    )


def title_of(entry: str) -> str:
    """Return the title of an article: what stands in quotes, or else between its authors and its journal.

    It is empty where that is not sure.
    """
    if quoted := _QUOTED.search(entry):
        return quoted.group(1).rstrip(".,")
    end = 0
    position = 0
    separator = ""
    while author := _AUTHOR.match(entry, position) or (separator and _ONE_NAME.match(entry, position)):
        end = author.end()
        following = _NEXT_AUTHOR.match(entry, end)
        if following is None or (position := following.end()) == end:
            break
        separator = following.group().strip()
    begins = _TITLE_BEGINS.match(entry, end) if end else None
    if begins is None:
        return ""
    start = begins.end()
    for stop in _TITLE_ENDS.finditer(entry, start):
        if _JOURNAL.match(entry, stop.end()) or _BOOK.match(entry, stop.end()):
            title = entry[start : stop.start()]
            return title if len(title) >= MIN_TITLE and " " in title else ""
    return ""
