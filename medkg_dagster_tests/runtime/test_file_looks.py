"""A folder that is looked at: files that keep still call for jobs, once each, and none is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from medkg_dagster.errors import SourceError
from medkg_dagster.ledger import Fired, JobKey, JobLedger, TriggerKey
from medkg_dagster.runtime import file_looks
from medkg_dagster.runtime.file_looks import look_at_files
from medkg_dagster.runtime.trigger_looks import Look
from medkg_dagster_tests.ledger.conftest import FakeClock
from medkg_dagster_tests.ledger.stage_histories import LedgerRun
from medkg_dagster_tests.runtime.triggered import plan_of

STANDING = "  - {{name: inbox, files: {{path: {path}}}}}\n"
EACH = '  - {{name: inbox, files: {{path: {path}}}, request: {{params: {{path: "{{path}}"}}}}}}\n'


class Inbox:
    """A folder, a trigger that looks at it, and a ledger on a clock."""

    def __init__(self, folder: Path, triggers: str) -> None:
        self.folder = folder
        folder.mkdir()
        self.clock = FakeClock()
        self.ledger = JobLedger.connect("sqlite://", clock=self.clock)
        self.pipeline = plan_of(triggers.format(path=folder))
        self.key = TriggerKey("report", "inbox")

    def write(self, name: str, text: str = "x") -> None:
        file = self.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    def look(self, seconds: float = 15) -> Look:
        self.clock.advance(seconds)
        trigger = self.pipeline.triggers[0]
        assert trigger.definition.files is not None
        return look_at_files(self.ledger, self.pipeline, trigger, trigger.definition.files, self.clock.now)

    def fired(self) -> list[Fired]:
        """Look until files have kept still; return what was asked for."""
        self.look()
        return list(self.look().fired)

    def begin(self, job_id: str) -> LedgerRun:
        key = JobKey("report", job_id)
        (phase,) = self.ledger.phases.of_job(key)
        run = LedgerRun(
            self.ledger, key, ("count",), f"r{phase.attempt}", attempt=phase.attempt, job_name="report"
        )
        run.start()
        self.ledger.phases.begin(key, "report", run.identity)
        run.begin("count")
        return run


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox", STANDING)


@pytest.fixture
def files_each(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox", EACH)


def test_one_job_reads_the_folder_again_whenever_something_appeared_changed_or_went(inbox: Inbox) -> None:
    inbox.write("a.json")
    inbox.write("more/b.json")

    (first,) = inbox.fired()
    assert (first.job_id, first.outcome) == ("report-inbox", "submitted")
    assert first.reason == "2 appeared: a.json, more/b.json"
    inbox.begin("report-inbox").end("count")
    assert inbox.look().note.startswith("Nothing has appeared, changed or gone in")

    inbox.write("a.json", "longer")
    (inbox.folder / "more" / "b.json").unlink()
    (again,) = inbox.fired()
    assert (again.outcome, again.reason) == ("started again", "1 changed, 1 gone: a.json, more/b.json")


def test_a_file_that_is_still_written_calls_for_nothing(inbox: Inbox) -> None:
    for length in range(1, 6):
        inbox.write("a.json", "x" * length)
        assert inbox.look().fired == ()
    assert inbox.look(1).note == "Nothing has appeared, changed or gone in " + str(inbox.folder) + "."

    assert [item.job_id for item in inbox.look().fired] == ["report-inbox"]


def test_names_of_files_that_are_written_or_hidden_are_left_out(inbox: Inbox) -> None:
    for name in (".hidden", ".git/config", "a.json.part", "b.tmp", "c~"):
        inbox.write(name)

    assert inbox.fired() == []
    assert inbox.ledger.triggers.items(inbox.key) == {}


def test_what_comes_while_the_job_is_at_work_is_asked_for_when_it_has_ended(inbox: Inbox) -> None:
    inbox.write("a.json")
    inbox.fired()
    run = inbox.begin("report-inbox")
    inbox.write("b.json")
    assert [item.outcome for item in inbox.fired()] == ["busy"]
    assert [item.outcome for item in inbox.fired()] == ["busy"]

    run.end("count")

    (again,) = inbox.look().fired
    assert (again.outcome, again.reason) == ("started again", "1 appeared: b.json")


def test_a_file_that_goes_and_comes_back_as_it_was_calls_each_time(inbox: Inbox) -> None:
    file = inbox.folder / "a.json"
    inbox.write("b.json")
    inbox.write("a.json")
    inbox.fired()
    inbox.begin("report-inbox").end("count")
    aside = inbox.folder.parent / "a.json"
    outcomes = []
    for source, target in ((file, aside), (aside, file)) * 2:
        source.rename(target)
        outcomes += [item.reason for item in inbox.fired()]
        inbox.begin("report-inbox").end("count")

    assert outcomes == ["1 gone: a.json", "1 appeared: a.json"] * 2


def test_a_folder_that_is_empty_all_at_once_is_not_taken_for_one_whose_files_went(inbox: Inbox) -> None:
    inbox.write("a.json")
    inbox.fired()
    (inbox.folder / "a.json").unlink()

    assert inbox.fired() == []
    state = inbox.ledger.triggers.find(inbox.key)
    assert state is not None
    assert state.reason == f"{inbox.folder} lists nothing any more; that is not taken for gone."


def test_a_folder_that_cannot_be_listed_is_an_error_and_told(inbox: Inbox) -> None:
    inbox.write("a.json")
    inbox.fired()
    inbox.folder.rename(inbox.folder.parent / "elsewhere")

    with pytest.raises(SourceError, match="cannot be listed"):
        inbox.look()

    state = inbox.ledger.triggers.find(inbox.key)
    assert state is not None
    assert "cannot be listed" in state.reason
    (inbox.folder.parent / "elsewhere").rename(inbox.folder)
    assert inbox.fired() == []


def test_each_file_has_a_job_of_its_own_where_the_request_names_it(
    files_each: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_looks, "FILES_PER_LOOK", 2)
    for name in ("a.json", "b.json", "more/c d.json"):
        files_each.write(name)

    files_each.look()
    fired = [*files_each.look().fired, *files_each.look().fired]

    assert [item.job_id for item in fired][:2] == ["report-a.json", "report-b.json"]
    assert fired[2].job_id.startswith("report-more-c-d.json-")
    (job,) = files_each.ledger.jobs.list(job_id="report-a.json")
    assert job.request == {"params": {"path": str(files_each.folder / "a.json")}}


def test_a_file_that_went_has_no_job_but_is_told_of(files_each: Inbox) -> None:
    files_each.write("a.json")
    files_each.write("b.json")
    files_each.fired()
    (files_each.folder / "a.json").unlink()

    files_each.look()
    look = files_each.look()

    assert look.fired == ()
    assert look.note == "1 gone: a.json; a job of each stays"
    assert set(files_each.ledger.triggers.items(files_each.key)) == {"b.json"}
