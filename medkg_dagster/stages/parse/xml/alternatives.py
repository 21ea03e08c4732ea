"""Several forms of the same, of which one is the text: formulas, tables, pictures with words for them."""

from __future__ import annotations

import re
from collections import Counter

from lxml import etree

from medkg_dagster.stages.parse.xml import Element, plain_text
from medkg_dagster.stages.parse.xml.elements import LEFT_OUT
from medkg_dagster.stages.parse.xml.formulas import LEAVES, formula_text

ALTERNATIVES = frozenset({"alternatives", "block-alternatives"})
_TABLES = frozenset({"table", "tgroup"})
FORMULA_FORMS = frozenset({"math", "tex-math"})
_CHARACTER = re.compile(r"\w")


def choose(alternatives: Element) -> list[Element]:
    """Return what is text of several forms of the same: tables, of which there may be parts, or one form.

    A formula in MathML and TeX is one form; a picture is one only where there is no other.
    """
    forms = [child for child in alternatives if isinstance(child.tag, str) and child.tag not in LEFT_OUT]
    forms = [form for form in forms if any(text.strip() for text in form.itertext())]
    written = [form for form in forms if form.tag != "graphic"]
    tables = [form for form in written if form.tag in _TABLES]
    # the same table may be there in the model of XHTML and in that of OASIS
    of_rows = [table for table in tables if next(table.iter("tr"), None) is not None]
    formulas = [form for form in written if form.tag in FORMULA_FORMS]
    return of_rows or tables or formulas or (written or forms)[:1]


def other_forms(root: Element) -> set[Element]:
    """Return the forms of the same that are not in the text, as another is.

    MathML beside TeX is in the text where the line made of the TeX has its letters and digits.
    """
    found: set[Element] = set()
    for alternatives in root.iter(*ALTERNATIVES):
        found.update(set(alternatives.iterchildren(etree.Element)) - set(choose(alternatives)))
    for formula in {tex.getparent() for tex in root.iter("tex-math")}:
        if formula is not None:
            line = Counter(_CHARACTER.findall(formula_text(formula) or ""))
            found.update(math for math in formula.iter("math") if not _leaves(math) <= line)
    return found


def _leaves(math: Element) -> Counter[str]:
    return Counter(_CHARACTER.findall(" ".join(plain_text(leaf) for leaf in math.iter(*LEAVES))))
