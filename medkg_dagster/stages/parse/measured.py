"""What has squares and cubes: there a raised two or three is a power, and cites nothing."""

from __future__ import annotations

import re

MEASURED = re.compile(
    r"/ ?\w+$|\b(?:alpha|beta|gamma|delta|epsilon|theta|kappa|lambda|sigma|omega|eta|tau|inch(?:es)?|feet"
    r"|foot|miles?|met(?:er|re)s?|(?:centi|milli|kilo|micro)met(?:er|re)s?|height|length|width|radius|diameter"
    r"|distance|time|area)$",
    re.IGNORECASE,
)
"""Ends with the name of a quantity, unit or variable, or with what a quantity is divided by."""
