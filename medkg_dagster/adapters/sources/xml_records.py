"""Finds the articles inside an XML file, safely: no entity is expanded and nothing outside is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from medkg_dagster.domain.payloads import PayloadFormat
from medkg_dagster.errors import RejectedDocumentError, UnreadableDocumentError, UnsafeDocumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PUBMED_RECORDS = ("PubmedArticle", "PubmedBookArticle")
_JATS_FRONT = ("front", "front-stub")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")


@dataclass(slots=True)
class XmlRecord:
    """One article of an XML file.

    Attributes:
        format: JATS or PubMed.
        content: A well-formed XML document of its own.
        pmid: The PMID of a PubMed record, where it has one.
    """

    format: PayloadFormat
    content: bytes
    pmid: str | None = None


_JATS_INSTEAD = "fetch the article as JATS, for example from PubMed Central or Europe PMC"
_OTHERS = {
    **dict.fromkeys(
        ("clinical_study", "search_results", "study_fields"),
        "a study of ClinicalTrials.gov's closed first API; fetch it again by the source clinicaltrials or "
        "from https://clinicaltrials.gov/api/v2/studies",
    ),
    **dict.fromkeys(("xml", "records"), "perhaps citations as EndNote writes them; export them as RIS"),
    "TEI": f"TEI; {_JATS_INSTEAD}, or hand over the PDF that it was made from",
    "collection": f"perhaps BioC; {_JATS_INSTEAD}",
    "full-text-retrieval-response": f"an article in Elsevier's own format; {_JATS_INSTEAD}",
    "rss": "a feed, no document",
    "feed": "a feed, no document",
    "svg": "a picture, no document",
}
"""What XML with these roots is, and what to do."""


@dataclass(slots=True)
class _Span:
    format: PayloadFormat
    depth: int
    start: int
    tag: str
    inherited: dict[str, str]
    end: int = 0
    pmid: str | None = None
    has_front: bool = False


def find_records(name: str, content: bytes) -> list[XmlRecord]:
    """Find every JATS article and PubMed record of an XML file.

    Returns:
        The records in file order; a file that is one JATS article is returned byte for byte.

    Raises:
        UnsafeDocumentError: The file declares entities.
        UnreadableDocumentError: It is truncated, not well-formed, or neither JATS nor PubMed.
        RejectedDocumentError: It is a PubMed set without a record.
    """
    if content.startswith(_UTF16_MARKS):
        content = _to_utf8(name, content)
    scanner = _Scanner(name)
    scanner.run(content)
    spans = [span for span in scanner.spans if span.format is PayloadFormat.PUBMED_XML or span.has_front]
    if not spans:
        raise _no_record(name, scanner)
    whole_file = len(spans) == 1 and spans[0].depth == 0 and spans[0].format is PayloadFormat.JATS_XML
    if whole_file:
        return [XmlRecord(PayloadFormat.JATS_XML, content)]
    return [XmlRecord(span.format, _standalone(content, span, scanner.encoding), span.pmid) for span in spans]


def _to_utf8(name: str, content: bytes) -> bytes:
    try:
        text = content.decode("utf-16")
    except UnicodeDecodeError as error:
        raise UnreadableDocumentError(f"{name}: not valid UTF-16 at byte {error.start}") from error
    return _DECLARATION.sub("", text, count=1).encode()


def _no_record(name: str, scanner: _Scanner) -> UnreadableDocumentError | RejectedDocumentError:
    if scanner.root == "PubmedArticleSet":
        return RejectedDocumentError(f"{name}: PubMed XML that holds no article (an empty reply of efetch?)")
    if _local(scanner.root) == "article":
        return UnreadableDocumentError(
            f"{name}: XML with root <article> but without <front>, so it is not JATS (DocBook?)"
        )
    if known := _OTHERS.get(_local(scanner.root)):
        return UnreadableDocumentError(f"{name}: XML with root <{scanner.root}>: {known}")
    return UnreadableDocumentError(
        f"{name}: XML with root <{scanner.root}>, which is neither JATS (<article>) nor PubMed "
        f"(<PubmedArticleSet>); convert it to one of them"
    )


def _standalone(content: bytes, span: _Span, encoding: str) -> bytes:
    body = content[span.start : span.end]
    declaration = f'<?xml version="1.0" encoding="{encoding}"?>\n'.encode()
    if span.format is PayloadFormat.PUBMED_XML:
        opening = "".join(f" {key}={quoteattr(value)}" for key, value in span.inherited.items())
        return declaration + f"<PubmedArticleSet{opening}>".encode() + body + b"</PubmedArticleSet>"
    head = f"<{span.tag}".encode()
    namespaces = "".join(f" {key}={quoteattr(value)}" for key, value in span.inherited.items())
    return declaration + head + namespaces.encode() + body[len(head) :]


@dataclass(slots=True)
class _Scanner:
    name: str
    root: str = ""
    encoding: str = "utf-8"
    spans: list[_Span] = field(default_factory=list)
    _open: list[Mapping[str, str]] = field(default_factory=list)
    _current: _Span | None = None
    _path: list[str] = field(default_factory=list)
    _pmid: list[str] | None = None
    _parser: Any = None
    _content: bytes = b""

    def run(self, content: bytes) -> None:
        self._content = content
        parser = expat.ParserCreate()
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declaration
        parser.EntityDeclHandler = self._entity
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        self._parser = parser
        try:
            parser.Parse(content, True)
        except expat.ExpatError as error:
            raise UnreadableDocumentError(
                f"{self.name}: XML that ends too early or is not well-formed at line {error.lineno}, "
                f"column {error.offset + 1}: {expat.errors.messages[error.code]}; fetch it again"
            ) from error
        except (LookupError, ValueError) as error:
            raise UnreadableDocumentError(
                f"{self.name}: XML that cannot be decoded ({error}); convert it to UTF-8"
            ) from error
        finally:
            self._parser = None
            self._content = b""

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        del version, standalone
        self.encoding = encoding or "utf-8"

    def _entity(self, entity: str, *rest: object) -> None:
        del rest
        raise UnsafeDocumentError(
            f"{self.name}: line {self._parser.CurrentLineNumber}: XML that declares the entity '{entity}'; "
            f"entities can exhaust memory or read other files, so such files are refused"
        )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        depth = len(self._path)
        self.root = self.root or tag
        current = self._current
        if current is None:
            self._begin(tag, attributes, depth)
        elif depth == current.depth + 1 and _local(tag) in _JATS_FRONT:
            current.has_front = True
        elif tag == "PMID" and current.format is PayloadFormat.PUBMED_XML and current.pmid is None:
            self._pmid = []
        self._path.append(tag)
        if self._current is None:
            self._open.append({key: value for key, value in attributes.items() if key.startswith("xmlns")})

    def _begin(self, tag: str, attributes: dict[str, str], depth: int) -> None:
        inherited = {key: value for scope in self._open for key, value in scope.items()}
        start = self._parser.CurrentByteIndex
        if tag in _PUBMED_RECORDS:
            self._current = _Span(PayloadFormat.PUBMED_XML, depth, start, tag, inherited)
        elif _local(tag) == "article":
            missing = {key: value for key, value in inherited.items() if key not in attributes}
            self._current = _Span(PayloadFormat.JATS_XML, depth, start, tag, missing)

    def _end(self, tag: str) -> None:
        self._path.pop()
        current = self._current
        if current is None:
            self._open.pop()
            return
        if self._pmid is not None and tag == "PMID":
            current.pmid = "".join(self._pmid).strip() or None
            self._pmid = None
        if len(self._path) == current.depth:
            current.end = self._content.index(b">", self._parser.CurrentByteIndex) + 1
            self.spans.append(current)
            self._current = None

    def _text(self, text: str) -> None:
        if self._pmid is not None:
            self._pmid.append(text)


def _local(tag: str) -> str:
    return tag.rpartition(":")[2]
