"""How commands read a length of time."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhdw])")


def parse_duration(text: str) -> timedelta | None:
    """Return the length of time that is written as `90m`, `12h` or `7d`; None where it is none.

    Raises:
        OverflowError: It is longer than times can be.
    """
    found = _DURATION.fullmatch(text.strip())
    return timedelta(**{_UNITS[found[2]]: float(found[1])}) if found else None
