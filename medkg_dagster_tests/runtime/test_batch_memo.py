"""What came of a whole batch is used as one where the same batch comes again, and only there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from medkg_dagster.resolution.plan import PlannedStage
from medkg_dagster.runtime.state.archives import archive_state, read_archive, shards_of
from medkg_dagster.runtime.state.batch_memo import BatchMemo
from medkg_dagster.runtime.state.memo import MemoEngine
from medkg_dagster.runtime.state.shards import ShardStore
from medkg_dagster.runtime.state.work_account import work_on
from medkg_dagster.stage_api import CheckVerdict, DocumentResult, OutcomeCheck, StageContext
from medkg_dagster.stage_api._document_loop import InOrder
from medkg_dagster.stage_api._documents import DocumentValues, whole_value
from medkg_dagster.stage_api._invocation import StageOutcome, invoke
from medkg_dagster_tests.runtime.document_stages import (
    DOCUMENTS,
    ORIGIN,
    Words,
    WordsConfig,
    context,
    planned,
    store_documents,
    words_type,
)

TEXTS = ("one two", "three", "four")


class Concluding(Words):
    """Looks across its documents, and at what is around it."""

    def conclude(self, _ctx: StageContext, _results: Sequence[Any]) -> None:
        """Set nothing aside."""


class Reviewing(Words):
    """Shows what its documents have."""

    def review(self, ctx: StageContext, results: Sequence[DocumentResult]) -> None:
        """Describe how many words each document has, and whether that was made before."""
        ctx.describe("words", ", ".join(str(one.made["words"]["items"]) for one in results))
        ctx.describe("is_reused", ", ".join(str(one.is_reused) for one in results))
        ctx.describe("named", ", ".join(one.given["document"]["id"] for one in results))


class Job:
    """The stage of one job, run again and again on one folder: each run is a process of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.archive = home / "archive.zip"
        self.is_whole = False
        self.ctx = context(home)

    def run(
        self,
        *texts: str,
        plan: PlannedStage | None = None,
        config: Mapping[str, Any] | None = None,
        stage: Words | None = None,
        asked_again: Sequence[str] = (),
    ) -> list[str]:
        """Return what comes of some texts; `is_whole` says whether it was used as one."""
        plan, self.ctx = plan or planned(), context(self.home)
        shards = ShardStore(self.home / "shards")
        inputs = {"document": self._stored(shards, texts or TEXTS)}
        stage = stage or Words(WordsConfig.model_validate(config or {}))
        engine = MemoEngine(shards, "demo", plan, config or {}, self.home, InOrder(), asked_again)
        batches = BatchMemo(engine, self.archive)
        outcome = batches.recall(stage, self.ctx, inputs)
        self.is_whole = outcome is not None
        if outcome is None:
            outcome = invoke(plan.contract, stage, self.ctx, inputs, engine)
            batches.keep(self.ctx, outcome)
        self._store(outcome, plan, engine)
        words = whole_value(outcome.state["words"])
        assert outcome.output_count == len(words)
        return [word.text for word in words]

    def _stored(self, shards: ShardStore, texts: Sequence[str]) -> DocumentValues:
        kind = DOCUMENTS.state_types
        archive = archive_state({"document": store_documents(shards, *texts)}, kind)
        found = read_archive(archive, "document", kind["document"], shards)
        assert isinstance(found, DocumentValues)
        return found

    def _store(self, outcome: StageOutcome, plan: PlannedStage, engine: MemoEngine) -> None:
        self.archive.write_bytes(
            archive_state(outcome.state, plan.contract.state_types, engine.account, self.archive)
        )


@pytest.fixture
def job(tmp_path: Path) -> Job:
    job = Job(tmp_path)
    assert job.run() == ["one", "two", "three", "four"]
    assert not job.is_whole
    return job


def test_the_same_batch_is_used_as_one_and_tells_the_same(job: Job) -> None:
    needed = shards_of(job.archive)

    for _ in range(2):
        assert job.run() == ["one", "two", "three", "four"]
        assert job.is_whole
        assert (job.ctx.described["computed"], job.ctx.described["reused"]) == (0, 3)
        assert job.ctx.succeeded == 3
        assert shards_of(job.archive) == needed
        found = work_on(job.archive, ["document 1"])
        assert found is not None
        assert (found.is_reused, found.because) == (True, "")


def test_what_a_stage_shows_of_all_its_documents_it_shows_of_a_batch_that_is_used_as_one(
    job: Job,
) -> None:
    checks = (OutcomeCheck("any", "Passes.", lambda _: CheckVerdict(passed=True)),)
    plan = planned()
    plan = dataclasses.replace(plan, contract=dataclasses.replace(plan.contract, checks=checks))
    shown = []

    for _ in range(2):
        job.run(plan=plan, stage=Reviewing(WordsConfig()))
        shown.append({name: job.ctx.described[name] for name in ("words", "is_reused", "named")})

    assert job.is_whole
    assert shown[0] == shown[1]
    assert (shown[0]["words"], shown[0]["is_reused"]) == ("2, 1, 1", "True, True, True")
    assert shown[0]["named"] == "document 0, document 1, document 2"


def test_what_changes_after_it_is_told_against_it(job: Job) -> None:
    job.run()
    assert job.run("one two", "changed", "four") == ["one", "two", "changed", "four"]

    assert not job.is_whole
    found = [work_on(job.archive, [f"document {number}"]) for number in range(3)]
    assert [one and one.because for one in found] == ["", "what it is made of changed", ""]


@pytest.mark.parametrize("texts", [("one two", "three"), (*TEXTS, "five"), ("three", "one two", "four")])
def test_another_batch_is_looked_through(job: Job, texts: tuple[str, ...]) -> None:
    assert job.run(*texts) == " ".join(texts).split()
    assert not job.is_whole


@pytest.mark.parametrize(
    "changed",
    [
        {"plan": planned(words_type("words", version="2"))},
        {"plan": planned(origin=dataclasses.replace(ORIGIN, version="2"))},
        {"plan": planned(origin=None)},
        {"config": {"mark": "!"}},
        {"asked_again": ["document 1"]},
        {"stage": Concluding(WordsConfig())},
    ],
    ids=["version", "distribution", "unknown code", "configuration", "asked for again", "looks across"],
)
def test_a_batch_of_which_anything_may_be_otherwise_is_looked_through(
    job: Job, changed: dict[str, Any]
) -> None:
    job.run(**changed)
    assert not job.is_whole


def test_a_batch_with_a_fault_is_looked_through_and_the_fault_told_each_time(tmp_path: Path) -> None:
    job = Job(tmp_path)
    for _ in range(2):
        assert job.run("one", "broken") == ["one"]
        assert not job.is_whole
        assert [one.document_id for one in job.ctx.quarantined] == ["document 1"]


def test_a_batch_with_open_work_is_looked_through(tmp_path: Path) -> None:
    job = Job(tmp_path)
    for computed in (2, 1):
        assert job.run("one", "open") == ["one", "open"]
        assert not job.is_whole
        assert (job.ctx.described["computed"], job.ctx.described["tokens"]) == (computed, 1)


def test_what_is_gone_is_done_again(job: Job) -> None:
    gone = [path for path in (job.home / "shards").rglob("*.shard") if "inputs" not in path.parts]
    assert gone
    for path in gone:
        path.unlink()

    assert job.run() == ["one", "two", "three", "four"]
    assert not job.is_whole
    job.run()
    assert job.is_whole


@pytest.mark.parametrize("end", [0, 30, -30])
def test_a_damaged_archive_is_not_used(job: Job, end: int) -> None:
    job.archive.write_bytes(job.archive.read_bytes()[:end])

    assert job.run() == ["one", "two", "three", "four"]
    assert not job.is_whole


def test_no_archive_of_earlier_commits_is_used(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.archive.write_bytes(archive_state({}, {}))

    job.run()
    assert not job.is_whole
