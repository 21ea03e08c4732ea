"""Values taken apart by document and put together, and what a stage is given of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.domain import Value
from medkg_dagster.errors import (
    ConfigError,
    StageContractError,
    StoreError,
)
from medkg_dagster.stage_api import (
    CountedItems,
    Document,
    DocumentContext,
    DocumentValues,
    EmbeddingBatch,
    MemoryPart,
    StageContext,
)
from medkg_dagster.stage_api._document_loop import document_tasks
from medkg_dagster.stage_api._documents import by_document, header_of, split_value, whole_value
from medkg_dagster.stage_api.testing import example_document
from medkg_dagster_tests.stage_api.split_stage import (
    METADATA,
    WORDS,
    Word,
    Work,
    documents,
    split_one,
    split_text,
    texts,
    work,
)


class Heading(Value):
    """An item with a field that is called as the method of documents is."""

    document_id: str
    header: str


# Items that count something


def test_counts_of_items_are_in_their_header_and_added_up_over_documents() -> None:
    items = [Word(document_id="a", text="x")]
    parts = [
        MemoryPart("a", "words", CountedItems(items, {"empty": 2, "long": 1}), WORDS),
        MemoryPart("b", "words", CountedItems((), {"long": 4}), WORDS),
        MemoryPart("c", "words", CountedItems(items, {}), WORDS),
        MemoryPart("d", "words", tuple(items), WORDS),
    ]
    values = DocumentValues(parts, WORDS)

    assert parts[0].header == {"items": 1, "counts": {"empty": 2, "long": 1}}
    assert list(values.counts.items()) == [("long", 5), ("empty", 2)]
    assert values.items == 3
    assert CountedItems(items, {"empty": 2}) == tuple(items)


# Values by document


@given(st.lists(st.builds(Word, document_id=st.sampled_from("abc"), text=st.text(max_size=2))))
def test_a_value_taken_apart_and_put_together_holds_the_same_items(words: list[Word]) -> None:
    values = split_value("words", tuple(words), WORDS)

    assert values is not None
    assert [part.document_id for part in values] == list(dict.fromkeys(word.document_id for word in words))
    for part in values:
        assert part.load() == tuple(word for word in words if word.document_id == part.document_id)
    order = list(values.by_id())
    assert values.whole() == tuple(sorted(words, key=lambda word: order.index(word.document_id)))


@given(st.lists(st.sampled_from("abc")))
def test_documents_are_parts_one_by_one_even_where_two_have_one_id(names: list[str]) -> None:
    found = tuple(example_document(name).model_copy(update={"id": name}) for name in names)
    values = split_value("document", found, tuple[Document, ...])

    assert values is not None
    assert [part.document_id for part in values] == names
    assert values.whole() == found
    assert values.by_id().keys() == set(names)


@given(st.lists(st.integers(0, 3), max_size=5))
def test_vectors_by_document_are_put_together_in_their_order(sizes: list[int]) -> None:
    rows = sum(sizes)
    ids = tuple(map(str, range(rows)))
    whole = EmbeddingBatch(ids, np.arange(rows * 2, dtype=np.float32).reshape(rows, 2), "model", lexical=True)
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    parts = [whole.of_rows(range(start, start + size)) for start, size in zip(starts, sizes, strict=True)]

    joined = EmbeddingBatch.joined(parts)

    assert joined.chunk_ids == ids
    assert joined.vectors.tolist() == whole.vectors.tolist()
    assert (joined.model, joined.lexical) == (("model", True) if parts else ("", False))


def test_vectors_of_several_models_are_not_put_together() -> None:
    parts = [EmbeddingBatch((), np.zeros((0, 2), np.float32), model, lexical=False) for model in ("b", "a")]

    with pytest.raises(StoreError, match="several models are no batch: a and b"):
        EmbeddingBatch.joined(parts)


@pytest.mark.parametrize("value", [("a", "b"), {"a": 1}, "text", 7, None])
def test_what_knows_no_document_is_one_unit(value: object) -> None:
    assert by_document("value", value) is value
    assert whole_value(value) is value


def test_equal_parts_have_equal_versions_and_others_have_others() -> None:
    first, other = documents("One.", "Two.")

    def version(value: object, key: str = "document") -> str:
        return MemoryPart("a", key, (value,), tuple[Document, ...]).version

    assert version(first) == version(first.model_copy(), "article")
    assert version(first) != version(other)


def test_a_header_tells_of_a_document_all_but_its_content() -> None:
    (document,) = documents("A long text.")

    header = header_of((document,))

    assert (header["id"], header["content_hash"]) == ("a", document.content_hash)
    assert header["characters"] == len(document.text)
    assert header.keys().isdisjoint({"text", "annotations", "authors"})
    assert header_of(split_text(document)) == {"items": len(split_text(document))}
    assert header_of((Heading(document_id="a", header="of a table"),)) == {"items": 1}
    assert header_of(7) == {}


# Inputs


def test_inputs_meet_by_document_and_an_input_that_is_one_unit_is_of_every_document() -> None:
    seen: list[tuple[str, list[str], object]] = []

    def execute(_ctx: DocumentContext, *, document: Document, words: WORDS, stop: object) -> WORDS:
        seen.append((document.id, [word.text for word in words], stop))
        return words

    words = (*split_text(documents("", "two three")[1]), Word(document_id="c", text="x"))
    inputs = {"document": documents("one", "two three"), "words": words, "stop": ("the",)}

    work(Work(execute), inputs)

    assert seen == [("a", [], ("the",)), ("b", ["two", "three"], ("the",))]


@pytest.mark.parametrize(
    ("others", "expected"),
    [({}, None), ({"words": ()}, ()), ({"words": split_text(documents("x")[0])}, ("x",))],
)
def test_an_optional_input_is_none_without_a_writer_and_empty_where_the_writer_says_nothing(
    others: dict[str, Any], expected: object
) -> None:
    seen: list[object] = []

    def execute(_ctx: DocumentContext, document: Document, words: WORDS | None = None) -> WORDS:
        del document
        seen.append(words and tuple(word.text for word in words))
        return ()

    work(Work(execute), {"document": documents("one"), **others})

    assert seen == [expected]


def test_a_document_that_another_input_does_not_have_is_none() -> None:
    seen: list[tuple[str, bool]] = []

    def execute(_ctx: DocumentContext, words: WORDS, document: Document | None) -> WORDS:
        seen.append((words[0].document_id, document is not None))
        return words

    found = documents("one", "two")
    words = (*split_text(found[1]), Word(document_id="z", text="x"))
    work(Work(execute), {"words": words, "document": found})

    assert seen == [("b", True), ("z", False)]


def test_a_stage_whose_inputs_are_all_units_is_told_so() -> None:
    with pytest.raises(StageContractError, match=r"none of its inputs \(stop\) is kept by document"):
        work(Work(split_one), {"stop": ("the",)})


def test_the_version_of_the_inputs_changes_with_each_of_them() -> None:
    def version(text: str, stop: tuple[str, ...], **others: object) -> str:
        values = {"document": by_document("document", documents(text)), "stop": stop, **others}
        return document_tasks(METADATA, values)[0].inputs_version()

    assert version("one", ("the",)) == version("one", ("the",))
    changed = [version("two", ("the",)), version("one", ("a",)), version("one", ("the",), more=7)]
    assert len({version("one", ("the",)), *changed}) == 4


# Batch stages that get and give documents one by one


STREAMS: dict[str, Any] = {"per_document": False, "streams_documents": True}


def test_a_stage_that_streams_gets_values_by_document_and_gives_items_one_by_one() -> None:
    def execute(ctx: StageContext, document: DocumentValues) -> Iterator[Word]:
        for part in document:
            ctx.succeeded += 1
            yield from split_text(part.load()[0])

    outcome = work(Work(execute), {"document": documents("one two", "three")}, **STREAMS)

    assert [part.document_id for part in outcome.state["words"]] == ["a", "b"]
    assert texts(outcome) == ["one", "two", "three"]


def test_what_goes_wrong_after_some_items_fails_the_step() -> None:
    def execute(_ctx: StageContext) -> Iterator[Word]:
        yield Word(document_id="a", text="x")
        raise ConfigError("no more")

    with pytest.raises(ConfigError, match="no more"):
        work(Work(execute), {}, **STREAMS)


@pytest.mark.parametrize("types", [{"words": tuple[str, ...]}, {}])
def test_only_items_that_know_their_document_may_come_one_by_one(types: dict[str, Any]) -> None:
    with pytest.raises(StageContractError, match=r"'words' returned a tuple_iterator; only a type with one"):
        work(Work(lambda _ctx: iter(("x",))), {}, state_types=types, **STREAMS)
