"""The page of a neighbourhood: whole in itself, with every sentence, safe whatever the texts hold."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.graph_page import neighbourhood_page
from medkg_dagster.query import ClaimFilter, NeighbourAnswer, Stores
from medkg_dagster_tests.query.made_home import BLOCKS, CAUSES, DENIES, FIRST, TREATS

EVERYTHING = ClaimFilter(mentions=True)
REACHES_OUT = {"src", "srcset", "data", "action", "formaction", "poster", "xlink:href", "background"}


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self._within = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._within = tag

    def handle_endtag(self, tag: str) -> None:
        assert tag
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within == "script":
            self.scripts.append(data)
        self.text.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(stores: Stores, name: str) -> Page:
    return Page(neighbourhood_page(stores.neighbours(name, which=EVERYTHING, evidence=50)))


def test_every_sentence_is_there_with_its_document(stores: Stores) -> None:
    page = page_of(stores, "dabrafenib")
    said = "".join(page.text)

    for sentence in (TREATS.sentence, DENIES.sentence, CAUSES.sentence):
        assert sentence in said
    assert said.count(TREATS.sentence) >= 2
    assert "PMID:1 · characters 0–29 · CC0" in said
    assert {FIRST.url} <= {link.get("href") for link in page.of("a")}
    assert BLOCKS.sentence not in said


def test_each_edge_leads_to_its_statement_and_is_drawn_as_it_is_held(stores: Stores) -> None:
    page = page_of(stores, "dabrafenib")
    statements = {one["id"]: one for one in page.of("details")}
    edges = {
        str(one["href"]).removeprefix("#"): one for one in page.of("a") if "edge" in (one.get("class") or "")
    }

    assert edges.keys() == statements.keys()
    kinds = {one["aria-label"]: str(one["class"]).split()[1] for one in edges.values()}
    assert kinds["Dabrafenib – treats – Melanoma"] == "stated"
    assert kinds["Dabrafenib – does not: treats – Melanoma"] == "denied"
    assert kinds["Dabrafenib – causes – Colitis (possible)"] == "possible"
    assert "×" in "".join(page.text)
    assert "synthetic" in "".join(page_of(stores, "PD-1").text)


def test_the_page_reaches_for_nothing_outside_itself(stores: Stores) -> None:
    page = page_of(stores, "melanoma")

    for tag, attributes in page.tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        assert not REACHES_OUT & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
    (policy,) = [one["content"] or "" for one in page.of("meta") if "http-equiv" in one]
    assert policy.startswith("default-src 'none'")
    script = "".join(page.scripts)
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    style = re.search("<style>(.*?)</style>", neighbourhood_page(stores.neighbours("melanoma")), re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


@pytest.fixture(scope="module")
def answer(made_stores: Stores) -> NeighbourAnswer:
    return made_stores.neighbours("melanoma", which=EVERYTHING, evidence=50)


HOSTILE = st.one_of(
    st.sampled_from(
        [
            "</script><script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "</style>",
            "<!--",
            "javascript:alert(1)",
            "' onload='x",
            "]]>",
            "&lt;b&gt;",
        ]
    ),
    st.text(max_size=40),
)


@given(name=HOSTILE, sentence=HOSTILE, title=HOSTILE, url=HOSTILE, predicate=HOSTILE)
def test_no_text_becomes_markup(
    answer: NeighbourAnswer, name: str, sentence: str, title: str, url: str, predicate: str
) -> None:
    first = answer.neighbours[0]
    document = first.evidence[0].document.model_copy(update={"title": title, "url": url, "id": name})
    evidence = first.evidence[0].model_copy(update={"sentence": sentence, "document": document})
    other = first.subject.model_copy(update={"name": name, "id": name})
    hostile = first.model_copy(update={"subject": other, "predicate": predicate, "evidence": (evidence,)})
    node = answer.node.model_copy(update={"name": name})
    page = Page(neighbourhood_page(answer.model_copy(update={"neighbours": (hostile,), "node": node})))

    plain = Page(neighbourhood_page(answer.model_copy(update={"neighbours": (first,)})))
    allowed = {tag for tag, _ in plain.tags} | {"p", "i", "q"}
    assert {tag for tag, _ in page.tags} <= allowed
    assert len(page.of("script")) == len(page.of("style")) == 1
    for _, attributes in page.tags:
        assert not any(key.startswith("on") for key in attributes)
        assert not (attributes.get("href") or "#").lower().lstrip().startswith(("javascript", "data"))


def test_what_is_not_in_the_file_is_said(stores: Stores) -> None:
    answer = stores.neighbours("melanoma", limit=2, evidence=1)
    said = "".join(Page(neighbourhood_page(answer)).text)

    assert "2 statements of 6" in said
    assert "1 sentence more, not in this file" in said
    for sentence in answer.cut:
        assert sentence in said
