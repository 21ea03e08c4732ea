"""PDFs against the JATS of the same articles, and against the words they were made from."""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from statistics import median

import pypdfium2 as pdfium
from lxml import etree

from benchmarks.figures import Bound, Figure, cpu_seconds, in_turn
from evaluation.ordered_recall import ordered_recall, words
from medkg_dagster.errors import DocumentError
from medkg_dagster.stage_api import BlockKind, Document, Payload, PayloadFormat
from medkg_dagster.stages.parse import ParseConfig, ParseStage
from medkg_dagster_tests.stages.parse.made_pdfs import MADE_LAYOUTS, TITLE, made_pdf, made_words

_NOT_BODY = ("table-wrap", "fig", "disp-formula", "inline-formula", "supplementary-material", "boxed-text")
_ROUNDS = 9
# What PDFs have as headings where the markup has elements of their own.
_COMMON = frozenset(
    {"abstract", "references", "authorcontributions", "competinginterests", "conflictsofinterest"}
    | {"grantinformation", "acknowledgements", "acknowledgments", "supportinginformation"}
)


def measure(data: Path) -> Iterator[Figure]:
    """Yield how much of PDFs is read, in which order, and how fast."""
    documents = _read(data)
    yield from against_twins(data, documents)
    for name, document in documents.items():
        share = glyphs_kept(document, (data / "pdf" / name).read_bytes())
        yield Figure.value(f"glyphs kept, {name}", "%", 100 * share)
    for name, share in made_kept().items():
        yield Figure.value(f"words kept in order, made: {name}", "%", 100 * share, 99.5, bound=Bound.AT_LEAST)
    yield Figure.value("speed, bare pypdfium2 = 1", "", _speed(data), 0.3, "CPU", bound=Bound.AT_LEAST)


def against_twins(data: Path, documents: dict[str, Document] | None = None) -> Iterator[Figure]:
    """Yield how well PDFs are read of which there is the JATS, too.

    Args:
        data: Holds the folders `pdf` and `jats`.
        documents: What was read of the PDFs by name; without them, those that have a twin are read.
    """
    twins = {
        row["file"]: etree.parse(data / "jats" / row["jats_twin"]).getroot()
        for row in _manifest(data)
        if row["jats_twin"]
    }
    documents = documents or _read(data, twins)
    yield from _order(twins, documents)
    yield from _description(twins, documents, data)


def _read(data: Path, names: Container[str] | None = None) -> dict[str, Document]:
    return {
        row["file"]: _parse((data / "pdf" / row["file"]).read_bytes())
        for row in _manifest(data)
        if names is None or row["file"] in names
    }


def _order(twins: dict[str, etree._Element], documents: dict[str, Document]) -> Iterator[Figure]:
    # the caret of an exponent divides what the article's markup writes as one number
    texts = {name: words(documents[name].text.replace("^", "")) for name in twins}
    recalls = {name: ordered_recall(_body(twin), texts[name]) for name, twin in twins.items()}
    note = ", ".join(f"{share:.3f}" for share in recalls.values())
    yield Figure.value(
        "ordered recall of body words, median",
        "%",
        100 * median(recalls.values()),
        99,
        note,
        bound=Bound.AT_LEAST,
    )
    yield Figure.value(
        "ordered recall of body words, worst", "%", 100 * min(recalls.values()), 95, bound=Bound.AT_LEAST
    )


def _description(
    twins: dict[str, etree._Element], documents: dict[str, Document], data: Path
) -> Iterator[Figure]:
    heads: list[str] = []
    missed: list[str] = []
    authors: list[str] = []
    named: list[str] = []
    titles = 0
    for name, twin in twins.items():
        document = documents[name]
        titles += _letters(_text(twin.find(".//article-meta//article-title"))) == _letters(document.title)
        found = {_letters(section.title).lstrip("0123456789") for section in document.sections}
        expected = [_text(title) for title in twin.iterfind(".//body//sec/title")]
        heads += expected
        missed += [title for title in expected if _letters(title).lstrip("0123456789") not in found]
        families = [
            _letters(_text(surname))
            for surname in twin.iterfind(
                ".//article-meta/contrib-group/contrib[@contrib-type='author']/name/surname"
            )
        ]
        authors += families
        printed = {_letters(part) for author in document.authors for part in _endings(author)}
        named += [family for family in families if family in printed]
    ids = sum(
        documents[row["file"]].id == f"DOI:{row['doi']}"
        for row in _manifest(data)
        if row["file"] in documents
    )
    yield Figure.value(
        "titles, of those with a twin", "%", 100 * titles / len(twins), 100, bound=Bound.AT_LEAST
    )
    yield Figure.value("DOIs", "%", 100 * ids / len(documents), 100, bound=Bound.AT_LEAST)
    yield Figure.value("authors", "%", 100 * len(named) / len(authors), 90, bound=Bound.AT_LEAST)
    note = "; ".join(missed)[:150]
    share = 100 * (1 - len(missed) / len(heads))
    yield Figure.value("section headings", "%", share, 85, note, bound=Bound.AT_LEAST)
    yield from _parts(twins, documents)


def _parts(twins: dict[str, etree._Element], documents: dict[str, Document]) -> Iterator[Figure]:
    """Yield which headings are none of the article's, and how cells of tables and cited titles are read."""
    false: list[str] = []
    cells = cells_found = titles = titles_found = titles_there = 0
    for name, twin in twins.items():
        document = documents[name]
        marked = {
            _letters(_text(title)).lstrip("0123456789") for title in twin.iter("title", "label")
        } | _COMMON
        false += [
            section.title
            for section in document.sections[1:]
            if section.title and _letters(section.title).lstrip("0123456789") not in marked
        ]
        expected = Counter(filter(None, (_letters(_text(cell)) for cell in twin.iter("td", "th"))))
        lines = [
            line
            for section in document.sections
            for block in section.blocks
            if block.kind is BlockKind.TABLE
            for line in document.text[block.start : block.end].split("\n")
        ]
        found = Counter(filter(None, (_letters(cell) for line in lines for cell in line.split("\t"))))
        cells += expected.total()
        cells_found += (expected & found).total()
        cited = {_letters(_text(title)) for title in twin.iterfind(".//ref-list//article-title")}
        read = {_letters(reference.title) for reference in document.references} - {""}
        titles += len(cited)
        titles_found += len(cited & read)
        titles_there += len(read)
    note = "; ".join(false)[:150]
    yield Figure.value("headings that are none of the article's", "headings", len(false), 7, note)
    note = f"{cells_found} of {cells}"
    yield Figure.value("table cells", "%", 100 * cells_found / cells, 95, note, bound=Bound.AT_LEAST)
    share = 100 * titles_found / titles
    note = f"{titles_found} of {titles}, {titles_there} read"
    yield Figure.value("titles of references", "%", share, 90, note, bound=Bound.AT_LEAST)


def _endings(author: str) -> list[str]:
    parts = author.split()
    return [" ".join(parts[start:]) for start in range(len(parts))]


def made_kept() -> dict[str, float]:
    """Return for each made layout which share of its words stands in order in the document.

    Words that it has besides, as numbers of lines and what is printed twice, count against it.
    """
    shares = {}
    for name, layout in MADE_LAYOUTS.items():
        prose = made_words(7, 1200)
        expected = words(" ".join([TITLE, *prose]))
        try:
            found = words(_parse(made_pdf(prose, layout)).text)
        except DocumentError:
            found = []
        shares[name] = ordered_recall(expected, found) * min(1.0, len(expected) / max(1, len(found)))
    return shares


def glyphs_kept(document: Document, content: bytes) -> float:
    """Return which share of the glyphs of all pages, in whatever direction, a document holds."""
    pdf = pdfium.PdfDocument(content)
    there: Counter[str] = Counter()
    for page in pdf:
        there += _glyphs(page.get_textpage().get_text_range())
    pdf.close()
    held = " ".join((document.text, *document.authors, *(item.text for item in document.references)))
    return (there & _glyphs(held)).total() / there.total()


def _glyphs(text: str) -> Counter[str]:
    return Counter("".join(unicodedata.normalize("NFKC", text).split()))


def _speed(data: Path) -> float:
    """Return how fast parsing is where reading the text with pypdfium2 alone is 1, in CPU time."""
    contents = [(data / "pdf" / row["file"]).read_bytes() for row in _manifest(data)]

    def read_all(read: Callable[[bytes], object]) -> float:
        return cpu_seconds(lambda: [read(content) for content in contents])

    return in_turn(lambda: read_all(_read_bare), lambda: read_all(_parse), _ROUNDS).ratio


def _read_bare(content: bytes) -> None:
    pdf = pdfium.PdfDocument(content)
    for page in pdf:
        text_page = page.get_textpage()
        text_page.get_text_range()
        text_page.close()
        page.close()
    pdf.close()


def _parse(content: bytes) -> Document:
    payload = Payload(id="made", format=PayloadFormat.PDF, content=content, source="files", origin="made")
    return ParseStage(ParseConfig()).parse(payload)


def _manifest(data: Path) -> list[dict[str, str]]:
    lines = (data / "pdf/MANIFEST.tsv").read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(lines, delimiter="\t"))


def _body(article: etree._Element) -> list[str]:
    body = article.find("body")
    return [] if body is None else words("".join(_prose(body)))


def _prose(element: etree._Element) -> Iterator[str]:
    """Yield the running text of an element, without tables, figures, formulas and citation marks."""
    kept = not (element.tag in _NOT_BODY or (element.tag == "xref" and element.get("ref-type") == "bibr"))
    if kept and isinstance(element.tag, str):
        block = element.tag in {"p", "title", "label"}
        yield "\n" if block else ""
        yield element.text or ""
        for child in element:
            yield from _prose(child)
        yield "\n" if block else ""
    yield element.tail or ""


def _text(element: etree._Element | None) -> str:
    return "" if element is None else " ".join("".join(map(str, element.itertext())).split())


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))
