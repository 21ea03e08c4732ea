"""Text of mixed content (JATS and PubMed): inline markup joined as a reader would read it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from medkg_dagster.stages.parse.xml import Element, child_nodes, plain_text

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


def inline_text(element: Element, *, skip: frozenset[str] = frozenset()) -> str:
    """Return an element's text.

    Superscript and subscript are joined to their word, a numeric superscript after a digit is written
    with a caret (`10^5`); superscript citations, footnotes and footnote marks are left out, other cross
    references keep their text; formulas keep one textual form.

    Args:
        element: An element with mixed content.
        skip: Further elements to leave out.

    Returns:
        The text, white space as it stands in the source.
    """
    parts: list[str] = []
    _collect(element, parts, skip)
    return "".join(parts)


def split_inline(element: Element, blocks: frozenset[str]) -> Iterator[str | Element]:
    """Yield the text of a paragraph and the block elements that stand directly in it, in order.

    Args:
        element: An element with mixed content.
        blocks: The tags of block elements.

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
        return "".join("".join(token.split()) for token in _math_tokens(math))
    tex = element if element.tag == "tex-math" else next(element.iter("tex-math"), None)
    if tex is not None:
        source = plain_text(tex)
        body = _TEX_BODY.search(source)
        return (body.group(1) if body else source).strip().strip("$").strip()
    return inline_text(element)


def _math_tokens(math: Element) -> list[str]:
    return [plain_text(node) for node in math.iter() if len(node) == 0 and node.tag != "annotation"]
