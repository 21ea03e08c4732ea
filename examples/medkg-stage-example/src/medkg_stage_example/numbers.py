"""Numbers that stand for one person: medical records, accounts, national ids; and ages over 89."""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

_G = "[ \u00a0\u2009\u202f]"
_DASH = "[-\u2010-\u2015\u2212]"
_NAMED = rf"(?:{_G}?(?:number|no\.?|nr\.?|num\.?|identifier|ID|code|\#))"
_IS = rf"{_G}?(?:is|was|=|:|\#)?{_G}?"

_RECORD = re.compile(
    rf"\b(?:(?P<short>MRN|UHID){_NAMED}?"
    rf"|(?:medical|health|patient|hospital|clinical)[ -](?:record|chart|file|registration|unit){_NAMED}?"
    rf"|(?:patient|hospital|chart|admission|encounter|account|insurance|policy|beneficiary|member|licen[cs]e)"
    rf"{_NAMED})(?!\w){_IS}(?P<number>[A-Z]{{0,4}}[-/]?\d(?:[-/]?[A-Z0-9]){{2,19}})(?!\w|,\d|\.\d|{_G}?%)",
    re.IGNORECASE,
)
_CUED_ID = re.compile(
    rf"\b(?:SSN|social{_G}security|NHS|national{_G}insurance|NINO|passport|national{_G}id(?:entity|entification)?)"
    rf"{_NAMED}?(?!\w){_IS}(?P<number>[A-Z]{{0,2}}{_G}?\d(?:(?:{_G}|{_DASH})?\d){{5,11}}(?:{_G}?[A-D])?)(?!\w)",
    re.IGNORECASE,
)
_SSN = re.compile(
    rf"(?<![\w.-])(?!000|666|9)\d{{3}}(?P<sep>{_DASH})(?!00)\d\d(?P=sep)(?!0000)\d{{4}}(?!\w|{_DASH}\d|\.\d)"
)
_NINO = re.compile(r"(?<!\w)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] \d\d \d\d \d\d [A-D](?!\w)")
_NIR = re.compile(
    r"(?<![\w.,])[12] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d(?![\w]|[.,]\d)"
)

_OLD = r"(?:9\d|1[0-3]\d)(?:\.\d)?"
_OLD_WORD = r"ninety(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?"
_AGED = re.compile(
    rf"(?<![\w.,])(?P<number>{_OLD}|{_OLD_WORD}){_G}?{_DASH}?{_G}?"
    rf"(?:y(?:ea)?rs?[.]?{_G}?{_DASH}?{_G}?old\b|years?{_G}of{_G}age\b|y\.?/?o\b\.?)",
    re.IGNORECASE,
)
_AGE_OF = re.compile(
    rf"(?<!maximum )(?<!minimum )(?<!upper )(?<!lower )"
    rf"\b(?:aged?|age{_G}(?:of|was|is|at{_G}\w+)|turned){_G}?[:=]?{_G}?"
    rf"(?:(?:from{_G})?\d{{1,3}}(?:\.\d)?{_G}?(?:{_DASH}|to|and){_G}?)?"
    rf"(?P<number>{_OLD}(?:{_G}?(?:years?|yrs?)\b)?)"
    rf"(?!\w|[.,]\d|{_G}?%|{_G}?{_DASH}?{_G}?(?:days?|weeks?|months?|hours?|minutes?|d|wk|mo|h)\b)",
    re.IGNORECASE,
)
_CATEGORY_BEFORE = re.compile(
    rf"(?:[\u2265>]=?|\bover|\bat{_G}least|\bolder{_G}than|\babove){_G}?$", re.IGNORECASE
)
_CATEGORY_AFTER = re.compile(
    rf"{_G}?(?:\+|(?:years?|yrs?)?(?:{_G}of{_G}age)?{_G}?,?(?:or|and){_G}(?:older|over|above|more|greater))",
    re.IGNORECASE,
)


def find_record_numbers(text: str) -> Iterator[Span]:
    """Yield the spans of medical record, account and insurance numbers, each named as one before it.

    Args:
        text: One block of text.
    """
    for match in _RECORD.finditer(text):
        if sum(map(str.isdigit, match["number"])) >= (4 if match["short"] else 5):
            yield match.span("number")


def find_national_ids(text: str) -> Iterator[Span]:
    """Yield the spans of US SSN, UK NINO, French NIR (by its check digits) and ids named before them.

    Args:
        text: One block of text.
    """
    for match in _CUED_ID.finditer(text):
        yield match.span("number")
    for pattern in (_SSN, _NINO):
        for match in pattern.finditer(text):
            yield match.span()
    for match in _NIR.finditer(text):
        if _is_nir(match.group()):
            yield match.span()


def find_ages(text: str) -> Iterator[Span]:
    """Yield the spans of ages over 89, as Safe Harbor counts them: "90 or older" may stay.

    Args:
        text: One block of text.
    """
    for pattern, group in ((_AGED, 0), (_AGE_OF, "number")):
        for match in pattern.finditer(text):
            if not _is_category(text, match):
                yield match.span(group)


def _is_nir(number: str) -> bool:
    digits = number.replace(" ", "").replace("2A", "19").replace("2B", "18")
    return len(digits) == 15 and digits.isdigit() and (int(digits[:13]) + int(digits[13:])) % 97 == 0


def _is_category(text: str, match: re.Match[str]) -> bool:
    if match["number"].split()[0] not in {"90", "ninety"}:
        return False
    start, end = match.span("number")
    before = text[max(0, start - 20) : start]
    return bool(
        _CATEGORY_BEFORE.search(before)
        or _CATEGORY_AFTER.match(text, match.end())
        or _CATEGORY_AFTER.match(text, end)
    )
