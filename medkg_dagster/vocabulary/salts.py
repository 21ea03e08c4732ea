"""Salts of medicines, by their names."""

from __future__ import annotations

import re

SALT = re.compile(
    r" (?:(?:mono|di|tri|hemi)?(?:hydro(?:chloride|bromide)|sodium|potassium|sul(?:f|ph)ate|phosphate|"
    r"acetate|citrate|maleate|mesylate|tartrate|succinate|fumarate|nitrate|bromide|besylate|tosylate|"
    r"gluconate|hydrate))\b",
    re.IGNORECASE,
)
"""With what a medicine is made a salt, as International Nonproprietary Names say it: it stays what it is."""

_METAL = re.compile(r"(?:(?:mono|di)?(?:sodium|potassium)|calcium) (?=.)", re.IGNORECASE)


def without_salt(name: str) -> str | None:
    """Return the name of what a chemical is a salt of; None where its name says no such thing."""
    found = SALT.search(name)
    if found is not None and found.end() == len(name):
        return name[: found.start()]
    metal = _METAL.match(name)
    return None if metal is None else name[metal.end() :]
