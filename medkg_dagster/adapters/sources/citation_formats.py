"""Reads exported citations, RIS, PubMed's nbib and BibTeX, as records of articles."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from medkg_dagster.domain.dates import iso_date
from medkg_dagster.errors import UnreadableDocumentError

Fields = Mapping[str, list[str]]
Record = dict[str, Any]


class CitationFormat(StrEnum):
    """A format of citations."""

    RIS = "RIS"
    NBIB = "nbib"
    BIBTEX = "BibTeX"


_STARTS = {
    # databases and programs write a few lines of their own before the first entry
    CitationFormat.RIS: re.compile(r"\s*+(?:[A-Z][\w -]{1,30}:[^\n]*+\s*+){0,12}TY  ?- ?\w"),
    CitationFormat.NBIB: re.compile(r"\s*PMID- ?\d"),
    CitationFormat.BIBTEX: re.compile(
        r"(?:\s|%[^\n]*\n|[^@{}\n]{0,200}?(?:JabRef|Mendeley|Encoding: )[^@{}\n]{0,200}\n)*+"
        r"@[A-Za-z]+\s*+[{(]\s*+[^\s,={}]*+\s*+[,=}]"
    ),
}
_TAGGED = {
    # as far apart as its first tag and value are: "HIV - infected" or "II - all" begins no field
    CitationFormat.RIS: ("TY", re.compile(r"([A-Z][A-Z0-9])(  ?)-(?: (.*)|$)")),
    CitationFormat.NBIB: ("PMID", re.compile(r"(?=.{4}-)([A-Z]{2,4}) *(-)(?: (.*)|$)")),
}
_DOI = re.compile(r"10\.[0-9]{4,9}/[^\s\[\]]+")
_PMCID = re.compile(r"PMC[0-9]{1,9}")
_DATE = re.compile(r"([0-9]{4})(?:[/\s-]+([0-9]{1,2}|[A-Za-z]{3})[a-z]*)?(?:[/\s-]+([0-9]{1,2}))?")
_TITLES = ("TI", "T1", "CT", "BTI")
_ABSTRACTS = ("AB", "N2", "OAB")
_AUTHORS = ("FAU", "AU", "A1")
_DATES = ("DP", "DA", "PY", "Y1")
_SUFFIX = re.compile(r"(?:Jr|Sr|I{2,3}|IV|V|\d(?:nd|rd|th))\.?", re.IGNORECASE)


def recognise(text: str) -> CitationFormat | None:
    """Return the format of citations that a text begins in; None for any other text."""
    return next((kind for kind, start in _STARTS.items() if start.match(text)), None)


def read_citations(kind: CitationFormat, text: str) -> Iterator[Record]:
    """Yield a record for each citation, as `domain.article_records` reads plain objects.

    Raises:
        UnreadableDocumentError: BibTeX whose braces are not closed; the message gives the line.
    """
    if kind is CitationFormat.BIBTEX:
        yield from map(_bibtex_record, _bibtex_entries(text))
    else:
        yield from map(_tagged_record, _tagged_entries(text, *_TAGGED[kind]))


def _tagged_entries(text: str, first: str, tagged: re.Pattern[str]) -> Iterator[Fields]:
    """Yield the fields of each entry; a line without a tag goes on with the field before it."""
    fields: dict[str, list[str]] = defaultdict(list)
    tag = gap = ""
    for line in text.splitlines():
        match = tagged.match(line)
        if match and match[1] == first:
            gap = match[2]
            if fields:
                yield fields
            fields = defaultdict(list)
        if match and match[2] in {gap, "  "}:
            tag = match[1]
            fields[tag].append((match[3] or "").strip())
        elif tag and line.strip():
            fields[tag][-1] += f" {line.strip()}"
    if fields:
        yield fields


def _tagged_record(fields: Fields) -> Record:
    identifiers = " ".join(
        value for tag in ("DO", "LID", "AID", "UR", "L3", "M3") for value in fields.get(tag, ())
    )
    doi = _DOI.search(identifiers)
    pmcid = _PMCID.search(" ".join([*fields.get("PMC", ()), *fields.get("C2", ())]))
    kinds = {kind.lower() for kind in fields.get("PT", ())}
    return _record(
        pmid=_first(fields, ("PMID",)),
        pmcid=pmcid[0] if pmcid else "",
        doi=doi[0] if doi else "",
        title=_first(fields, _TITLES),
        # some write an abstract under two tags
        abstract=" ".join(dict.fromkeys(value for tag in _ABSTRACTS for value in fields.get(tag, ()))),
        authors=[
            *map(_name, next(filter(None, (fields.get(tag) for tag in _AUTHORS)), [])),
            *fields.get("CN", ()),
        ],
        date=_first(fields, _DATES),
        url=_first(fields, ("UR", "L1")),
        keywords=[*fields.get("KW", ()), *fields.get("OT", ()), *fields.get("MH", ())],
        is_retracted="retracted publication" in kinds,
    )


def _first(fields: Fields, tags: tuple[str, ...]) -> str:
    return next((value for tag in tags for value in fields.get(tag, ()) if value), "")


def _record(*, date: str, **values: Any) -> Record:
    values["date"] = _iso(date)
    return {key: value for key, value in values.items() if value}


def _name(name: str) -> str:
    """Return a name as it is said, of "family, given", "family, given, suffix" or "family, suffix, given"."""
    family, *others = [part.strip() for part in name.split(",")]
    suffixes = [part for part in others if _SUFFIX.fullmatch(part)]
    given = [part for part in others if part not in suffixes]
    return " ".join(filter(None, (*given, family, *suffixes)))


def _iso(date: str) -> str:
    match = _DATE.match(date)
    return (iso_date(*match.groups()) or "") if match else ""


# BibTeX

_ENTRY = re.compile(r"@([A-Za-z]+)\s*([{(])")
_FIELD = re.compile(r"[\s,]*([A-Za-z][\w-]*)\s*=\s*")
_BARE = re.compile(r"[^\s,{}\"#]+")
_PIECE = re.compile(r"\\.|[{}\")]", re.DOTALL)
_NO_ENTRIES = frozenset({"comment", "string", "preamble"})
_ACCENTS = {
    "'": "\u0301",
    "`": "\u0300",
    "^": "\u0302",
    '"': "\u0308",
    "~": "\u0303",
    "=": "\u0304",
    ".": "\u0307",
}
_ACCENTS |= {"c": "\u0327", "v": "\u030c", "u": "\u0306", "H": "\u030b", "k": "\u0328", "r": "\u030a"}
_ACCENT = re.compile(r"\\(?:(['`^\"~=.])\s*|([cvuHkr])(?:\s+|(?=\{)))\{?\s*\\?([A-Za-z])\s*\}?")
_LETTER = re.compile(r"\\(ss|ae|AE|oe|OE|aa|AA|o|O|l|L|i|j)(?![A-Za-z])\s?")
_LETTERS = {"ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å", "AA": "Å", "o": "ø", "O": "Ø"}
_LETTERS |= {"l": "ł", "L": "Ł", "i": "i", "j": "j"}
_GREEK = re.compile(
    r"\$?\\(?:text)?(alpha|beta|gamma|delta|epsilon|zeta|eta|theta|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|phi|chi|psi"
    r"|omega)(?![A-Za-z])\$?",
    re.IGNORECASE,
)
_ESCAPED = re.compile(r"\\([&%$#_{}])")
_COMMAND = re.compile(r"\\[A-Za-z]+\s*(?=\{)")


def _bibtex_entries(text: str) -> Iterator[dict[str, str]]:
    position = 0
    while match := _ENTRY.search(text, position):
        position = _closing(text, match.end(), "}" if match[2] == "{" else ")")
        if match[1].lower() not in _NO_ENTRIES:
            yield dict(_bibtex_fields(text, match.end(), position - 1))


def _bibtex_fields(text: str, start: int, end: int) -> Iterator[tuple[str, str]]:
    position = text.find(",", start, end)
    while position >= 0 and (match := _FIELD.match(text, position, end)):
        position, parts = match.end(), []
        while position < end and text[position] != ",":
            value, position = _value(text, position, end)
            parts.append(value)
            while position < end and (text[position].isspace() or text[position] == "#"):
                position += 1
        yield match[1].lower(), _plain("".join(parts))


def _value(text: str, start: int, end: int) -> tuple[str, int]:
    if text[start] == "{":
        stop = _closing(text, start + 1)
        return text[start + 1 : stop - 1], stop
    if text[start] == '"':
        stop = _closing(text, start + 1, '"')
        return text[start + 1 : stop - 1], stop
    bare = _BARE.match(text, start, end)
    return (bare[0], bare.end()) if bare else ("", start + 1)


def _closing(text: str, start: int, mark: str = "}") -> int:
    """Return the place behind the mark that closes what begins at a place, outside braces."""
    depth = 0
    for piece in _PIECE.finditer(text, start):
        if piece[0] == "{":
            depth += 1
        elif depth == 0 and piece[0] == mark:
            return piece.end()
        elif piece[0] == "}":
            depth -= 1
    line = text.count("\n", 0, start) + 1
    raise UnreadableDocumentError(f"BibTeX: what begins in line {line} is not closed; the file is cut off")


def _greek(match: re.Match[str]) -> str:
    size = "CAPITAL" if match[1][0].isupper() else "SMALL"
    return unicodedata.lookup(f"GREEK {size} LETTER {match[1].upper().replace('LAMBDA', 'LAMDA')}")


def _plain(text: str) -> str:
    """Return a value without TeX: accents as letters, braces gone."""
    text = _GREEK.sub(_greek, _LETTER.sub(lambda match: _LETTERS[match[1]], text))
    text = _ACCENT.sub(lambda match: match[3] + _ACCENTS[match[1] or match[2]], text)
    text = _COMMAND.sub("", _ESCAPED.sub(lambda match: f"\\{ord(match[1])};", text))
    text = text.replace("{", "").replace("}", "").replace("~", " ").replace("---", "—").replace("--", "–")
    text = re.sub(r"\\([0-9]{2,3});", lambda match: chr(int(match[1])), text)
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _bibtex_record(fields: Mapping[str, str]) -> Record:
    doi = _DOI.search(f"{fields.get('doi', '')} {fields.get('url', '')}")
    date = fields.get("date") or " ".join(filter(None, (fields.get("year", ""), fields.get("month", ""))))
    authors = [name for name in fields.get("author", "").split(" and ") if name not in {"", "others"}]
    return _record(
        pmid=fields.get("pmid", ""),
        pmcid=fields.get("pmcid", ""),
        doi=doi[0] if doi else "",
        title=fields.get("title", ""),
        abstract=fields.get("abstract", ""),
        authors=list(map(_name, authors)),
        date=date,
        url=fields.get("url", ""),
        keywords=[fields["keywords"]] if fields.get("keywords") else [],
    )
