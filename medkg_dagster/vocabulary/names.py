"""How names are compared: in lower case, with simple hyphens, in either order, in singular and plural."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(r"[^\s\-/]+")
_ACRONYM = re.compile(r".+[A-ZΑ-Ω]|[A-ZΑ-Ω].*\d")
_PLURAL_STEM = 4

# Other ways to write one character, always one for one, so that offsets stay exact.
_SAME = str.maketrans(
    {
        **dict.fromkeys("\u00a0\u2002\u2003\u2009\u202f\t\n", " "),
        **dict.fromkeys("‐‑‒–−", "-"),
        "’": "'",
        "ς": "σ",
        "µ": "μ",
    }
)


def fold(text: str) -> str:
    """Return text in lower case with simple hyphens, apostrophes and spaces, of the very same length.

    Returns:
        The text to compare with; character `i` of it stands for character `i` of `text`.
    """
    lower = text.lower()
    if len(lower) != len(text):
        lower = "".join(character.lower()[0] for character in text)
    return lower.translate(_SAME)


def same_case(text: str) -> str:
    """Return text as `fold` does, but with its case kept."""
    return text.translate(_SAME)


def forms(name: str) -> tuple[str, ...]:
    """Return a name and, for an inverted one such as "Arthritis, Rheumatoid", its natural order."""
    parts = name.split(", ")
    if len(parts) == 2 and all(parts):
        return name, f"{parts[1]} {parts[0]}"
    return (name,)


def acronyms(name: str) -> tuple[tuple[int, str], ...]:
    """Return the words with a capital or digit inside, each with its place in the name."""
    written = same_case(name)
    return tuple(
        (match.start(), match.group()) for match in _TOKEN.finditer(written) if _ACRONYM.match(match.group())
    )


def variants(name: str) -> Iterator[str]:
    """Yield a name and its regular plural."""
    yield name
    found = acronyms(name)
    lower = name.lower()
    last = _TOKEN.findall(lower)[-1:]
    if found and found[-1][0] + len(found[-1][1]) == len(name):
        yield f"{name}s"
    elif not last or len(last[0]) < _PLURAL_STEM or not last[0].isalpha() or not last[0].isascii():
        return
    elif lower.endswith("sis"):
        yield f"{name[:-2]}es"
    elif lower.endswith("y") and lower[-2] not in "aeou":
        yield f"{name[:-1]}ies"
    elif not lower.endswith(("s", "x", "z")):
        yield f"{name}s"
