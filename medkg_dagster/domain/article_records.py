"""Metadata records of articles, as OpenAlex, Europe PMC, Crossref, Unpaywall and Semantic Scholar give them.

Pure: a parsed JSON object in, what it says of the article out. A plain object with `doi`, `pmid`, `pmcid`,
`title`, `abstract`, `authors`, `date`, `licence`, `url` and `pdf_url` is read too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from medkg_dagster.domain import OwnValue

_DOI = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:)?(10\.[0-9]{4,9}/\S+)", re.IGNORECASE)
_PMCID = re.compile(r"(?:\S*/)?(?:PMC)?([0-9]{1,9})(?:\.[0-9]+)?/?", re.IGNORECASE)
_PMID = re.compile(r"(?:\S*/)?([0-9]{1,9})/?")
_CURIE = re.compile(r"(PMCID|PMID|DOI):(\S+)", re.IGNORECASE)
_OPENALEX = re.compile(r"(?:https?://openalex\.org/)?(W[0-9]+)")
_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")
_PAGES: tuple[tuple[str, ...], ...] = (
    ("resultList", "result"),
    ("message", "items"),
    ("results",),
    ("data",),
    ("items",),
    ("recommendedPapers",),
)
_RETRACTING = frozenset({"retraction", "withdrawal", "removal"})
_SAME_WORK = frozenset(
    {"has-preprint", "is-preprint-of", "has-version", "is-version-of", "has-manuscript", "is-manuscript-of"}
)
_TRUE = (True, 1, "true", "True", "1")


class ArticleRecord(OwnValue):
    """What a record says of an article.

    Attributes:
        identifiers: By prefix: `PMCID` (`PMC123`), `PMID`, `DOI` (lower case), `OpenAlex`, `S2`.
        source: The information resource as an infores CURIE, where the record's shape shows it.
        title: The title; empty where there is none.
        abstract: The abstract, perhaps with markup; empty where there is none.
        authors: Names in the record's order.
        date: Publication date, ISO 8601 as precise as the record.
        licence: Licence URL or text.
        url: The landing page.
        is_retracted: Whether the record says that the article was retracted.
        is_notice: Whether it is the notice of the retraction of another.
        versions: CURIEs of what the record states to be versions of the article.
        retracts: CURIEs of the articles whose retraction it is the notice of.
    """

    identifiers: dict[str, str]
    source: str
    title: str
    abstract: str
    authors: tuple[str, ...]
    date: str | None
    licence: str | None
    url: str | None
    is_retracted: bool
    is_notice: bool = False
    versions: tuple[str, ...] = ()
    retracts: tuple[str, ...] = ()

    @property
    def retracted(self) -> str | None:
        """Why the article must not be used as evidence; None where nothing speaks against it."""
        if self.is_notice:
            return "retraction notice"
        return "retracted article" if self.is_retracted else None

    @property
    def curie(self) -> str | None:
        """The identifier documents are named by; None for a record without any."""
        found = next(iter(self.identifiers.items()), None)
        return None if found is None else f"{found[0]}:{found[1]}"


def is_article_record(value: Any) -> bool:
    """Say whether a JSON value is the record of an article: it has an identifier, or title and link."""
    if not isinstance(value, dict) or "protocolSection" in value:
        return False
    return bool(_identifiers(value)) or bool(_title(value) and _text(value.get("pdf_url")))


def split_records(value: Any) -> list[Any] | None:
    """Return the records of a value: one record, a list of them, or a result page; None where there is none.

    Items of a list that are no records are in it too.
    """
    if isinstance(value, dict):
        message = value.get("message")
        if isinstance(message, dict) and is_article_record(message):
            return [message]
        for path in _PAGES:
            items = _at(value, *path)
            if isinstance(items, list):
                return _page(items)
        return [value] if is_article_record(value) else None
    return _page(value) if isinstance(value, list) else None


def read_record(record: Mapping[str, Any]) -> ArticleRecord:
    """Read a record.

    Args:
        record: A JSON object for which `is_article_record` holds.
    """
    retracts = tuple(dict.fromkeys(_retracts(record)))
    return ArticleRecord(
        identifiers=_identifiers(record),
        source=_source(record),
        title=_title(record),
        abstract=_abstract(record),
        authors=tuple(_authors(record)),
        date=_date(record),
        licence=_licence(record),
        url=_url(record),
        is_retracted=_is_retracted(record),
        is_notice=bool(retracts) or "retraction of publication" in _kinds(record),
        versions=tuple(dict.fromkeys(_versions(record))),
        retracts=retracts,
    )


def _page(items: Sequence[Any]) -> list[Any] | None:
    inner = [_unwrapped(item) for item in items]
    return inner if any(is_article_record(item) for item in inner) else None


def _unwrapped(item: Any) -> Any:
    """Return the record in Unpaywall's scored results and Semantic Scholar's lists of references."""
    if isinstance(item, dict):
        for key in ("response", "citedPaper", "citingPaper"):
            if isinstance(item.get(key), dict):
                return item[key]
    return item


def _identifiers(record: Mapping[str, Any]) -> dict[str, str]:
    external, ids = _object(record.get("externalIds")), _object(record.get("ids"))
    found: dict[str, str] = {}
    named = _CURIE.fullmatch(_text(record.get("id")))
    plain = {named[1].upper(): named[2]} if named else {}
    places = (
        (
            "PMCID",
            _PMCID,
            "PMC",
            (record.get("pmcid"), ids.get("pmcid"), external.get("PubMedCentral"), plain.get("PMCID")),
        ),
        ("PMID", _PMID, "", (record.get("pmid"), ids.get("pmid"), external.get("PubMed"), plain.get("PMID"))),
        (
            "DOI",
            _DOI,
            "",
            (record.get("doi"), record.get("DOI"), ids.get("doi"), external.get("DOI"), plain.get("DOI")),
        ),
        ("OpenAlex", _OPENALEX, "", (ids.get("openalex"), record.get("id"))),
    )
    for prefix, pattern, before, values in places:
        for value in values:
            match = pattern.fullmatch(str(value).strip()) if isinstance(value, str | int) else None
            if match:
                found[prefix] = before + (match[1].lower() if prefix == "DOI" else match[1])
                break
    if paper := _text(record.get("paperId")):
        found["S2"] = paper
    return found


def _source(record: Mapping[str, Any]) -> str:
    if "openalex" in str(record.get("id", "")) or "abstract_inverted_index" in record:
        return "infores:openalex"
    if "inEPMC" in record or "fullTextUrlList" in record:
        return "infores:europepmc"
    if "paperId" in record:
        return "infores:semantic-scholar"
    if "DOI" in record and "indexed" in record:
        return "infores:crossref"
    return "infores:unpaywall" if "oa_locations" in record else "infores:user-supplied"


def _title(record: Mapping[str, Any]) -> str:
    title = record.get("title") or record.get("display_name")
    if isinstance(title, list):
        title = title[0] if title else ""
    return _text(title)


def _abstract(record: Mapping[str, Any]) -> str:
    words = record.get("abstract_inverted_index")
    if isinstance(words, dict):
        placed = sorted(
            (position, word)
            for word, positions in words.items()
            if isinstance(positions, list)
            for position in positions
            if isinstance(position, int)
        )
        return " ".join(word for _, word in placed)
    return _text(record.get("abstract")) or _text(record.get("abstractText"))


def _authors(record: Mapping[str, Any]) -> Iterator[str]:
    listed = record.get("authorships") or record.get("authors") or record.get("author")
    listed = listed or _at(record, "authorList", "author") or record.get("z_authors")
    if not listed and (names := _text(record.get("authorString"))):
        listed = names.rstrip(".").split(", ")
    for author in listed if isinstance(listed, list) else ():
        if isinstance(author, str):
            yield author
        elif isinstance(author, dict):
            inner = _object(author.get("author")) or author
            given = _text(inner.get("given")) or _text(inner.get("firstName"))
            family = _text(inner.get("family")) or _text(inner.get("lastName"))
            name = _text(inner.get("display_name")) or f"{given} {family}".strip()
            yield name or _text(inner.get("fullName")) or _text(inner.get("name"))


def _is_retracted(record: Mapping[str, Any]) -> bool:
    if record.get("is_retracted") in _TRUE:
        return True
    if any("retracted publication" in kind for kind in _kinds(record)):
        return True
    return any(_at(item, "type") in _RETRACTING for item in _list(record.get("updated-by")))


def _kinds(record: Mapping[str, Any]) -> list[str]:
    kinds = _at(record, "pubTypeList", "pubType")
    return [_text(kind).lower() for kind in (kinds if isinstance(kinds, list) else [record.get("pubType")])]


def _retracts(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a notice names: by Crossref's `update-to`, or by Europe PMC's list of comments."""
    for item in _list(record.get("update-to")):
        if _at(item, "type") in _RETRACTING and (match := _DOI.fullmatch(_text(_at(item, "DOI")))):
            yield f"DOI:{match[1].lower()}"
    yield from _commented(record, {"retraction of"})


def _versions(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a record states to be the same article: Crossref, Europe PMC and OpenAlex do."""
    linked = [item for kind in sorted(_SAME_WORK) for item in _list(_at(record, "relation", kind))]
    dois = [_text(_at(item, "id")) for item in linked if _at(item, "id-type") == "doi"]
    updates = (*_list(record.get("update-to")), *_list(record.get("updated-by")))
    dois += [_text(_at(item, "DOI")) for item in updates if _at(item, "type") == "new_version"]
    if _source(record) == "infores:openalex":
        dois += [_text(_at(item, "landing_page_url")) for item in _list(record.get("locations"))]
    own = _identifiers(record).get("DOI")
    for doi in dois:
        if (match := _DOI.fullmatch(doi)) and match[1].lower() != own:
            yield f"DOI:{match[1].lower()}"
    yield from _commented(record, {"preprint of", "preprint in", "update of", "update in"})


def _commented(record: Mapping[str, Any], kinds: Set[str]) -> Iterator[str]:
    for item in _list(_at(record, "commentCorrectionList", "commentCorrection")):
        scheme = {"MED": "PMID", "PMC": "PMCID"}.get(_text(_at(item, "source")))
        if scheme and _text(_at(item, "type")).lower() in kinds and (number := _text(_at(item, "id"))):
            yield f"{scheme}:{number}"


def _date(record: Mapping[str, Any]) -> str | None:
    for key in ("publication_date", "firstPublicationDate", "published_date", "publicationDate", "date"):
        text = _text(record.get(key))[:10]
        if _DATE.fullmatch(text):
            return text
    parts = _at(record, "issued", "date-parts")
    if isinstance(parts, list) and parts and isinstance(parts[0], list):
        numbers = [part for part in parts[0] if isinstance(part, int)]
        if numbers:
            return "-".join([f"{numbers[0]:04d}", *(f"{number:02d}" for number in numbers[1:3])])
    year = record.get("publication_year") or record.get("year") or record.get("pubYear")
    return str(year) if _DATE.fullmatch(str(year)) else None


def _licence(record: Mapping[str, Any]) -> str | None:
    stated = record.get("license") or record.get("licence")
    if isinstance(stated, list):
        stated = next((_text(item.get("URL")) for item in stated if isinstance(item, dict)), None)
    for place in ("best_oa_location", "primary_location", "openAccessPdf"):
        stated = stated or _at(record, place, "license")
    return _text(stated) or None


def _url(record: Mapping[str, Any]) -> str | None:
    found = _at(record, "primary_location", "landing_page_url") or record.get("url") or record.get("URL")
    if text := _text(found):
        return text
    doi = _identifiers(record).get("DOI")
    return f"https://doi.org/{doi}" if doi else None


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
