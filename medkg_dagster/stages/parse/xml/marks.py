"""Raised numbers that stand for a reference or a note without markup that says so."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from medkg_dagster.stages.parse.raised import is_raised_mark
from medkg_dagster.stages.parse.xml import Element, plain_text
from medkg_dagster.stages.parse.xml.elements import INSIDE_WORDS

LINE = 40
MAX_BEFORE = 8
FEW = 2
_CELLS = frozenset({"td", "th", "entry"})
_UNMARKED = frozenset({"ref-list", "contrib-group", "aff"})


def text_before(element: Element, joins: Callable[[str], bool] = INSIDE_WORDS.__contains__) -> str:
    """Return what stands before an element on its line, as much as forty characters of it.

    Args:
        element: The element.
        joins: Says of a tag whether its elements stand inside words.
    """
    text = ""
    for _ in range(MAX_BEFORE):
        previous, parent = element.getprevious(), element.getparent()
        if previous is None:
            return f"{'' if parent is None else parent.text or ''}{text}"[-LINE:]
        text = f"{previous.tail or ''}{text}"
        if len(text) >= LINE or not isinstance(previous.tag, str) or not joins(previous.tag):
            break
        text = f"{plain_text(previous)}{text}"
        element = previous
    return text[-LINE:]


def mark_raised_numbers(root: Element) -> None:
    """Make superscripts that stand for a reference or a note, without saying so, cross references."""
    cites = len(list(islice((x for x in root.iter("xref") if x.get("ref-type") == "bibr"), FEW))) == FEW
    for element in list(root.iter("sup")):
        inside = [str(parent.tag) for parent in element.iterancestors()]
        if not _UNMARKED.isdisjoint(inside) or any(child.tag not in INSIDE_WORDS for child in element):
            continue
        powers = cites and _CELLS.isdisjoint(inside)
        raised = plain_text(element)
        if is_raised_mark(text_before(element), raised, element.tail or "", powers=powers):
            element.tag = "xref"
            element.set("ref-type", "bibr")
