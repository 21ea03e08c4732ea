"""The metadata of a JATS article: identifiers, authors, dates, licence, and whether it was retracted."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from urllib.parse import unquote

from medkg_dagster.domain.dates import is_number
from medkg_dagster.domain.identity import normal_identifier
from medkg_dagster.stages.parse.document_text import Metadata, clean
from medkg_dagster.stages.parse.xml import XLINK_HREF, Element, date_of, plain_text
from medkg_dagster.stages.parse.xml.inline import inline_text

_NOTICE_TITLE = re.compile(
    r"(?:notice of retraction|retraction (?:notice|note)|statement of retraction)\b", re.IGNORECASE
)
# A title alone may speak of the retraction of an organ, so that the article itself has to say more.
_PERHAPS_NOTICE_TITLE = re.compile(r"retraction\s*(?::|\s[-–—]\s)", re.IGNORECASE)
_RETRACTED_TITLE = re.compile(
    r"\W*(?:(?:retracted|withdrawn)(?: article| paper)?\s*[:\])]|(?-i:RETRACTED|WITHDRAWN)\s*[-–—])",
    re.IGNORECASE,
)
_SAYS_RETRACTED = re.compile(
    r"\bretract(?:ed|s|ion|ing)?\b[^.]{0,120}\b(?:article|paper|publication|manuscript|journal|editors?|authors?)\b"
    r"|\b(?:article|paper|publication|manuscript|authors?|editors?)\b[^.]{0,120}\bretract(?:ed|s|ion|ing)?\b",
    re.IGNORECASE,
)
_RESEARCH = frozenset(
    {
        "research-article",
        "review-article",
        "case-report",
        "systematic-review",
        "clinical-trial",
        "brief-report",
    }
)
_RETRACTED_TYPES = frozenset({"retracted-article", "retracted", "withdrawn-article"})
_RETRACTION_LINKS = frozenset({"retraction-forward", "retraction", "retracted-by"})
_VERSION_LINKS = frozenset({"preprint", "has-preprint", "is-preprint-of", "is-version-of", "has-version"})
_PREPRINTS = frozenset({"preprint", "reviewed-preprint"})
_LINK_SCHEMES = {"pmid": "PMID", "pubmed": "PMID", "pmc": "PMCID", "pmcid": "PMCID"}
_DOI = re.compile(r"10\.[0-9]{4,9}/\S+")
_NO_AUTHOR = re.compile(r"editor|review|referee|translat|curator|illustrat|compiler|transcri", re.IGNORECASE)
_NOT_OF_NAMES = frozenset({"contrib-group", "aff", "address", "email", "xref"})
_DATE_ORDER = ("epub", "pub", "publication", "epub-ppub", "ppub", "collection")


def read_title(article: Element) -> str:
    """Return the article's title, its subtitle after a colon; empty where there is none."""
    group = article.find("front/article-meta/title-group")
    if group is None:
        return ""
    titles = [clean(inline_text(part)) for part in group if part.tag in {"article-title", "subtitle"}]
    return ": ".join(filter(None, titles))


def read_metadata(article: Element) -> Metadata:
    """Return what the article says about itself."""
    meta = article.find("front/article-meta")
    assert meta is not None
    identifiers = _identifiers(meta)
    document_id, url = _names(identifiers)
    return Metadata(
        id=document_id,
        source="infores:pmc" if "PMCID" in identifiers else "infores:user-supplied",
        identifiers=identifiers,
        authors=_authors(meta),
        date=_date(meta),
        licence=_licence(meta),
        url=url,
        retracted=_retracted(article, meta),
        versions=_versions(meta),
        retracts=_linked(meta, {"retracted-article"}),
        language=article.get("{http://www.w3.org/XML/1998/namespace}lang"),
    )


def _identifiers(meta: Element) -> dict[str, str]:
    found: dict[str, str] = {}
    for element in meta.iterfind("article-id"):
        kind, value = element.get("pub-id-type", ""), clean(plain_text(element))
        if kind in {"pmc", "pmcid"} and (digits := re.fullmatch(r"(?:PMC)?([0-9]+)", value)):
            found.setdefault("PMCID", f"PMC{digits.group(1)}")
        elif kind == "pmid" and is_number(value):
            found.setdefault("PMID", value)
        elif kind == "doi" and (doi := _DOI.search(value)):
            found.setdefault("DOI", doi.group())
    return found


def _names(identifiers: dict[str, str]) -> tuple[str | None, str | None]:
    for prefix, address in (
        ("PMCID", "https://pmc.ncbi.nlm.nih.gov/articles/{}/"),
        ("PMID", "https://pubmed.ncbi.nlm.nih.gov/{}/"),
        ("DOI", "https://doi.org/{}"),
    ):
        if value := identifiers.get(prefix):
            return f"{prefix}:{value}", address.format(value)
    return None, None


def _authors(meta: Element) -> Iterator[str]:
    for contributor in meta.iterfind("contrib-group/contrib"):
        if not _NO_AUTHOR.search(contributor.get("contrib-type", "")):
            yield _name(contributor)


def _name(contributor: Element) -> str:
    name = _first(contributor, ("name", "name-alternatives/name"))
    if name is not None:
        # Honorifics begin with a capital letter, particles (von, de la) belong to the family name.
        prefix = plain_text(name.find("prefix"))
        particle = prefix if prefix[:1].islower() else ""
        given, family, suffix = (plain_text(name.find(tag)) for tag in ("given-names", "surname", "suffix"))
        return " ".join(filter(None, (given, particle, family, suffix)))
    paths = ("string-name", "name-alternatives/string-name", "collab", "collab-alternatives/collab")
    element = _first(contributor, paths)
    return "" if element is None else inline_text(element, skip=_NOT_OF_NAMES)


def _first(element: Element, paths: Iterable[str]) -> Element | None:
    return next((found for path in paths if (found := element.find(path)) is not None), None)


def _date(meta: Element) -> str | None:
    dated = [
        (element.get("pub-type") or element.get("date-type") or "", date)
        for element in meta.iterfind("pub-date")
        if (date := date_of(element))
    ]
    for kind in _DATE_ORDER:
        for found, date in dated:
            if found == kind:
                return date
    return dated[0][1] if dated else None


def _licence(meta: Element) -> str | None:
    for licence in meta.iterfind("permissions/license"):
        reference = licence.find("license_ref")
        if reference is not None and (address := plain_text(reference).strip()):
            return address
        if stated := licence.get(XLINK_HREF):
            return stated
        for link in licence.iter("ext-link", "uri"):
            if "creativecommons.org" in (linked := link.get(XLINK_HREF) or plain_text(link)):
                return linked
        if wording := clean(inline_text(licence)):
            return wording
    return None


def _versions(meta: Element) -> Iterator[str]:
    """Yield what states to be the same article: its preprint, or what it is the preprint of."""
    yield from _linked(meta, _VERSION_LINKS)
    for address in meta.iterfind("pub-history/event/self-uri"):
        if address.get("content-type") in _PREPRINTS and (curie := _curie(address)):
            yield curie


def _linked(meta: Element, kinds: Collection[str]) -> Iterator[str]:
    """Yield the articles to which there is a link of one of these kinds."""
    for link in meta.iterfind("related-article"):
        if link.get("related-article-type", "") in kinds and (curie := _curie(link)):
            yield curie


def _curie(link: Element) -> str | None:
    value = unquote(link.get(XLINK_HREF) or plain_text(link)).strip()
    if doi := _DOI.search(value):
        return f"DOI:{doi.group()}"
    scheme = _LINK_SCHEMES.get(link.get("ext-link-type", "").lower())
    found = normal_identifier(scheme, value.rstrip("/").rpartition("/")[2]) if scheme else None
    return f"{scheme}:{found}" if found else None


def _retracted(article: Element, meta: Element) -> str | None:
    kind = article.get("article-type", "")
    links = {link.get("related-article-type", "") for link in meta.iterfind("related-article")}
    title = read_title(article)
    is_notice = _NOTICE_TITLE.match(title) or (
        _PERHAPS_NOTICE_TITLE.match(title) and (kind not in _RESEARCH or _says_retracted(article, meta))
    )
    if kind == "retraction" or "retracted-article" in links or is_notice:
        return "retraction notice"
    if kind in _RETRACTED_TYPES or links & _RETRACTION_LINKS or _RETRACTED_TITLE.match(title):
        return "retracted article"
    return None


def _says_retracted(article: Element, meta: Element) -> bool:
    """Whether an article speaks of the retraction of a publication."""
    texts = (inline_text(part) for part in (*meta.iterfind("abstract"), *article.iterfind("body")))
    return any(_SAYS_RETRACTED.search(text) for text in texts)
