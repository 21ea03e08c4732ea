"""What the first page of a PDF says about the document: title, DOI, authors, date, licence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from medkg_dagster.domain.dates import MONTHS, iso_date
from medkg_dagster.stages.parse.pdf.flow import join_lines
from medkg_dagster.stages.parse.pdf.headings import REFERENCES, Type, is_known
from medkg_dagster.stages.parse.pdf.layout import PlacedLine
from medkg_dagster.stages.parse.pdf.names import ADDRESS, names_in

_NO_TITLE = re.compile(
    r"untitled|microsoft word|powerpoint|\.(?:docx?|pdf|indd|tex|dvi|qxd|rtf|xml)\b|\d+\.\.\d+"
    r"|^\W*10\.\d{4}|^\S*$",
    re.IGNORECASE,
)
_DOI = re.compile(r"\b10\.[0-9]{4,9}/[^\s\"“”‘’|]+")
_BROKEN_DOI = re.compile(
    r"(10\.[0-9]{4,9}/\S*[./\-_])\n(?!10\.|https?:|doi)([A-Za-z0-9]\S*)(?=(\s*))", re.IGNORECASE
)
_NO_LETTER = re.compile(r"[\W_]+")
_CITE = re.compile(r"cite this (?:article|paper)|citation:", re.IGNORECASE)
_PART_OF_DOI = re.compile(r"\.[gst]\d{3}$")
# Registrants of data sets and software, not of articles.
_DATA = re.compile(
    r"10\.(?:5281|6084|5061|17605|17632|7910|1594|15468|2210|5524|3886|25387|18710|5067|17863|24433|60692)/"
)
_VERSION = re.compile(r"(?<=\d)\.v?\d{1,2}$")
_VERSION_NOTE = re.compile(r"\s*\[(?:version|v) ?\d+[;:,][^]]*\]$", re.IGNORECASE)
_CLOSING = {")": "(", "]": "[", "}": "{", ">": "<"}

_MONTH = rf"(?:{'|'.join(MONTHS)})[a-z]*\.?"
_PUBLISHED = re.compile(
    r"(?:published|publication date|first published|available online|epub)"
    r"(?: on)?(?: online)?(?: date)?\s*:?\s*"
    rf"(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?P<month>{_MONTH}),?\s+(?P<year>(?:19|20)\d\d)"
    rf"|(?P<month2>{_MONTH})\s+(?P<day2>\d{{1,2}}),?\s+(?P<year2>(?:19|20)\d\d)"
    r"|(?P<iso>(?:19|20)\d\d-\d\d-\d\d))",
    re.IGNORECASE,
)
_COPYRIGHT = re.compile(r"(?:©|\(c\)|copyright)\D{0,40}((?:19|20)\d\d)\b", re.IGNORECASE)
_LICENCE_URL = re.compile(
    r"creativecommons\.\s?org/\s?(?:licenses|publicdomain)/\s?[a-z\-]+(?:/\s?\d\.\d)?", re.IGNORECASE
)
_LICENCE = re.compile(
    r"creative commons (?:attribution|zero|cc0)[a-z\- ]*?(?:licen[sc]e|dedication|deed)"
    r"(?: ?\(?cc[ -]by[a-z\-]*\)?)?"
    r"(?: ?\d\.\d)?|\bcc[ -]by(?:-n[cd]|-sa)*(?: \d\.\d)?\b",
    re.IGNORECASE,
)


def find_title(placed: Sequence[PlacedLine], kind: Type, stated: str) -> tuple[str, frozenset[int]]:
    """Return the title, and the positions of the lines that print it where they are one run.

    It is the one the PDF states where the first page prints that, else the biggest text of the page that
    reads like a title.
    """
    printed, lines = _biggest(placed, kind)
    printed, stated = _VERSION_NOTE.sub("", printed), _VERSION_NOTE.sub("", stated)
    first_page = _letters("".join(item.line.text for item in placed if item.page == 0))
    if stated and not _NO_TITLE.search(stated) and _letters(stated) in first_page:
        # what is printed is longer where a note's mark or a subtitle belongs to it
        same = _letters(stated) in _letters(printed) or _letters(printed) in _letters(stated)
        return stated, lines if same else frozenset()
    return printed, lines


def _biggest(placed: Sequence[PlacedLine], kind: Type) -> tuple[str, frozenset[int]]:
    candidates = [
        (position, item)
        for position, item in enumerate(placed)
        if item.page == 0 and not item.aside and item.line.size > kind.size * 1.15
    ]
    for size in sorted({round(item.line.size, 1) for _, item in candidates}, reverse=True):
        groups: list[list[int]] = []
        for position, item in candidates:
            if abs(item.line.size - size) > 0.06 * size:
                continue
            if groups and groups[-1][-1] == position - 1:
                groups[-1].append(position)
            else:
                groups.append([position])
        for group in groups:
            text, _ = join_lines([placed[position].line.text for position in group], frozenset())
            if len(text.split()) >= 3 and len(text) >= 15:
                return text, frozenset(group)
    return "", frozenset()


def front_matter(placed: Sequence[PlacedLine], kind: Type, title: frozenset[int]) -> frozenset[int]:
    """Return the positions of the lines before the text: above the title, authors, where they work, dates."""
    start = max(title, default=-1) + 1
    first_page = [position for position in range(start, len(placed)) if placed[position].page == 0]
    above = range(min(title, default=0))
    for position in first_page:
        text = placed[position].line.text.strip()
        if is_known(text) or re.match(r"(?:abstract|summary|background|objective)\b", text, re.IGNORECASE):
            return frozenset((*above, *range(start, position)))
    for position in first_page:
        line = placed[position].line
        if (
            len(line.text) >= 50
            and abs(line.size - kind.size) < 0.08 * kind.size
            and line.text.count(",") < 3
        ):
            return frozenset((*above, *range(start, position)))
    return frozenset(above)


def _letters(text: str) -> str:
    return _NO_LETTER.sub("", text.lower())


def find_doi(pages: Sequence[Sequence[str]], stated: str = "") -> str | None:
    """Return the article's own DOI, not one it cites, nor that of its data.

    Args:
        pages: The lines of each page.
        stated: What the PDF's metadata says.

    Returns:
        The DOI that page one prints, the one most pages repeat where there are several, then the one that the
        metadata has too, then the first; else the one that stands beside "cite this article"; else that of
        the metadata; None where none is there.
    """
    in_metadata = _dois([stated])
    repeated = Counter(doi for lines in pages for doi in set(_dois(lines)))
    if pages and (own := _articles(_dois(_before_references(pages[0])), repeated)):
        best = max(own, key=lambda doi: (repeated[doi], doi in in_metadata, own.count(doi), -own.index(doi)))
        # a version names those before it
        base = _VERSION.sub("", best)
        return max((doi for doi in own if _VERSION.sub("", doi) == base), key=lambda doi: (len(doi), doi))
    for lines in pages:
        for number, line in enumerate(lines):
            if _CITE.search(line) and (
                near := _articles(_dois(lines[max(0, number - 3) : number + 6]), repeated)
            ):
                return near[0]
    return next(iter(_articles(in_metadata, repeated)), None)


def _articles(dois: Sequence[str], repeated: Counter[str]) -> list[str]:
    """Return the DOIs without those of data sets, which are the document's own where pages repeat them."""
    whole = [_PART_OF_DOI.sub("", doi) for doi in dois]
    return [doi for doi in whole if not _DATA.match(doi) or repeated[doi] > 1]


def _before_references(lines: Sequence[str]) -> Sequence[str]:
    for number, line in enumerate(lines):
        if REFERENCES.match(line.strip()):
            return lines[:number]
    return lines


def _dois(lines: Sequence[str]) -> list[str]:
    """Return the DOIs in lines; one that breaks after a dot, slash or hyphen goes on in the next line."""
    text = "\n".join(map(str.strip, lines))
    if "10." not in text:
        return []
    text = _BROKEN_DOI.sub(_rejoin, text)
    return [doi for match in _DOI.finditer(text) if (doi := _trimmed(match.group()))]


def _rejoin(match: re.Match[str]) -> str:
    begun, rest, behind = match.groups()
    number = any(map(str.isdigit, rest))
    sentence = rest[0].isupper() and not number
    item = rest.endswith(".") and behind.startswith(" ")
    goes_on = not sentence and not item and (number or begun.endswith("/"))
    return f"{begun}{'' if goes_on else chr(10)}{rest}"


def _trimmed(doi: str) -> str:
    """Cut what follows a DOI: punctuation, brackets that it does not open, an address right behind it."""
    doi = re.split(r"https?:", doi)[0]
    if "<" in doi and ">" not in doi:
        doi = doi.partition("<")[0]
    while doi and (
        doi[-1] in ".,;:'*†‡§/-"
        or (doi[-1] in _CLOSING and doi.count(doi[-1]) > doi.count(_CLOSING[doi[-1]]))
    ):
        doi = doi[:-1]
    return doi if "/" in doi else ""


def find_authors(placed: Sequence[PlacedLine], title: frozenset[int], stated: str) -> list[str]:
    """Return the authors' names.

    They stand beside their addresses of e-mail, below the title or in the PDF's metadata: where most of them
    are, of as many in the first.
    """
    printed: list[str] = []
    if title:
        size = 0.0
        for position in range(max(title) + 1, min(max(title) + 26, len(placed))):
            item = placed[position]
            if item.page != 0 or is_known(item.line.text.strip()):
                break
            names, others = names_in(item.marked or item.line.text)
            if size and abs(item.line.size - size) > 0.12 * size:
                break
            if names and len(names) >= 2 * others:
                size = item.line.size
                # a name that a line's end divides is one
                printed += names
            elif printed:
                break
    letters = _letters("".join(item.line.text for item in placed if item.page == 0))
    parts = re.split(r";|\band\b|&", stated) if ";" in stated else re.split(r",|\band\b|&", stated)
    known = [name for part in parts if (name := _stated_name(part)) and _letters(name.split()[-1]) in letters]
    return max(_with_address(placed), printed, known, key=len)


def _with_address(placed: Sequence[PlacedLine]) -> list[str]:
    """Return the names that have an address of e-mail behind them or below them, before the text begins."""
    found: dict[str, None] = {}
    above = ""
    for item in placed:
        if item.page > 1 or is_known(item.line.text.strip()):
            break
        rest, addresses = item.marked or item.line.text, 0
        if "@" in rest:
            rest, addresses = ADDRESS.subn("", rest)
        if addresses:
            names, others = names_in(rest)
            if not names and not others:
                names, others = names_in(above)
            if not others and len(names) == 1:
                found[names[0]] = None
        above = rest
    return list(found)


def _stated_name(part: str) -> str:
    family, comma, given = part.partition(",")
    name = f"{given.strip()} {family.strip()}" if comma else part
    names, others = names_in(name)
    return names[0] if len(names) == 1 and not others else ""


def find_date(lines: Iterable[str]) -> str | None:
    """Return when the document was published, as page one prints it: a day, else the year of copyright."""
    text = " ".join(lines)
    published = list(_PUBLISHED.finditer(text))
    if published:
        # a version says when the first one was published, too
        latest = [match for match in published if text[: match.start()].lower().endswith("latest ")]
        match = (latest or published)[0]
        if match["iso"]:
            return match["iso"]
        day, month, year = (match[name] or match[f"{name}2"] for name in ("day", "month", "year"))
        return iso_date(year, month, day)
    copyright_year = _COPYRIGHT.search(text)
    return copyright_year.group(1) if copyright_year else None


def find_licence(lines: Iterable[str]) -> str | None:
    """Return the address of the Creative Commons licence that is printed, else its name."""
    text = " ".join(lines)
    if match := _LICENCE_URL.search(text):
        return "https://" + re.sub(r"\s", "", match.group()).lower().rstrip("/") + "/"
    match = _LICENCE.search(text)
    return match.group() if match else None
