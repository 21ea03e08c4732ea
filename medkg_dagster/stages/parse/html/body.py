"""The text of HTML: blocks in reading order, and the works that a list of references names.

All is text that is not known to be something else, as in JATS articles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from medkg_dagster.stage_api import BlockKind, Reference
from medkg_dagster.stages.parse.document_text import DocumentText
from medkg_dagster.stages.parse.html.furniture import is_caption
from medkg_dagster.stages.parse.html.structure import BLOCKS, HEADINGS, LEFT_OUT, MARKS, TWO_LETTERS
from medkg_dagster.stages.parse.pdf.headings import REFERENCES, is_known
from medkg_dagster.stages.parse.pdf.lines import CAPTION
from medkg_dagster.stages.parse.pdf.reference_list import read_reference
from medkg_dagster.stages.parse.xml import Element, child_nodes, plain_text
from medkg_dagster.stages.parse.xml.inline import InlineText, inline_text
from medkg_dagster.stages.parse.xml.tables import read_rows

_SKIP = frozenset({LEFT_OUT})
_KINDS = {
    **dict.fromkeys(("li", "dt", "dd"), BlockKind.LIST_ITEM),
    **dict.fromkeys(("figcaption", "caption"), BlockKind.CAPTION),
}
_PARAGRAPHS = frozenset({"p", "div"})
_ITEMS = frozenset({"li", "dd"})
_ENTRIES = frozenset({"li", "p", "dd", "div", "tr"})

_ENTRY_NUMBER = re.compile(r"[\[(]?\d{1,4}[\]).]+\s*(?=\D)|\d{1,4}\s+(?=[^\W\d_])")
_NUMBER_ALONE = re.compile(r"[\[(]?\d{1,4}[\]).]*")
_LINK_NAME = re.compile(
    r"\W*(?:(?:(?:view |read |full |free |publisher |download |pmc )*"
    r"(?:article|text|full text|free full text|reference|pdf)"
    r"|cas|pub ?med(?: central)?|pubmed/ncbi|pmc|(?:search )?google scholar|scholar|cross ?ref"
    r"|web of science|isi|ads|green version|(?:pubmed )?abstract|crossref full text|(?:view in )?scopus"
    r"|doi|math|mathscinet|medline|embase|find in pubmed"
    r"|export citation|open ?url)\W*)+",
    re.IGNORECASE,
)
_EMPTY_BRACKETS = re.compile(r"(?:\s*(?:\[\s*\]|\(\s*\)|[|•·]))+\s*$")
_CAPTION = re.compile(rf"(?:{CAPTION.pattern})\s?[.:|–—]", re.IGNORECASE)
_DATED = re.compile(r"\b(?:18|19|20)\d\d|\b10\.\d{4}")
_DOI_LINK = re.compile(r"https?://(?:dx\.)?doi\.org/(10\.\d{4,9}/[^\s?#]+)", re.IGNORECASE)
_PUBMED_LINK = re.compile(r"https?://(?:pubmed\.|www\.)ncbi\.nlm\.nih\.gov/(?:pubmed/)?(\d{5,9})\b")
MAX_HEADING = 100
_BEHIND_LIST = re.compile(
    r"©|copyright|citation:|how to cite|cite this|(?:received|submitted|accepted|published|edited by"
    r"|reviewed by)\b ?:"
    r"|publisher.s note|disclaimer|keywords?:|correspondence",
    re.IGNORECASE,
)
_TITLE = {"title", "articleTitle", "article-title", "cit-article-title", "ref-title"}


class Body:
    """Writes the text of a page that `prepare` has named.

    Attributes:
        references: The works in its list of references, which are no part of the text.
        numbers: The numbers of these, which are no part of them.
    """

    def __init__(self, builder: DocumentText, *, include_tables: bool) -> None:
        self.references: list[Reference] = []
        self.numbers: list[str] = []
        self._builder = builder
        self._include_tables = include_tables
        self._inline = InlineText(_SKIP)
        self._title = _letters(builder.title)
        self._top = 1
        self._listed = 0

    def write(self, root: Element) -> None:
        """Write all that is text below an element."""
        depths = (
            HEADINGS[str(element.tag)]
            for element in root.iter(*HEADINGS)
            if _letters(plain_text(element)) != self._title
        )
        self._top = min(depths, default=1)
        self._content(root, BlockKind.PARAGRAPH)
        self._flush(BlockKind.PARAGRAPH)

    def reason(self, element: Element, tag: str) -> str:
        """Say why an element is not in the text; empty for one that is."""
        if tag == LEFT_OUT:
            return element.get("reason", "")
        if tag == "table" and not self._include_tables and not _is_layout(element):
            return "tables (include_tables)"
        return MARKS if tag == "xref" and element.get("ref-type") else ""

    def _content(self, element: Element, kind: BlockKind) -> None:
        for node, tag in child_nodes(element):
            if isinstance(node, str):
                self._inline.text(node)
            elif tag in BLOCKS:
                self._flush(kind)
                self._block(node, tag, kind)
            elif tag == "br" and _is_before_break(node):
                self._flush(kind)
            elif tag != LEFT_OUT:
                self._inline.element(node, tag)

    def _block(self, element: Element, tag: str, kind: BlockKind) -> None:
        if tag in HEADINGS:
            self._heading(element, HEADINGS[tag])
            return
        if tag == "table" and not _is_layout(element):
            self._table(element)
            return
        if depth := self._is_heading(element, tag, kind):
            self._heading(element, depth)
            return
        if self._listed and self._entry(element, tag):
            return
        inner = BlockKind.CAPTION if is_caption(element) else _KINDS.get(tag, kind)
        if inner is BlockKind.PARAGRAPH and tag in _PARAGRAPHS and _begins_caption(_beginning(element)):
            inner = BlockKind.CAPTION
        self._content(element, inner)
        self._flush(inner)

    def _entry(self, element: Element, tag: str) -> bool:
        """Take a block of a list of references; return whether it is an entry, or the number of one."""
        text = plain_text(element).strip() if tag == "dt" else ""
        if text and not TWO_LETTERS.search(text):
            self.numbers.append(text)
            return True
        written = plain_text(element).strip() if tag in _ENTRIES else ""
        if written and _LINK_NAME.fullmatch(written):
            element.set("reason", "names of links")
            element.tag = LEFT_OUT
            return True
        if _BEHIND_LIST.match(written):
            self._listed = 0
            return False
        found = _reference(element) if _DATED.search(written) and _is_entry(element, tag) else None
        if found is None:
            return False
        self.references.append(found[1])
        self.numbers.append(found[0])
        return True

    def _is_heading(self, element: Element, tag: str, kind: BlockKind) -> int:
        """Return the depth of a paragraph that says or looks that it is a heading; 0 for any other."""
        if tag != "li" and tag not in _PARAGRAPHS:
            return 0
        if kind is not BlockKind.PARAGRAPH or _has_blocks(element):
            return 0
        # Word writes a heading that it numbers as the only item of a list.
        if tag == "li" and not (_is_only_item(element) and _is_bold(element)):
            return 0
        text = inline_text(element, skip=_SKIP)
        if CAPTION.match(text):
            return 0
        if is_known(text):
            return self._top
        is_short = 3 < len(text) <= MAX_HEADING and not text.endswith((".", ",", ";"))
        return self._top + 1 if is_short and not self._listed and _is_bold(element) else 0

    def _heading(self, element: Element, depth: int) -> None:
        text = inline_text(element, skip=_SKIP)
        if not text or _letters(text) == self._title:
            return
        if CAPTION.match(text) and not text.casefold().startswith("box"):
            self._builder.block(text, BlockKind.CAPTION)
            return
        if depth <= self._listed or not self._listed:
            self._listed = depth if REFERENCES.match(text) else 0
        self._builder.section(text, max(1, depth - self._top + 1))

    def _table(self, table: Element) -> None:
        if not self._include_tables:
            return
        for caption in table.iterfind("caption"):
            self._builder.block(inline_text(caption, skip=_SKIP), BlockKind.CAPTION)
        self._builder.block(" ".join(_outside_cells(table)))
        self._builder.table(read_rows(table, lambda cell: inline_text(cell, skip=_SKIP)))

    def _flush(self, kind: BlockKind) -> None:
        text = self._inline.finish()
        if self._listed and _NUMBER_ALONE.fullmatch(text):
            self.numbers.append(text)
            return
        # The mark of a list's item in an element of its own.
        if kind is not BlockKind.LIST_ITEM or any(map(str.isalnum, text)):
            self._builder.block(text, kind)


def _begins_caption(text: str) -> bool:
    """Return whether a paragraph begins as a caption does, or is the number of one."""
    return bool(_CAPTION.match(text) or CAPTION.fullmatch(text.rstrip(" .:")))


def _is_before_break(element: Element) -> bool:
    """Return whether a line break stands right before another one, where a paragraph ends."""
    following = element.getnext()
    return following is not None and following.tag == "br" and not (element.tail or "").strip()


def _has_blocks(element: Element) -> bool:
    return any(child.tag in BLOCKS for child in element)


def _is_only_item(element: Element) -> bool:
    parent = element.getparent()
    return parent is not None and len(parent) == 1


def _is_bold(element: Element) -> bool:
    """Return whether all that a paragraph says is bold."""
    outside = [element.text, *(child.tail for child in element)]
    inside = [child for child in element if child.tag not in {LEFT_OUT, "br"} and plain_text(child).strip()]
    return (
        bool(inside)
        and not any((text or "").strip() for text in outside)
        and all(child.tag in {"b", "strong"} or (len(child) and _is_bold(child)) for child in inside)
    )


def _is_entry(element: Element, tag: str) -> bool:
    """Return whether a block in a list of references is one of its entries, not a part that holds several."""
    others = _ITEMS if tag in _ITEMS else _ENTRIES
    return tag in _ENTRIES and all(
        inner is element or _is_part(tag, " ".join(_own_texts(inner, others)).strip())
        for inner in element.iter(*others)
    )


def _own_texts(element: Element, others: frozenset[str]) -> Iterator[str]:
    """Yield the texts of an element without those of others in it, so that all together are read once."""
    for node, tag in child_nodes(element):
        if isinstance(node, str):
            yield node
        elif tag not in others:
            yield from _own_texts(node, others)


def _is_part(tag: str, text: str) -> bool:
    """Return whether an item in an entry is none itself: names of links, or one of its authors."""
    return bool(_LINK_NAME.fullmatch(text)) or (tag in _ITEMS and not _DATED.search(text))


def _is_layout(table: Element) -> bool:
    """Return whether a table only puts parts of the page where they stand."""
    if table.get("role") in {"presentation", "none"} or any(
        inner is not table for inner in table.iter("table", *HEADINGS)
    ):
        return True
    cells = [cell for _, cell in zip(range(2), table.iter("td", "th"), strict=False)]
    rows = [row for _, row in zip(range(2), table.iter("tr"), strict=False)]
    return len(cells) < 2 or (len(rows) < 2 and next(table.iter("math", "tex-math"), None) is not None)


def _outside_cells(element: Element) -> Iterator[str]:
    """Yield the texts of a table that stand in none of its cells, where no text belongs."""
    for node, tag in child_nodes(element):
        if isinstance(node, str):
            yield node
        elif tag not in {"td", "th", "caption", LEFT_OUT}:
            yield from _outside_cells(node)


def _beginning(element: Element) -> str:
    """Return how the text of an element begins."""
    begins = ""
    for text in element.itertext():
        begins += str(text)
        if len(begins) > MAX_HEADING:
            break
    return begins.strip()


def _reference(element: Element) -> tuple[str, Reference] | None:
    """Return the number and the work of an entry of a list of references; None where it names none."""
    for link in [part for part in element.iter("a", "li") if part is not element]:
        # "[Google Scholar]" and the like are no part of the entry
        if _LINK_NAME.fullmatch(plain_text(link).strip()):
            link.set("reason", "names of links")
            link.tag = LEFT_OUT
    whole = inline_text(element, skip=_SKIP)
    number = match.group() if (match := _ENTRY_NUMBER.match(whole)) else ""
    text = _EMPTY_BRACKETS.sub("", whole.removeprefix(number))
    if not _DATED.search(text):
        return None
    opening = text.split(maxsplit=6)[1:6]
    if element.tag not in _ITEMS and not number and sum(word[0].islower() for word in opening) > 3:
        return None  # what is said of references, and none
    reference = read_reference(text)
    identifiers = dict(reference.identifiers)
    for link in element.iter("a", LEFT_OUT):
        for prefix, pattern in (("DOI", _DOI_LINK), ("PMID", _PUBMED_LINK)):
            if match := pattern.match(link.get("href", "")):
                identifiers.setdefault(prefix, unquote(match.group(1)))
    named = [part for part in element.iter("div", "span") if _TITLE & set(part.get("class", "").split())]
    title = inline_text(named[0], skip=_SKIP).rstrip(" .") if len(named) == 1 else reference.title
    return number, reference.model_copy(update={"identifiers": identifiers, "title": title})


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))
