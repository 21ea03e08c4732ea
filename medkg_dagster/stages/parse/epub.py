"""EPUB books: the pages of the spine one after another, with what the package says of the book."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterator
from urllib.parse import unquote

from lxml import etree

from medkg_dagster.errors import UnreadableDocumentError, counted
from medkg_dagster.stage_api import Document, Payload
from medkg_dagster.stages.parse import ParseConfig
from medkg_dagster.stages.parse.document_text import Metadata, clean
from medkg_dagster.stages.parse.html import parse_html, read_page
from medkg_dagster.stages.parse.html.head import read_authors, read_date, read_identifiers
from medkg_dagster.stages.parse.xml import Element, plain_text
from medkg_dagster.stages.parse.zipped import Archive

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = frozenset({"application/xhtml+xml", "text/html", "application/xml"})
_EPUB_TYPE = "{http://www.idpf.org/2007/ops}type"
_NO_TEXT = {
    "pagebreak": "page numbers",
    "toc": "navigation",
    "landmarks": "navigation",
    "page-list": "navigation",
}


def parse(payload: Payload, config: ParseConfig) -> Document:
    """Parse a book as one document.

    Returns:
        The document, named by its DOI, else by the hash of its bytes.

    Raises:
        UnreadableDocumentError: It is broken, or protected by DRM.
        UnsafeDocumentError: It unpacks to too much, or its text is too long.
    """
    archive = Archive(payload.content, payload.origin, config.max_content_bytes)
    path = next((item.get("full-path", "") for item in archive.xml(_CONTAINER).iter("rootfile")), "")
    package = archive.xml(path)
    folder = posixpath.dirname(path)
    root = etree.Element("html")
    body = etree.SubElement(root, "body")
    pages = list(_pages(package, folder))
    _refuse_protected(archive, set(pages), payload.origin)
    for name in pages:
        body.append(_page(archive.read(name), f"{payload.origin}#{name}"))
    stated = _stated(package)
    metadata = Metadata(
        id=None,
        source="infores:user-supplied",
        identifiers=read_identifiers({"dc.identifier": [*stated["identifier"], *stated["source"]]}),
        authors=[name for value in stated["creator"] for name in read_authors(value)],
        date=next((date for value in stated["date"] if (date := read_date(value))), None),
        licence=next((value for value in stated["rights"] if "creativecommons" in value.lower()), None),
    )
    return read_page(root, next(iter(stated["title"]), ""), metadata, payload, config)


def _stated(package: Element) -> dict[str, list[str]]:
    stated: dict[str, list[str]] = defaultdict(list)
    for metadata in package.iterfind("metadata"):
        for element in metadata.iter(etree.Element):
            if text := clean(plain_text(element)):
                stated[str(element.tag)].append(text)
    return stated


def _pages(package: Element, folder: str) -> Iterator[str]:
    """Yield the names of the pages in reading order."""
    items = {item.get("id"): item for item in package.iterfind("manifest/item")}
    for reference in package.iterfind("spine/itemref"):
        item = items.get(reference.get("idref"))
        if item is not None and item.get("media-type") in _PAGES:
            yield posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))


def _page(content: bytes, origin: str) -> Element:
    """Return the body of a page as a part of the book."""
    root = parse_html(content, origin)
    body = root.find("body")
    part = root if body is None else body
    part.tag = "div"
    for element in part.iter(etree.Element):
        kinds = element.get(_EPUB_TYPE, "").split()
        if reason := next((_NO_TEXT[kind] for kind in kinds if kind in _NO_TEXT), ""):
            element.set("reason", reason)
        href = element.get("href", "")
        if "#" in href and ":" not in href:
            # notes may stand in another file of the book
            element.set("href", href[href.index("#") :])
    return part


def _refuse_protected(archive: Archive, pages: set[str], origin: str) -> None:
    if _ENCRYPTION not in archive:
        return
    encrypted = {unquote(item.get("URI", "")) for item in archive.xml(_ENCRYPTION).iter("CipherReference")}
    if encrypted & pages:
        raise UnreadableDocumentError(
            f"{origin}: of {counted(len(pages), 'page')} {counted(len(encrypted & pages), 'is', 'are')} "
            "protected (DRM); supply it without protection"
        )
