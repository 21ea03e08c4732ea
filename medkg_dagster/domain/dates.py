"""Dates as sources write them, as ISO 8601: no more precise than they are, and never impossible ones."""

from __future__ import annotations

import calendar
import re

MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], start=1
    )
}
"""The first three letters of English names, each with its number."""


def is_number(text: str) -> bool:
    """Whether a text is digits, as identifiers and dates have them: those of other scripts are none."""
    return text.isascii() and text.isdecimal()


def iso_date(year: str | None, month: str | None, day: str | None) -> str | None:
    """Return an ISO 8601 date as precise as its parts allow.

    Args:
        year: Four digits.
        month: A number or an English name, possibly abbreviated.
        day: A number.

    Returns:
        `2016-03-01`, `2016-03`, `2016`, or None without a year.
    """
    year, month, day = (part.strip() if part else "" for part in (year, month, day))
    if not re.fullmatch(r"[0-9]{4}", year):
        return None
    number = int(month) if is_number(month) else MONTHS.get(month[:3].lower(), 0)
    if not 1 <= number <= 12:
        return year
    last_day = calendar.monthrange(int(year), number)[1] if year > "0000" else 0
    if not is_number(day) or not 1 <= int(day) <= last_day:
        return f"{year}-{number:02}"
    return f"{year}-{number:02}-{int(day):02}"
