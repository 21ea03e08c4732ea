"""JATS articles against their own XML, read apart from the parser, and against words they are made from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random

from lxml import etree

from benchmarks.figures import Bound, Figure
from evaluation.ordered_recall import ordered_recall, words
from medkg_dagster.domain.documents import UNEXPLAINED
from medkg_dagster.stage_api import BlockKind, Document, Payload, PayloadFormat
from medkg_dagster.stages.parse import ParseConfig, ParseStage
from medkg_dagster_tests.stages.parse.made_jats import MadeArticle

_META = "front/article-meta"
_PARTS = (f"{_META}/title-group/article-title", f"{_META}/abstract", "body", "back", "floats-group")
_NOT_TEXT = frozenset(
    {
        *(
            "ref-list",
            "object-id",
            "graphic",
            "inline-graphic",
            "alt-text",
            "long-desc",
            "tex-math",
            "permissions",
        ),
        *("inline-formula", "disp-formula", "math", "contrib-group", "sec-meta", "label"),
    }
)
_MARKS = frozenset({"bibr", "fn", "table-fn", "aff", "corresp", "author-notes"})
_INLINE = frozenset(
    {
        *(
            "italic",
            "bold",
            "sub",
            "sup",
            "sc",
            "underline",
            "xref",
            "ext-link",
            "named-content",
            "monospace",
        ),
        *("uri", "email"),
    }
)
_ORDINALS = frozenset({"st", "nd", "rd", "th"})
_NAME = re.compile(r"[^\W\d_]{2}")
_LOOSE = re.compile(r"[\W_]+")


def measure(data: Path, made: int = 200) -> Iterator[Figure]:
    """Yield which share of words, headings, tables, captions and notes of articles documents hold.

    Args:
        data: Holds real articles in the folder `jats`.
        made: How many articles to make.
    """
    stage = ParseStage(ParseConfig())
    articles = {}
    for path in sorted((data / "jats").glob("*.xml")):
        content = path.read_bytes()
        articles[path.name] = (_local(etree.fromstring(content)), stage.parse(_payload(path.name, content)))
    yield from _order(articles.values())
    for name, expected, limit in (
        ("headings", _headings, 100),
        ("tables", _tables, 100),
        ("table cells", _cells, 99.9),
        ("captions", _captions, 99.9),
        ("footnotes", _notes, 99.9),
        ("references", _references, 100),
    ):
        yield _share(f"JATS {name}", articles.values(), expected, limit)
    counts = (document.text_kept for _, document in articles.values())
    lost = sum(count.left_out.get(UNEXPLAINED, 0) for count in counts if count)
    yield Figure.value("JATS words lost without a reason", "words", lost, 20)
    articles_made = map(_made, range(made))
    shares = [ordered_recall(item.words, words_of_made(stage, item)) for item in articles_made]
    yield Figure.value(
        "JATS words in order, made", "%", 100 * min(shares), 100, "the worst", bound=Bound.AT_LEAST
    )


def expected_words(article: etree._Element) -> list[str]:
    """Return the words that a document of an article is to have, marks, formulas and references aside."""
    parts: list[str] = []
    for path in _PARTS:
        for element in article.iterfind(path):
            _gather(element, parts)
    return words("".join(parts))


def words_of_made(stage: ParseStage, made: MadeArticle) -> list[str]:
    """Return the words of a made article that its document has."""
    return re.findall(r"w[a-j]+", stage.parse(_payload("made", made.xml.encode())).text)


def _payload(name: str, content: bytes) -> Payload:
    return Payload(id=name, format=PayloadFormat.JATS_XML, content=content, source="files", origin=name)


def _made(seed: int) -> MadeArticle:
    return MadeArticle(Random(seed))  # noqa: S311 - no secret is drawn


def _local(root: etree._Element) -> etree._Element:
    for element in root.iter(etree.Element):
        element.tag = etree.QName(element).localname
    return root if root.tag == "article" else next(root.iter("article"))


def _gather(element: etree._Element, parts: list[str], *, named: bool = False) -> None:
    mark = (element.tag == "xref" and element.get("ref-type") in _MARKS) or _marks_note(element)
    if mark and named:
        mark = not _NAME.search("".join(map(str, element.itertext())))
    if element.tag in _NOT_TEXT or mark or not isinstance(element.tag, str):
        return
    # Scripts are apart from numbers, and from the log whose base they are.
    before = "".join(parts[-2:]).casefold()
    is_script = element.tag in {"sup", "sub"} and element.text not in _ORDINALS
    is_script = is_script and (before[-1:].isdigit() or before.endswith("log"))
    apart = element.tag not in _INLINE or is_script
    parts.append(" " if apart else "")
    parts.append(element.text or "")
    for child in element:
        _gather(child, parts, named=named)
        parts.append(child.tail or "")
    parts.append(" " if apart else "")


def _marks_note(element: etree._Element) -> bool:
    """Whether a raised number behind a bracket is that of a note below its table, without a link to it."""
    previous, parent = element.getprevious(), element.getparent()
    if element.tag != "sup" or parent is None:
        return False
    before = parent.text if previous is None else previous.tail
    notes = sum(
        1 for wrap in element.iterancestors("table-wrap") for _ in wrap.iterfind("table-wrap-foot//fn")
    )
    return (before or "").endswith(")") and str(element.text) in map(str, range(1, notes + 1))


def _joined(element: etree._Element) -> str:
    parts: list[str] = []
    _gather(element, parts)
    return "".join(parts)


def _text(element: etree._Element) -> str:
    return _LOOSE.sub("", _joined(element)).casefold()


def _order(articles: Iterable[tuple[etree._Element, Document]]) -> Iterator[Figure]:
    found = total = 0.0
    worst = 1.0
    for article, document in articles:
        expected = expected_words(article)
        share = ordered_recall(expected, words(document.text))
        found, total, worst = found + share * len(expected), total + len(expected), min(worst, share)
    yield Figure.value("JATS words in order", "%", 100 * found / total, 99.9, bound=Bound.AT_LEAST)
    yield Figure.value("JATS words in order, the worst file", "%", 100 * worst, 99, bound=Bound.AT_LEAST)


def _share(
    name: str,
    articles: Iterable[tuple[etree._Element, Document]],
    count: Callable[[etree._Element, Document], tuple[int, int]],
    limit: float,
) -> Figure:
    kept, there = (sum(counts) for counts in zip(*(count(*pair) for pair in articles), strict=True))
    return Figure.value(name, "%", 100 * kept / there, limit, f"{kept} of {there}", bound=Bound.AT_LEAST)


def _held(elements: Iterable[etree._Element], document: Document) -> tuple[int, int]:
    """Return how many of the elements stand in the text word by word, and how many have words."""
    found = words(document.text)
    wanted = [parts for element in elements if (parts := words(_joined(element)))]
    return sum(ordered_recall(parts, found) == 1 for parts in wanted), len(wanted)


def _headings(article: etree._Element, document: Document) -> tuple[int, int]:
    titles = (_text(title) for part in ("body", "back") for title in article.iterfind(f"{part}//sec/title"))
    expected = Counter(title for title in titles if title and title != "references")
    found = Counter(_LOOSE.sub("", section.title).casefold() for section in document.sections)
    return (expected & found).total(), expected.total()


def _tables(article: etree._Element, document: Document) -> tuple[int, int]:
    expected = sum(table.find(".//tr") is not None for table in _own(article, "table"))
    return min(expected, len(_blocks(document, BlockKind.TABLE))), expected


def _cells(article: etree._Element, document: Document) -> tuple[int, int]:
    """Count the cells that stand in the text with the sources they name, and without marks of their notes."""
    cells = [_cell(cell) for table in _own(article, "table") for cell in table.iter("td", "th")]
    expected = Counter(cell for cell in cells if cell)
    found = Counter(
        _LOOSE.sub("", cell).casefold()
        for block in _blocks(document, BlockKind.TABLE)
        for line in block.split("\n")
        for cell in line.split("\t")
    )
    return (expected & found).total(), expected.total()


def _cell(cell: etree._Element) -> str:
    parts: list[str] = []
    _gather(cell, parts, named=True)
    return _LOOSE.sub("", "".join(parts)).casefold()


def _captions(article: etree._Element, document: Document) -> tuple[int, int]:
    return _held(_own(article, "caption"), document)


def _notes(article: etree._Element, document: Document) -> tuple[int, int]:
    return _held(_own(article, "fn"), document)


def _references(article: etree._Element, document: Document) -> tuple[int, int]:
    expected = sum(1 for _ in _own(article, "ref"))
    return min(expected, len(document.references)), expected


def _own(article: etree._Element, tag: str) -> Iterator[etree._Element]:
    for part in ("body", "back", "floats-group"):
        for element in article.iterfind(part):
            yield from element.iter(tag)


def _blocks(document: Document, kind: BlockKind) -> list[str]:
    spans = (block for section in document.sections for block in section.blocks if block.kind is kind)
    return [document.text[block.start : block.end] for block in spans]
