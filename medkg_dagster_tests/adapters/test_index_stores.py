"""What every index store does, on each of them."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medkg_dagster.adapters.embedders.hashing import HashingEmbedder, HashingParameters
from medkg_dagster.errors import StoreError
from medkg_dagster.stage_api import EmbeddingBatch
from medkg_dagster_tests.adapters.index_places import Index, IndexPlace
from medkg_dagster_tests.adapters.test_sqlite_index import CHUNKS, EMBEDDER, embed, hits, ids, make_chunk


def test_a_hit_is_the_whole_chunk_with_its_ranks(index: Index) -> None:
    receipt = index.upsert(CHUNKS, embed(CHUNKS))

    hit = hits(index, "melanoma", EMBEDDER.embed(["melanoma"])[0], 5)[0]

    assert hit.passage == CHUNKS[0]
    assert (hit.word_rank, hit.vector_rank) == (1, 1)
    assert [hit.passage.text[start:end] for start, end in hit.marks] == ["melanoma"]
    assert (receipt.documents, receipt.chunks_indexed, receipt.chunks_removed) == (3, 3, 0)
    assert receipt.embedding_model == index.embedding_model() == EMBEDDER.model


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("PD-1", "PMID:1"),
        ("PD1 blockade", "PMID:1"),
        ("anti-PD-1", "PMID:1"),
        ("BRAF V600E", "PMID:2"),
        ("braf-v600e", "PMID:2"),
        ("melanomas", "PMID:1"),
        ("type-2 diabetes?", "PMID:3"),
    ],
)
def test_biomedical_terms_are_found_however_they_are_written(index: Index, query: str, document: str) -> None:
    index.upsert(CHUNKS, embed(CHUNKS))

    assert hits(index, query, None, 1)[0].document.id == document


def test_ligatures_are_searched_as_letters_and_kept_as_written(index: Index) -> None:
    chunks = [
        make_chunk("E\ufb03cacy of \ufb01brates.", "PMID:1"),
        make_chunk("Efficacy of fibrates.", "PMID:2"),
    ]
    index.upsert(chunks, embed(chunks))

    for query in ("efficacy", "\ufb01brates"):
        assert {hit.document.id for hit in hits(index, query, None, 5)} == {"PMID:1", "PMID:2"}
    assert hits(index, "fibrates", None, 5)[0].passage.text in {chunk.text for chunk in chunks}
    index.upsert(
        [make_chunk("Nothing more.", "PMID:1", "b")], embed([make_chunk("Nothing more.", "PMID:1", "b")])
    )
    assert [hit.document.id for hit in hits(index, "efficacy", None, 5)] == ["PMID:2"]


NASTY = [
    '"',
    "'",
    "\"'); DROP TABLE chunks; --",
    "NEAR(a b)",
    "a AND",
    "OR",
    "title:x",
    "*",
    "^a",
    "-",
    "()",
    "\x00",
]


@settings(
    max_examples=100 if settings().derandomize else 1000,  # `make soak` draws more
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    query=st.one_of(
        st.text(max_size=60), st.sampled_from([*NASTY, "😀", "", "a\x00b", "\ud800", "x " * 5000])
    )
)
def test_any_text_is_a_valid_query(index: Index, query: str) -> None:
    index.upsert(CHUNKS, embed(CHUNKS))

    hits(index, query, EMBEDDER.embed([query])[0], 5)

    assert hits(index, "melanoma", None, 5)


def test_function_words_are_searched_for_only_where_there_are_no_others(index: Index) -> None:
    index.upsert(CHUNKS, embed(CHUNKS))

    assert sorted(ids(index, "in")) == ["PMID:1", "PMID:3"]
    assert ids(index, "glucose in diabetes") == ["PMID:3"]
    assert ids(index, " -- 😀 _ ") == []


def test_an_empty_batch_makes_an_empty_index(index: Index) -> None:
    receipt = index.upsert([], EmbeddingBatch((), np.zeros((0, 0), np.float32), "m", True))

    assert receipt.chunks_indexed == 0
    assert index.embedding_model() is None
    assert hits(index, "x", np.ones(3, np.float32), 5) == ()


def test_the_same_chunks_again_change_nothing(index: Index, place: IndexPlace) -> None:
    index.upsert(CHUNKS, embed(CHUNKS))
    before = place.content()

    receipt = index.upsert(CHUNKS, embed(CHUNKS))

    assert place.content() == before
    assert (receipt.chunks_indexed, receipt.chunks_removed) == (3, 0)


def test_chunks_of_another_version_or_another_cut_of_a_document_are_removed(
    index: Index, place: IndexPlace
) -> None:
    old = [make_chunk("old one", ordinal=0), make_chunk("old two", ordinal=1), CHUNKS[1]]
    index.upsert(old, embed(old))
    new = [make_chunk("new one", version="b")]

    receipt = index.upsert(new, embed(new))

    assert receipt.chunks_removed == 2
    assert place.texts() == ["new one", CHUNKS[1].text]
    assert hits(index, "old", None, 5) == ()
    assert len(hits(index, "new", None, 5)) == 1


def test_a_changed_heading_of_the_same_chunk_is_written(index: Index) -> None:
    index.upsert(CHUNKS, embed(CHUNKS))
    renamed = [CHUNKS[0].model_copy(update={"section": "Discussion"})]

    index.upsert(renamed, embed(renamed))

    assert hits(index, "discussion", None, 5)[0].passage == renamed[0]


def test_a_query_vector_is_only_compared_with_vectors_of_its_model(index: Index) -> None:
    other = HashingEmbedder(HashingParameters(dimension=64))
    index.upsert(CHUNKS[:2], embed(CHUNKS[:2]))
    index.upsert(CHUNKS[2:], embed(CHUNKS[2:], other))

    assert index.embedding_model() == EMBEDDER.model
    vector = EMBEDDER.embed([CHUNKS[2].text])[0]
    assert all(
        hit.vector_rank is None
        for hit in hits(index, CHUNKS[2].text, vector, 5)
        if hit.document.id == "PMID:3"
    )
    with pytest.raises(StoreError, match="shape"):
        hits(index, "glucose", other.embed(["glucose"])[0], 5)


def test_embedding_again_with_another_model_replaces_the_vectors(index: Index, place: IndexPlace) -> None:
    other = HashingEmbedder(HashingParameters(dimension=64))
    index.upsert(CHUNKS, embed(CHUNKS))

    index.upsert(CHUNKS, embed(CHUNKS, other))

    assert index.embedding_model() == other.model
    assert EMBEDDER.model not in repr(place.content())


def test_documents_without_vectors_are_found_by_words_and_get_some_later(index: Index) -> None:
    none = EmbeddingBatch(
        tuple(chunk.id for chunk in CHUNKS), np.zeros((len(CHUNKS), 0), np.float32), "none:{}", lexical=True
    )
    index.upsert(CHUNKS, none)
    found = ids(index, "melanoma")

    assert index.embedding_model() is None
    assert found
    index.upsert(CHUNKS, embed(CHUNKS))
    assert index.embedding_model() == EMBEDDER.model
    index.upsert(CHUNKS, none)
    assert index.embedding_model() is None
    assert ids(index, "melanoma") == found


@pytest.mark.parametrize("change", ["missing", "foreign", "rows"])
def test_vectors_that_do_not_fit_the_chunks_are_refused(index: Index, change: str) -> None:
    batch = embed(CHUNKS)
    ids = {
        "missing": batch.chunk_ids[:2],
        "foreign": (*batch.chunk_ids[:2], "f" * 32),
        "rows": batch.chunk_ids,
    }
    rows = batch.vectors[:2] if change in {"missing", "rows"} else batch.vectors

    with pytest.raises(StoreError, match="run the embed stage again"):
        index.upsert(CHUNKS, EmbeddingBatch(ids[change], rows, batch.model, True))


def test_one_model_name_for_two_lengths_is_refused_and_nothing_is_written(
    index: Index, place: IndexPlace
) -> None:
    index.upsert(CHUNKS[:1], embed(CHUNKS[:1]))
    before = place.content()
    ids = (CHUNKS[1].id,)

    with pytest.raises(StoreError, match="must not share a name"):
        index.upsert(CHUNKS[1:2], EmbeddingBatch(ids, np.ones((1, 3), np.float32), EMBEDDER.model, True))

    assert place.content() == before
