from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from medkg_dagster.errors import (
    BatchFailedError,
    StageContractError,
    UnreadableDocumentError,
)
from medkg_dagster.stage_api import StageContext, StageMetadata, write_key
from medkg_dagster.stage_api._invocation import StageOutcome, invoke


class Work:
    """A stage whose `execute` is the given function."""

    def __init__(self, execute: Callable[..., Any]) -> None:
        self.execute = execute


def run(
    execute: Callable[..., Any],
    *,
    home: Path,
    handler: Callable[[MutableMapping[str, Any], str, Any], None] | None = None,
    counter: Callable[[Any], Any] = len,
    **inputs: Any,
) -> StageOutcome:
    metadata = StageMetadata(
        stage_type="tokenise",
        state_key="tokens",
        output_handler=handler or write_key("tokens"),
        output_counter=counter,
        description="Splits text.",
    )
    ctx = StageContext(pipeline="demo", stage="tokens", job_id="default", home=home)
    return invoke(metadata, Work(execute), ctx, inputs)


def test_inputs_arrive_by_state_key_and_the_output_is_counted(tmp_path: Path) -> None:
    outcome = run(lambda _ctx, text: text.split(), text="a b c", home=tmp_path)

    assert outcome.state == {"tokens": ["a", "b", "c"]}
    assert outcome.output_count == 3


def test_a_handler_that_writes_a_foreign_key_is_named(tmp_path: Path) -> None:
    def write_elsewhere(state: MutableMapping[str, Any], _stage: str, output: Any) -> None:
        state["document"] = output

    with pytest.raises(
        StageContractError, match=r"write_elsewhere.*'tokenise' wrote the key 'document'.*'tokens'"
    ):
        run(lambda _ctx: [], handler=write_elsewhere, home=tmp_path)


def test_a_handler_that_misses_its_key_is_named(tmp_path: Path) -> None:
    def write_nothing(_state: MutableMapping[str, Any], _stage: str, _output: Any) -> None:
        return

    with pytest.raises(StageContractError, match=r"write_nothing.*did not write 'tokens'"):
        run(lambda _ctx: [], handler=write_nothing, home=tmp_path)


@pytest.mark.parametrize("lie", [-1, 1.5, "3", True, None])
def test_a_counter_that_lies_is_named(tmp_path: Path, lie: object) -> None:
    def count(_output: Any) -> object:
        return lie

    with pytest.raises(StageContractError, match="count of stage type 'tokenise' returned"):
        run(lambda _ctx: [], counter=count, home=tmp_path)


def refuse_first(refused: int) -> Callable[..., list[int]]:
    def execute(ctx: StageContext) -> list[int]:
        def work(number: int) -> int:
            if number < refused:
                raise UnreadableDocumentError(f"document {number} is empty")
            return number

        return ctx.for_each(range(10), work, document_id=str)

    return execute


def test_the_batch_goes_on_without_the_documents_that_failed(tmp_path: Path) -> None:
    assert run(refuse_first(2), home=tmp_path).output_count == 8


def test_too_many_failures_fail_the_step_and_say_where_to_look(tmp_path: Path) -> None:
    expected = (
        r"3 of 10 documents failed.*at most 20% may.*document 0 is empty.*medkg ledger show demo/default"
    )
    with pytest.raises(BatchFailedError, match=expected):
        run(refuse_first(3), home=tmp_path)


def test_a_batch_of_nothing_but_failures_fails_the_step(tmp_path: Path) -> None:
    with pytest.raises(BatchFailedError, match="10 of 10"):
        run(refuse_first(10), home=tmp_path)


def test_a_builder_whose_result_cannot_execute_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageContractError, match=r"'tokenise' returned Work, which has no method execute"):
        run("not callable", home=tmp_path)  # type: ignore[arg-type] # the mistake under test
