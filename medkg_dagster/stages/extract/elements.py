"""Chemical elements by their symbols, where something says that they are meant so, and salts by formula.

That is a charge ("Na+", "Ca(2+)"), square brackets as of concentrations ("[Ca]o"), or an ATPase that moves
them ("(Na,K)-ATPase"). A symbol of two letters that a document writes so once is meant so in all of it.
Formulas are those of a metal and one other ion: "CaCl(2)", "NaHCO3".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from medkg_dagster.stages.extract.mentions import Mention
from medkg_dagster.stages.extract.terms import KnownConcepts

_NAMES = {
    "Ba": "barium",
    "Ca": "calcium",
    "Cd": "cadmium",
    "Cl": "chloride",
    "Co": "cobalt",
    "Cs": "cesium",
    "Cu": "copper",
    "Fe": "iron",
    "Hg": "mercury",
    "K": "potassium",
    "Li": "lithium",
    "Mg": "magnesium",
    "Mn": "manganese",
    "Na": "sodium",
    "Ni": "nickel",
    "Pb": "lead",
    "Rb": "rubidium",
    "Sr": "strontium",
    "Zn": "zinc",
}
_ANIONS = {
    "Br": "bromide",
    "CO3": "carbonate",
    "Cl": "chloride",
    "F": "fluoride",
    "HCO3": "bicarbonate",
    "I": "iodide",
    "NO3": "nitrate",
    "OH": "hydroxide",
    "SO4": "sulfate",
}
_SYMBOL = "|".join(sorted(_NAMES, key=len, reverse=True))
_CHARGE = r"(?:(?:\(?[1-4]?[+\u2212-]\)?|\(?[+\u2212][1-4]\)?)(?![\w+]|-(?:\d|$))|[\u00b2\u00b3]?\u207a)"
_PUMP = rf"{_CHARGE}?\)?[ -]ATPase"
_MEANT = re.compile(
    rf"(?<![\w.-])(?:{_SYMBOL})(?={_CHARGE})|"
    rf"(?<=\[)(?:{_SYMBOL})(?={_CHARGE}?\](?:[oie]\b|\d|\s))|"
    rf"(?<!\w)(?:{_SYMBOL})(?={_CHARGE}?[,/-] ?(?:{_SYMBOL}){_PUMP})|"
    rf"(?<=[,/])(?:{_SYMBOL})(?={_PUMP})"
)
# What nearly every text lacks, and is soon found not to have: a pattern that begins with letters is quick.
_MAY_BE_MEANT = re.compile(rf"(?:{_SYMBOL})(?:[(1-4+\u2212\u00b2\u00b3\u207a\],/)-]| ATPase)")
_ANION = "|".join(sorted(_ANIONS, key=len, reverse=True))
_SALT = re.compile(rf"(?<![\w.-])({_SYMBOL})[2-4]?({_ANION})(?:[2-4]|\([2-4]\))?(?![\w(])")
_MAY_BE_SALT = re.compile(rf"(?:{_SYMBOL})[2-4]?(?:{_ANION})")
_ALONE = re.compile(rf"(?<![\w.-])(?:{_SYMBOL})(?![\w.])")
_SYMBOL_OF_TWO = 2


def with_elements(
    texts: Sequence[str], found: Sequence[tuple[Mention, ...]], known: KnownConcepts
) -> list[tuple[Mention, ...]]:
    """Return the mentions of a document's sentences with those of elements by their symbols among them.

    Args:
        texts: The sentences.
        found: The mentions in each, in order; what they cover stays theirs.
        known: What the elements are called.
    """
    meant = {match.group() for text in texts if _MAY_BE_MEANT.search(text) for match in _MEANT.finditer(text)}
    return [
        _merged(mentions, (*_symbols(text, meant, known), *_salts(text, known)))
        for text, mentions in zip(texts, found, strict=True)
    ]


def _salts(text: str, known: KnownConcepts) -> Iterator[Mention]:
    for match in _SALT.finditer(text) if _MAY_BE_SALT.search(text) else ():
        if concept := known.by_name(f"{_NAMES[match[1]]} {_ANIONS[match[2]]}"):
            yield Mention(match.start(), match.end(), concept)


def _symbols(text: str, meant: set[str], known: KnownConcepts) -> Iterator[Mention]:
    if not meant:
        return
    places = {match.start(): match.group() for match in _MEANT.finditer(text)}
    for match in _ALONE.finditer(text):
        if len(match.group()) == _SYMBOL_OF_TWO and match.group() in meant:
            places.setdefault(match.start(), match.group())
    for start, symbol in sorted(places.items()):
        if concept := known.by_name(_NAMES[symbol]):
            yield Mention(start, start + len(symbol), concept)


def _merged(mentions: tuple[Mention, ...], symbols: tuple[Mention, ...]) -> tuple[Mention, ...]:
    if not symbols:
        return mentions
    covered = {place for one in mentions for place in range(one.start, one.end)}
    new = [one for one in symbols if covered.isdisjoint(range(one.start, one.end))]
    return tuple(sorted((*mentions, *new), key=lambda one: one.start))
