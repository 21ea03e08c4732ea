"""HTML pages, EPUB books and Word documents against the articles that are written into them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

from benchmarks.figures import Bound, Figure
from evaluation.ordered_recall import ordered_recall, words
from medkg_dagster.domain.documents import UNEXPLAINED
from medkg_dagster.stage_api import BlockKind, Document, Payload, PayloadFormat
from medkg_dagster.stages.parse import ParseConfig, ParseStage
from medkg_dagster_tests.stages.parse.made_archives import docx, epub, paragraph, table

EVERY = 4
_Part = tuple[str, int, str]
"""What it is, the depth of a heading, and the text."""


def measure(data: Path) -> Iterator[Figure]:
    """Yield which share of words, headings, cells and references of real articles each format keeps.

    Args:
        data: Holds the articles in the folder `jats`; every fourth is written in each format.
    """
    stage = ParseStage(ParseConfig())
    articles = [
        stage.parse(_payload(PayloadFormat.JATS_XML, path.read_bytes()))
        for path in sorted((data / "jats").glob("*.xml"))[::EVERY]
    ]
    for form, write in _WRITERS.items():
        pairs = [(article, stage.parse(_payload(form, write(article)))) for article in articles]
        orders = [ordered_recall(words(article.text), words(found.text)) for article, found in pairs]
        yield Figure.value(
            f"{form}, words in order, the worst", "%", 100 * min(orders), 99.9, bound=Bound.AT_LEAST
        )
        for name, parts in (("headings", _headings), ("table cells", _cells), ("references", _references)):
            kept = sum((parts(article) & parts(found)).total() for article, found in pairs)
            there = sum(parts(article).total() for article in articles)
            note = f"{kept} of {there}"
            yield Figure.value(f"{form}, {name}", "%", 100 * kept / there, 99.5, note, bound=Bound.AT_LEAST)
        counts = [found.text_kept for _, found in pairs]
        lost = sum(count.left_out.get(UNEXPLAINED, 0) for count in counts if count)
        yield Figure.value(f"{form}, words lost without a reason", "words", lost, 0)


def _payload(form: PayloadFormat, content: bytes) -> Payload:
    return Payload(id="made", format=form, content=content, source="files", origin="made")


def _parts(article: Document) -> Iterator[_Part]:
    yield "title", 0, article.title
    for section in article.sections[1:]:
        heads = [block for block in section.blocks if article.text[block.start : block.end] == section.title]
        if section.title:
            yield "heading", section.level, section.title
        for block in section.blocks:
            if block not in heads:
                yield block.kind.value, 0, article.text[block.start : block.end]
    if article.references:
        yield "heading", 1, "References"
        for reference in article.references:
            yield "entry", 0, f"{reference.text} {reference.year or 2000}."


def _html(article: Document) -> bytes:
    return f"<!DOCTYPE html><html><body>{_page(_parts(article))}</body></html>".encode()


def _page(parts: Iterator[_Part]) -> str:
    made = []
    for kind, depth, text in parts:
        if kind == BlockKind.TABLE.value:
            rows = (line.split("\t") for line in text.split("\n"))
            cells = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows)
            made.append(f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>")
        else:
            tag = f"h{min(6, depth + 1)}" if kind in {"title", "heading"} else _TAGS.get(kind, "p")
            made.append(f"<{tag}>{escape(text)}</{tag}>")
    return "".join(made)


def _epub(article: Document) -> bytes:
    pages: list[list[_Part]] = []
    for part in _parts(article):
        if part[:2] == ("heading", 1) or not pages:
            pages.append([])
        pages[-1].append(part)
    return epub({f"{number}.xhtml": _page(iter(parts)) for number, parts in enumerate(pages)})


def _docx(article: Document) -> bytes:
    made = []
    for kind, depth, text in _parts(article):
        if kind == BlockKind.TABLE.value:
            made.append(table([[escape(cell) for cell in line.split("\t")] for line in text.split("\n")]))
        else:
            made.append(
                paragraph(escape(text), {"title": "Title", "heading": f"Heading{depth}"}.get(kind, ""))
            )
    styles = (
        f'<w:style w:type="paragraph" w:styleId="Heading{depth}"><w:name w:val="heading {depth}"/></w:style>'
        for depth in range(3, 7)
    )
    return docx("".join(made), styles="".join(styles))


_TAGS = {"list_item": "li", "caption": "figcaption", "entry": "li"}
_WRITERS: dict[PayloadFormat, Callable[[Document], bytes]] = {
    PayloadFormat.HTML: _html,
    PayloadFormat.EPUB: _epub,
    PayloadFormat.DOCX: _docx,
}


def _headings(document: Document) -> Counter[str]:
    titles = (section.title for section in document.sections[1:])
    return Counter(title for title in titles if title and title != "References")


def _cells(document: Document) -> Counter[str]:
    return Counter(
        cell
        for section in document.sections
        for block in section.blocks
        if block.kind is BlockKind.TABLE
        for line in document.text[block.start : block.end].split("\n")
        for cell in line.split("\t")
        if cell
    )


def _references(document: Document) -> Counter[str]:
    return Counter("entry" for _ in document.references)
