"""XML from strangers: no entities, no network, no DTD, bounded depth; and text out of mixed content."""

from __future__ import annotations

import html.entities
import re
from collections.abc import Iterator
from pyexpat import ExpatError, ParserCreate
from typing import Any

from lxml import etree

from medkg_dagster.domain.dates import iso_date
from medkg_dagster.errors import UnreadableDocumentError, UnsafeDocumentError

Element = etree._Element
XLINK_HREF = "{http://www.w3.org/1999/xlink}href"

_LIMIT_MESSAGES = re.compile(r"depth|huge|too long|amplification|entity loop|limit", re.IGNORECASE)


def parse_xml(content: bytes, origin: str, *, namespaces: bool = False) -> Element:
    """Parse XML safely; comments and instructions are removed, and namespaces from names of elements.

    Args:
        content: The XML.
        origin: Where it is from.
        namespaces: Whether names of elements keep their namespaces.

    Raises:
        UnsafeDocumentError: It declares entities of its own, or is nested or sized beyond all reason.
        UnreadableDocumentError: It is not well-formed; the message gives line and column.
    """
    if not content.strip():
        raise UnreadableDocumentError(f"{origin}: the file is empty, an XML document was expected")
    _refuse_entity_declarations(content, origin)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise _explained(error, origin) from error
    _refuse_declared(root, origin)
    for element in () if namespaces else root.iter(etree.Element):
        if isinstance(element.tag, str) and element.tag.startswith("{"):
            element.tag = element.tag.rpartition("}")[2]
    return root


class _PrologEndError(Exception):
    """The first element was reached: a document type declaration can no longer follow."""


def _refuse_entity_declarations(content: bytes, origin: str) -> None:
    """Read the prolog alone, so that a bomb is refused before anything could expand it."""
    expat = ParserCreate()

    def refuse(name: str, *_: Any) -> None:
        raise UnsafeDocumentError(
            f"{origin}:{expat.CurrentLineNumber}: the document type declares the entity '{name}'; entities "
            "may be bombs or reach other files, remove the declaration"
        )

    def stop(*_: Any) -> None:
        raise _PrologEndError

    expat.EntityDeclHandler = refuse
    expat.StartElementHandler = stop
    try:
        expat.Parse(content, True)
    except (_PrologEndError, ExpatError, LookupError, ValueError):
        return  # what is broken, or in an encoding expat lacks, the real parser reports


def _refuse_declared(root: Element, origin: str) -> None:
    subset = root.getroottree().docinfo.internalDTD
    declared: list[object] = subset.entities() if subset is not None else []  # type: ignore[attr-defined] # lxml-stubs lacks it
    if declared:
        raise UnsafeDocumentError(f"{origin}: the document type declares entities; remove the declarations")


def _explained(error: etree.XMLSyntaxError, origin: str) -> UnreadableDocumentError | UnsafeDocumentError:
    line, column = error.position
    place = f"{origin}:{line}"
    reason = str(error.msg)
    if _LIMIT_MESSAGES.search(reason):
        return UnsafeDocumentError(f"{place}: the XML goes beyond the parser's safety limits: {reason}")
    return UnreadableDocumentError(
        f"{place}: the XML is not well-formed at column {column} ({reason}); the file is damaged or truncated"
    )


def entity_text(node: etree._Entity) -> str:
    """Return the character a named entity of the public DTDs stands for, else the reference itself."""
    reference = str(node.text)
    return html.entities.html5.get(reference.lstrip("&"), reference)


def child_nodes(element: Element) -> Iterator[tuple[str | Element, str]]:
    """Yield an element's content in order as `(text, "")` and `(child, tag)`; entities become text."""
    if element.text:
        yield element.text, ""
    for child in element:
        if isinstance(child.tag, str):
            yield child, child.tag
        elif isinstance(child, etree._Entity):
            yield entity_text(child), ""
        if child.tail:
            yield child.tail, ""


def plain_text(element: Element | None) -> str:
    """Return all text of an element, markup removed, white space as it stands; empty for None."""
    if element is None:
        return ""
    return "".join(node if isinstance(node, str) else plain_text(node) for node, _ in child_nodes(element))


def date_of(element: Element | None) -> str | None:
    """Return the ISO date of an element with year, month and day children, whatever their case."""
    if element is None:
        return None
    parts = {str(child.tag).lower(): plain_text(child) for child in element}
    return iso_date(parts.get("year"), parts.get("month"), parts.get("day"))
