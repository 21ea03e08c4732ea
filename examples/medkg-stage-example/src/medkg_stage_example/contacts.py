"""E-mail addresses and telephone numbers in running text."""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

_G = "[ \u00a0\u2009\u202f]"
_DASH = "[-\u2010-\u2015\u2212]"
_JOIN = rf"(?:{_G}|{_DASH}|[./()]){{0,3}}"
_EXTENSION = rf"(?:,?{_G}?(?:x|ext\.?|extension){_G}?\d{{1,6}})?"

_EMAIL = re.compile(
    rf"(?<![\w.+%'!#$&*~-])[\w.+%'!#$&*~-]{{1,128}}"
    rf"(?:{_G}?[\[({{]{_G}?at{_G}?[\])}}]{_G}?|[@\uff20])"
    rf"(?:[\w-]{{1,63}}(?:\.|{_G}?[\[({{]{_G}?dot{_G}?[\])}}]{_G}?)){{1,126}}[^\W\d_]{{2,24}}",
    re.IGNORECASE,
)
_CUED = re.compile(
    rf"\b(?:tel(?:ephone|\.)?|(?:cell{_G}?|tele)?phone|fax|mobile|pager|hotline|whatsapp"
    rf"|call(?:{_G}us)?{_G}(?:at|on))"
    rf"(?:{_G}?(?:/|and|or){_G}?(?:tel\.?|phone|fax|mobile))?(?:{_G}(?:no|nr|number|num|line)\b\.?)?{_G}?[:.#]?{_G}?"
    rf"(?P<number>\(?\+?\d(?:{_JOIN}\d){{6,14}}{_EXTENSION})(?!\w)",
    re.IGNORECASE,
)
_INTERNATIONAL = re.compile(
    rf"(?<![\w+])\(?\+{_G}?[1-9](?:{_JOIN}\d){{7,14}}{_EXTENSION}(?!\w|[.,]\d)", re.IGNORECASE
)
_NORTH_AMERICAN = re.compile(
    rf"(?<![\w.+-])(?:1{_DASH})?(?:\([2-9]\d\d\){_G}?|[2-9]\d\d(?P<sep>{_DASH}|\.))[2-9]\d\d"
    rf"(?(sep)(?P=sep)|{_DASH})\d{{4}}{_EXTENSION}(?!\w|[.,-]\d)",
    re.IGNORECASE,
)
_TRUNK = re.compile(
    rf"(?<![\w.,+/-])\(?0\d{{1,5}}\)?(?:(?:{_G}|{_DASH}|/)\d{{2,8}}){{1,4}}(?!\w|[.,/-]\d|{_G}?%)"
)
_GROUPS = re.compile(r"\d+")
_DECIMAL = re.compile(r"(?<!\d)\d{1,2}\.\d+")


def find_emails(text: str) -> Iterator[Span]:
    """Yield the spans of e-mail addresses, also of `name [at] host [dot] org`.

    Args:
        text: One block of text.
    """
    for match in _EMAIL.finditer(text):
        start, end = match.span()
        while text[start] in ".'-%+*!#&" and start < end:
            start += 1
        yield start, end


def find_phones(text: str) -> Iterator[Span]:
    """Yield the spans of telephone and fax numbers; they may overlap.

    A number counts as one after a word such as `Tel.`, with a country code, in the North American form with
    hyphens, points or brackets, or with a leading zero and groups.

    Args:
        text: One block of text.
    """
    for match in _CUED.finditer(text):
        yield match.span("number")
    for match in _INTERNATIONAL.finditer(text):
        if _is_international(match.group()):
            yield match.span()
    for match in _NORTH_AMERICAN.finditer(text):
        yield match.span()
    for match in _TRUNK.finditer(text):
        if _is_trunk(match.group()):
            yield match.span()


def _is_international(number: str) -> bool:
    groups = _GROUPS.findall(number)
    if "." in number and (_DECIMAL.search(number.split("+", 1)[1]) and number.count(".") < 3):
        return False
    return len(groups) <= 8 and sum(len(group) == 1 for group in groups) <= 2


def _is_trunk(number: str) -> bool:
    groups = _GROUPS.findall(number)
    if groups[0].startswith("00") and len(groups[0]) < 4:
        return False
    pairs = len(groups) == 5 and all(len(group) == 2 for group in groups)
    long = len(groups[0]) >= 3 and len(groups[-1]) >= 3
    return pairs or (long and 9 <= sum(map(len, groups)) <= 12)
