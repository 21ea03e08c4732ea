"""PubMed XML: one `PubmedArticle` (or `PubmedBookArticle`) with its abstract, MeSH headings and chemicals."""

from __future__ import annotations

import re
from collections.abc import Iterator

from medkg_dagster.errors import UnreadableDocumentError
from medkg_dagster.stage_api import Annotation, AnnotationRole, Document, Payload
from medkg_dagster.stages.parse import ParseConfig
from medkg_dagster.stages.parse.document_text import DocumentText, Metadata, clean, make_document
from medkg_dagster.stages.parse.xml import (
    Element,
    date_of,
    is_number,
    iso_date,
    parse_xml,
    plain_text,
)
from medkg_dagster.stages.parse.xml.inline import inline_text

_RECORDS = ("PubmedArticle", "PubmedBookArticle")
_RETRACTED = {"retracted publication": "retracted article", "retraction of publication": "retraction notice"}
_RETRACTION_LINKS = {"RetractionIn": "retracted article", "RetractionOf": "retraction notice"}


def parse(payload: Payload, config: ParseConfig) -> Document:
    """Parse one PubMed record: the document, `PMID:...`.

    Raises:
        UnreadableDocumentError: It is not well-formed, not PubMed XML, or holds no or several records.
        UnsafeDocumentError: It declares entities, or the text is too long.
    """
    record = _record(parse_xml(payload.content, payload.origin), payload.origin)
    citation = record.find("BookDocument" if record.tag == "PubmedBookArticle" else "MedlineCitation")
    pmid = clean(plain_text(citation.find("PMID"))) if citation is not None else ""
    if citation is None or not is_number(pmid):
        raise UnreadableDocumentError(f"{payload.origin}: the {record.tag} has no PMID")
    article = citation.find("Article")
    article = citation if article is None else article
    builder = DocumentText(_title(article), config.max_text_characters)
    _write_abstract(builder, article)
    keywords = [clean(inline_text(keyword)) for keyword in citation.iterfind("KeywordList/Keyword")]
    if keywords:
        builder.section("Keywords")
        builder.block("; ".join(filter(None, keywords)))
    metadata = Metadata(
        id=f"PMID:{pmid}",
        source="infores:pubmed",
        identifiers=_identifiers(record, citation, article, pmid),
        authors=_authors(article),
        date=_date(article),
        url=f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/",
        annotations=_annotations(citation),
        retracted=_retracted(citation, article),
    )
    return make_document(payload, builder, metadata)


def _record(root: Element, origin: str) -> Element:
    records = [root] if root.tag in _RECORDS else [child for child in root if child.tag in _RECORDS]
    if not records and root.tag in {"PubmedArticleSet", "PubmedBookArticleSet"}:
        raise UnreadableDocumentError(f"{origin}: the {root.tag} is empty: PubMed found no such record")
    if not records:
        raise UnreadableDocumentError(f"{origin}: not PubMed XML: the root element is <{root.tag}>")
    if len(records) > 1:
        raise UnreadableDocumentError(
            f"{origin}: {len(records)} PubMed records in one payload; the source must split them"
        )
    return records[0]


def _title(article: Element) -> str:
    for path in ("ArticleTitle", "VernacularTitle", "Book/BookTitle"):
        element = article.find(path)
        if element is not None and (title := clean(inline_text(element))):
            return title
    return ""


def _write_abstract(builder: DocumentText, article: Element) -> None:
    texts = article.findall("Abstract/AbstractText")
    if not texts:
        return
    builder.section("Abstract")
    for text in texts:
        if label := text.get("Label", "").strip():
            builder.section(label, 2)
        builder.block(inline_text(text))


def _identifiers(record: Element, citation: Element, article: Element, pmid: str) -> dict[str, str]:
    found = {"PMID": pmid}
    listed = [
        (item.get("IdType", ""), clean(plain_text(item)))
        for parent in (record.find("PubmedData/ArticleIdList"), citation.find("ArticleIdList"))
        if parent is not None
        for item in parent
    ]
    listed += [
        (item.get("EIdType", ""), clean(plain_text(item)))
        for item in article.iterfind("ELocationID")
        if item.get("ValidYN", "Y") == "Y"
    ]
    for kind, value in listed:
        prefix = {"doi": "DOI", "pmc": "PMCID"}.get(kind)
        if prefix and value:
            found.setdefault(prefix, value.split()[0])
    return found


def _authors(article: Element) -> Iterator[str]:
    for author in article.iterfind("AuthorList/Author"):
        given, family, suffix, collective = (
            plain_text(author.find(tag)) for tag in ("ForeName", "LastName", "Suffix", "CollectiveName")
        )
        yield collective or " ".join(filter(None, (given, family, suffix)))


def _date(article: Element) -> str | None:
    for path in ("ArticleDate", "Journal/JournalIssue/PubDate", "ContributionDate", "Book/PubDate"):
        element = article.find(path)
        if found := date_of(element):
            return found
        if element is not None:
            year = re.search(
                r"\b([0-9]{4})\b(?:\s+([A-Z][a-z]{2}))?", plain_text(element.find("MedlineDate"))
            )
            if year:
                return iso_date(year.group(1), year.group(2), None)
    return None


def _annotations(citation: Element) -> Iterator[Annotation]:
    for heading in citation.iterfind("MeshHeadingList/MeshHeading"):
        major = any(part.get("MajorTopicYN") == "Y" for part in heading)
        yield from _mesh(heading.find("DescriptorName"), AnnotationRole.MESH_HEADING, major=major)
    for supplement in citation.iterfind("SupplMeshList/SupplMeshName"):
        yield from _mesh(supplement, AnnotationRole.MESH_HEADING)
    for chemical in citation.iterfind("ChemicalList/Chemical/NameOfSubstance"):
        yield from _mesh(chemical, AnnotationRole.CHEMICAL)


def _mesh(element: Element | None, role: AnnotationRole, *, major: bool = False) -> Iterator[Annotation]:
    if element is None:
        return
    identifier = element.get("UI", "")
    if name := clean(plain_text(element)):
        yield Annotation(
            role=role, name=name, curie=f"MESH:{identifier}" if identifier else None, major=major
        )


def _retracted(citation: Element, article: Element) -> str | None:
    for kind in article.iterfind("PublicationTypeList/PublicationType"):
        if reason := _RETRACTED.get(clean(plain_text(kind)).lower()):
            return reason
    for link in citation.iterfind("CommentsCorrectionsList/CommentsCorrections"):
        if reason := _RETRACTION_LINKS.get(link.get("RefType", "")):
            return reason
    return None
