"""The path language that finds addresses in payloads, and the real records it is for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.errors import UnreadableDocumentError, UnsafeDocumentError
from medkg_dagster.stage_api import Payload, PayloadFormat
from medkg_dagster.stages.download import DEFAULT_EXTRACTORS
from medkg_dagster.stages.download.url_paths import UrlPath, find_addresses, parse_extractor

DEFAULTS = tuple(map(UrlPath.parse, DEFAULT_EXTRACTORS))

keys = st.text(st.characters(codec="utf-8", exclude_characters=".[]=*@"), min_size=1, max_size=8)
values = st.text(st.characters(codec="utf-8", exclude_characters="[]"), max_size=8)
steps = st.builds(
    lambda name, filters: name + "".join(f"[{key}={value}]" for key, value in filters),
    keys | st.just("*") | st.integers(0, 20).map(str),
    st.lists(st.tuples(keys, values), max_size=2),
)
paths = st.lists(steps, min_size=1, max_size=5).map(".".join)
trees: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


def find(content: Any, *path: str, given: tuple[str, ...] = ()) -> tuple[str, ...]:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    payload = Payload(id="x", format=PayloadFormat.STUDY_JSON, content=data, source="test", origin="memory")
    return find_addresses(payload, tuple(map(parse_extractor, path)) or DEFAULTS, given)


@given(paths)
def test_a_path_reads_back_as_it_was_written(text: str) -> None:
    assert str(UrlPath.parse(text)) == text


@given(st.text(max_size=20))
def test_any_text_is_a_path_or_a_clear_error(text: str) -> None:
    try:
        assert str(UrlPath.parse(text)) == text
    except ValueError as error:
        assert repr(text) in str(error)  # noqa: PT017 - both ways are right


@given(paths, trees)
def test_no_content_makes_a_path_fail(text: str, tree: Any) -> None:
    assert all(isinstance(found, str) for found in UrlPath.parse(text).in_json(tree))


def leaves(tree: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(tree, str) and place:
        yield place, tree
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, inner in items:
        yield from leaves(inner, (*place, str(key)))


@given(trees)
def test_every_text_is_found_by_its_own_path_and_by_one_with_stars(tree: Any) -> None:
    for place, text in leaves(tree):
        assert list(UrlPath.parse(".".join(place)).in_json(tree)) == [text]
        assert text in list(UrlPath.parse(".".join("*" * len(place))).in_json(tree))


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "a[b]", "a[b=c", "a]b", "[a=b]", "@a.b", "a[b=c]d"]
)
def test_what_is_no_path_says_so(text: str) -> None:
    with pytest.raises(ValueError, match="path"):
        UrlPath.parse(text)


def test_filters_choose_among_items() -> None:
    record = {
        "link": [
            {"URL": "http://a/1", "content-type": "text/html"},
            {"URL": "http://a/2", "content-type": "application/pdf", "best": True, "rank": 1},
            {"URL": "http://a/3", "content-type": "application/pdf", "best": False},
            "no object",
        ]
    }

    assert find(record, "link[content-type=application/pdf].URL") == ("http://a/2", "http://a/3")
    assert find(record, "link[content-type=application/pdf][best=true].URL") == ("http://a/2",)
    assert find(record, "link.*[rank=1].URL") == ("http://a/2",)
    assert find(record, "link.0.URL") == ("http://a/1",)
    assert find(record, "link.9.URL", "link.URL") == ()


def test_xml_is_searched_by_local_names() -> None:
    article = b"""<article xmlns:xlink="http://www.w3.org/1999/xlink"><front><article-meta>
        <self-uri content-type="html" xlink:href="https://a/1"/>
        <self-uri content-type="pdf" xlink:href="https://a/2"/>
        <uri>  https://a/3 <!-- x --> </uri></article-meta></front></article>"""

    meta = "article.front.article-meta"
    assert find(article, f"{meta}.self-uri.@href") == ("https://a/1", "https://a/2")
    assert find(article, f"{meta}.self-uri[content-type=pdf].@href") == ("https://a/2",)
    assert find(article, "*.*.*.1.@href") == ("https://a/2",)
    assert find(article, f"{meta}.uri") == ("https://a/3",)
    assert find(article, "book.front.@href") == ()


def test_addresses_come_once_in_order_the_given_ones_first() -> None:
    record = {"a": ["https://a/2", " https://a/1 ", "//a/3", "elife.pdf", "info:doi/10.1/x", "", None, 7]}

    found = find(record, "a.*", given=("https://a/0", "https://a/1"))

    assert found == ("https://a/0", "https://a/1", "https://a/2", "https://a/3")


@pytest.mark.parametrize("content", [b'{"a": ', b"[" * 100_000, b'{"a": "\xff"}', b"<article>"])
def test_content_that_cannot_be_read_is_the_documents_fault(content: bytes) -> None:
    with pytest.raises(UnreadableDocumentError):
        find(content, "a")


def test_content_that_would_exhaust_memory_is_refused() -> None:
    with pytest.raises(UnsafeDocumentError):
        find(b'<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>', "a")


def load(folder: Path, pattern: str) -> list[Any]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob(pattern))]


def test_real_records_give_their_files(shared_data: Path) -> None:
    (work,) = load(shared_data / "openalex", "work_*.json")
    (page,) = load(shared_data / "openalex", "works_page*.json")
    (crossref,) = load(shared_data / "crossref_unpaywall", "*crossref_works_10_1038*.json")
    (unpaywall,) = load(shared_data / "crossref_unpaywall", "*unpaywall_v2_search_query_Augm*.json")
    (scholar,) = load(shared_data / "semanticscholar", "biomcp*.json")
    papers = _scholar_papers(scholar)

    assert find(work)[0] == "https://peerj.com/articles/4375.pdf"
    assert len(find(work)) == len(set(find(work)))
    assert any(find(item) for item in page["results"])
    assert find(crossref["message"]) == ("https://www.nature.com/articles/s42256-024-00832-8.pdf",)
    found = [find(item["response"]) for item in unpaywall["results"]]
    assert "https://www.nature.com/articles/s42256-024-00832-8.pdf" in [urls[0] for urls in found if urls]
    assert any(find(paper) for paper in papers)


def _scholar_papers(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        inner = [paper for value in tree.values() for paper in _scholar_papers(value)]
        return [tree, *inner] if "openAccessPdf" in tree else inner
    return [paper for item in tree for paper in _scholar_papers(item)] if isinstance(tree, list) else []


def test_every_real_record_is_searched_without_error(shared_data: Path) -> None:
    for name in ("openalex", "europepmc", "crossref_unpaywall", "semanticscholar"):
        for record in load(shared_data / name, "*.json"):
            assert all(url.startswith("http") for url in find(record))


def test_real_articles_name_their_pages(shared_data: Path) -> None:
    article = (shared_data / "jats" / "10.1186_1471_2180_11_174.xml").read_bytes()

    found = find(article, "article.front.article-meta.self-uri.@href")

    assert found == ("http://www.biomedcentral.com/1471-2180/11/174",)


FULL_TEXT = "https://www.ebi.ac.uk/europepmc/webservices/rest/{pmcid}/fullTextXML"


def test_a_template_is_filled_from_the_record_and_quoted() -> None:
    assert find({"pmcid": "PMC/7 1"}, FULL_TEXT) == (
        "https://www.ebi.ac.uk/europepmc/webservices/rest/PMC%2F7%201/fullTextXML",
    )


def test_a_template_gives_nothing_where_the_record_does_not_have_all_it_needs() -> None:
    assert find({"pmid": "1"}, FULL_TEXT, "pdf_url") == ()


@pytest.mark.parametrize("template", ["https://host/{pmcid", "https://host/}x{a}", "https://host/{}"])
def test_a_template_with_broken_braces_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"brace|no path"):
        parse_extractor(template)
