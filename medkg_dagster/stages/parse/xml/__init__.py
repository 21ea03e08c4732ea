"""XML from strangers: no entities, no network, no DTD, bounded depth; and text out of mixed content."""

from __future__ import annotations

import calendar
import html.entities
import re
from collections.abc import Iterator
from pyexpat import ExpatError, ParserCreate
from typing import Any

from lxml import etree

from medkg_dagster.errors import UnreadableDocumentError, UnsafeDocumentError

Element = etree._Element
XLINK_HREF = "{http://www.w3.org/1999/xlink}href"

_LIMIT_MESSAGES = re.compile(r"depth|huge|too long|amplification|entity loop|limit", re.IGNORECASE)
_SPACED = frozenset(
    {"break", "p", "title", "list", "list-item", "def-item", "term", "def", "label", "disp-quote"}
)
_DROPPED = frozenset(
    {
        "fn",
        "graphic",
        "inline-graphic",
        "media",
        "object-id",
        "alt-text",
        "long-desc",
        "index-term",
        "milestone-start",
    }
)
_FORMULAS = frozenset({"inline-formula", "disp-formula", "alternatives", "tex-math"})
_NOTE_REFERENCES = frozenset({"fn", "table-fn", "author-notes", "corresp", "aff"})
_EXPONENT = re.compile(r"[-−–+]?\d+(?:\.\d+)?")
_ONLY_SEPARATORS = re.compile(r"[\s,;\-–—()\[\]]*")
_TEX_BODY = re.compile(r"\\begin\{document\}(.*?)\\end\{document\}", re.DOTALL)


def parse_xml(content: bytes, origin: str) -> Element:
    """Parse XML safely; namespaces are dropped from element names, comments and instructions are removed.

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
    for element in root.iter(etree.Element):
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


_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], start=1
    )
}


def is_number(text: str) -> bool:
    """Whether a text is digits, as identifiers and dates have them: those of other scripts are none."""
    return text.isascii() and text.isdecimal()


def iso_date(year: str | None, month: str | None, day: str | None) -> str | None:
    """Return an ISO 8601 date as precise as its parts allow.

    Args:
        year: Four digits.
        month: A number or an English name, possibly abbreviated.
        day: A number.

    Returns:
        `2016-03-01`, `2016-03`, `2016`, or None without a year.
    """
    year, month, day = (part.strip() if part else "" for part in (year, month, day))
    if not re.fullmatch(r"[0-9]{4}", year):
        return None
    number = int(month) if is_number(month) else _MONTHS.get(month[:3].lower(), 0)
    if not 1 <= number <= 12:
        return year
    last_day = calendar.monthrange(int(year), number)[1] if year > "0000" else 0
    if not is_number(day) or not 1 <= int(day) <= last_day:
        return f"{year}-{number:02}"
    return f"{year}-{number:02}-{int(day):02}"


def date_of(element: Element | None) -> str | None:
    """Return the ISO date of an element with year, month and day children, whatever their case."""
    if element is None:
        return None
    parts = {str(child.tag).lower(): plain_text(child) for child in element}
    return iso_date(parts.get("year"), parts.get("month"), parts.get("day"))


def inline_text(element: Element, *, skip: frozenset[str] = frozenset()) -> str:
    """Return an element's text.

    Superscript and subscript are joined to their word, a numeric superscript after a digit is written
    with a caret (`10^5`); superscript citations, footnotes and footnote marks are left out, other cross
    references keep their text; formulas keep one textual form.

    Returns:
        The text, white space as it stands in the source.
    """
    parts: list[str] = []
    _collect(element, parts, skip)
    return "".join(parts)


def split_inline(element: Element, blocks: frozenset[str]) -> Iterator[str | Element]:
    """Yield the text of a paragraph and the block elements that stand directly in it, in order.

    Yields:
        Text as from `inline_text`, and elements with one of the tags.
    """
    parts: list[str] = []
    for node, tag in child_nodes(element):
        if not isinstance(node, str) and tag in blocks:
            yield "".join(parts)
            yield node
            parts = []
        else:
            _add(node, tag, parts, frozenset())
    yield "".join(parts)


def _collect(element: Element, parts: list[str], skip: frozenset[str]) -> None:
    for node, tag in child_nodes(element):
        _add(node, tag, parts, skip)


def _add(node: str | Element, tag: str, parts: list[str], skip: frozenset[str]) -> None:
    if isinstance(node, str):
        parts.append(node)
    elif tag in _DROPPED or tag in skip or (tag == "xref" and node.get("ref-type") in _NOTE_REFERENCES):
        return
    elif tag == "sup":
        parts.append(_superscript(node, parts[-1] if parts else "", skip))
    elif tag in _FORMULAS:
        parts.append(_formula(node))
    elif tag in _SPACED:
        parts.append(" ")
        _collect(node, parts, skip)
        parts.append(" ")
    else:
        _collect(node, parts, skip)


def _superscript(element: Element, before: str, skip: frozenset[str]) -> str:
    references = [
        xref for xref in element.iter("xref") if xref.get("ref-type") in {"bibr", *_NOTE_REFERENCES}
    ]
    text = inline_text(element, skip=skip)
    if references:
        rest = text
        for xref in references:
            rest = rest.replace(plain_text(xref), "", 1)
        if _ONLY_SEPARATORS.fullmatch(rest):
            return ""
    if before[-1:].isdigit() and _EXPONENT.fullmatch(text.strip()):
        return f"^{text.strip()}"
    return text


def _formula(element: Element) -> str:
    """Return one textual form of a formula: MathML, else TeX without its preamble, else plain text."""
    math = next(element.iter("math"), None)
    if math is not None:
        leaves = (node for node in math.iter() if len(node) == 0 and node.tag != "annotation")
        return "".join("".join(plain_text(leaf).split()) for leaf in leaves)
    tex = element if element.tag == "tex-math" else next(element.iter("tex-math"), None)
    if tex is not None:
        source = plain_text(tex)
        body = _TEX_BODY.search(source)
        return (body.group(1) if body else source).strip().strip("$").strip()
    return inline_text(element)
