"""Formulas on one line: `2×10^5`, `1/2`, `sqrt(16)`, from MathML or TeX.

Scripts and fractions keep their marks, as `105` is another number than `10^5`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from medkg_dagster.stages.parse.xml import Element, child_nodes, plain_text
from medkg_dagster.stages.parse.xml.tex import (
    UnknownTexError,
    fraction,
    grouped,
    read_tex,
    row,
    subscript,
    superscript,
    tex_body,
)

LEAVES = frozenset({"mi", "mn", "mo", "mtext", "ms"})
_NO_TEXT = frozenset({"annotation", "annotation-xml", "mphantom", "malignmark", "maligngroup", "mspace"})
_INVISIBLE_OPERATORS = re.compile("[\u2061-\u2064]")


def formula_text(element: Element) -> str | None:
    """Return a formula on one line; None where the element holds neither MathML nor TeX.

    Of a formula in both forms TeX is read, which publishers wrote themselves, where it holds nothing unknown.
    """
    maths = [element] if element.tag == "math" else list(element.iter("math"))
    sources = [tex_body(plain_text(tex)) for tex in element.iter("tex-math")]
    for source in sources:
        try:
            if text := read_tex(source):
                return text
        except UnknownTexError:
            continue
    if maths:
        return " ".join(" ".join(map(_math, maths)).split()) or None
    return " ".join(sources) or None


def _math(element: Element) -> str:
    tag = str(element.tag)
    if tag in _NO_TEXT:
        return " " if tag == "mspace" else ""
    if tag in LEAVES:
        parts = _INVISIBLE_OPERATORS.sub("", plain_text(element)).split()
        return (" " if tag == "mtext" else "").join(parts)
    inner = [_math(child) for child in element if isinstance(child.tag, str)]
    if tag in _SCRIPTS:
        return _SCRIPTS[tag](inner) if len(inner) >= 2 else row(inner)
    write = _CONTAINERS.get(tag)
    return write(element, inner) if write else row(_with_text(element, inner))


def _with_text(element: Element, inner: list[str]) -> Iterator[str]:
    texts = iter(inner)
    for node, _ in child_nodes(element):
        yield node.strip() if isinstance(node, str) else next(texts)


def _fenced(element: Element, inner: list[str]) -> str:
    return f"{element.get('open', '(')}{', '.join(inner)}{element.get('close', ')')}"


def _with_annotation(element: Element, inner: list[str]) -> str:
    found = element.find("annotation")
    spare = "" if found is None else plain_text(found).strip()
    return inner[0] if inner and inner[0] else spare


def _isotope(element: Element, inner: list[str]) -> str:
    tags = [str(child.tag) for child in element if isinstance(child.tag, str)]
    at = tags.index("mprescripts") if "mprescripts" in tags else len(tags)
    return "".join([*inner[at + 1 :], *inner[:at]])


def _both_scripts(parts: list[str]) -> str:
    return superscript(subscript(*parts[:2]), "".join(parts[2:]))


def _over(parts: list[str]) -> str:
    return "".join(parts) if len(parts[1]) == 1 else superscript(*parts[:2])


_SCRIPTS: dict[str, Callable[[list[str]], str]] = {
    "mfrac": lambda parts: fraction(*parts[:2]),
    "msup": lambda parts: superscript(*parts[:2]),
    "msub": lambda parts: subscript(*parts[:2]),
    "msubsup": _both_scripts,
    "munderover": _both_scripts,
    "munder": lambda parts: subscript(*parts[:2]),
    "mover": _over,
    "mroot": lambda parts: f"root_{grouped(parts[1])}({parts[0]})",
}
_CONTAINERS: dict[str, Callable[[Element, list[str]], str]] = {
    "msqrt": lambda _, inner: f"sqrt({row(inner)})",
    "mfenced": _fenced,
    "mtr": lambda _, inner: " ".join(inner),
    "mlabeledtr": lambda _, inner: " ".join(inner),
    "mtable": lambda _, inner: "; ".join(inner),
    "semantics": _with_annotation,
    "mmultiscripts": _isotope,
}
