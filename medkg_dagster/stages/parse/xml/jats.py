"""JATS articles: title, abstracts, body, back matter and notes as text; references and authors as fields.

All that an article holds is text, unless it is known to be something else: elements that are not named here
become paragraphs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from functools import partial

from medkg_dagster.errors import UnreadableDocumentError, counted
from medkg_dagster.stage_api import BlockKind, Document, Payload
from medkg_dagster.stages.parse import ParseConfig
from medkg_dagster.stages.parse.document_text import DocumentText, make_document
from medkg_dagster.stages.parse.text_kept import with_text_kept, xml_texts
from medkg_dagster.stages.parse.xml import Element, child_nodes, parse_xml
from medkg_dagster.stages.parse.xml.alternatives import ALTERNATIVES, choose, other_forms
from medkg_dagster.stages.parse.xml.elements import FORMULAS, LEFT_OUT
from medkg_dagster.stages.parse.xml.inline import InlineText, inline_text, is_mark
from medkg_dagster.stages.parse.xml.jats_front import read_metadata, read_title
from medkg_dagster.stages.parse.xml.jats_references import read_references
from medkg_dagster.stages.parse.xml.marks import mark_raised_numbers
from medkg_dagster.stages.parse.xml.tables import read_rows

_SECTIONS = {
    **dict.fromkeys(("sec", "app", "bio", "boxed-text", "app-group"), ""),
    "ack": "Acknowledgements",
    "glossary": "Glossary",
    "fn-group": "Footnotes",
    "notes": "Notes",
}
"""Elements that become sections, with the heading of one that has none."""

_CAPTIONS = frozenset(
    {"fig", "fig-group", "table-wrap", "table-wrap-group", "supplementary-material", "media", "caption"}
)
_CAPTIONED = _CAPTIONS | {"statement", "list", "def-list", "verse-group", "disp-quote", "chem-struct-wrap"}
"""Elements that may begin with a label, a title or a caption, which are read as one text."""

_LEADS = frozenset({"label", "title", "subtitle"})
_TABLES = frozenset({"table", "array", "tgroup"})
_BLOCKS = frozenset(
    {
        *_SECTIONS,
        *_CAPTIONED,
        *_TABLES,
        *("p", "title", "subtitle", "list-item", "def-item", "attrib", "preformat", "code"),
        *("def-head", "term-head", "sig-block"),
        *(
            "speech",
            "speaker",
            "verse-line",
            "table-wrap-foot",
            "disp-formula-group",
            "explanation",
            "option",
        ),
        *("question", "question-wrap", "question-wrap-group", "question-preamble", "answer", "answer-set"),
    }
)
"""Elements that end the paragraph they stand in."""

_IN_ITEMS = frozenset({"p", "title", "term", "def"})
_FOOTNOTES = frozenset({"fn-group", "table-wrap-foot", "author-notes"})
_NUMBERING = re.compile(r"\W*(?:\d{1,3}(?:\.\d{1,3})*|[A-Za-z]|[ivxIVX]{1,5})?\W*")
_ENDS = (".", ":", "?", "!", ";")
_ABSTRACT_TITLES = {
    "summary": "Summary",
    "executive-summary": "Summary",
    "editors-summary": "Editors' summary",
    "editor-summary": "Editor's summary",
    "plain-language-summary": "Plain language summary",
    "toc": "Short summary",
    "teaser": "Short summary",
    "key-points": "Key points",
    "highlights": "Highlights",
}
_META_IN_TEXT = frozenset(
    {
        *("title-group", "abstract", "trans-abstract", "kwd-group", "product", "author-notes"),
        *("supplementary-material", "funding-group", "custom-meta-group", "unstructured-kwd-group"),
    }
)
_LEFT_OUT_BESIDES = {
    **dict.fromkeys(("sub-article", "response"), "sub-articles"),
    **dict.fromkeys(("journal-meta", "alt-title", "award-group", "support-group"), "metadata"),
    **dict.fromkeys(("tex-math", "annotation", "annotation-xml"), "markup of formulas"),
}
_MIN_WORDS_OF_STATEMENT = 6


def parse(payload: Payload, config: ParseConfig) -> Document:
    """Parse one article; sub-articles and responses are not part of it, references are fields of it.

    The document is named by PMCID, PMID, DOI or the hash of its bytes, in that order.

    Raises:
        UnreadableDocumentError: It is not well-formed, not JATS, or holds several articles.
        UnsafeDocumentError: It declares entities, or the text is too long.
    """
    article = _article(parse_xml(payload.content, payload.origin), payload.origin)
    mark_raised_numbers(article)
    builder = DocumentText(read_title(article), config.max_text_characters)
    _Body(builder, article, include_tables=config.include_tables).write()
    document = make_document(payload, builder, read_metadata(article), references=read_references(article))
    tables = frozenset() if config.include_tables else _TABLES | {"table-wrap-foot"}
    reason_of = partial(_reason, tables=tables, others=other_forms(article))
    return with_text_kept(document, xml_texts(article, reason_of))


def _reason(element: Element, tag: str, tables: frozenset[str], others: Set[Element]) -> str:
    """Say why an element is not in the document; empty for one that is."""
    parent = element.getparent()
    assert parent is not None
    if parent.tag == "article-meta" and tag not in _META_IN_TEXT:
        return LEFT_OUT.get(tag, "metadata")
    reasons = {
        "metadata": tag == "custom-meta" and not _is_statement(element),
        "numbering": tag == "label" and _NUMBERING.fullmatch(inline_text(element)),
        "citation and note marks": tag == "xref" and is_mark(element),
        "headings of references": tag in _LEADS and _is_of_references(parent),
        "tables (include_tables)": tag in tables,
        LEFT_OUT.get(tag, ""): tag in LEFT_OUT and tag != "ref-list",
        _LEFT_OUT_BESIDES.get(tag, ""): tag in _LEFT_OUT_BESIDES,
        "other forms of the same": element in others,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _is_of_references(element: Element) -> bool:
    """Whether an element holds references, or nothing but a list of them."""
    if element.tag == "ref-list":
        return True
    return element.find("ref-list") is not None and all(
        child.tag in _LEADS or child.tag == "ref-list" for child in element
    )


def _article(root: Element, origin: str) -> Element:
    articles = [root] if root.tag == "article" else list(root.iter("article"))
    if not articles:
        raise UnreadableDocumentError(
            f"{origin}: XML, but not JATS: the root element is <{root.tag}> and there is no <article> in it"
        )
    if len(articles) > 1:
        raise UnreadableDocumentError(
            f"{origin}: {counted(len(articles), 'article')} in one payload; the source must hand them over "
            "one by one"
        )
    if articles[0].find("front/article-meta") is None:
        raise UnreadableDocumentError(
            f"{origin}: XML, but not JATS: <article> has no <front> with an <article-meta>"
        )
    return articles[0]


class _Body:
    """Writes an article's parts to the builder in reading order."""

    def __init__(self, builder: DocumentText, article: Element, *, include_tables: bool) -> None:
        self.builder = builder
        self.article = article
        self.include_tables = include_tables
        self._behind_section = False
        self._holds_blocks = _holding_blocks(article)
        self._done: set[Element] = set()
        self._heading_notes: list[Element] = []

    def write(self) -> None:
        """Write front matter, body, back matter, floating figures and tables, then notes on the article."""
        front = self.article.find("front")
        assert front is not None
        meta = front.find("article-meta")
        assert meta is not None
        self._write_front(front, meta)
        for part in ("body", "back"):
            self._part("", self.article.iterfind(part), level=0)
        floats = [*self.article.iterfind("floats-group"), *self.article.iterfind("floats-wrap")]
        self._part("Figures and tables", floats)
        self._part("Author notes", meta.iterfind("author-notes"))
        for path in ("funding-statement", "open-access"):
            self._part("Funding", meta.iterfind(f"funding-group/{path}"))
        for statement in meta.iterfind("custom-meta-group/custom-meta"):
            if _is_statement(statement):
                self.builder.section(_text_at(statement, "meta-name"))
                self.builder.block(_text_at(statement, "meta-value"))

    def _write_front(self, front: Element, meta: Element) -> None:
        for note in meta.iterfind("title-group//fn"):
            self._flow(note, 1)
        self._part("Title in other languages", meta.iterfind("title-group/trans-title-group"))
        self._part("Reviewed work", meta.iterfind("product"))
        for abstract in (*meta.iterfind("abstract"), *meta.iterfind("trans-abstract")):
            self._part(_ABSTRACT_TITLES.get(abstract.get("abstract-type", ""), "Abstract"), [abstract])
        for group in meta.iterfind("kwd-group"):
            heading = self._take_heading(group)
            keywords = [inline_text(keyword) for keyword in group.iter("kwd", "compound-kwd")]
            self.builder.section(heading or "Keywords", in_source=False)
            self.builder.block("; ".join(filter(None, keywords)))
        self._part("Keywords", meta.iterfind("unstructured-kwd-group"))
        self._part("", meta.iterfind("supplementary-material"), level=0)
        for element in front:
            if element.tag not in {"journal-meta", "article-meta"} and isinstance(element.tag, str):
                self._part("", [element], level=0)

    def _part(self, default: str, parts: Iterable[Element], level: int = 1) -> None:
        """Write parts of the article, at level 0 with headings of their own only."""
        for number, part in enumerate(parts):
            heading = self._take_heading(part) if level else ""
            if heading or not number:
                self.builder.section(heading or default, in_source=bool(heading))
            self._behind_section = False
            if level or part.tag in {"body", "back"}:
                self._flow(part, level)
            else:
                self._block(part, str(part.tag), level, BlockKind.PARAGRAPH)

    def _flow(self, element: Element, level: int, kind: BlockKind = BlockKind.PARAGRAPH) -> None:
        """Write all that an element holds: runs of text as blocks, and the blocks between them."""
        if (label := element.find("label")) is not None and _NUMBERING.fullmatch(inline_text(label)):
            self._done.add(label)
        run = InlineText()
        self._collect(element, run, level, kind)
        self._put(run.finish(), level, kind)
        self._write_notes(run.notes, level, kind)
        while self._heading_notes:
            self._flow(self._heading_notes.pop(0), level)

    def _collect(self, element: Element, run: InlineText, level: int, kind: BlockKind) -> None:
        for node, tag in child_nodes(element):
            if isinstance(node, str):
                run.text(node)
            elif tag in LEFT_OUT or node in self._done:
                continue
            elif kind is BlockKind.LIST_ITEM and tag in _IN_ITEMS:
                run.space()
                self._collect(node, run, level, kind)
                run.text(": " if tag == "term" else " ")
            elif self._is_block(node, tag, element):
                self._put(run.finish(), level, kind)
                self._block(node, tag, level, kind)
            elif node in self._holds_blocks and tag not in FORMULAS and tag != "fn":
                run.space()
                self._collect(node, run, level, kind)
                run.space()
            else:
                run.element(node, tag)

    def _is_block(self, element: Element, tag: str, parent: Element) -> bool:
        return (
            tag in _BLOCKS
            or (tag == "fn" and parent.tag in _FOOTNOTES)
            or (tag in ALTERNATIVES and any(self._is_text_block(form) for form in choose(element)))
        )

    def _is_text_block(self, form: Element) -> bool:
        return form.tag in _BLOCKS or form in self._holds_blocks

    def _put(self, text: str, level: int, kind: BlockKind) -> None:
        if text and self._behind_section:
            self.builder.section("", max(1, level))
            self._behind_section = False
        self.builder.block(text, kind)

    def _write_notes(self, notes: Iterable[Element], level: int, kind: BlockKind) -> None:
        """Write the footnotes of a text behind it."""
        kind = BlockKind.CAPTION if kind in {BlockKind.CAPTION, BlockKind.TABLE} else BlockKind.PARAGRAPH
        for note in notes:
            self._flow(note, level, kind)

    def _block(self, element: Element, tag: str, level: int, kind: BlockKind) -> None:
        inner = BlockKind.PARAGRAPH if kind is BlockKind.LIST_ITEM else kind
        if tag in _SECTIONS and not (tag == "fn-group" and kind is BlockKind.CAPTION):
            self._section(element, level)
        elif tag in _TABLES and next(element.iter("tr", "row"), None) is not None:
            self._table(element, level)
        elif tag in ALTERNATIVES:
            for form in choose(element):
                self._block(form, str(form.tag), level, kind)
        elif tag in {"list-item", "def-item"}:
            self._flow(element, level, BlockKind.LIST_ITEM)
        elif tag in _CAPTIONED:
            self._captioned(element, level, BlockKind.CAPTION if tag in _CAPTIONS else inner)
        elif tag != "table-wrap-foot" or self.include_tables:
            self._flow(element, level, BlockKind.CAPTION if tag == "table-wrap-foot" else inner)

    def _section(self, element: Element, level: int) -> None:
        heading = self._take_heading(element)
        title = heading or _SECTIONS[str(element.tag)]
        is_section = bool(title or element.tag == "boxed-text")
        if is_section:
            # A heading of references alone has nothing behind it that is text.
            in_source = bool(heading) and element.find("ref-list") is None
            self.builder.section(title, level + 1, in_source=in_source)
            self._behind_section = False
        self._flow(element, level + is_section)
        self._behind_section |= is_section

    def _take_heading(self, element: Element) -> str:
        """Return the heading of a section, which is then not written again."""
        label, title = element.find("label"), element.find("title")
        title = element.find("caption/title") if title is None else title
        self._done.update(part for part in (label, title) if part is not None)
        number, text = (
            "" if part is None else inline_text(part, notes=self._heading_notes) for part in (label, title)
        )
        return text if _NUMBERING.fullmatch(number) else ". ".join(filter(None, (number.rstrip("."), text)))

    def _captioned(self, element: Element, level: int, kind: BlockKind) -> None:
        """Write label, title and caption as one text, `Figure 1. Title. Description.`, then the rest."""
        lead: list[str] = []
        notes: list[Element] = []
        for part in _leading(element):
            if part in self._done:
                continue
            if part in self._holds_blocks:
                break
            lead.append(inline_text(part, notes=notes))
            self._done.add(part)
        texts = [text if text.endswith(_ENDS) else f"{text}." for text in lead if text]
        self._put(" ".join(texts), level, kind)
        self._flow(element, level, kind)
        self._write_notes(notes, level, kind)

    def _table(self, element: Element, level: int) -> None:
        if not self.include_tables:
            return
        notes: list[Element] = []
        for child in element:
            if child.tag in {*_LEADS, "caption", "p"}:
                self._put(inline_text(child), level, BlockKind.CAPTION)
        self._put("", level, BlockKind.TABLE)
        self.builder.table(read_rows(element, lambda cell: inline_text(cell, notes=notes)))
        self._write_notes(notes, level, BlockKind.TABLE)


def _holding_blocks(article: Element) -> set[Element]:
    """Return all elements that have a block somewhere in them."""
    found: set[Element] = set()
    for block in article.iter(*_BLOCKS):
        for element in block.iterancestors():
            if element in found:
                break
            found.add(element)
    return found


def _leading(element: Element) -> Iterator[Element]:
    """Yield label, title and the paragraphs of captions."""
    parts = _LEADS | {"p"} if element.tag == "caption" else _LEADS
    for child in element:
        if child.tag == "caption":
            yield from _leading(child)
        elif child.tag in parts:
            yield child


def _is_statement(custom_meta: Element) -> bool:
    """Whether a publisher's own property is prose, as on the availability of data, and no code."""
    return len(_text_at(custom_meta, "meta-value").split()) >= _MIN_WORDS_OF_STATEMENT


def _text_at(element: Element, tag: str) -> str:
    found = element.find(tag)
    return "" if found is None else inline_text(found)
