"""What the rest of a document says of a mention: what abbreviations mean, and which it does not bear out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from medkg_dagster.stages.extract.mentions import Mention, ShortForms, find_definitions
from medkg_dagster.vocabulary.categories import CHEMICALS, DISEASES
from medkg_dagster.vocabulary.derived_names import adjectives
from medkg_dagster.vocabulary.salts import SALT

_SHORT = re.compile(r"[A-Z]{2,4}s?|[A-Z]{1,3}\d[A-Z\d]?")
_SHORT_CHEMICAL = re.compile(r"[A-Z]{2,3}s?")
"""Four letters that name a chemical (GABA, MDMA) hardly stand for anything else; those of a disease may."""
_ALSO_SALT = re.compile(r"(?: HCl|[ -](?:chloride|iodide|(?:di)?gluconate))\b", re.IGNORECASE)
"""What makes a salt of a medicine, and by itself or behind a metal is a chemical of its own."""
_BEFORE_CHEMICAL = re.compile(
    r"(?<![\w)\]-])(?:(?:\[\d{1,3}[A-Z][a-z]?\]|\d{1,3}[A-Z][a-z]?|\([RS]\)|\((?:\+|-|\+/-)\)|[RSLDN]|alpha|beta|gamma|"
    r"delta|[αβγδ])-)+$"
)
"""Isotope, configuration and place before the name of a chemical: "[3H]-", "(R)-alpha-"."""
_LONGEST_BEFORE = 20
_AILING = re.compile(r" (?:symptoms?|syndromes?|illness(?:es)?|disorders?|diseases?|reactions?|movements?)\b")
_ADJECTIVE = re.compile(r"\w+(?:ic|ive|ous|ian|ese|essed)")

Found = tuple[Mention, ...]


def spell_out(texts: Sequence[str], found: Sequence[Found]) -> list[Found]:
    """Return the mentions of a document's sentences with its abbreviations read as it defines them anywhere.

    An abbreviation that is one of the other names of a disease or chemical counts only where the document
    defines it or names the concept in another way: most of them mean something else as well.

    Args:
        texts: The sentences.
        found: The mentions in each.
    """
    short_forms = ShortForms()
    for text, mentions in zip(texts, found, strict=True):
        short_forms.learn(text, find_definitions(text), mentions)
    read = [short_forms.apply(text, mentions) for text, mentions in zip(texts, found, strict=True)]
    named = {
        mention.concept.curie
        for text, mentions in zip(texts, read, strict=True)
        for mention in mentions
        if not _is_abbreviation(text, mention) or short_forms.defines(text[mention.start : mention.end])
    }
    return [
        tuple(
            mention
            for mention in mentions
            if mention.concept.curie in named or not _is_abbreviation(text, mention)
        )
        for text, mentions in zip(texts, read, strict=True)
    ]


def _is_abbreviation(text: str, mention: Mention) -> bool:
    concept = mention.concept
    if concept.category in CHEMICALS:
        short = _SHORT_CHEMICAL
    elif concept.category in DISEASES:
        short = _SHORT
    else:
        return False
    is_short = short.fullmatch(text, mention.start, mention.end) is not None
    return is_short and text[mention.start : mention.end] != concept.name


def join(text: str, mentions: Found) -> Found:
    """Return mentions with those made one that are one: "ischemic stroke", "atropine sulfate"."""
    return tuple(_joined(text, mentions))


def _joined(text: str, mentions: Found) -> Iterator[Mention]:
    before: Mention | None = None
    for mention in mentions:
        if before is not None and before.end >= mention.end:
            continue
        if before is not None and _qualifies(text, before, mention):
            before = Mention(before.start, mention.end, mention.concept)
            continue
        if before is not None:
            yield before
        before = _whole(text, mention, before.end if before else 0)
    if before is not None:
        yield before


def _whole(text: str, mention: Mention, least: int) -> Mention:
    """Return a mention with the words around it that are part of the name."""
    if mention.concept.category in CHEMICALS:
        return _with_salt(text, _with_prefix(text, mention, least))
    if mention.concept.category in DISEASES and _is_adjective(text, mention):
        found = _AILING.match(text, mention.end)
        return mention if found is None else Mention(mention.start, found.end(), mention.concept)
    return mention


def _with_prefix(text: str, mention: Mention, least: int) -> Mention:
    found = _BEFORE_CHEMICAL.search(text, max(least, mention.start - _LONGEST_BEFORE), mention.start)
    return mention if found is None else Mention(found.start(), mention.end, mention.concept)


def _with_salt(text: str, mention: Mention) -> Mention:
    found = SALT.match(text, mention.end) or _ALSO_SALT.match(text, mention.end)
    return mention if found is None else Mention(mention.start, found.end(), mention.concept)


def _qualifies(text: str, first: Mention, second: Mention) -> bool:
    return (
        first.concept.category in DISEASES
        and second.concept.category in DISEASES
        and text[first.end : second.start] == " "
        and _is_adjective(text, first)
    )


def _is_adjective(text: str, mention: Mention) -> bool:
    if _ADJECTIVE.fullmatch(text, mention.start, mention.end) is None:
        return False
    surface = text[mention.start : mention.end].lower()
    return any(surface in adjectives(name) for name in mention.concept.names)
