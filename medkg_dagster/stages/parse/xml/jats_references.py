"""The references of a JATS article: identifiers, title, year, and the entry as printed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from medkg_dagster.domain.dates import is_number
from medkg_dagster.stage_api import Reference
from medkg_dagster.stages.parse.document_text import clean
from medkg_dagster.stages.parse.xml import XLINK_HREF, Element, plain_text
from medkg_dagster.stages.parse.xml.inline import inline_text

_CITATIONS = ("mixed-citation", "element-citation", "nlm-citation", "citation")
_TITLES = ("article-title", "chapter-title", "data-title", "part-title", "source", "collab")
_DOI = re.compile(r"10\.[0-9]{4,9}/\S+")
_PMCID = re.compile(r"(?:PMC)?([0-9]{1,9})")
_YEAR = re.compile(r"\b(1[5-9][0-9]{2}|20[0-9]{2})(?=[a-z]?\b)")
_IN_BRACKETS = re.compile(r"\((1[5-9][0-9]{2}|20[0-9]{2})[a-z]?\)")
_BEFORE_PUNCTUATION = re.compile(r" ([,.;:)\]])")
_PUBMED = re.compile(r"pubmed[^\s]*?/([0-9]{1,9})/?$")


def read_references(article: Element) -> Iterator[Reference]:
    """Yield the references of an article itself, in order; an entry of several works gives several."""
    for part in ("front", "body", "back", "floats-group"):
        for element in article.iterfind(part):
            for entry in element.iter("ref"):
                yield from _entry(entry)


def _entry(entry: Element) -> Iterator[Reference]:
    citations: list[Element] = []
    for child in entry:
        if child.tag == "citation-alternatives":
            citations += [inner for inner in child if inner.tag in _CITATIONS][:1]
        elif child.tag in _CITATIONS:
            citations.append(child)
    for citation in citations:
        yield _reference(citation)
    notes = [clean(inline_text(note)) for note in entry.iterfind("note")]
    if text := " ".join(filter(None, notes)):
        yield Reference(text=text)


def _reference(citation: Element) -> Reference:
    printed = _printed(citation)
    year = _YEAR.search(plain_text(citation.find("year"))) or _IN_BRACKETS.search(printed)
    titles = (clean(inline_text(title)) for tag in _TITLES for title in citation.iterfind(tag))
    return Reference(
        identifiers=dict(_identifiers(citation)),
        title=next(filter(None, titles), "") or _title_of(printed),
        year=int(year[1]) if year else None,
        text=printed,
    )


def _title_of(printed: str) -> str:
    # Most entries mark their titles, and the library for PDFs need not be loaded for them.
    from medkg_dagster.stages.parse.pdf.reference_list import title_of

    return title_of(printed)


def _printed(citation: Element) -> str:
    """Return an entry as printed; names are marked without the space between their parts."""
    return _BEFORE_PUNCTUATION.sub(r"\1", clean(inline_text(citation)))


def _identifiers(citation: Element) -> Iterator[tuple[str, str]]:
    found: dict[str, str] = {}
    for element in citation.iter("pub-id", "ext-link", "object-id", "uri"):
        kind = (element.get("pub-id-type") or element.get("ext-link-type") or "").lower()
        value = clean(plain_text(element))
        address = (element.get(XLINK_HREF) or "")[:500]
        doi = _DOI.search(value) or _DOI.search(address)
        if kind == "pmid" and is_number(value):
            found.setdefault("PMID", value)
        elif kind in {"pmc", "pmcid"} and (pmcid := _PMCID.fullmatch(value)):
            found.setdefault("PMCID", f"PMC{pmcid[1]}")
        elif doi and (kind in {"doi", "uri"} or "doi.org/" in address):
            found.setdefault("DOI", doi[0].rstrip(".,;"))
        elif pmid := _PUBMED.search(address):
            found.setdefault("PMID", pmid[1])
    yield from found.items()
