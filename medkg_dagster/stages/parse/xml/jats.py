"""JATS articles: metadata, abstract, body and back matter without the references."""

from __future__ import annotations

from collections.abc import Iterator

from medkg_dagster.errors import UnreadableDocumentError
from medkg_dagster.stage_api import BlockKind, Document, Payload
from medkg_dagster.stages.parse import ParseConfig
from medkg_dagster.stages.parse.document_text import DocumentText, clean, make_document
from medkg_dagster.stages.parse.xml import Element, inline_text, parse_xml, split_inline
from medkg_dagster.stages.parse.xml.jats_front import read_metadata, read_title

_SKIPPED = frozenset(
    {"ref-list", "title", "label", "sec-meta", "object-id", "graphic", "media", "alternatives"}
)
_SECTIONS = frozenset(
    {"sec", "app", "ack", "notes", "glossary", "bio", "boxed-text", "fn-group", "app-group"}
)
_BLOCKS = frozenset(
    {
        *(
            "list",
            "def-list",
            "table-wrap",
            "table-wrap-group",
            "fig",
            "fig-group",
            "boxed-text",
            "disp-quote",
        ),
        *("preformat", "code", "speech", "statement", "verse-group", "supplementary-material", "array"),
    }
)
_DEFAULT_TITLES = {
    "ack": "Acknowledgements",
    "glossary": "Glossary",
    "fn-group": "Footnotes",
    "notes": "Notes",
}
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


def parse(payload: Payload, config: ParseConfig) -> Document:
    """Parse one article; sub-articles, responses and references are not part of it.

    The document is named by PMCID, PMID, DOI or the hash of its bytes, in that order.

    Raises:
        UnreadableDocumentError: It is not well-formed, not JATS, or holds several articles.
        UnsafeDocumentError: It declares entities, or the text is too long.
    """
    article = _article(parse_xml(payload.content, payload.origin), payload.origin)
    builder = DocumentText(read_title(article), config.max_text_characters)
    _Body(builder, include_tables=config.include_tables).write(article)
    return make_document(payload, builder, read_metadata(article))


def _article(root: Element, origin: str) -> Element:
    articles = [root] if root.tag == "article" else list(root.iter("article"))
    if not articles:
        raise UnreadableDocumentError(
            f"{origin}: XML, but not JATS: the root element is <{root.tag}> and there is no <article> in it"
        )
    if len(articles) > 1:
        raise UnreadableDocumentError(
            f"{origin}: {len(articles)} articles in one payload; the source must hand them over one by one"
        )
    if articles[0].find("front/article-meta") is None:
        raise UnreadableDocumentError(
            f"{origin}: XML, but not JATS: <article> has no <front> with an <article-meta>"
        )
    return articles[0]


class _Body:
    """Writes an article's parts to the builder in reading order."""

    def __init__(self, builder: DocumentText, *, include_tables: bool) -> None:
        self.builder = builder
        self.include_tables = include_tables

    def write(self, article: Element) -> None:
        """Write abstracts, keywords, body, back matter and floating figures and tables."""
        for abstract in article.iterfind("front/article-meta/abstract"):
            kind = abstract.get("abstract-type", "")
            default = _ABSTRACT_TITLES.get(kind, "Abstract")
            self.builder.section(_heading(abstract) or default)
            self._children(abstract, 1)
        keywords = [
            clean(inline_text(keyword))
            for group in article.iterfind("front/article-meta/kwd-group")
            for keyword in group.iter("kwd")
        ]
        if keywords:
            self.builder.section("Keywords")
            self.builder.block("; ".join(filter(None, keywords)))
        for part in ("body", "back"):
            element = article.find(part)
            if element is not None:
                self.builder.section("")
                self._children(element, 0)
        for floats in (*article.iterfind("floats-group"), *article.iterfind("floats-wrap")):
            self.builder.section("Figures and tables")
            self._children(floats, 1)

    def _children(self, element: Element, level: int) -> None:
        for child in element:
            if isinstance(child.tag, str) and child.tag not in _SKIPPED:
                self._element(child, level)

    def _element(self, element: Element, level: int) -> None:
        tag = str(element.tag)
        if tag in _SECTIONS:
            self._section(element, level)
        elif tag == "p":
            self._paragraph(element, level)
        elif tag in {"fig", "supplementary-material"}:
            self.builder.block(_caption(element), BlockKind.CAPTION)
        elif tag == "table-wrap":
            self._table(element)
        elif tag in {"list", "def-list"}:
            self._list(element)
        elif tag in {"fig-group", "table-wrap-group", "disp-quote", "speech", "statement", "fn"}:
            self._children(element, level)
        elif tag == "caption":
            self.builder.block(inline_text(element), BlockKind.CAPTION)
        elif tag == "array":
            self._rows(element)
        else:
            self.builder.block(inline_text(element))

    def _section(self, element: Element, level: int) -> None:
        title = _heading(element) or _DEFAULT_TITLES.get(str(element.tag), "")
        if element.tag == "app-group" and not title:
            self._children(element, level)
            return
        if title or element.tag == "boxed-text":
            self.builder.section(title, level + 1)
        for child in element:
            if isinstance(child.tag, str) and child.tag not in _SKIPPED:
                if child.tag == "caption":  # a box's caption holds its heading
                    self._children(child, level + 1)
                else:
                    self._element(child, level + 1)

    def _paragraph(self, element: Element, level: int) -> None:
        """Write a paragraph; lists, tables and figures inside it stand between its parts."""
        if next(element.iter(*_BLOCKS), None) is None:
            self.builder.block(inline_text(element))
            return
        for part in split_inline(element, _BLOCKS):
            if isinstance(part, str):
                self.builder.block(part)
            else:
                self._element(part, level)

    def _list(self, element: Element) -> None:
        for item in element:
            if item.tag == "list-item":
                nested = frozenset({"list", "def-list"})
                self.builder.block(inline_text(item, skip=nested | {"label"}), BlockKind.LIST_ITEM)
                for inner in item.iter("list", "def-list"):
                    if next(inner.iterancestors("list-item")) is item:
                        self._list(inner)
            elif item.tag == "def-item":
                parts = [clean(inline_text(part)) for part in item if part.tag in {"term", "def"}]
                self.builder.block(": ".join(filter(None, parts)), BlockKind.LIST_ITEM)

    def _table(self, element: Element) -> None:
        self.builder.block(_caption(element), BlockKind.CAPTION)
        if self.include_tables:
            self._rows(element)
            for foot in element.iterfind("table-wrap-foot"):
                for note in foot:
                    if isinstance(note.tag, str):
                        self.builder.block(" ".join(_note_texts(note)), BlockKind.CAPTION)

    def _rows(self, element: Element) -> None:
        self.builder.table(
            [inline_text(cell) for cell in row if cell.tag in {"td", "th"}] for row in element.iter("tr")
        )


def _note_texts(note: Element) -> Iterator[str]:
    if note.tag != "fn":
        yield inline_text(note)
        return
    for child in note:
        if isinstance(child.tag, str) and child.tag != "label":
            yield inline_text(child)


def _heading(element: Element) -> str:
    for path in ("title", "caption/title"):
        title = element.find(path)
        if title is not None and (text := clean(inline_text(title))):
            return text
    return ""


def _caption(element: Element) -> str:
    """Return label and caption as one text, for example `Figure 1. Title. Description.` without breaks."""
    label = element.find("label")
    caption = element.find("caption")
    parts = [clean(inline_text(label))] if label is not None else []
    if caption is not None:
        parts += [clean(inline_text(part)) for part in caption if part.tag in {"title", "p"}]
    return " ".join(part if part.endswith((".", ":", "?", "!")) else f"{part}." for part in parts if part)
