"""Pages in the markup of large sites: one invented article, and what each site puts into and around it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medkg_dagster.domain.documents import UNEXPLAINED
from medkg_dagster.stage_api import BlockKind, Document, PayloadFormat
from medkg_dagster_tests.stages.real_payloads import parse_one

PAGES = sorted((Path(__file__).parent / "publisher_pages").glob("*.html"))
ALL = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
TABLES = pytest.mark.parametrize("page", [page for page in PAGES if "<table" in page.read_text()])
ARTICLE = (
    "Chronic inflammation of the airways raises the risk of exacerbations in adults with asthma, and inhaled "
    "corticosteroids reduce that risk as several trials have shown. We asked whether budesonide does so in "
    "smokers."
)
RESULTS = re.compile(
    r"Patients who were given budesonide had fewer exacerbations \(rate ratio 0\.62, 95% CI 0\.50 to 0\.77\)"
    r"(?: \((?:Lee, 2005|Figure 1)\))?\. Adverse events were as frequent in both groups, and no patient died"
)
FURNITURE = re.compile(
    r"cookie|consent|skip to|open in|full[- ]size|download|view (?:inline|popup|abstract|orcid)"
    r"|powerpoint|scholar"
    r"|OpenUrl|fish|cites this one|official website|rockville|recommended|similar content|metrics"
    r"|accesses|posted",
    re.IGNORECASE,
)


def parse(page: Path) -> Document:
    return parse_one(page.read_bytes(), PayloadFormat.HTML)


def blocks(document: Document, kind: BlockKind) -> list[str]:
    spans = (block for section in document.sections for block in section.blocks if block.kind is kind)
    return [document.text[block.start : block.end] for block in spans]


@ALL
def test_the_article_is_whole_and_nothing_else_is_text(page: Path) -> None:
    document = parse(page)

    assert document.title == "Budesonide in smokers with asthma"
    assert document.text.count(ARTICLE) == 2
    assert RESULTS.search(document.text)
    assert FURNITURE.findall(document.text) == []
    assert document.text_kept is not None
    assert UNEXPLAINED not in document.text_kept.left_out


@ALL
def test_captions_are_such_with_their_numbers_and_words_apart(page: Path) -> None:
    captions = " ".join(blocks(parse(page), BlockKind.CAPTION))

    assert re.search(r"(?i)\bfig(?:ure|\.)? 1\.? Flow of patients through the trial", captions)
    if "Characteristics of patients" in page.read_text():
        assert re.search(r"(?i)\btable 1\.? Characteristics of patients", captions)


@ALL
def test_references_have_title_and_year_and_nothing_of_the_links_beside_them(page: Path) -> None:
    document = parse(page)

    assert [(item.title, item.year) for item in document.references] == [
        ("Steroids in asthma", 2001),
        ("Smoking and lungs", 2005),
    ]
    for item in document.references:
        assert not re.search(r"[\[\]]|Scholar|CAS|PubMed|View|OpenUrl", item.text)


@TABLES
def test_the_mark_of_a_note_is_no_part_of_a_word(page: Path) -> None:
    document = parse(page)

    (table,) = blocks(document, BlockKind.TABLE)
    assert re.fullmatch(r"Group\tAge\nBudesonide(?:\^a| 1)?\t41\.2", table)
    assert re.search(r"(?:^|\s)Given twice a day", document.text)


FRONT = re.compile(r"Ann Roe|Rome|a@r\.it|Received|Published|Split View|Permissions|Volume 140|Cite\b")


def test_what_stands_between_the_heading_and_the_abstract_is_no_text() -> None:
    document = parse(next(page for page in PAGES if page.stem == "oup"))

    assert FRONT.findall(document.text) == []
    assert document.authors == ("Ann Roe", "Ben Poe")
    assert document.text_kept is not None
    assert document.text_kept.left_out["authors and addresses"] > 50


HEAD = "<head><title>Aspirin in stroke</title><meta name='citation_author' content='Roe, A'>"


def front(between: str) -> str:
    page = f"{HEAD}</head><body><main><h1>Aspirin in stroke</h1>{between}<h2>Abstract</h2><p>It helps.</p>"
    return parse_one(page, PayloadFormat.HTML).text.removeprefix("Aspirin in stroke").strip()


@pytest.mark.parametrize(
    "kept",
    [
        "<div><p>Ann Roe</p><p>It is not known whether aspirin helps <b>those</b> who had it once.</p></div>",
        "<p>Ann Roe</p><p>Keywords: stroke</p>",
        "<ul><li>Ann Roe</li></ul><figure><figcaption>Curves of all</figcaption></figure>",
        "<div>Ann Roe</div><table><tr><td>Arm</td><td>n</td></tr><tr><td>A</td><td>5</td></tr></table>",
        "<div>Ann Roe</div><h2>Highlights</h2><ul><li>Aspirin helps</li></ul>",
    ],
)
def test_prose_tables_captions_and_key_words_before_an_abstract_are_text(kept: str) -> None:
    text = front(kept)

    assert "Ann Roe" not in text
    assert len(text.split("\n\n")) == 3 + ("Highlights" in kept)
    assert "It helps." in text


def test_a_page_without_an_abstract_or_without_a_head_that_names_an_article_is_read_whole() -> None:
    page = "<body><h1>Aspirin in stroke</h1><p>Ann Roe</p><h2>{}</h2><p>It helps.</p>"

    assert "Ann Roe" in parse_one(page.format("Abstract"), PayloadFormat.HTML).text
    assert "Ann Roe" in parse_one(HEAD + page.format("Of doses"), PayloadFormat.HTML).text
