import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from medkg_dagster.ledger import JobStatus, PhaseStatus
from medkg_dagster_tests.cli.conftest import REVIEWED, Medkg, ReviewedJob

APPROVE = ("gate", "approve", "reviewed/spring", "review", "--by", "ann", "--reason", "read it")
REJECT = ("gate", "reject", "reviewed/spring", "review", "--by", "bob", "--reason", "wrong corpus")


def listed(medkg: Medkg, *options: str) -> list[dict[str, Any]]:
    found = json.loads(medkg("gate", "list", "--json", *options).stdout)
    assert isinstance(found, list)
    return found


def test_what_waits_is_listed_with_what_for_and_how_long(gated_medkg: Medkg, reviewed: ReviewedJob) -> None:
    assert gated_medkg("gate", "list").output == "no job waits\n"
    reviewed.wait_at_the_gate()
    shown = gated_medkg("gate", "list").output
    for expected in (
        "reviewed/spring",
        "review.approved equals True or review.pages gte 1",
        "absent",
        "UNTIL",
    ):
        assert expected in shown

    (row,) = listed(gated_medkg)
    assert (row["pipeline"], row["job_id"], row["gate"]) == ("reviewed", "spring", "review")
    assert (row["description"], row["status"]) == ("A curator has looked at the documents.", "waiting")
    assert (row["since"], row["until"]) == (reviewed.phase.since, reviewed.phase.deadline)
    assert row["waited_seconds"] < 3600


def test_only_jobs_of_the_named_pipeline_are_listed(gated_medkg: Medkg, reviewed: ReviewedJob) -> None:
    reviewed.wait_at_the_gate()

    assert len(listed(gated_medkg, "--pipeline", "reviewed")) == 1
    refused = gated_medkg("gate", "list", "--pipeline", "reviewd")
    assert (refused.exit_code, "did you mean 'reviewed'" in refused.stderr) == (1, True)


def test_a_job_whose_pipeline_is_gone_is_still_listed(
    gated_medkg: Medkg, reviewed: ReviewedJob, monkeypatch: Any, repository: Any
) -> None:
    reviewed.wait_at_the_gate()
    monkeypatch.setenv("MEDKG_CONFIG", str(repository / "config"))

    assert listed(gated_medkg)[0]["waits_for"] == "a gate that is no longer defined"


def test_a_gate_decided_ahead_is_listed_apart(gated_medkg: Medkg, reviewed: ReviewedJob) -> None:
    assert "is approved ahead; it will be open when the job comes to it" in gated_medkg(*APPROVE).output
    assert "was approved ahead by ann" in gated_medkg(*APPROVE).output
    shown = gated_medkg("gate", "list").output
    assert "no job waits" in shown
    assert "decided ahead" in shown
    (row,) = listed(gated_medkg)
    assert (row["status"], row["decision"], row["decided_by"]) == ("expected", "approved", "ann")

    reviewed.wait_at_the_gate()

    assert reviewed.phase.status is PhaseStatus.DUE
    assert listed(gated_medkg) == []


def test_approving_says_whether_it_opened_the_gate_or_found_it_open(
    gated_medkg: Medkg, reviewed: ReviewedJob
) -> None:
    reviewed.wait_at_the_gate()
    first, second = gated_medkg(*APPROVE), gated_medkg(*APPROVE)
    assert (
        first.output
        == f"gate 'review' of reviewed/spring is open; the daemon starts {reviewed.phase.phase}\n"
    )
    assert "is open since" in second.output
    assert "by ann; the daemon starts" in second.output

    reviewed.go_through()

    third = gated_medkg(*APPROVE)
    assert (third.exit_code, "run r2 has gone through" in third.output) == (0, True)
    assert (reviewed.phase.opened_by, reviewed.phase.reason) == ("ann", "approved: read it")


def test_approving_what_a_sensor_is_starting_says_so(gated_medkg: Medkg, reviewed: ReviewedJob) -> None:
    reviewed.wait_at_the_gate()
    gated_medkg(*APPROVE)
    reviewed.ledger.phases.take_due(reviewed.phase.phase, "the sensor")

    assert f"the sensor is starting {reviewed.phase.phase}" in gated_medkg(*APPROVE).output


def test_rejecting_ends_the_job_and_says_so_once(gated_medkg: Medkg, reviewed: ReviewedJob) -> None:
    reviewed.wait_at_the_gate()

    assert gated_medkg(*REJECT).output == "gate 'review' of reviewed/spring is rejected; the job has ended\n"
    assert "is rejected since" in gated_medkg(*REJECT).output
    assert reviewed.job.status is JobStatus.REJECTED


def test_a_rejection_ahead_is_recorded(gated_medkg: Medkg, reviewed: ReviewedJob) -> None:
    assert "is rejected ahead; the job will end when it comes to it" in gated_medkg(*REJECT).output

    reviewed.wait_at_the_gate()

    assert reviewed.job.status is JobStatus.REJECTED


def test_what_comes_too_late_is_refused_with_the_way_out(gated_medkg: Medkg, reviewed: ReviewedJob) -> None:
    reviewed.wait_at_the_gate()
    reviewed.time_out()
    for command in (APPROVE, REJECT):
        refused = gated_medkg(*command)
        assert refused.exit_code == 1
        assert refused.stderr.startswith("medkg: gate 'review' of job 'reviewed/spring' timed out at ")
        assert "medkg ledger retry" in refused.stderr


def test_an_unknown_gate_pipeline_or_job_is_refused_by_name(
    gated_medkg: Medkg, reviewed: ReviewedJob
) -> None:
    del reviewed
    unknown_gate = gated_medkg("gate", "approve", "spring", "revue", "--reason", "x")
    unknown_job = gated_medkg("gate", "approve", "sprung", "review", "--reason", "x")

    assert "has no gate 'revue'; did you mean 'review'?" in unknown_gate.stderr
    assert "no job 'sprung'; known: reviewed/spring" in unknown_job.stderr
    assert {unknown_gate.exit_code, unknown_job.exit_code} == {1}


def test_a_decision_needs_a_reason(gated_medkg: Medkg, reviewed: ReviewedJob) -> None:
    del reviewed
    for word in ("approve", "reject"):
        assert gated_medkg("gate", word, "spring", "review").exit_code == 2


def test_jobs_at_a_gate_that_was_renamed_are_named_by_the_check_and_moved_by_the_way_out_it_names(
    gated_medkg: Medkg, reviewed: ReviewedJob, tmp_path: Path
) -> None:
    reviewed.wait_at_the_gate()
    (file,) = tmp_path.rglob("reviewed.yaml")
    file.write_text(
        REVIEWED.replace("gate_review", "gate_signature").replace("name: review\n", "name: signature\n")
    )

    checked = gated_medkg("check")

    assert checked.exit_code == 1
    stranded = "a job waits for gate 'review' of pipeline 'reviewed', which nothing that is loaded defines"
    assert stranded in checked.output
    named = re.search(r"`medkg (gate move reviewed review NEW_GATE --reason WHY)`", checked.output)
    assert named is not None
    moved = gated_medkg(*named[1].replace("NEW_GATE", "signature").split())
    assert moved.output == "reviewed/spring: waiting at gate 'signature'\n"
    assert gated_medkg("check").exit_code == 0
    (row,) = listed(gated_medkg)
    assert (row["gate"], row["next"]) == ("signature", "reviewed__after_signature")
    again = gated_medkg("gate", "move", "reviewed", "review", "signature", "--reason", "again")
    assert (again.exit_code, "no job of pipeline 'reviewed' waits at gate 'review'" in again.stderr) == (
        1,
        True,
    )


def test_a_value_nested_too_deep_is_refused_in_one_sentence(
    gated_medkg: Medkg, reviewed: ReviewedJob
) -> None:
    for depth in (100, 980, 100_000):
        refused = gated_medkg("ledger", "set", "reviewed/spring", f"review={'[' * depth}{']' * depth}")
        assert refused.exit_code == 1, refused.output
        assert len(refused.stderr.splitlines()) == 1
        assert "nested deeper than 64 levels" in refused.stderr
    assert reviewed.job.fields == {}
    assert gated_medkg("ledger", "show", "reviewed/spring").exit_code == 0


def test_a_job_that_cannot_be_read_is_shown_as_such_by_every_command(
    gated_medkg: Medkg, reviewed: ReviewedJob, home: Path
) -> None:
    reviewed.wait_at_the_gate()
    deep = '{"a":' * 900 + "1" + "}" * 900
    with closing(sqlite3.connect(home / "ledger.sqlite")) as connection, connection:
        connection.execute("UPDATE ledger_jobs SET fields = ?", [deep])
    reviewed.ledger.gates.review("reviewed", reviewed.rule)

    assert "cannot be judged" in gated_medkg("gate", "list").output
    shown = gated_medkg("ledger", "show", "reviewed/spring")
    assert (shown.exit_code, "problem: column 'fields': JSON cannot be read" in shown.output) == (0, True)
    assert json.loads(gated_medkg("ledger", "show", "reviewed/spring", "--json").stdout)["problem"]
    assert gated_medkg("ledger", "list").exit_code == 0
    refused = gated_medkg("ledger", "set", "reviewed/spring", "review.pages=1")
    assert (refused.exit_code, "`medkg ledger cancel reviewed/spring --reason WHY`" in refused.stderr) == (
        1,
        True,
    )
    assert gated_medkg("ledger", "cancel", "reviewed/spring", "--reason", "unreadable").exit_code == 0


@pytest.fixture
def asking(reviewed: ReviewedJob, gated_medkg: Medkg, tmp_path: Path) -> Medkg:
    """The console, where the gate asks for a number and one of two words."""
    reviewed.wait_at_the_gate()
    file = tmp_path / "config" / "orchestration" / "pipelines" / "reviewed.yaml"
    fields = """\
    fields:
      - {name: review.pages_read, type: integer, description: How many were read}
      - {name: review.use, choices: [in full, abstract], default: in full}
"""
    file.write_text(file.read_text() + fields)
    return gated_medkg


def test_what_is_said_with_a_decision_lands_in_the_fields(asking: Medkg, reviewed: ReviewedJob) -> None:
    done = asking(
        *("gate", "approve", "spring", "review", "--by", "ann", "--reason", "read"),
        *("--field", "review.pages_read=12", "--field", "review.use=abstract"),
    )

    assert done.exit_code == 0, done.output
    assert reviewed.job.fields == {"review": {"pages_read": 12, "use": "abstract"}}
    changed = {entry.field: entry.actor for entry in reviewed.ledger.jobs.history(reviewed.key)}
    assert changed["review.pages_read"] == "ann"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            (),
            "'review.pages_read' (How many were read) is missing: a whole number; write review.pages_read=3",
        ),
        (("review.pages_read=many",), "must be a whole number, got 'many'; write review.pages_read=3"),
        (("review.pages_read=1", "review.use=all"), "must be one of in full, abstract, got 'all'"),
        (("review.pages=1",), "'review.pages' is no input of it; did you mean 'review.pages_read'?"),
    ],
)
def test_what_is_wrong_with_it_is_said_and_nothing_is_decided(
    asking: Medkg, reviewed: ReviewedJob, given: tuple[str, ...], said: str
) -> None:
    options = [part for item in given for part in ("--field", item)]

    refused = asking("gate", "approve", "spring", "review", "--reason", "read", *options)

    assert refused.exit_code == 1
    assert said in refused.stderr
    assert reviewed.phase.status is PhaseStatus.WAITING
    assert reviewed.job.fields == {}


def test_the_second_of_two_decisions_changes_no_field(asking: Medkg, reviewed: ReviewedJob) -> None:
    for pages in ("12", "13"):
        said = ("--reason", "read", "--field", f"review.pages_read={pages}")
        assert asking("gate", "approve", "spring", "review", *said).exit_code == 0

    assert reviewed.job.fields["review"]["pages_read"] == 12
    listed = asking("gate", "reject", "spring", "review", "--reason", "not ours after all")
    assert listed.exit_code == 0
    assert reviewed.job.fields["review"]["pages_read"] == 12
