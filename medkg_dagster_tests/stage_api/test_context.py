from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from medkg_dagster.errors import (
    BatchInterruptedError,
    CircuitOpenError,
    ConfigError,
    RejectedDocumentError,
    SourceError,
    TransientDownloadError,
    UnreadableDocumentError,
)
from medkg_dagster.stage_api import StageContext


@pytest.fixture
def ctx(tmp_path: Path) -> StageContext:
    return StageContext(pipeline="p", stage="parse", job_id="default", home=tmp_path)


def test_one_bad_document_is_quarantined_and_the_others_go_on(ctx: StageContext) -> None:
    def work(item: int) -> int:
        if item == 2:
            raise RejectedDocumentError("document 2 is empty; remove it")
        return item * 10

    assert ctx.for_each([1, 2, 3], work, document_id=str) == [10, 30]
    assert ctx.succeeded == 2
    (refused,) = ctx.quarantined
    assert (refused.document_id, refused.stage, refused.error_class) == (
        "2",
        "parse",
        "RejectedDocumentError",
    )
    assert refused.details == ""


def test_an_unexpected_error_keeps_its_traceback(ctx: StageContext) -> None:
    ctx.for_each(["a"], int, document_id=str)

    assert ctx.quarantined[0].error_class == "ValueError"
    assert "Traceback" in ctx.quarantined[0].details


@pytest.mark.parametrize(
    "fault",
    [
        SourceError("status 503"),
        CircuitOpenError("left alone"),
        TransientDownloadError("busy"),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        ConnectionResetError("reset"),
        TimeoutError("too late"),
        MemoryError("no more"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_what_is_worth_another_try_ends_the_batch_and_names_the_document(
    ctx: StageContext, fault: Exception
) -> None:
    done: list[int] = []

    def work(item: int) -> int:
        if item == 1:
            raise RejectedDocumentError("empty")
        if item == 3:
            raise fault
        done.append(item)
        return item

    with pytest.raises(BatchInterruptedError, match=rf"at PMID:3: {type(fault).__name__}: ") as raised:
        ctx.for_each([1, 2, 3, 4], work, document_id=lambda item: f"PMID:{item}")

    assert raised.value.is_retryable
    assert raised.value.__cause__ is fault
    assert done == [2]
    assert [item.document_id for item in ctx.quarantined] == ["PMID:1"]


def test_a_loop_of_ones_own_cannot_hold_it_against_a_document_either(ctx: StageContext) -> None:
    with pytest.raises(BatchInterruptedError, match="at PMID:1: SourceError: status 503"):
        ctx.quarantine("PMID:1", SourceError("status 503"))

    assert ctx.quarantined == []


def test_a_document_that_a_passing_fault_made_unreadable_is_not_set_aside(ctx: StageContext) -> None:
    def work(_item: str) -> str:
        try:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        except OSError as error:
            raise UnreadableDocumentError("the file cannot be read") from error

    with pytest.raises(BatchInterruptedError, match="at a: UnreadableDocumentError"):
        ctx.for_each(["a"], work, document_id=str)


@pytest.mark.parametrize("fault", [ConfigError("no such model"), ModuleNotFoundError("no torch")], ids=repr)
def test_what_is_wrong_whatever_the_document_ends_the_batch_as_it_is(
    ctx: StageContext, fault: Exception
) -> None:
    def work(_item: str) -> str:
        raise fault

    with pytest.raises(type(fault)) as raised:
        ctx.for_each(["a"], work, document_id=str)

    assert raised.value is fault
    assert raised.value.__notes__ == ["At document a, which is not at fault."]
    assert ctx.quarantined == []


def test_a_file_that_is_missing_is_the_fault_of_the_document_that_names_it(
    ctx: StageContext, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("there")

    assert ctx.for_each(["a", "b"], lambda name: (tmp_path / name).read_text(), document_id=str) == ["there"]
    assert [item.error_class for item in ctx.quarantined] == ["FileNotFoundError"]


def test_progress_is_reported_for_each_document(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None, str]] = []
    ctx = StageContext(
        pipeline="p",
        stage="parse",
        job_id="default",
        home=tmp_path,
        report_progress=lambda done, total, unit: seen.append((done, total, unit)),
    )

    ctx.for_each([1, 2], str, document_id=str)
    ctx.for_each(iter([3]), str, document_id=str, unit="files")

    assert seen == [(1, 2, "documents"), (2, 2, "documents"), (1, None, "files")]
