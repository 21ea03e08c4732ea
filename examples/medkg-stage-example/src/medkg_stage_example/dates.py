"""Dates in running text, numeric and written out; never a year alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_G = "[ \u00a0\u2009\u202f]"
_DASH = "[-\u2010-\u2015\u2212]"
_YEAR = r"(?:1[89]|20)\d\d"
_DAY = r"(?:3[01]|[12]\d|0?[1-9])(?!\d)(?:st|nd|rd|th)?"
_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)(?![a-z])\.?)"
)
_WEEKDAY = rf"(?:\b(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?\.?,?{_G})?"
_TO = rf"{_G}?(?:{_DASH}|/|to|and|until|through){_G}?"
_TIME = r"(?:[T ][012]\d:[0-5]\d(?::[0-5]\d(?:[.,]\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?(?!\d))?"

_DAY_MONTH = re.compile(
    # 12 March 2016; 12-15 March; 12MAR2016; Monday, the 12th of March, 2016
    rf"{_WEEKDAY}(?:the{_G})?(?<![\w.])(?:{_DAY}{_TO})?(?P<day>{_DAY}){_G}?(?:of{_G})?[-./]?"
    rf"(?P<month>{_MONTH})(?![a-z])(?:[-./,]?{_G}?(?P<year>{_YEAR})(?!\w))?",
    re.IGNORECASE,
)
_MONTH_DAY = re.compile(
    # March 12, 2016; March 12-15
    rf"{_WEEKDAY}\b(?P<month>{_MONTH})(?![a-z])(?:{_G}|-){{1,2}}(?:the{_G})?(?P<day>{_DAY})"
    rf"(?:{_TO}{_DAY})?(?![\w%/]|[.,]\d)(?:,?{_G}{{1,2}}(?P<year>{_YEAR})(?!\w))?",
    re.IGNORECASE,
)
_MONTH_YEAR = re.compile(
    # March 2016; March to May 2016
    rf"\b(?P<month>{_MONTH})(?![a-z])(?:{_TO}{_MONTH}(?![a-z]))?"
    rf"(?:[-/,]{_G}?|{_G}(?:of{_G})?)(?P<year>{_YEAR})(?!\w)",
    re.IGNORECASE,
)
_YEAR_MONTH = re.compile(
    # 2016 Mar 12; 2016-Mar
    rf"(?<![\w.])(?P<year>{_YEAR})[-/, ]{{1,2}}(?P<month>{_MONTH})(?![a-z])"
    rf"(?:[-/ ]{{1,2}}(?P<day>{_DAY})(?![\w%]|[.,]\d)(?:{_TO}{_DAY}(?![\w/]))?)?",
    re.IGNORECASE,
)
_WRITTEN = (_DAY_MONTH, _MONTH_DAY, _MONTH_YEAR, _YEAR_MONTH)
_ISO = re.compile(
    rf"(?<!\d)(?P<year>{_YEAR})(?P<sep>[-./\u2010\u2011])(?P<month>\d{{1,2}})(?P=sep)(?P<day>\d{{1,2}})"
    rf"(?!\d){_TIME}"
)
_NUMERIC = re.compile(
    rf"(?<!\d)(?P<first>\d{{1,2}})(?P<sep>[-/\u2010\u2011]|\.{_G}?)(?P<second>\d{{1,2}})(?P=sep)"
    rf"(?P<year>{_YEAR}|\d\d)(?!\w){_TIME}"
)
_MONTH_OF_YEAR = re.compile(
    rf"(?<![\w./-])(?:(?P<before>0?[1-9]|1[0-2])/(?P<year>{_YEAR})|(?P<first>{_YEAR})[-/](?P<after>0[1-9]|1[0-2]))"
    r"(?![\w/-]|\.\d)"
)
_BIRTH_DIGITS = re.compile(
    rf"(?:\bDOB\b|\bD\.O\.B\.|\bdate of birth\b):?{_G}?(?P<date>\d{{8}})(?!\w)", re.IGNORECASE
)
_BIRTH = re.compile(r"(?:\bborn\b|\bbirth(?:day|date)?\b|\bDOB\b|\bD\.O\.B\.)[^.;\n\d]{0,30}$", re.IGNORECASE)
_BEFORE = 60


@dataclass(frozen=True, slots=True)
class FoundDate:
    """A date in a text.

    Attributes:
        start: Its first character.
        end: One past its last.
        year: Its year where four digits say it and it is no year of birth.
    """

    start: int
    end: int
    year: str | None


def find_dates(text: str) -> Iterator[FoundDate]:
    """Yield the dates of a text, in order, of two that begin together the longer one first; they may overlap.

    Args:
        text: One block of text.
    """
    yield from sorted(_candidates(text), key=lambda date: (date.start, -date.end))


def _candidates(text: str) -> Iterator[FoundDate]:
    for pattern in _WRITTEN:
        for match in pattern.finditer(text):
            if _is_written_date(match.groupdict()):
                yield _found(text, match.span(), match["year"])
    for match in _ISO.finditer(text):
        if _is_day(match["day"], match["month"]):
            yield _found(text, match.span(), match["year"])
    for match in _NUMERIC.finditer(text):
        if _is_numeric_date(text, match):
            yield _found(text, match.span(), match["year"])
    for match in _MONTH_OF_YEAR.finditer(text):
        if not match["first"] or _is_month_rather_than_range(match["first"], match["after"]):
            yield _found(text, match.span(), match["year"] or match["first"])
    for match in _BIRTH_DIGITS.finditer(text):
        yield FoundDate(*match.span("date"), year=None)


def _found(text: str, span: tuple[int, int], year: str | None) -> FoundDate:
    start, end = span
    keeps = year is not None and len(year) == 4 and not _BIRTH.search(text, max(0, start - _BEFORE), start)
    return FoundDate(start, end, year if keeps else None)


def _is_written_date(groups: dict[str, str | None]) -> bool:
    """Say whether a month's name is one: `may`, `march` and genes such as SEPT9 are not."""
    month = str(groups["month"]).rstrip(".")
    day, year = groups.get("day"), groups.get("year")
    if day and year:
        return True
    return month.istitle() or (month.isupper() and year is not None)


def _is_numeric_date(text: str, match: re.Match[str]) -> bool:
    first, second, year, separator = match["first"], match["second"], match["year"], match["sep"]
    european = _is_day(first, second)
    if len(year) == 4:
        return european or _is_day(second, first)
    # With two digits for the year, `10.11.12` may as well be a version or a list of doses.
    padded = len(first) == len(second) == 2
    before, after = text[max(0, match.start() - 1) : match.start()], text[match.end() : match.end() + 2]
    if before in {"-", ".", "/"} or (after[:1] in {"-", ".", "/"} and after[1:].isdigit()):
        return False
    if separator == "/":
        return european or _is_day(second, first)
    return padded and len(separator) == 1 and (european or (separator != "." and _is_day(second, first)))


def _is_day(day: str, month: str) -> bool:
    return 1 <= int(day) <= 31 and 1 <= int(month) <= 12


def _is_month_rather_than_range(year: str, month: str) -> bool:
    """Say whether `2016-03` is a month: `2005-11` may be the years 2005 to 2011."""
    return int(month) <= int(year[2:])
