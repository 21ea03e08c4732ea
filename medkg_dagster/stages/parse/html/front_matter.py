"""What stands around the heading of an article's page: authors, where they work, dates, controls."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from medkg_dagster.stages.parse.html.furniture import AUTHORS
from medkg_dagster.stages.parse.xml import Element, plain_text

_BEGINS = re.compile(
    r"\W*(?:\d\W{1,3})?(?:(?:structured |graphical |visual |author |plain[- ]language |short )?"
    r"(?:abstract|summary)"
    r"|introduction|background|objectives?|importance|purpose|aims?|main|synopsis|highlights|in brief"
    r"|key ?(?:points|messages?|words)|what (?:is|was) (?:already )?known.{0,60}|main points"
    r"|editor.s note)\W*",
    re.IGNORECASE,
)
_AROUND = re.compile(
    r"\b(?:volume|vol\.|issue|pages?|published|received|accepted|correspond\w+|e-?mail|university|department|hospital"
    r"|doi|©|copyright|cite|citation)\b|@|https?:",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.?!…][)\]”’\"']?\W*$")
_LISTED = re.compile(r"\W*(?:key ?words|keywords|abbreviations|trial registration|funding)\b", re.IGNORECASE)
_WHOLES = frozenset({"main", "article", "body"})
_HEADINGS = tuple(f"h{depth}" for depth in range(2, 7))
_LEAVES = frozenset({"p", "div", "li", "dd", "blockquote", "section", "td"})
_KEPT = frozenset({"figcaption", "table", "math"})
MIN_WORDS = 12
MAX_CHARACTERS = 200


def leave_out_front_matter(root: Element, blocks: frozenset[str]) -> None:
    """Leave out what stands beside the page's heading and behind it up to the abstract; prose stays.

    Args:
        root: A page whose head names an article.
        blocks: The elements that end the paragraph they stand in.
    """
    heading, begin = _bounds(root)
    if heading is None or begin is None:
        return
    around = {*heading.iterancestors(), *begin.iterancestors(), begin}
    between = [element for element in _between(root, heading, begin) if element not in around]
    texts = {element for element in between if _is_text(element, blocks)}
    with_text = set(texts)
    for element in texts:
        for holder in element.iterancestors():
            if holder in with_text:
                break
            with_text.add(holder)
    settled: set[Element] = set()
    for element in between:
        parent = element.getparent()
        if parent in settled or parent in texts:
            settled.add(element)  # it goes or stays with what it is in
        elif element not in with_text:
            element.set("reason", AUTHORS)
            settled.add(element)


def _bounds(root: Element) -> tuple[Element | None, Element | None]:
    """Return the heading of the page, and that of its first part."""
    heading = None
    for element in root.iter("h1", *_HEADINGS):
        if element.tag == "h1":
            heading = element
        elif heading is not None and _BEGINS.fullmatch(plain_text(element)[:MAX_CHARACTERS].strip()):
            return heading, element
    return None, None


def _between(root: Element, heading: Element, begin: Element) -> Iterator[Element]:
    part: Element | None = heading
    while part is not None and part.tag not in _WHOLES:
        for beside in part.itersiblings(preceding=True):
            yield from beside.iter(etree.Element)
        part = part.getparent()
    inside = set(heading.iter())
    started = False
    for element in root.iter():
        if element is begin:
            return
        started = started or element is heading
        if started and element not in inside and isinstance(element.tag, str):
            yield element


def _is_text(element: Element, blocks: frozenset[str]) -> bool:
    """Return whether an element is a table, a caption or a paragraph that reads like one."""
    if element.tag in _KEPT:
        return element.tag != "table" or len(list(element.iter("tr"))) > 1
    if element.tag not in _LEAVES or any(child.tag in blocks for child in element):
        return False
    text = " ".join(plain_text(element).split())
    words = text.split()
    if _LISTED.match(text):
        return True
    small = sum(word[0].islower() for word in words)
    is_prose = len(words) >= MIN_WORDS and small > 0.5 * len(words) and bool(_SENTENCE_END.search(text))
    return is_prose and not (len(text) < MAX_CHARACTERS and _AROUND.search(text))
