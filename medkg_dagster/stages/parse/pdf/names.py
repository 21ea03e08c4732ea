"""Names of persons in lines of a PDF."""

from __future__ import annotations

import re
from collections.abc import Sequence

from medkg_dagster.stages.parse.pdf.lines import CLOSE, OPEN

_PARTICLES = frozenset(
    (
        "de",
        "da",
        "do",
        "dos",
        "das",
        "del",
        "della",
        "di",
        "du",
        "la",
        "le",
        "van",
        "von",
        "der",
        "den",
        "ten",
    )
) | {"ter", "el", "al", "bin", "ibn", "y", "e", "zu", "af", "av"}
_NO_NAME = re.compile(
    r"\b(?:university|universit|department|hospital|institut|school|college|cent(?:er|re)|laborator|faculty|division"
    r"|research|clinic|medicine|sciences?|academy|foundation|group|street|road|usa|received|accepted|published"
    r"|edited|editor|correspond|email|e-mail|abstract|open access|article|review|report"
    r"|journal|volume|tel|fax"
    r"|background|introduction|copyright|authors?|ltd|inc|program|service|unit|ministry|national|http)",
    re.IGNORECASE,
)
ADDRESS = re.compile(r"[(<]?(?:\be-?mail:? ?)?[\w.+-]{1,64}@[\w.-]{1,255}[)>]?", re.IGNORECASE)
"""An address of e-mail, with what says that it is one."""

_WORKPLACE = re.compile(
    r"\b(?:university|universit|department|hospital|institut|school|college|cent(?:er|re)|laborator|faculty"
    r"|division|clinic|academy|foundation|ministry)",
    re.IGNORECASE,
)
_DEGREE = re.compile(
    r"^(?:m\.?d|ph\.?d|m\.?sc|b\.?sc|m\.?p\.?h|dr|prof|rn|facp|frcp|mph|mbbs|mbchb|ms|ma|ba|bs|drph|dphil|pharmd"
    r"|dvm|frcpc|facs|mbe|dds|do|jr|sr|ii|iii)\.?$",
    re.IGNORECASE,
)
_NAME_PART = re.compile(r"(?:[A-Z]\.?-?){1,4}$|[^\W\d_][^\W\d_'’.\-]*(?:['’.\-][^\W\d_]+)*\.?$")


def is_workplace(text: str) -> bool:
    """Return whether a line says where somebody works."""
    return "," in text and bool(_WORKPLACE.search(text))


def names_in(text: str) -> tuple[list[str], int]:
    """Return the names in a line and how many other things stand in it."""
    names: list[str] = []
    others = 0
    for part in re.split(rf"[,;·•|]|{OPEN}[^{CLOSE}]*{CLOSE}|\band\b|&", text):
        words = re.sub(r"[\d*†‡§¶#‖✉]+|\([^)]*\)|\[[^]]*\]", " ", part).strip(" .:").split()
        words = [word for word in words if not _DEGREE.match(word)]
        if not words or sum(map(len, words)) < 3:
            continue
        if is_name(words):
            names.append(" ".join(words))
        else:
            others += 1
    return names, others


def is_name(words: Sequence[str]) -> bool:
    """Return whether words are the name of a person."""
    text = " ".join(words)
    return (
        2 <= len(words) <= 6
        and not _NO_NAME.search(text)
        and all(_NAME_PART.match(word) for word in words)
        and all(
            word[0].isupper() or word.lower() in _PARTICLES or "'" in word or "’" in word for word in words
        )
        and sum(len(word.strip(".")) > 1 for word in words) >= 1
        and words[-1][0].isupper()
    )
