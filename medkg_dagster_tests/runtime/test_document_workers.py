"""Work on documents in several processes: real processes, real limits, and real hostile files."""

from __future__ import annotations

import itertools
import logging
import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from medkg_dagster.errors import BatchInterruptedError, ConfigError, IsolatedStageError
from medkg_dagster.runtime.isolation.kept_processes import KeptProcesses
from medkg_dagster.runtime.state.shards import ShardStore
from medkg_dagster.stage_api import StageMetadata, SubprocessIsolation
from medkg_dagster.stage_api._document_loop import DocumentOutcome, DocumentWork, InOrder, fingerprint_of
from medkg_dagster.stage_api._documents import DocumentValues
from medkg_dagster_tests.runtime.document_stages import (
    BATCH_WORDS,
    LIMITS,
    LOG,
    READING_WORDS,
    UNPREPARED_WORDS,
    WARY_WORDS,
    WORDS,
    ReadingWords,
    Words,
    WordsConfig,
    context,
    outcomes_of,
    store_documents,
    tasks_of,
    texts_of,
    workers,
)
from medkg_dagster_tests.runtime.test_isolation import is_running

MANY = 50
OUT_OF_MEMORY = "the work on it took more than 512 MB (memory_mb of the stage's isolation)"
CRASHED = "was ended by signal SIGSEGV; a library crashed, or memory ran out"


def stored(home: Path, *texts: str) -> DocumentValues:
    return store_documents(ShardStore(home / "shards"), *texts)


def faults_of(outcomes: dict[str, DocumentOutcome]) -> dict[str, tuple[str, str]]:
    return {
        name: (outcome.fault.error_class, outcome.fault.message)
        for name, outcome in outcomes.items()
        if outcome.fault is not None
    }


def test_two_workers_give_what_none_gives(tmp_path: Path) -> None:
    first = ("broken", "text", "spending", "open", "text", "text", "text")
    values = stored(tmp_path, *(f"{first[n % 7]} {n}" for n in range(MANY)))

    there = outcomes_of(workers(2), values, tmp_path)
    here = outcomes_of(InOrder(), values, tmp_path)

    def seen(outcome: DocumentOutcome) -> object:
        parts = [
            (key, part.document_id, part.version, part.header, part.load())
            for key, part in outcome.parts.items()
        ]
        fault = outcome.fault and (outcome.fault.document_id, outcome.fault.message)
        told = (outcome.spent, outcome.is_remembered)
        return parts, outcome.count, fault, told

    assert {name: seen(there[name]) for name in here} == {name: seen(here[name]) for name in here}
    assert len(there) == MANY


def pids_in(caplog: pytest.LogCaptureFixture) -> list[int]:
    """Return the process that worked on each document that says so."""
    return [int(line.split()[1]) for line in caplog.messages if " works on document " in line]


def test_workers_are_processes_whose_lines_come_into_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = stored(tmp_path, *["say"] * MANY)

    with caplog.at_level(logging.INFO, LOG.name):
        outcomes = outcomes_of(workers(2), values, tmp_path)

    assert len(pids_in(caplog)) == len(outcomes) == MANY
    assert os.getpid() not in pids_in(caplog)


def test_what_would_take_long_in_the_process_of_the_step_is_shared_with_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = stored(tmp_path, *["slow"] * 20)

    with KeptProcesses() as kept, caplog.at_level(logging.INFO, LOG.name):
        outcomes = outcomes_of(workers(2, is_demanded=False, kept=kept), values, tmp_path)

    assert len(outcomes) == 20
    assert pids_in(caplog)[0] == os.getpid()
    assert len(set(pids_in(caplog))) == 2


def test_where_one_process_takes_long_another_helps(tmp_path: Path) -> None:
    values = stored(tmp_path, *[f"meet {tmp_path / 'here'}"] * 2)

    outcomes = outcomes_of(workers(2), values, tmp_path)

    assert faults_of(outcomes) == {}
    assert len(list(tmp_path.glob("here.*"))) == 2


def test_what_is_done_soon_is_done_in_the_process_of_the_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = stored(tmp_path, *["say"] * MANY)

    with KeptProcesses() as kept, caplog.at_level(logging.INFO, LOG.name):
        outcomes = outcomes_of(workers(2, is_demanded=False, kept=kept), values, tmp_path)

    assert len(outcomes) == MANY
    assert set(pids_in(caplog)) == {os.getpid()}


@pytest.mark.parametrize(
    ("metadata", "text", "limits", "reason"),
    [
        (WORDS, "allocate", LIMITS, OUT_OF_MEMORY),
        (BATCH_WORDS, "allocate", LIMITS, OUT_OF_MEMORY),
        (WORDS, "crash", LIMITS, CRASHED),
        (BATCH_WORDS, "crash", LIMITS, CRASHED),
        (WORDS, "sleep", SubprocessIsolation(512, 10), "was not done within 10 s and its process was killed"),
    ],
    ids=["memory", "memory in a batch", "crash", "crash in a batch", "time"],
)
def test_what_breaks_a_limit_costs_that_document_alone(
    tmp_path: Path, metadata: StageMetadata, text: str, limits: SubprocessIsolation, reason: str
) -> None:
    values = stored(tmp_path, "one", "two", text, "three", "four", "five")

    outcomes = outcomes_of(workers(1, metadata=metadata, limits=limits), values, tmp_path, metadata)

    (name, (error_class, message)) = next(iter(faults_of(outcomes).items()))
    assert (len(faults_of(outcomes)), name, error_class) == (1, "document 2", "StageLimitError")
    assert reason in message
    assert not outcomes["document 2"].is_remembered
    done = [texts_of(outcome) for _, outcome in sorted(outcomes.items()) if outcome.parts]
    assert done == [["one"], ["two"], ["three"], ["four"], ["five"]]


@pytest.mark.parametrize("metadata", [WORDS, BATCH_WORDS], ids=["one at a time", "batch"])
def test_among_many_that_are_done_fast_what_crashes_is_known(tmp_path: Path, metadata: StageMetadata) -> None:
    texts = [f"text {n}" for n in range(400)]
    texts[150] = texts[151] = texts[390] = "crash"

    outcomes = outcomes_of(workers(2, metadata=metadata), stored(tmp_path, *texts), tmp_path, metadata)

    assert set(faults_of(outcomes)) == {"document 150", "document 151", "document 390"}
    assert all(CRASHED in message for _, message in faults_of(outcomes).values())
    made = {name: texts_of(outcome) for name, outcome in outcomes.items() if outcome.parts}
    assert made == {f"document {n}": text.split() for n, text in enumerate(texts) if text != "crash"}


def test_a_broken_document_of_a_batch_is_set_aside_alone(tmp_path: Path) -> None:
    values = stored(tmp_path, "one", "broken", "two")

    outcomes = outcomes_of(workers(1, metadata=BATCH_WORDS), values, tmp_path, BATCH_WORDS)

    assert faults_of(outcomes) == {"document 1": ("UnreadableDocumentError", "document 1: broken")}


def test_an_error_that_may_pass_ends_the_batch_and_is_held_against_no_document(tmp_path: Path) -> None:
    values = stored(tmp_path, "one", "away", "two")

    with pytest.raises(BatchInterruptedError, match="at document 1: SourceError: status 503") as raised:
        outcomes_of(workers(1), values, tmp_path)

    assert raised.value.is_retryable


def test_an_error_that_may_pass_ends_the_work_of_a_stage_that_takes_several(tmp_path: Path) -> None:
    with pytest.raises(
        BatchInterruptedError, match="at one of document 0, document 1: SourceError: status 503"
    ) as raised:
        outcomes_of(workers(1, metadata=BATCH_WORDS), stored(tmp_path, "one", "away"), tmp_path, BATCH_WORDS)

    assert raised.value.is_retryable


@pytest.mark.parametrize("metadata", [WORDS, BATCH_WORDS], ids=["one at a time", "batch"])
def test_what_is_configured_wrongly_ends_the_batch(tmp_path: Path, metadata: StageMetadata) -> None:
    with pytest.raises(ConfigError, match="no model is configured"):
        outcomes_of(workers(1, metadata=metadata), stored(tmp_path, "one", "unset"), tmp_path, metadata)


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_process_that_finds_something_else_than_the_step_began_with_works_on_nothing(
    tmp_path: Path, is_changed: bool
) -> None:
    values, file = stored(tmp_path, "one", "two"), tmp_path / "read.txt"
    file.write_text("first", encoding="utf-8")
    work = DocumentWork(READING_WORDS, ReadingWords(WordsConfig()), context(tmp_path))
    assert fingerprint_of(work) == {"file": "first"}
    if not is_changed:
        assert len(list(workers(1, metadata=READING_WORDS).run(work, tasks_of(values)))) == 2
        return

    file.write_text("second", encoding="utf-8")
    with pytest.raises(IsolatedStageError, match=r"file changed while it ran.*run it again") as refused:
        list(workers(1, metadata=READING_WORDS).run(work, tasks_of(values)))

    assert refused.value.is_retryable


def test_a_process_that_ends_before_its_first_document_ends_the_batch(tmp_path: Path) -> None:
    values = stored(tmp_path, "one", "two")

    with pytest.raises(IsolatedStageError, match=CRASHED):
        outcomes_of(workers(1, metadata=UNPREPARED_WORDS), values, tmp_path, UNPREPARED_WORDS)


def test_who_stops_early_leaves_no_process_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # All but the first few would sleep for ten minutes.
    values = stored(tmp_path, "say", "say", *["sleep"] * MANY)
    work = DocumentWork(WORDS, Words(WordsConfig()), context(tmp_path))
    results = workers(2).run(work, tasks_of(values))

    assert isinstance(results, Generator)
    with caplog.at_level(logging.INFO, LOG.name):
        first = list(itertools.islice(results, 2))
        results.close()

    pids = set(pids_in(caplog))
    assert {task.document_id for task, _ in first} == {"document 0", "document 1"}
    assert pids
    assert not any(map(is_running, pids))


def slow(home: Path, *more: str) -> DocumentValues:
    """Store documents that are worth another process."""
    return stored(home, *["slow"] * 20, *more)


def test_a_process_goes_on_with_the_next_stage_and_ends_with_its_owner(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with KeptProcesses() as kept, caplog.at_level(logging.INFO, LOG.name):
        for metadata, mark in ((WORDS, ""), (BATCH_WORDS, "!")):
            engine = workers(2, metadata=metadata, is_demanded=False, config={"mark": mark}, kept=kept)
            outcomes = outcomes_of(engine, slow(tmp_path), tmp_path, metadata, WordsConfig(mark=mark))
            assert {word for one in outcomes.values() for word in texts_of(one)} == {f"slow{mark}"}

        pids = set(pids_in(caplog))
        assert len(pids) == 2
        assert all(map(is_running, pids))

    assert not any(map(is_running, pids - {os.getpid()}))


@pytest.mark.parametrize(("is_demanded", "last"), [(True, "say"), (False, "hostile")], ids=str)
def test_what_had_limits_of_its_own_or_may_be_damaged_is_left_to_no_other_stage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, is_demanded: bool, last: str
) -> None:
    with KeptProcesses() as kept, caplog.at_level(logging.INFO, LOG.name):
        engine = workers(2, metadata=WARY_WORDS, is_demanded=is_demanded, kept=kept)
        outcomes = outcomes_of(engine, stored(tmp_path, "say", last), tmp_path, WARY_WORDS)

        assert len(outcomes) == 2
        assert not kept.has_one


def test_what_ran_out_of_memory_is_left_to_no_other_stage(tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    # The step's own process, which has no limit, waits at one of them until another process is at the other.
    values = slow(tmp_path, *[f"elsewhere {place} {os.getpid()}"] * 2)
    with KeptProcesses() as kept:
        outcomes = outcomes_of(workers(2, is_demanded=False, kept=kept), values, tmp_path)

        assert not is_running(int(place.read_text()))
    found = faults_of(outcomes)
    assert found.keys() <= {"document 20", "document 21"}
    assert [OUT_OF_MEMORY in message for _, message in found.values()] == [True] * len(found) != []


def test_what_is_hostile_is_never_in_the_process_of_the_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = stored(tmp_path, *["hostile", "say"] * 10)
    with KeptProcesses() as kept, caplog.at_level(logging.INFO, LOG.name):
        engine = workers(2, metadata=WARY_WORDS, is_demanded=False, kept=kept)
        outcomes_of(engine, values, tmp_path, WARY_WORDS)

    at = {
        line.rpartition(" on ")[2]: int(line.split()[1])
        for line in caplog.messages
        if " works on document " in line
    }
    assert os.getpid() not in {at[f"document {n}"] for n in range(0, 20, 2)}


def test_a_process_that_ended_while_nobody_needed_it_is_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with KeptProcesses() as kept, caplog.at_level(logging.INFO, LOG.name):
        outcomes_of(workers(2, is_demanded=False, kept=kept), slow(tmp_path), tmp_path)
        (idle,) = set(pids_in(caplog)) - {os.getpid()}
        os.kill(idle, signal.SIGKILL)
        caplog.clear()

        outcomes = outcomes_of(workers(2, is_demanded=False, kept=kept), slow(tmp_path), tmp_path)

    assert len(outcomes) == len(pids_in(caplog)) == 20
    assert idle not in pids_in(caplog)
    assert faults_of(outcomes) == {}
