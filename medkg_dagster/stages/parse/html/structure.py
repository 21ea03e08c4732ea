"""What of an HTML page is text: elements are named so that the page is read as articles are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from medkg_dagster.stages.parse.html.furniture import (
    SURROUNDINGS,
    is_article,
    is_label,
    is_unseen,
    leave_out_what_is_elsewhere,
    why_furniture,
)
from medkg_dagster.stages.parse.raised import is_raised_mark
from medkg_dagster.stages.parse.xml import Element, plain_text
from medkg_dagster.stages.parse.xml.marks import text_before

LEFT_OUT = "left-out"
"""The name that `prepare` gives to elements that are no text."""

HEADINGS = {f"h{depth}": depth for depth in range(1, 7)}
_NO_PAGE = frozenset({"script", "style", "template", "noscript", "link", "meta", "head"})
"""Elements of which nothing is shown."""

_NO_TEXT = {
    **dict.fromkeys(("form", "button", "select", "textarea", "input", "dialog"), "forms and buttons"),
    **dict.fromkeys(("svg", "canvas", "audio", "video", "iframe", "map"), "pictures"),
    "nav": "navigation",
}
_ROLES = {
    **dict.fromkeys(("navigation", "banner", "contentinfo", "search", "menu", "menubar"), "navigation"),
    "complementary": SURROUNDINGS,
    **dict.fromkeys(("dialog", "alertdialog", "button"), "forms and buttons"),
}
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
BLOCKS = frozenset(
    {
        *HEADINGS,
        *("p", "div", "section", "article", "main", "header", "footer", "aside", "address", "blockquote"),
        *("pre", "ul", "ol", "li", "dl", "dt", "dd", "figure", "figcaption"),
        *("table", "caption", "hr", "body"),
        *("details", "summary", "fieldset", "legend", "center", "thead", "tbody", "tfoot", "tr", "td", "th"),
    }
)
"""Elements that end the paragraph they stand in."""

_KEPT = BLOCKS | _NO_TEXT.keys() | {"html", "colgroup", LEFT_OUT}
"""Elements that stay what they are whatever is in them."""

_INSIDE_WORDS = frozenset(
    {
        *("code", "kbd", "samp", "var", "cite", "q", "mark", "abbr", "acronym", "bdi", "bdo", "s", "strike"),
        *("del", "ins", "time", "data", "dfn", "label"),
        *("wbr", "big", "nobr", "output"),
    }
)
"""Elements that may stand inside a word and are not known to `InlineText`."""

TWO_LETTERS = re.compile(r"[^\W\d_]{2}")
_OF_THE_SENTENCE = re.compile(
    r"\b(?:sections?|tables?|figures?|figs?\.?|eqs?\.?|equations?|appendix|box|chapters?|steps?|panels?"
    r"|and|to)\s*\(?$",
    re.IGNORECASE,
)
MARKS = "citation and note marks"
_LINKED = re.compile(r"\s*\[?\d{1,3}(?:\s?[-–]\s?\d{1,3})?[\],]?\s*")
FEW_LINKS = 2
ARTICLE_SHARE = 0.6
MAX_CANDIDATES = 8
MAX_MARK = 8
MAX_FORM = 100


def prepare(root: Element) -> None:
    """Name the elements of a page so that it is read as articles are.

    What is no text is called `LEFT_OUT`, with the reason as an attribute; links to places of the same page
    are cross references, what holds blocks is one.
    """
    _leave_out_surroundings(root)
    leave_out_what_is_elsewhere(root)
    is_linked = _cites_by_links(root)
    for element in reversed([element for element in root.iter() if isinstance(element.tag, str)]):
        parent = element.getparent()
        if element.tag == "script" and element.get("type", "").startswith("math/tex"):
            element.tag = "tex-math"
            continue
        if element.tag in _NO_PAGE:
            element[:] = []
            element.text = None
            element.tag = LEFT_OUT
            continue
        if reason := _reason(element):
            element.tag = LEFT_OUT
            element.set("reason", reason)
            continue
        if element.tag == "form":
            element.tag = "div"
        if is_label(element) and not (element.tail or "").strip():
            element.tail = " "
        if element.tag in _INSIDE_WORDS:
            element.tag = "span"
        elif element.tag == "a" and element.get("href", "").startswith("#"):
            _make_reference(element)
        elif (
            element.tag == "sup"
            and not len(element)
            and is_raised_mark(
                text_before(element, _joins), element.text or "", element.tail or "", powers=is_linked
            )
        ):
            element.tag = "xref"
            element.set("ref-type", "bibr")
        elif element.tag in BLOCKS and parent is not None and parent.tag not in _KEPT:
            parent.tag = "div"


def _reason(element: Element) -> str:
    if element.tag == "form" and sum(1 for _ in islice(_all_words(element), MAX_FORM)) == MAX_FORM:
        return element.get("reason", "")  # some sites put all of a page into one
    hidden = (
        element.get("hidden") is not None or _HIDDEN.search(element.get("style", "")) or is_unseen(element)
    )
    return (
        _NO_TEXT.get(str(element.tag), "")
        or _ROLES.get(element.get("role", ""), "")
        or ("hidden" if hidden else "")
        or ("formulas written twice" if _is_drawn_formula(element) else "")
        or element.get("reason", "")
        or why_furniture(element)
    )


def _is_drawn_formula(element: Element) -> bool:
    """Return whether an element shows a formula that MathML or TeX beside it says."""
    if element.tag == "mjx-math" or element.get("class") == "katex-html":
        return True
    if not element.get("class", "").startswith("MathJax"):
        return False
    behind = [following for _, following in zip(range(2), element.itersiblings(), strict=False)]
    return any(following.tag in {"script", "tex-math"} for following in behind)


def _make_reference(link: Element) -> None:
    """Make a link to the same page a cross reference; one that is no word is a citation or note mark."""
    text = plain_text(link).strip()
    link.tag = "xref"
    if TWO_LETTERS.search(text) or len(text) > MAX_MARK or _OF_THE_SENTENCE.search(text_before(link, _joins)):
        return
    link.set("ref-type", "bibr")


def _joins(tag: str) -> bool:
    return tag not in BLOCKS


def _cites_by_links(root: Element) -> bool:
    """Return whether the numbers that cite something are links, as a rule on this page."""
    links = (link for link in root.iter("a") if link.get("href", "").startswith("#"))
    return (
        next(islice((1 for link in links if _LINKED.fullmatch(plain_text(link))), FEW_LINKS, None), None)
        is not None
    )


def _leave_out_surroundings(root: Element) -> None:
    """Leave out what stands around the element that holds most of the text, except the page's heading."""
    body = root.find("body")
    if body is None:
        return
    mains = [element for element in body.iter("main", "article", "div") if _is_main(element)]
    total = sum(1 for _ in _all_words(body))
    for main in reversed(mains[:MAX_CANDIDATES]):
        if sum(1 for _ in _all_words(main)) > ARTICLE_SHARE * total:
            inner = main
            break
    else:
        return
    while inner is not body:
        parent = inner.getparent()
        assert parent is not None
        for sibling in parent:
            if (
                sibling is not inner
                and isinstance(sibling.tag, str)
                and next(sibling.iter("h1"), None) is None
            ):
                sibling.set("reason", SURROUNDINGS)
        inner = parent


def _is_main(element: Element) -> bool:
    return (
        element.tag in {"main", "article"}
        or element.get("role") in {"main", "article"}
        or is_article(element)
    )


def _all_words(element: Element) -> Iterator[str]:
    return (word for text in element.itertext() for word in str(text).split())
