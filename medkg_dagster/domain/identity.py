"""Which documents are one work, and which of its forms is used: by identifiers and rank, never by order.

Two forms are one work where they share an identifier, or title and text. Forms whose identifiers differ
within one scheme are two works, unless one of them states that the other is a version of it. An identifier
or text that such forms share (that of a supplement, or a wrong one) tells nothing of any of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self
from urllib.parse import unquote

from medkg_dagster.domain import OwnValue
from medkg_dagster.domain.payloads import PayloadFormat

REGISTRY = "clinicaltrials"
SCHEMES = ("DOI", "PMID", "PMCID", "OpenAlex", REGISTRY)
"""The schemes that identify a work, the most telling first. A registry's id in an article is a link."""

_DOI_ADDRESS = re.compile(r"https?://(?:dx\.)?doi\.org/", re.IGNORECASE)
_PLAIN = {
    "PMID": re.compile(r"0*([1-9][0-9]*)"),
    "PMCID": re.compile(r"(?:PMC)?0*([1-9][0-9]*)(?:\.[0-9]+)?", re.IGNORECASE),
    "OpenAlex": re.compile(r"(?:https?://openalex\.org/)?(W[0-9]+)", re.IGNORECASE),
    REGISTRY: re.compile(r"(NCT[0-9]{8})", re.IGNORECASE),
}
_BEFORE = {"PMCID": "PMC"}
_TIERS = {PayloadFormat.JATS_XML.value: 2, PayloadFormat.ARTICLE_RECORD.value: 0}

Named = Mapping[str, str]


class Form(OwnValue):
    """One form of a work: what is to be known of a document to tell whether another is the same.

    Attributes:
        id: The document's CURIE.
        identifiers: Every identifier it gives, by scheme.
        content_hash: The hash of title and text; None where there is no text besides the title.
        rank: How good a form it is, the greatest is used: the kind of its source, and how much it holds.
        versions: CURIEs of what it states to be versions of itself.
        apart: Whether somebody said that it is no form of anything else.
    """

    id: str
    identifiers: dict[str, str]
    content_hash: str | None = None
    rank: tuple[int, int] = (0, 0)
    versions: tuple[str, ...] = ()
    apart: bool = False

    @classmethod
    def of(cls, header: Mapping[str, Any], characters: int) -> Self:
        """Return the form of a document.

        Args:
            header: Its fields `id`, `identifiers`, `content_hash`, `title`, `format` and `versions`.
            characters: The length of its text.
        """
        return cls(
            id=header["id"],
            identifiers=header["identifiers"],
            content_hash=header["content_hash"] if characters > len(header["title"]) else None,
            rank=rank_of(header["format"], characters),
            versions=tuple(header["versions"]),
        )

    @property
    def stated(self) -> list[tuple[str, str]]:
        """What it states to be versions of itself: scheme and value, each written in one way."""
        return normal_curies(self.versions)

    @property
    def named(self) -> dict[str, str]:
        """What identifies it: scheme to value, each written in one way."""
        return identify(self.id, self.identifiers)


def identify(curie: str, identifiers: Mapping[str, str]) -> dict[str, str]:
    """Return what identifies a document of that id: scheme to value, each written in one way."""
    prefix, _, own = curie.partition(":")
    given = {prefix: own, **identifiers}
    schemes = (scheme for scheme in SCHEMES if scheme in given and scheme in {prefix, *SCHEMES[:-1]})
    found = {scheme: normal_identifier(scheme, given[scheme]) for scheme in schemes}
    return {scheme: value for scheme, value in found.items() if value}


def bare_identifier(text: str) -> dict[str, str]:
    """Return what a text identifies where it does not say its scheme: scheme to value, as they may be."""
    found = {scheme: normal_identifier(scheme, text) for scheme in SCHEMES}
    return {scheme: value for scheme, value in found.items() if value}


def normal_curies(curies: Iterable[str]) -> list[tuple[str, str]]:
    """Return CURIEs that identify works as scheme and value, each written in one way; others are left out."""
    found = []
    for scheme, _, value in (curie.partition(":") for curie in curies):
        if scheme in SCHEMES and (normal := normal_identifier(scheme, value)):
            found.append((scheme, normal))
    return sorted(found)


def rank_of(format: str | None, characters: int) -> tuple[int, int]:  # noqa: A002 - the field's name
    """Return how good a form is: JATS, then what holds most, then the record of an article."""
    return _TIERS.get(format or "", 1), characters


def normal_identifier(scheme: str, value: str) -> str | None:
    """Return an identifier as it is compared; None where it is none of its scheme.

    A DOI has no case and may hold any printable character; that of an address is unquoted.
    """
    value = value.strip()
    if scheme == "DOI":
        if _DOI_ADDRESS.match(value):
            value = unquote(_DOI_ADDRESS.sub("", value))
        value = value.lower().removeprefix("doi:").strip()
        return value if value.startswith("10.") and "/" in value else None
    match = _PLAIN[scheme].fullmatch(value)
    return _BEFORE.get(scheme, "") + match[1].upper() if match else None


def group_forms(forms: Sequence[Form]) -> tuple[tuple[int, ...], ...]:
    """Return which forms are one work, as positions; every position is in one group.

    The groups depend on the forms alone and not on their order.
    """
    named = [form.named for form in forms]
    works = _Works(named)
    of_id = _holders(range(len(forms)), lambda place: [forms[place].id])
    order = []
    for _, members in sorted(of_id.items()):
        if len(members) > 1:
            members.sort(key=lambda place: forms[place].model_dump_json())
            works.join(members, stated=True)
        order += members
    order = [place for place in order if not forms[place].apart]
    holders = _holders(order, lambda place: sorted(named[place].items()))
    for place in order:
        for key in forms[place].stated:
            works.join([place, *holders.get(key, ())], stated=True)
    contents = _holders(order, lambda place: filter(None, [forms[place].content_hash]))
    told = sorted(holders.items(), key=lambda item: (SCHEMES.index(item[0][0]), item[0][1]))
    for _, members in (*told, *sorted(contents.items())):
        if not _differ(named[place] for place in members):
            works.join(members)
    return works.groups()


def best_form(forms: Iterable[Form]) -> Form:
    """Return the form of a work that is used, whatever their order."""
    return by_rank(forms)[0]


def by_rank(forms: Iterable[Form]) -> tuple[Form, ...]:
    """Return forms, the best first."""
    return tuple(
        sorted(forms, key=lambda form: (*(-part for part in form.rank), form.id, form.model_dump_json()))
    )


def merged_identifiers(forms: Iterable[Form]) -> dict[str, str]:
    """Return all identifiers of a work; where forms differ, those of the better form."""
    merged: dict[str, str] = {}
    for form in by_rank(forms):
        for scheme, value in form.identifiers.items():
            merged.setdefault(scheme, value)
    return merged


def select(forms: Sequence[Form]) -> dict[int, str]:
    """Return the positions of the forms in whose place a better one is used, each with the reason."""
    outcomes: dict[int, str] = {}
    for group in group_forms(forms):
        if len(group) == 1:
            continue
        best = best_form(forms[place] for place in group)
        used = next(place for place in group if forms[place] == best)
        outcomes |= {place: why_same(forms[place], best) for place in group if place != used}
    return outcomes


def why_same(form: Form, best: Form) -> str:
    """Say why a form is not used."""
    if form.id == best.id:
        shared = f"there is {'another' if form.rank == best.rank else 'a better'} form of it"
    elif common := form.named.items() & best.named.items():
        scheme, value = min(common, key=lambda item: SCHEMES.index(item[0]))
        shared = f"it is {best.id}, which has the same {scheme} {value}"
    elif form.content_hash is not None and form.content_hash == best.content_hash:
        shared = f"title and text are the same as those of {best.id}"
    else:
        shared = f"it is {best.id}, by way of other forms"
    return f"duplicate: {shared}"


class _Works:
    """Forms joined to works, which know the identifiers of all their forms."""

    def __init__(self, named: Sequence[Named]) -> None:
        self._parents = list(range(len(named)))
        self._named = [{scheme: {value} for scheme, value in one.items()} for one in named]

    def join(self, places: Iterable[int], *, stated: bool = False) -> None:
        """Make one work of those that agree, or, where that is stated, of all."""
        roots: list[int] = []
        for place in places:
            here = self._root(place)
            for number, joined in enumerate(roots):
                root = self._root(joined)
                if root == here or stated or self._agree(root, here):
                    roots[number] = self._unite(root, here)
                    break
            else:
                roots.append(here)

    def groups(self) -> tuple[tuple[int, ...], ...]:
        found: dict[int, list[int]] = {}
        for place in range(len(self._parents)):
            found.setdefault(self._root(place), []).append(place)
        return tuple(map(tuple, found.values()))

    def _agree(self, one: int, other: int) -> bool:
        mine, theirs = self._named[one], self._named[other]
        return not any(mine[scheme].isdisjoint(theirs[scheme]) for scheme in mine.keys() & theirs.keys())

    def _unite(self, one: int, other: int) -> int:
        if one != other:
            self._parents[other] = one
            for scheme, values in self._named[other].items():
                self._named[one].setdefault(scheme, set()).update(values)
        return one

    def _root(self, place: int) -> int:
        while self._parents[place] != place:
            self._parents[place] = self._parents[self._parents[place]]
            place = self._parents[place]
        return place


def _differ(named: Iterable[Named]) -> bool:
    """Say whether identifiers differ within a scheme."""
    seen: dict[str, str] = {}
    return any(seen.setdefault(scheme, value) != value for one in named for scheme, value in one.items())


def _holders(order: Sequence[int], keys: Any) -> dict[Any, list[int]]:
    found: dict[Any, list[int]] = {}
    for place in order:
        for key in keys(place):
            found.setdefault(key, []).append(place)
    return found
