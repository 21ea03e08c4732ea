"""HTML pages: text in reading order, headings as sections, tables, references, and what the head says."""

from __future__ import annotations

import codecs
import re
from dataclasses import replace

from lxml import etree

from medkg_dagster.errors import UnreadableDocumentError, UnsafeDocumentError, counted
from medkg_dagster.stage_api import Document, Payload
from medkg_dagster.stages.parse import ParseConfig
from medkg_dagster.stages.parse.document_text import DocumentText, Metadata, clean, make_document
from medkg_dagster.stages.parse.html.body import Body
from medkg_dagster.stages.parse.html.front_matter import leave_out_front_matter
from medkg_dagster.stages.parse.html.head import read_head, without_site
from medkg_dagster.stages.parse.html.structure import BLOCKS, prepare
from medkg_dagster.stages.parse.text_kept import Texts, with_text_kept, xml_texts
from medkg_dagster.stages.parse.xml import Element, parse_xml

_CHARSET = re.compile(
    rb"<(?:meta|\?xml)\b[^>]{0,300}?(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.I
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SNIFFED = 4096
_NO_DOCUMENT = re.compile(
    r"\b(?:40[0134]|50[0234]|sign[ -]?in|log[ -]?in|access denied|forbidden|not found|unauthori[sz]ed|captcha"
    r"|just a moment|are you (?:a )?(?:human|robot)|error \d{3}|(?:page|service) unavailable"
    r"|cookies? (?:required|absent))\b",
    re.IGNORECASE,
)
FEW_WORDS = 150


def parse(payload: Payload, config: ParseConfig) -> Document:
    """Parse a page; what surrounds an article, as navigation, is no part of it.

    Returns:
        The document, named by the DOI, PMCID or PMID in the head, else by the hash of its bytes.

    Raises:
        UnreadableDocumentError: In no encoding that is known, or a page that says that there is no article.
        UnsafeDocumentError: It is nested or sized beyond all reason, or has too much text.
    """
    root = parse_html(payload.content, payload.origin)
    metadata, title = read_head(root)
    heading = next((text for text in map(_text, root.iter("h1")) if text), "")
    # what only the title of the window says has the name of the site behind it
    title = title or heading or without_site(_text(root.find("head/title")))
    if metadata.authors or metadata.identifiers:
        leave_out_front_matter(root, BLOCKS)
    document = read_page(root, title, metadata, payload, config)
    words = len(document.text.split())
    if words < FEW_WORDS and _NO_DOCUMENT.search(f"{title} {heading}"):
        raise UnreadableDocumentError(
            f"{payload.origin}: an HTML page of {counted(words, 'word')} called {title[:80]!r}, perhaps "
            "an error or login page saved in place of the article; fetch it again"
        )
    return document


def read_page(
    root: Element,
    title: str,
    metadata: Metadata,
    payload: Payload,
    config: ParseConfig,
    *,
    source: Texts | None = None,
) -> Document:
    """Make the document of a page.

    Args:
        root: The page.
        title: Its title; the headings that say the same are not repeated.
        metadata: What is known besides; a document is named by the first identifier.
        payload: What it comes from.
        config: How it is read.
        source: All texts of what it was made from; those of the page where it was made from nothing else.
    """
    prepare(root)
    builder = DocumentText(title, config.max_text_characters)
    body = Body(builder, include_tables=config.include_tables)
    body.write(root)
    curies = (f"{prefix}:{identifier}" for prefix, identifier in metadata.identifiers.items())
    named = replace(metadata, id=next(curies, None))
    document = make_document(payload, builder, named, references=body.references)
    texts = xml_texts(root, body.reason)
    between = {"numbers of references": " ".join(body.numbers)}
    if source is None:
        return with_text_kept(document, texts, between)
    return with_text_kept(document, source, {**texts, **between})


def parse_html(content: bytes, origin: str) -> Element:
    """Parse HTML, or XHTML where it is well-formed, without scripts, entities of its own and the network.

    Raises:
        UnreadableDocumentError: Its bytes are in no encoding that is known.
        UnsafeDocumentError: It is nested or sized beyond all reason, or declares entities.
    """
    if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<?xml"):
        try:
            return parse_xml(content, origin)
        except UnreadableDocumentError:
            pass  # XHTML that is not well-formed is read as HTML, as browsers do
    parser = etree.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True, huge_tree=False
    )
    text = _decode(content, origin).replace("\x00", "\ufffd")
    root = etree.fromstring(text.encode("utf-8", "replace") or b"<html></html>", parser)
    for error in parser.error_log:
        if error.level == etree.ErrorLevels.FATAL:
            raise UnsafeDocumentError(
                f"{origin}:{error.line}: the HTML goes beyond the parser's safety limits: {error.message}"
            )
    if root is None:
        raise UnreadableDocumentError(f"{origin}: the HTML holds nothing")
    return root


def _decode(content: bytes, origin: str) -> str:
    """Decode as browsers do: by its mark, as UTF-8 where it is, by what it declares, else Windows-1252."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _decoded(content.removeprefix(mark), encoding, origin)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        declared = _CHARSET.search(content[:_SNIFFED])
        name = declared.group(1).decode("ascii", "replace").lower() if declared else ""
        if name in {"", "utf-8", "utf8", "iso-8859-1", "latin1", "us-ascii"}:
            name = "windows-1252"
        return _decoded(content, name, origin)


def _decoded(content: bytes, encoding: str, origin: str) -> str:
    try:
        return content.decode(encoding)
    except LookupError as error:
        raise UnreadableDocumentError(
            f"{origin}: HTML in the unknown encoding {encoding!r}; convert it to UTF-8"
        ) from error
    except UnicodeDecodeError as error:
        raise UnreadableDocumentError(
            f"{origin}: HTML that is not {encoding.upper()} text at byte offset {error.start} "
            f"({error.reason}); convert it to UTF-8"
        ) from error


def _text(element: Element | None) -> str:
    return "" if element is None else clean(" ".join(map(str, element.itertext())))
