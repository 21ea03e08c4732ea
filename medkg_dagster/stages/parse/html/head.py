"""What the head of an HTML page says of the article: the tags that publishers set for search engines."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from medkg_dagster.domain.dates import iso_date
from medkg_dagster.domain.identity import normal_identifier
from medkg_dagster.stages.parse.document_text import Metadata, clean
from medkg_dagster.stages.parse.xml import Element

_TITLES = ("citation_title", "dc.title", "dcterms.title", "prism.title", "bepress_citation_title", "og:title")
_AUTHORS = ("citation_author", "citation_authors", "dc.creator", "dcterms.creator", "bepress_citation_author")
_DATES = (
    *("citation_publication_date", "citation_online_date", "citation_date", "prism.publicationdate"),
    *("dc.date", "dcterms.issued", "dcterms.date", "bepress_citation_date", "article:published_time"),
)
_IDENTIFIERS = {
    "PMCID": ("citation_pmcid",),
    "PMID": ("citation_pmid",),
    "DOI": (
        "citation_doi",
        "dc.identifier",
        "dcterms.identifier",
        "prism.doi",
        "bepress_citation_doi",
        "dc.source",
    ),
}
_DOI = re.compile(r"^(?:(?:urn:)?doi:\s*|(?:https?://)?(?:dx\.)?doi\.org/)?(10\.\d{4,9}/\S+)$", re.IGNORECASE)
_LICENCE = re.compile(r"https?://creativecommons\.org/(?:licenses|publicdomain)/\S+", re.IGNORECASE)
_DATE = re.compile(
    r"(?P<year>(?:19|20)\d\d)(?!\d)"
    r"(?:[-/. ](?P<month>\d{1,2}|[A-Za-z]{3,9})(?![^\W_])(?:[-/. ](?P<day>\d{1,2})(?!\d))?)?"
    r"|(?:(?P<day2>\d{1,2}) )?(?P<month2>[A-Za-z]{3,9})(?: (?P<day3>\d{1,2}))?,? (?P<year2>(?:19|20)\d\d)\b"
)
_SITE = re.compile(r"\s+[|–—·»-]\s+[^|–—·»]{1,60}$")


def read_head(root: Element) -> tuple[Metadata, str]:
    """Return what the head says of the article, and its title; empty where it says none."""
    stated: dict[str, list[str]] = defaultdict(list)
    links: dict[str, list[str]] = defaultdict(list)
    for element in root.iter("meta"):
        name = element.get("name") or element.get("property") or ""
        if content := clean(element.get("content", "")):
            stated[name.lower().replace("dc_", "dc.")].append(content)
    for element in root.iter("link", "a"):
        for relation in element.get("rel", "").lower().split():
            links[relation].append(clean(element.get("href", "")))
    identifiers = read_identifiers(stated)
    addresses = [*links["canonical"], *stated["citation_public_url"], *stated["og:url"]]
    rights = [*links["license"], *stated["dc.rights"], *stated["dcterms.license"]]
    metadata = Metadata(
        id=None,
        source="infores:user-supplied",
        identifiers=identifiers,
        authors=[name for field in _AUTHORS for value in stated[field] for name in read_authors(value)],
        date=next((date for field in _DATES for value in stated[field] if (date := read_date(value))), None),
        licence=next((match.group() for value in rights if (match := _LICENCE.search(value))), None),
        url=next((address for address in addresses if address.startswith(("http://", "https://"))), None),
    )
    return metadata, next((value for field in _TITLES for value in stated[field]), "")


def read_identifiers(stated: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the identifiers by prefix that fields of metadata state, in the order a document is named by."""
    found: dict[str, str] = {}
    for prefix, fields in _IDENTIFIERS.items():
        for value in (value for field in fields for value in stated.get(field, ())):
            doi = _DOI.match(value)
            identifier = normal_identifier(prefix, value) if prefix != "DOI" else doi and doi.group(1)
            if identifier:
                found.setdefault(prefix, identifier)
    return found


def read_authors(value: str) -> list[str]:
    """Return the names in a field: one, or several with semicolons between them; given names first."""
    names = []
    for part in value.split(";"):
        family, comma, given = part.partition(",")
        names.append(clean(f"{given} {family}" if comma else part))
    return [name for name in names if name]


def read_date(value: str) -> str | None:
    """Return the ISO date, as precise as the field has it; None where it has none."""
    match = _DATE.match(value)
    if match is None:
        return None
    year, month = match["year"] or match["year2"], match["month"] or match["month2"]
    return iso_date(year, month, match["day"] or match["day2"] or match["day3"])


def without_site(title: str) -> str:
    """Return the title of a window without the name of the site behind it."""
    return _SITE.sub("", title)
