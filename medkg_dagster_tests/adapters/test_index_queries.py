"""What a query says in words, and what of it is shown."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.adapters.index.query_language import Operand, parse_query
from medkg_dagster.stage_api import Chunk, EmbeddingBatch, IndexedDocument, SearchFilters, SearchRequest
from medkg_dagster_tests.adapters.index_places import Index, IndexPlace
from medkg_dagster_tests.adapters.test_sqlite_index import embed, make_chunk
from medkg_dagster_tests.postgresql import new_schema


def chunk(document: str, title: str, text: str, section: str = "Results", ordinal: int = 0) -> Chunk:
    return make_chunk(text, document, "a", ordinal).model_copy(update={"title": title, "section": section})


CHUNKS = [
    chunk("PMID:1", "Checkpoint inhibitors", "Lung cancer responds to anti-PD-1 antibodies.", ordinal=0),
    chunk("PMID:1", "Checkpoint inhibitors", "Colitis was treated with infliximab.", ordinal=1),
    chunk("PMID:2", "Infliximab in mice", "Cancer of the lung in mice. TNF-α was low."),
    chunk("PMID:3", "Étude française", "Le mélanome répond au nivolumab.", "Résumé"),
]
DOCUMENTS = [
    IndexedDocument(id="PMID:1", title="Checkpoint inhibitors", source="infores:pubmed", date="2016-03-01"),
    IndexedDocument(
        id="PMID:2", title="Infliximab in mice", source="infores:pmc", date="2020", synthetic=True
    ),
    IndexedDocument(id="PMID:3", title="Étude française", language="fr", phases=("PHASE1", "PHASE2")),
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    with ExitStack() as opened:
        url = None
        if request.param == "postgresql":
            url = opened.enter_context(new_schema(request.getfixturevalue("postgresql_server")))
        place = IndexPlace(tmp_path_factory.mktemp("index"), url)
        store = opened.enter_context(closing(place.open()))
        store.apply({one.id: "h" for one in DOCUMENTS}, (), CHUNKS, embed(CHUNKS), DOCUMENTS)
        yield store


def found(index: Index, text: str, filters: SearchFilters | None = None) -> set[str]:
    request = SearchRequest(text, filters=filters or SearchFilters())
    return {hit.document.id.removeprefix("PMID:") for hit in index.search(request).hits}


@pytest.mark.parametrize(
    ("query", "documents"),
    [
        ("lung cancer", "12"),
        ('"lung cancer"', "1"),
        ('"cancer of the lung"', "2"),
        ("cancer -mice", "1"),
        ('cancer -"lung cancer"', "2"),
        ("nivolumab OR colitis", "13"),
        ('"lung cancer" OR "cancer of the lung"', "12"),
        ("infliximab nivolumab OR mice", "23"),
        ("-mice", ""),
        ("OR", ""),
        ("tnf-alpha", "2"),
        ("TNFα", "2"),
        ("PD1", "1"),
        ("melanome", "3"),
        ('"lung cancer', "12"),
        ("resume", "3"),
        ("checkpoint", "1"),
    ],
)
def test_a_query_is_understood_in_words(index: Index, query: str, documents: str) -> None:
    assert found(index, query) == set(documents)


@pytest.mark.parametrize(
    ("filters", "documents"),
    [
        ({"sources": {"infores:pubmed"}}, "1"),
        ({"sources": {"infores:pubmed", "infores:pmc"}}, "12"),
        ({"since": 2017}, "2"),
        ({"until": 2016}, "1"),
        ({"since": 2016, "until": 2020}, "12"),
        ({"languages": {"fr"}}, "3"),
        ({"phases": {"PHASE2"}}, "3"),
        ({"phases": {"PHASE"}}, ""),
        ({"synthetic": False}, "13"),
        ({"synthetic": True}, "2"),
        ({"documents": {"PMID:1", "PMID:3"}}, "13"),
        ({"documents": ()}, ""),
    ],
)
def test_filters_leave_out_what_does_not_pass_them(
    index: Index, filters: dict[str, object], documents: str
) -> None:
    chosen = SearchFilters.model_validate(filters)

    assert found(index, "infliximab nivolumab", chosen) == set(documents)
    assert {one.id.removeprefix("PMID:") for one in DOCUMENTS if chosen.lets_pass(one)} == set(documents)


def test_a_document_is_shown_once_with_the_passage_that_says_most(index: Index) -> None:
    hits = {hit.document.id: hit for hit in index.search(SearchRequest("infliximab colitis")).hits}

    assert hits["PMID:1"].passage == CHUNKS[1]
    assert hits["PMID:2"].passage == CHUNKS[2]
    assert hits["PMID:2"].title_marks == ((0, 10),)
    assert hits["PMID:1"].document == DOCUMENTS[0]


def test_the_words_of_a_query_are_marked_however_they_are_written(index: Index) -> None:
    (hit,) = index.search(SearchRequest("pd1 antibody responding")).hits

    marked = [hit.passage.text[start:end] for start, end in hit.marks]
    assert marked == ["responds", "anti-PD-1", "antibodies"]


def test_words_that_no_document_has_are_named_and_have_no_neighbours(place: IndexPlace) -> None:
    with closing(place.open()) as index:
        vectors = np.eye(len(CHUNKS), 4, dtype=np.float32)
        batch = EmbeddingBatch(tuple(one.id for one in CHUNKS), vectors, "m:{}", lexical=False)
        index.upsert(CHUNKS, batch)

        nothing = index.search(SearchRequest("xyzzyplugh", vectors[0]))
        some = index.search(SearchRequest("xyzzyplugh mice", vectors[0]))

    assert (nothing.hits, nothing.total, nothing.unknown) == ((), 0, ("xyzzyplugh",))
    assert [hit.document.id for hit in some.hits] == ["PMID:1", "PMID:2"]
    assert (some.total, some.unknown) == (1, ("xyzzyplugh",))
    assert (some.hits[0].word_rank, some.hits[0].vector_rank) == (None, 1)


def test_pages_follow_one_another(index: Index) -> None:
    whole = index.search(SearchRequest("infliximab nivolumab cancer")).hits
    pages = [
        index.search(SearchRequest("infliximab nivolumab cancer", limit=1, offset=at)).hits for at in range(4)
    ]

    assert [hit for page in pages for hit in page] == list(whole)


def test_operands_are_read_as_they_are_written() -> None:
    query = parse_query('a "b c" OR d -e -"f g" h-i OR')

    assert [one.text for one in query.ranking] == ["a", "b c", "d", "h-i"]
    assert query.required == ((Operand("b c", is_phrase=True), Operand("d")),)
    assert query.excluded == (Operand("e"), Operand("f g", is_phrase=True))


@given(st.text(max_size=80))
def test_any_text_is_a_query(text: str) -> None:
    query = parse_query(text)

    assert all(operand.text for operand in (*query.ranking, *query.excluded))
