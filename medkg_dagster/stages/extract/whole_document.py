"""What the rest of a document says of a mention: what abbreviations mean, and which it does not bear out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from medkg_dagster.stages.extract.mentions import Mention, ShortForms, find_definitions
from medkg_dagster.vocabulary.categories import CHEMICALS, DISEASES
from medkg_dagster.vocabulary.derived_names import adjective
from medkg_dagster.vocabulary.salts import SALT

_SHORT = re.compile(r"[A-Z]{2,4}s?")
_ADJECTIVE = re.compile(r"\w+(?:ic|ive|ous|ian|ese)")

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
    return (
        (concept.category in DISEASES or concept.category in CHEMICALS)
        and text[mention.start : mention.end] != concept.name
        and _SHORT.fullmatch(text, mention.start, mention.end) is not None
    )


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
        before = _with_salt(text, mention)
    if before is not None:
        yield before


def _with_salt(text: str, mention: Mention) -> Mention:
    found = SALT.match(text, mention.end) if mention.concept.category in CHEMICALS else None
    return mention if found is None else Mention(mention.start, found.end(), mention.concept)


def _qualifies(text: str, first: Mention, second: Mention) -> bool:
    return (
        first.concept.category in DISEASES
        and second.concept.category in DISEASES
        and text[first.end : second.start] == " "
        and _ADJECTIVE.fullmatch(text, first.start, first.end) is not None
        and text[first.start : first.end].lower() in map(adjective, first.concept.names)
    )
