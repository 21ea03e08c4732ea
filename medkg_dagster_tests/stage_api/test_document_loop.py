"""The work on one document at a time, or some: what becomes of each, before the first and after the last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from medkg_dagster.errors import (
    BatchFailedError,
    BatchInterruptedError,
    ConfigError,
    RejectedDocumentError,
    StageContractError,
    StageRegistryError,
    UnreadableDocumentError,
)
from medkg_dagster.stage_api import (
    Config,
    Document,
    DocumentContext,
    DocumentResult,
    EmbeddingBatch,
    StageContext,
    StageRegistration,
    write_key,
)
from medkg_dagster.stage_api._context import raise_interruption
from medkg_dagster.stage_api._document_loop import DocumentWork, fingerprint_of
from medkg_dagster.stage_api._documents import whole_value
from medkg_dagster.stage_api.testing import check_stage, run_stage
from medkg_dagster_tests.stage_api.split_stage import (
    METADATA,
    WORDS,
    Word,
    Work,
    context,
    documents,
    giving,
    split_one,
    split_text,
    texts,
    work,
)


class NotesConfig(Config):
    """What is noted."""

    mark: str = "!"


# The work on one document


def test_a_stage_that_works_on_one_document_needs_no_loop() -> None:
    ctx = context()
    progress: list[tuple[int, int | None, str]] = []
    ctx.report_progress = lambda done, total, unit: progress.append((done, total, unit))

    outcome = work(Work(split_one), {"document": documents("one two", "three")}, ctx)

    assert texts(outcome) == ["one", "two", "three"]
    assert [part.document_id for part in outcome.state["words"]] == ["a", "b"]
    assert (outcome.output_count, ctx.succeeded) == (3, 2)
    assert (ctx.described["computed"], ctx.described["reused"]) == (2, 0)
    assert progress == [(1, 2, "documents"), (2, 2, "documents")]


def test_one_bad_document_is_set_aside_and_the_work_goes_on() -> None:
    ctx = context()

    outcome = work(Work(split_one), {"document": documents("one", "broken", "two", "three", "four")}, ctx)

    assert texts(outcome) == ["one", "two", "three", "four"]
    (item,) = ctx.quarantined
    assert (item.document_id, item.stage, item.error_class) == ("b", "split", "UnreadableDocumentError")
    assert ctx.succeeded == 4


@pytest.mark.parametrize("others", [["two"], ["two", "three"], ["two", "three", "four"]])
def test_one_bad_document_of_a_few_fails_no_step(others: list[str]) -> None:
    ctx = context()

    outcome = work(Work(split_one), {"document": documents("broken", *others)}, ctx, max_failure_ratio=0.01)

    assert texts(outcome) == others
    assert [item.document_id for item in ctx.quarantined] == ["a"]


@pytest.mark.parametrize("found", [["broken"], ["broken", "broken", "two"]])
def test_where_all_or_two_of_a_few_are_bad_the_step_fails(found: list[str]) -> None:
    with pytest.raises(BatchFailedError, match="first, then run the job again from its start"):
        work(Work(split_one), {"document": documents(*found)})


def test_a_share_of_nothing_lets_no_document_fail() -> None:
    with pytest.raises(BatchFailedError, match=r"1 of 3 documents failed.*none may"):
        work(Work(split_one), {"document": documents("broken", "two", "three")}, max_failure_ratio=0.0)


def test_too_many_bad_documents_fail_the_step() -> None:
    with pytest.raises(BatchFailedError, match=r"2 of 4 documents failed.*First: b: Unreadable"):
        work(Work(split_one), {"document": documents("one", "broken", "broken", "two")})


def test_a_document_that_nothing_comes_of_is_left_out_and_counted() -> None:
    ctx = context()

    def execute(_ctx: DocumentContext, document: Document) -> WORDS | None:
        return None if document.id == "b" else split_text(document)

    outcome = work(Work(execute), {"document": documents("one", "two", "three")}, ctx)

    assert texts(outcome) == ["one", "three"]
    assert (ctx.described["left_out"], ctx.succeeded, ctx.quarantined) == (1, 2, [])


def test_what_is_spent_is_summed_up_and_shown_also_of_a_document_that_is_set_aside() -> None:
    def spending(ctx: DocumentContext, document: Document) -> Any:
        ctx.spend("seconds", 0.25)
        ctx.spend("calls", 1)
        ctx.spend("calls", 1)
        return split_one(ctx, document)

    ctx = context()
    work(Work(spending), {"document": documents("one two", "broken", "three")}, ctx)

    assert (ctx.described["seconds"], ctx.described["calls"]) == (0.75, 6)


def test_what_is_spent_on_several_documents_at_once_is_shown() -> None:
    def spending(ctx: DocumentContext, document: Sequence[Document]) -> Any:
        ctx.spend("calls", 1)
        return [split_one(ctx, one) for one in document]

    ctx = context()
    work(Work(spending), {"document": documents("one", "two", "three")}, ctx, batch=2)

    assert ctx.described["calls"] == 2


def test_a_document_without_items_is_made_and_not_left_out() -> None:
    ctx = context()

    outcome = work(giving(()), {"document": documents("one")}, ctx)

    assert [part.document_id for part in outcome.state["words"]] == ["a"]
    assert "left_out" not in ctx.described
    assert ctx.succeeded == 1


def failing(error: Exception) -> Work:
    def execute(_ctx: DocumentContext, **_: object) -> WORDS:
        raise error

    return Work(execute)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (1, "at a: ConnectionResetError: the line; no fault of the document, which is not set aside"),
        (3, "at one of a, b: ConnectionResetError: the line; no fault of the documents, which are not set"),
    ],
)
def test_an_error_that_may_pass_ends_the_batch_and_is_held_against_no_document(
    batch: int, message: str
) -> None:
    ctx = context()

    with pytest.raises(BatchInterruptedError, match=message):
        work(failing(ConnectionResetError("the line")), {"document": documents(*"xy")}, ctx, batch=batch)
    assert ctx.quarantined == []


def test_of_many_documents_that_were_worked_on_at_once_the_first_are_named_and_the_others_counted() -> None:
    with pytest.raises(BatchInterruptedError, match=r"at one of 1, 2, .*, 20 and 2 more: ConnectionReset"):
        raise_interruption([str(number) for number in range(1, 23)], ConnectionResetError("the line"))


@pytest.mark.parametrize(
    ("batch", "note"),
    [
        (1, "At document a, which is not at fault."),
        (3, "At one of the documents a, b, none of which is at fault."),
    ],
)
def test_an_error_of_the_surroundings_ends_the_batch_as_it_is(batch: int, note: str) -> None:
    ctx = context()

    with pytest.raises(ConfigError, match="no such folder") as raised:
        work(failing(ConfigError("no such folder")), {"document": documents(*"xy")}, ctx, batch=batch)
    assert raised.value.__notes__ == [note]
    assert ctx.quarantined == []


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ((Word(document_id="z", text="x"),), r"'words' of the document a holds items of z"),
        (7, r"'words' is a builtins\.int for a document; return a tuple of Word"),
        (iter(()), r"'words' is a tuple_iterator.*make it a tuple"),
    ],
)
def test_an_output_that_is_not_of_the_document_breaks_the_contract(output: object, message: str) -> None:
    ctx = context()

    with pytest.raises(StageContractError, match=message):
        work(giving(output), {"document": documents("one")}, ctx)
    assert ctx.quarantined == []


def test_of_one_document_no_two_are_made() -> None:
    several = documents("one", "two")
    changes: dict[str, Any] = {
        "state_key": "document",
        "state_types": {"document": tuple[Document, ...]},
        "output_handler": write_key("document"),
        "output_counter": lambda _: 1,
    }

    made = work(Work(lambda _ctx, document: document), {"document": several}, **changes)

    assert whole_value(made.state["document"]) == several
    with pytest.raises(StageContractError, match="'document' is 2 items for a; return the one document"):
        work(giving(several), {"document": several}, **changes)


# Several documents at once


def test_a_stage_of_batches_gets_lists_and_returns_one_output_for_each() -> None:
    sizes: list[int] = []

    def execute(_ctx: DocumentContext, document: list[Document]) -> list[WORDS | None]:
        sizes.append(len(document))
        return [None if one.id == "d" else split_text(one) for one in document]

    ctx = context()
    outcome = work(Work(execute), {"document": documents(*"vwxyz")}, ctx, batch=2)

    assert texts(outcome) == ["v", "w", "x", "z"]
    assert sizes == [2, 2, 1]
    assert ctx.described["left_out"] == 1


def test_a_batch_that_fails_is_worked_on_one_by_one_so_that_only_the_guilty_is_set_aside() -> None:
    sizes: list[int] = []

    def execute(_ctx: DocumentContext, document: list[Document]) -> list[WORDS]:
        sizes.append(len(document))
        return [split_text(one) for one in document]

    ctx = context()
    found = documents("v", "w", "x", "y", "broken", "z")
    outcome = work(Work(execute), {"document": found}, ctx, batch=3)

    assert texts(outcome) == ["v", "w", "x", "y", "z"]
    assert [item.document_id for item in ctx.quarantined] == ["e"]
    assert sizes == [3, 3, 1, 1, 1]


def test_a_batch_with_another_number_of_outputs_breaks_the_contract() -> None:
    with pytest.raises(StageContractError, match="was given 2 documents and returned 1 item"):
        work(giving([()]), {"document": documents("one", "two")}, batch=2)


# Before the first document and after the last


def test_a_stage_is_prepared_once_before_its_first_document_and_not_where_there_is_none() -> None:
    calls: list[str] = []

    def execute(_ctx: DocumentContext, document: Document) -> WORDS:
        calls.append(document.id)
        return ()

    stage = Work(execute, prepare=lambda ctx: calls.append(ctx.stage))
    work(stage, {"document": ()})
    assert calls == []
    work(stage, {"document": documents("one", "two")})
    assert calls == ["split", "a", "b"]


def test_a_stage_that_cannot_be_prepared_fails_the_step_and_no_document() -> None:
    def prepare(_ctx: StageContext) -> None:
        raise UnreadableDocumentError("the model is broken")

    ctx = context()
    with pytest.raises(UnreadableDocumentError, match="the model is broken"):
        work(Work(split_one, prepare=prepare), {"document": documents("one")}, ctx)
    assert ctx.quarantined == []


def test_a_stage_tells_what_its_results_depend_on_besides_configuration_and_inputs() -> None:
    named = Work(split_one, fingerprints=lambda ctx: {"model": ctx.stage})

    assert fingerprint_of(DocumentWork(METADATA, named, context())) == {"model": "split"}
    assert fingerprint_of(DocumentWork(METADATA, Work(split_one), context())) == {}


def test_a_stage_looks_across_its_documents_by_their_headers_and_sets_some_aside() -> None:
    seen: list[DocumentResult] = []

    def conclude(_ctx: StageContext, results: Sequence[DocumentResult]) -> dict[int, Exception]:
        seen.extend(results)
        return {2: RejectedDocumentError("said before")}

    def execute(_ctx: DocumentContext, document: Document) -> WORDS | None:
        return None if document.id == "a" else split_text(document)

    ctx = context()
    found = documents("left out", "broken", "one two", "three", "four", "five six seven")
    outcome = work(Work(execute, conclude=conclude), {"document": found}, ctx, max_failure_ratio=0.5)

    assert [result.document_id for result in seen] == ["c", "d", "e", "f"]
    assert seen[0].given["document"]["content_hash"] == found[2].content_hash
    assert [dict(result.made) for result in seen] == [{"words": {"items": n}} for n in (2, 1, 1, 3)]
    assert not any(result.is_reused for result in seen)
    assert [(item.document_id, item.message) for item in ctx.quarantined] == [
        ("b", "b: broken"),
        ("e", "said before"),
    ]
    assert texts(outcome) == ["one", "two", "three", "five", "six", "seven"]
    assert (outcome.output_count, ctx.succeeded, ctx.described["left_out"]) == (6, 3, 1)


# Registration


def shout(document: Document, config: NotesConfig) -> WORDS:
    return tuple(Word(document_id=document.id, text=word.text + config.mark) for word in split_text(document))


def registered(function: Callable[..., Any], *model: Any, **changes: Any) -> StageRegistration:
    options = {"state_types": {"words": WORDS}, "dependencies": ("parse",), **changes}
    return StageRegistration.of_function("words", function, *model, description="Splits text.", **options)


def test_a_function_of_one_document_is_a_stage() -> None:
    registration = registered(split_text)

    run = check_stage(registration, {"document": documents("one two", "three")})

    assert [word.text for word in run.state["words"]] == ["one", "two", "three"]
    assert (run.output_count, run.succeeded) == (3, 2)
    assert registration.metadata.per_document
    assert registration.builder.__qualname__ == "split_text"


def test_a_function_gets_the_configuration_where_it_asks_for_it() -> None:
    run = run_stage(registered(shout, NotesConfig), {"document": documents("one")}, config={"mark": "?"})

    assert [word.text for word in run.state["words"]] == ["one?"]
    with pytest.raises(ConfigError, match="mark"):
        run_stage(registered(split_text), {"document": documents("one")}, config={"mark": "?"})


def test_a_function_that_does_not_take_its_inputs_fails_the_step_and_no_document() -> None:
    def other(text: Document) -> WORDS:
        return split_text(text)

    with pytest.raises(
        StageContractError, match=r"other\(.*does not take its inputs.*write other\(document\)"
    ):
        run_stage(registered(other), {"document": documents("one", "two")})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 0}, "batch must be a whole number, 1 or more, got 0"),
        ({"batch": True}, "batch must be a whole number, 1 or more, got True"),
        ({"batch": 2, "per_document": False}, "batch is of a type that is per_document"),
        ({"streams_documents": True}, "or it streams documents, not both"),
        ({"dependencies": ()}, "needs a dependency: what it works on"),
        ({"state_types": {}}, "'words' of a type that is per_document must have a type that can be put"),
        ({"state_types": {"words": int}}, "must have a type that can be put together"),
        ({"state_types": {"words": tuple[int, str]}}, "must have a type that can be put together"),
    ],
)
def test_a_type_that_contradicts_itself_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StageRegistryError, match=message):
        work(Work(split_one), {}, **changes)


def test_values_of_a_class_that_can_be_joined_are_put_together_by_it() -> None:
    parts = work(
        Work(
            lambda _ctx, document: EmbeddingBatch(
                (document.id,), np.ones((1, 2), np.float32), "m", lexical=False
            )
        ),
        {"document": documents("one", "two")},
        state_types={"words": EmbeddingBatch},
    )

    assert whole_value(parts.state["words"]).chunk_ids == ("a", "b")
