from __future__ import annotations

from pathlib import Path

import pytest

from medkg_dagster.errors import RejectedDocumentError
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
