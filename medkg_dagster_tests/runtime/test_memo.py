"""What is remembered of documents: nothing is done twice, what has changed is done again, and only that."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from dagster import TableMetadataValue

from medkg_dagster.domain.payloads import CONVERSION_FAILED, CONVERTED, DownloadedFile
from medkg_dagster.resolution.plan import PlannedStage
from medkg_dagster.runtime.isolation.document_worker import limit_fault
from medkg_dagster.runtime.materialization import output_metadata
from medkg_dagster.runtime.state.memo import MemoEngine
from medkg_dagster.runtime.state.shards import ShardStore
from medkg_dagster.stage_api import Document, DocumentContext, DocumentPart, MemoryPart, StageContext
from medkg_dagster.stage_api._document_loop import DocumentOutcome, DocumentTask, DocumentWork, InOrder
from medkg_dagster.stage_api._documents import DocumentValues, whole_value
from medkg_dagster.stage_api._invocation import StageOutcome, invoke
from medkg_dagster_tests.runtime.document_stages import (
    ORIGIN,
    Word,
    Words,
    WordsConfig,
    context,
    planned,
    store_documents,
    words_type,
)

TEXTS = ("one two", "three", "four")
ALL = ["document 0", "document 1", "document 2"]


class Fingerprinted(Words):
    """Depends on a model."""

    model = "first"

    def fingerprints(self, _ctx: StageContext) -> dict[str, str]:
        return {"model": self.model}


class Run:
    """A run of the stage with new engines, as another process makes them, on the same folder."""

    def __init__(
        self,
        home: Path,
        values: DocumentValues,
        plan: PlannedStage | None = None,
        *,
        config: Mapping[str, Any] | None = None,
        stage: Words | None = None,
        inner: Any = None,
        pipeline: str = "demo",
        asked_again: Sequence[str] = (),
        **others: Any,
    ) -> None:
        plan = plan or planned()
        self.stage = stage or Words(WordsConfig.model_validate(config or {}))
        self.ctx = context(home)
        shards = ShardStore(home / "shards")
        engine = MemoEngine(shards, pipeline, plan, config or {}, home, inner or InOrder(), asked_again)
        self.outcome: StageOutcome = invoke(
            plan.contract, self.stage, self.ctx, {"document": values, **others}, engine
        )

    @property
    def worked(self) -> list[str]:
        return self.stage.worked

    @property
    def counts(self) -> tuple[Any, Any]:
        return self.ctx.described["computed"], self.ctx.described["reused"]

    @property
    def texts(self) -> list[str]:
        return [word.text for word in whole_value(self.outcome.state["words"])]


def documents(home: Path, *texts: str) -> DocumentValues:
    return store_documents(ShardStore(home / "shards"), *(texts or TEXTS))


def test_nothing_is_computed_twice_for_equal_inputs(tmp_path: Path) -> None:
    first = Run(tmp_path, documents(tmp_path))
    second = Run(tmp_path, documents(tmp_path))

    assert (first.worked, first.counts) == (ALL, (3, 0))
    assert (second.worked, second.counts) == ([], (0, 3))
    assert first.texts == second.texts == ["one", "two", "three", "four"]
    assert first.outcome.output_count == second.outcome.output_count == 4


def test_what_items_count_is_shown_of_all_documents_also_where_earlier_runs_made_them(tmp_path: Path) -> None:
    texts = ("counted 1", "plain", "counted 22")
    first = Run(tmp_path, documents(tmp_path, *texts))
    second = Run(tmp_path, documents(tmp_path, *texts))

    for run in (first, second):
        assert run.outcome.state["words"].counts == {"left out": 19}
        shown = output_metadata(run.ctx, run.outcome)["words_counted"]
        assert isinstance(shown, TableMetadataValue)
        assert [record.data for record in shown.records] == [{"what": "left out", "count": 19}]
    assert second.worked == []


def test_a_changed_document_is_computed_again_and_only_that(tmp_path: Path) -> None:
    Run(tmp_path, documents(tmp_path))

    second = Run(tmp_path, documents(tmp_path, "one two", "changed", "four"))

    assert (second.worked, second.counts) == (["document 1"], (1, 2))
    assert second.texts == ["one", "two", "changed", "four"]


def test_what_was_once_is_found_again_when_it_comes_back(tmp_path: Path) -> None:
    Run(tmp_path, documents(tmp_path))
    Run(tmp_path, documents(tmp_path, "one two", "changed", "four"))

    assert Run(tmp_path, documents(tmp_path)).worked == []


def test_another_job_pipeline_or_stage_of_the_type_profits(tmp_path: Path) -> None:
    Run(tmp_path, documents(tmp_path))

    second = Run(tmp_path, documents(tmp_path), planned(name="another"), pipeline="another")

    assert (second.worked, second.texts) == ([], ["one", "two", "three", "four"])


@pytest.mark.parametrize(
    "plan",
    [
        planned(words_type("words", version="2")),
        planned(words_type("other-words")),
        planned(origin=dataclasses.replace(ORIGIN, version="2")),
        planned(origin=dataclasses.replace(ORIGIN, record_hash="another")),
    ],
    ids=["version", "type", "distribution's version", "distribution's files"],
)
def test_another_stage_type_or_version_computes_everything_again(tmp_path: Path, plan: PlannedStage) -> None:
    Run(tmp_path, documents(tmp_path))

    assert Run(tmp_path, documents(tmp_path), plan).worked == ALL
    assert Run(tmp_path, documents(tmp_path), plan).worked == []
    assert Run(tmp_path, documents(tmp_path)).worked == []


def test_another_configuration_computes_everything_again(tmp_path: Path) -> None:
    Run(tmp_path, documents(tmp_path))

    second = Run(tmp_path, documents(tmp_path), config={"mark": "!"})

    assert (second.worked, second.texts) == (ALL, ["one!", "two!", "three!", "four!"])
    assert Run(tmp_path, documents(tmp_path), config={"mark": "!"}).worked == []


def test_a_default_that_is_written_out_changes_nothing(tmp_path: Path) -> None:
    Run(tmp_path, documents(tmp_path))

    assert Run(tmp_path, documents(tmp_path), config={"mark": ""}).worked == []


def test_another_fingerprint_computes_everything_again(tmp_path: Path) -> None:
    Run(tmp_path, documents(tmp_path), stage=Fingerprinted(WordsConfig()))
    assert Run(tmp_path, documents(tmp_path), stage=Fingerprinted(WordsConfig())).worked == []
    changed = Fingerprinted(WordsConfig())
    changed.model = "second"

    assert Run(tmp_path, documents(tmp_path), stage=changed).worked == ALL


def test_a_secret_counts_by_its_name_and_not_by_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"token": {"env": "MEDKG_TEST_MEMO_TOKEN"}}
    monkeypatch.setenv("MEDKG_TEST_MEMO_TOKEN", "the first long secret")
    Run(tmp_path, documents(tmp_path), config=config)
    monkeypatch.setenv("MEDKG_TEST_MEMO_TOKEN", "the second long secret")

    assert Run(tmp_path, documents(tmp_path), config=config).worked == []
    assert Run(tmp_path, documents(tmp_path), config={"token": {"env": "MEDKG_TEST_OTHER"}}).worked == ALL


def test_a_fault_is_remembered_and_told_again(tmp_path: Path) -> None:
    first = Run(tmp_path, documents(tmp_path, "one", "broken", "two"))
    second = Run(tmp_path, documents(tmp_path, "one", "broken", "two"))

    assert (second.worked, second.counts, second.texts) == ([], (0, 3), ["one", "two"])
    assert first.ctx.quarantined == second.ctx.quarantined
    assert [(one.document_id, one.message) for one in second.ctx.quarantined] == [
        ("document 1", "document 1: broken")
    ]


class Mended(Words):
    """Splits what it could not before."""

    def execute(self, _ctx: DocumentContext, document: Document) -> tuple[Word, ...]:
        self.worked.append(document.id)
        return (Word(document_id=document.id, text="mended"),)


def test_a_refused_document_that_is_asked_for_again_is_worked_on_and_stays_what_it_became(
    tmp_path: Path,
) -> None:
    texts = ("one", "broken", "two")
    Run(tmp_path, documents(tmp_path, *texts))

    once_more = Run(
        tmp_path, documents(tmp_path, *texts), asked_again=["document 1"], stage=Mended(WordsConfig())
    )
    later = Run(tmp_path, documents(tmp_path, *texts))

    assert once_more.worked == ["document 1"]
    assert once_more.texts == later.texts == ["one", "mended", "two"]
    assert (later.worked, later.ctx.quarantined) == ([], [])


class Limited(InOrder):
    """Does the work as processes do of which one breaks a limit."""

    def run(
        self, work: DocumentWork, tasks: Sequence[DocumentTask]
    ) -> Iterator[tuple[DocumentTask, DocumentOutcome]]:
        for task, outcome in super().run(work, tasks):
            if task.position == 1:
                fault = limit_fault("splitting", task.document_id, "too much")
                yield task, DocumentOutcome(fault=fault, is_remembered=False)
            else:
                yield task, outcome


def test_a_limit_that_was_broken_is_tried_again(tmp_path: Path) -> None:
    first = Run(tmp_path, documents(tmp_path), inner=Limited())
    second = Run(tmp_path, documents(tmp_path))

    assert [one.message for one in first.ctx.quarantined] == ["too much"]
    assert (second.worked, second.ctx.quarantined) == (["document 1"], [])
    assert second.texts == ["one", "two", "three", "four"]


def test_what_was_spent_is_shown_by_the_run_that_spent_it(tmp_path: Path) -> None:
    texts = ("spending one two", "three")
    first = Run(tmp_path, documents(tmp_path, *texts))
    second = Run(tmp_path, documents(tmp_path, *texts, "spending four"))
    third = Run(tmp_path, documents(tmp_path, *texts))

    assert [run.ctx.described.get("tokens") for run in (first, second, third)] == [3, 2, None]


def test_work_that_was_left_open_is_done_again_and_its_result_used_meanwhile(tmp_path: Path) -> None:
    texts = ("one", "open six")
    first = Run(tmp_path, documents(tmp_path, *texts))
    second = Run(tmp_path, documents(tmp_path, *texts))

    assert first.texts == second.texts == ["one", "open", "six"]
    assert second.worked == ["document 1"]
    assert first.ctx.quarantined == second.ctx.quarantined == []


def test_what_was_done_before_an_error_need_not_be_done_again(tmp_path: Path) -> None:
    class Stopped(Words):
        def execute(self, ctx: Any, document: Document) -> Any:
            if document.id == "document 2":
                raise KeyboardInterrupt
            return super().execute(ctx, document)

    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path, documents(tmp_path), stage=Stopped(WordsConfig()))

    assert Run(tmp_path, documents(tmp_path)).worked == ["document 2"]


def test_a_stage_type_that_code_registers_is_never_remembered(tmp_path: Path) -> None:
    plan = planned(origin=None)

    for _ in range(2):
        run = Run(tmp_path, documents(tmp_path), plan)
        assert (run.worked, run.texts) == (ALL, ["one", "two", "three", "four"])


FILES = words_type(
    "words-of-files",
    optional_dependencies=("files",),
)


class WordsOfFiles(Words):
    """Reads a file, too, and what a converter left beside it."""

    def execute(self, ctx: Any, document: Document, files: tuple[DownloadedFile, ...] = ()) -> Any:
        assert files is not None
        return super().execute(ctx, document)


@pytest.mark.parametrize("suffix", [CONVERTED, CONVERSION_FAILED])
def test_what_a_converter_left_beside_a_file_counts(tmp_path: Path, suffix: str) -> None:
    files = tuple(
        DownloadedFile(
            document_id=name,
            url="https://example.org/a.pdf",
            path=f"files/{number}.pdf",
            sha256=str(number) * 64,
            size=1,
            media_type="application/pdf",
        )
        for number, name in enumerate(ALL)
    )
    value_type = tuple[DownloadedFile, ...]
    parts: list[DocumentPart] = [MemoryPart(one.document_id, "files", (one,), value_type) for one in files]

    def run() -> list[str]:
        stage = WordsOfFiles(WordsConfig())
        values = DocumentValues(parts, value_type)
        return Run(tmp_path, documents(tmp_path), planned(FILES), stage=stage, files=values).worked

    assert (run(), run()) == (ALL, [])
    sidecar = tmp_path / f"files/1{suffix}"
    sidecar.parent.mkdir()
    sidecar.write_text("{}")
    assert (run(), run()) == (["document 1"], [])
    sidecar.write_text('{"changed": true}')
    assert (run(), run()) == (["document 1"], [])
