"""PubMed XML: one `PubmedArticle` (or `PubmedBookArticle`) with its abstract, MeSH headings and chemicals."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from medkg_dagster.domain.dates import is_number, iso_date
from medkg_dagster.errors import UnreadableDocumentError, counted
from medkg_dagster.stage_api import Annotation, AnnotationRole, Document, Payload, Reference
from medkg_dagster.stages.parse import ParseConfig
from medkg_dagster.stages.parse.document_text import DocumentText, Metadata, clean, make_document
from medkg_dagster.stages.parse.text_kept import with_text_kept, xml_texts
from medkg_dagster.stages.parse.xml import (
    Element,
    date_of,
    parse_xml,
    plain_text,
)
from medkg_dagster.stages.parse.xml.inline import inline_text
from medkg_dagster.stages.parse.xml.marks import mark_raised_numbers

_RECORDS = ("PubmedArticle", "PubmedBookArticle")
_NO_TITLE = re.compile(r"\[?not available\]?\.?", re.IGNORECASE)
_NO_LABELS = frozenset({"UNLABELLED", "UNLABELED"})
_ABSTRACT_TITLES = {"plain-language-summary": "Plain language summary"}
_ID_TYPES = {"pubmed": "PMID", "doi": "DOI", "pmc": "PMCID", "pmcid": "PMCID"}
_CONTAINERS = frozenset(
    {
        *_RECORDS,
        *(
            "MedlineCitation",
            "PubmedData",
            "BookDocument",
            "PubmedBookData",
            "Article",
            "Abstract",
            "OtherAbstract",
        ),
        *("MeshHeadingList", "MeshHeading", "SupplMeshList", "ChemicalList", "Chemical", "ReferenceList"),
        *("Reference", "ArticleIdList"),
    }
)
_KEPT = frozenset(
    {
        *(
            "ArticleTitle",
            "VernacularTitle",
            "AbstractText",
            "KeywordList",
            "DescriptorName",
            "SupplMeshName",
        ),
        *("NameOfSubstance", "Citation", "CoiStatement", "GeneralNote"),
    }
)
_REASONS = {"AuthorList": "authors and addresses", "QualifierName": "qualifiers of MeSH headings"}
_RETRACTED = {"retracted publication": "retracted article", "retraction of publication": "retraction notice"}
_VERSION_LINKS = frozenset({"UpdateOf", "UpdateIn", "RepublishedFrom", "RepublishedIn"})
_DOI_IN_SOURCE = re.compile(r"\bdoi:\s*(10\.[0-9]{4,9}/\S*[^\s.,;])", re.IGNORECASE)
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
    mark_raised_numbers(article)
    builder = DocumentText(_title(article), config.max_text_characters)
    _write_abstracts(builder, citation, article)
    keywords = [clean(inline_text(keyword)) for keyword in citation.iterfind("KeywordList/Keyword")]
    if keywords:
        builder.section("Keywords", in_source=False)
        builder.block("; ".join(filter(None, keywords)))
    for heading, tag in (("Conflict of interest", "CoiStatement"), ("Notes", "GeneralNote")):
        builder.section(heading, in_source=False)
        for statement in citation.iterfind(tag):
            builder.block(inline_text(statement))
    metadata = Metadata(
        id=f"PMID:{pmid}",
        source="infores:pubmed",
        identifiers=_identifiers(record, citation, article, pmid),
        authors=_authors(article),
        date=_date(article),
        url=f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/",
        annotations=_annotations(citation),
        retracted=_retracted(citation, article),
        versions=_linked(citation, _VERSION_LINKS),
        retracts=_linked(citation, {"RetractionOf"}),
        language=article.findtext("Language"),
    )
    document = make_document(payload, builder, metadata, references=_references(record))
    return with_text_kept(document, xml_texts(record, _reason))


def _reason(element: Element, tag: str) -> str:
    """Say why an element is not in the document; empty for one that is."""
    parent = element.getparent()
    if tag == "xref":
        return "citation and note marks"
    if tag == "ArticleId" and element.get("IdType") in _ID_TYPES:
        return ""
    if parent is None or str(parent.tag) not in _CONTAINERS or tag in _CONTAINERS or tag in _KEPT:
        return "placeholders" if tag == "ArticleTitle" and _NO_TITLE.fullmatch(inline_text(element)) else ""
    return _REASONS.get(tag, "metadata")


def _record(root: Element, origin: str) -> Element:
    records = [root] if root.tag in _RECORDS else [child for child in root if child.tag in _RECORDS]
    if not records and root.tag in {"PubmedArticleSet", "PubmedBookArticleSet"}:
        raise UnreadableDocumentError(f"{origin}: the {root.tag} is empty: PubMed found no such record")
    if not records:
        raise UnreadableDocumentError(f"{origin}: not PubMed XML: the root element is <{root.tag}>")
    if len(records) > 1:
        raise UnreadableDocumentError(
            f"{origin}: {counted(len(records), 'PubMed record')} in one payload; the source must split them"
        )
    return records[0]


def _title(article: Element) -> str:
    for path in ("ArticleTitle", "VernacularTitle", "Book/BookTitle"):
        element = article.find(path)
        title = "" if element is None else inline_text(element)
        if title and not _NO_TITLE.fullmatch(title):
            return title
    return ""


def _write_abstracts(builder: DocumentText, citation: Element, article: Element) -> None:
    vernacular = article.find("VernacularTitle")
    if vernacular is not None and (title := inline_text(vernacular)) != builder.title:
        builder.section("Title in other languages", in_source=False)
        builder.block(title)
    for abstract in (*article.iterfind("Abstract"), *citation.iterfind("OtherAbstract")):
        builder.section(_ABSTRACT_TITLES.get(abstract.get("Type", ""), "Abstract"), in_source=False)
        for text in abstract.iterfind("AbstractText"):
            if (label := text.get("Label", "").strip()) and label not in _NO_LABELS:
                builder.section(label, 2)
            builder.block(inline_text(text))


def _references(record: Element) -> Iterator[Reference]:
    for entry in record.iterfind("PubmedData//ReferenceList/Reference"):
        ids = [
            (item.get("IdType", ""), clean(plain_text(item))) for item in entry.iterfind("ArticleIdList/*")
        ]
        found = {_ID_TYPES[kind]: value for kind, value in ids if kind in _ID_TYPES and value}
        citation = entry.find("Citation")
        text = "" if citation is None else inline_text(citation)
        if found or text:
            yield Reference(identifiers=found, text=text)


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
        if author.get("ValidYN") == "N":  # a misspelt name, followed by the right one
            continue
        family, suffix, collective = (
            plain_text(author.find(tag)) for tag in ("LastName", "Suffix", "CollectiveName")
        )
        names = (plain_text(author.find(tag)).strip() for tag in ("ForeName", "FirstName"))
        given = next(filter(None, names), "") or " ".join(plain_text(author.find("Initials")).strip())
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


def _linked(citation: Element, kinds: Collection[str]) -> Iterator[str]:
    """Yield the articles to which there is a link of one of these kinds."""
    for link in citation.iterfind("CommentsCorrectionsList/CommentsCorrections"):
        if link.get("RefType", "") in kinds:
            if is_number(pmid := clean(plain_text(link.find("PMID")))):
                yield f"PMID:{pmid}"
            if doi := _DOI_IN_SOURCE.search(plain_text(link.find("RefSource"))):
                yield f"DOI:{doi[1]}"


def _retracted(citation: Element, article: Element) -> str | None:
    for kind in article.iterfind("PublicationTypeList/PublicationType"):
        if reason := _RETRACTED.get(clean(plain_text(kind)).lower()):
            return reason
    for link in citation.iterfind("CommentsCorrectionsList/CommentsCorrections"):
        if reason := _RETRACTION_LINKS.get(link.get("RefType", "")):
            return reason
    return None
