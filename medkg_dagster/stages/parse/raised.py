"""What a raised number is: a power, part of a name, or the mark of a citation or note, which is no text."""

from __future__ import annotations

import re

MEASURED = re.compile(
    r"/ ?\w+$|\b(?:alpha|beta|gamma|delta|epsilon|theta|kappa|lambda|sigma|omega|eta|tau|inch(?:es)?|feet"
    r"|foot|yards?|miles?|met(?:er|re)s?|(?:centi|milli|kilo|micro)met(?:er|re)s?|pixels?|voxels?"
    r"|height|length|width|radius|diameter|distance|time|area)$",
    re.IGNORECASE,
)
"""Ends with the name of a quantity, unit or variable, or with what a quantity is divided by."""

NUMBERED = re.compile(
    r"\b(?:actinium|caesium|calcium|carbon|cesium|chromium|cobalt|copper|fluorine|gallium|hydrogen|indium|iodine"
    r"|iridium|iron|krypton|lutetium|nitrogen|oxygen|palladium|phosphorus|plutonium|radium|radon|rhenium"
    r"|rubidium|samarium|selenium|sodium|strontium|sulphur|sulfur|technetium|thallium|uranium|xenon|yttrium"
    r"|zirconium|alanine|arginine|asparagine|aspartate|cysteine|glutamate|glutamine|glycine|histidine"
    r"|isoleucine|leucine|lysine|methionine|phenylalanine|proline|serine|threonine|tryptophan|tyrosine"
    r"|valine)$",
    re.IGNORECASE,
)
"""Ends with the name of an element or an amino acid, whose number is part of it."""

_NUMBERS = re.compile(r"\d{1,3}(?:\s*[,;–−-]\s*\d{1,3})*")
_POWERS = frozenset({"2", "3"})
_BEFORE_MARK = re.compile(
    r"[^\W\d_]{4}$|[\w\])%][.,;:!?”’\"]$|\d ?%$|\bet al\.?$"
    r"|\b(?:in|since|of|by|from|until|during|and) (?:19|20)\d\d$"
)
_SHORT_WORD = re.compile(r"(?<![^\W_])(?:[a-z]{3}|[A-Z]{3})$")
_SHORT_NAMES = re.compile(
    r"chi|eta|rho|tau|phi|psi|mol|log|sin|cos|tan|exp|min|sec|day|cfu|pfu|ala|arg|asn|asp|cys|gln|glu|gly|his|ile"
    r"|leu|lys|met|phe|pro|ser|thr|trp|tyr|val",
    re.IGNORECASE,
)
MIN_SHORT = 4
_BRACKETED = re.compile(r"(?P<word>[^\W\d_] )?[(\[](?P<inside>[^()\[\]]*)[)\]]$")
_WORD = re.compile(r"[^\W\d_]{3}")
_TERM = re.compile(r"[^\W\d_]|[+*/×·]")
_SYMBOL = re.compile(r"[A-Z][a-z]?(?![a-z])|\d")


def is_raised_mark(before: str, raised: str, after: str, *, powers: bool = False) -> bool:
    """Return whether raised numbers stand behind a word or sentence, as those that cite something do.

    A square or a cube is none behind what is measured or a term in brackets, nor is the number of an isotope.

    Args:
        before: What stands before them, as much as a line of it.
        raised: What is raised.
        after: What stands behind them.
        powers: Whether a two or three behind any word is a power, as where citations have marks of their own.
    """
    raised = raised.strip()
    if not _NUMBERS.fullmatch(raised) or _SYMBOL.match(after):
        return False
    if not after[:1].isalnum():
        before = before.rstrip()
    if before[-1:] in {")", "]"}:
        return not (len(raised) == 1 and _is_term(before))
    if (short := _SHORT_WORD.search(before)) and not powers:
        return not _SHORT_NAMES.match(short.group()) and (not raised.isdigit() or int(raised) >= MIN_SHORT)
    if not _BEFORE_MARK.search(before) or (raised.isdigit() and NUMBERED.search(before)):
        return False
    return not (raised in _POWERS and (MEASURED.search(before) or (powers and before[-1:].isalpha())))


def _is_term(before: str) -> bool:
    """Return whether what is in brackets at the end is a term that can be raised, and no words or numbers."""
    match = _BRACKETED.search(before)
    if match is None or "=" in match["inside"] or _WORD.search(match["inside"]):
        return False
    return bool(_TERM.search(match["inside"])) or match["word"] is None
