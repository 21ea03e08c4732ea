"""Triggers in a pipeline file: every error at its line, with the way out, all at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medkg_dagster.topology.models import PipelineTopologyConfig
from medkg_dagster.topology.pipeline_files import parse_pipeline
from medkg_dagster_tests.topology.test_loading import POLICIES

HEAD = """\
name: trials
version: "2026-01-01"
stages:
  - {name: ingest, type: ingest}
triggers:
"""
NIGHTLY = "  - name: nightly\n    schedule: {cron: '0 6 * * *'}\n"
REACHED = """\
  - name: reached
    ledger:
      pipeline: papers
      condition: {field: ready, equals: true, on_timeout: fail}
"""

ROWS: list[tuple[str, str, int, str]] = [
    ("no name", "  - schedule: {cron: '0 6 * * *'}\n", 6, "'triggers[0].name' is missing"),
    ("a name that is none", NIGHTLY.replace("nightly", "1x"), 6, "a name is letters, digits"),
    ("nothing to look at", "  - name: nightly\n", 6, "a trigger looks at one thing: write 'schedule' or"),
    (
        "two things to look at",
        NIGHTLY + "    asset: {pipeline: papers, stage: index}\n",
        7,
        "a trigger looks at one thing",
    ),
    (
        "files nowhere",
        "  - name: inbox\n    files: {include: ['*']}\n",
        7,
        "'triggers[0].files.path' is missing",
    ),
    (
        "files that include nothing",
        "  - name: inbox\n    files: {path: /data, include: []}\n",
        7,
        "'triggers[0].files.include'",
    ),
    (
        "files that need not keep still",
        "  - name: inbox\n    files: {path: /data, stable_seconds: 0}\n",
        7,
        "'triggers[0].files.stable_seconds'",
    ),
    (
        "its own pipeline",
        "  - name: again\n    asset: {pipeline: trials, stage: ingest}\n",
        7,
        "trigger 'again' looks at its own pipeline",
    ),
    (
        "a condition that waits",
        REACHED,
        9,
        "'on_timeout' says how a gate waits; a trigger's condition has none",
    ),
    (
        "a condition without a value",
        "  - name: reached\n    ledger: {pipeline: papers, condition: {clauses: [{field: ready}]}}\n",
        7,
        "the operator 'equals' needs a value",
    ),
    (
        "a placeholder of another kind",
        "  - name: indexed\n    asset: {pipeline: p, stage: i}\n    request: {adapter: '{window_start}'}\n",
        8,
        "trigger 'indexed' cannot fill in {window_start} (known: job_id;",
    ),
    (
        "unknown key",
        NIGHTLY + "    requets: {}\n",
        8,
        "unknown key 'requets' in 'triggers[0]' (did you mean 'request'?",
    ),
    (
        "unknown key of a schedule",
        "  - name: nightly\n    schedule:\n      cron: '0 6 * * *'\n      timzone: UTC\n",
        9,
        "unknown key 'timzone' in 'triggers[0].schedule' (did you mean 'timezone'?",
    ),
    (
        "no cron",
        "  - name: nightly\n    schedule: {timezone: UTC}\n",
        7,
        "'triggers[0].schedule.cron' is missing",
    ),
    ("bad cron", NIGHTLY.replace("0 6", "0 26"), 7, "the hour '26' is not from 0 to 23, got '0 26 * * *'"),
    ("a day that never comes", NIGHTLY.replace("* * *", "31 4 *"), 7, "that day never comes"),
    (
        "unknown time zone",
        NIGHTLY.replace("'}", "', timezone: Europe/Berlim}"),
        7,
        "there is no such time zone; did you mean 'Europe/Berlin'?",
    ),
    (
        "a path for a time zone",
        NIGHTLY.replace("'}", "', timezone: ../UTC}"),
        7,
        "there is no such time zone",
    ),
    (
        "unknown catch-up",
        NIGHTLY.replace("'}", "', catch_up: some}"),
        7,
        "'triggers[0].schedule.catch_up': Input should be 'one', 'all' or 'none'",
    ),
    ("unknown status", NIGHTLY + "    default_status: on\n", 8, "'triggers[0].default_status'"),
    (
        "unknown placeholder",
        NIGHTLY + "    request:\n      params:\n        since: '{windowstart}'\n",
        10,
        "trigger 'nightly' cannot fill in {windowstart} (did you mean 'window_start'?",
    ),
    (
        "a form that is none",
        NIGHTLY + "    request: {params: {since: '{window_start:date}'}}\n",
        8,
        "':date' is no form of a time (write for example {window_start:%Y-%m-%d})",
    ),
    (
        "an open brace",
        NIGHTLY + "    request: {params: {query: '{melanoma'}}\n",
        8,
        "double a brace that means itself",
    ),
    (
        "options of no stage",
        NIGHTLY + "    request:\n      stages:\n        ingets: {adapter: files}\n",
        10,
        "gives options to 'ingets', which is no stage of this pipeline (did you mean 'ingest'?",
    ),
    (
        "one job for different work",
        NIGHTLY + "    request: {params: {since: '{window_start}'}}\n    job_id: all\n",
        9,
        "all jobs of trigger 'nightly' would be called 'all', but what they work on differs",
    ),
    ("an id that is none", NIGHTLY + "    job_id: a/b\n", 8, "job id 'a/b' cannot be used"),
    (
        "two of one name",
        NIGHTLY + NIGHTLY,
        8,
        "triggers 'nightly' and 'nightly' have one name in Dagster (first on line 6)",
    ),
    (
        "two that ask for different work by one id",
        NIGHTLY
        + "    job_id: all\n"
        + NIGHTLY.replace("nightly", "weekly")
        + "    job_id: all\n    request: {adapter: files}\n",
        11,
        "would call jobs 'all' that work on different things (first on line 6)",
    ),
    ("no list", "  name: nightly\n", 5, "'triggers'"),
]


@pytest.mark.parametrize(("text", "line", "message"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_what_is_wrong_is_told_at_its_line(text: str, line: int, message: str) -> None:
    pipeline, problems = parse_pipeline(HEAD + text, Path("trials.yaml"), POLICIES)

    assert pipeline is None
    assert any(problem.line == line and message in str(problem) for problem in problems), list(
        map(str, problems)
    )


def test_all_that_is_wrong_is_told_at_once() -> None:
    text = (
        NIGHTLY.replace("0 6", "0 26")
        + "    request: {params: {since: '{start}'}, stages: {parse: {}}}\n"
        + NIGHTLY.replace("nightly", "weekly").replace("'}", "', timezone: Mars}")
    )

    _, problems = parse_pipeline(HEAD + text, Path("trials.yaml"), POLICIES)

    assert [problem.line for problem in problems] == [7, 8, 8, 10]


def test_triggers_that_ask_for_the_same_may_share_a_job() -> None:
    text = NIGHTLY + "    job_id: all\n" + NIGHTLY.replace("nightly", "weekly") + "    job_id: all\n"

    pipeline, problems = parse_pipeline(HEAD + text, Path("trials.yaml"), POLICIES)

    assert problems == ()
    assert pipeline is not None
    assert [trigger.job_id_of("trials") for trigger in pipeline.topology.triggers] == ["all", "all"]


@pytest.mark.parametrize(
    ("added", "job_id"),
    [
        ("", "trials-nightly"),
        ("    request: {params: {since: '{window_start}'}}\n", "trials-{window_end}"),
        ("    request: {params: {query: '{{x}}'}}\n", "trials-nightly"),
        ("    job_id: all-of-{window_end:%Y}\n", "all-of-{window_end:%Y}"),
    ],
)
def test_jobs_are_called_by_what_they_work_on(added: str, job_id: str) -> None:
    pipeline, problems = parse_pipeline(HEAD + NIGHTLY + added, Path("trials.yaml"), POLICIES)

    assert problems == ()
    assert pipeline is not None
    assert pipeline.topology.triggers[0].job_id_of("trials") == job_id


def test_a_topology_made_in_code_is_checked_too() -> None:
    with pytest.raises(ValidationError, match="cannot fill in"):
        PipelineTopologyConfig.model_validate(
            {
                "name": "trials",
                "version": "2026-01-01",
                "stages": [{"name": "ingest", "type": "ingest"}],
                "triggers": [
                    {"name": "n", "schedule": {"cron": "@daily"}, "request": {"params": {"since": "{x}"}}}
                ],
            }
        )


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["{window_start}", "{", "@daily"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=6,
)
keys = st.sampled_from(["name", "schedule", "request", "job_id", "description", "default_status", "x"])


@given(st.lists(st.dictionaries(keys, anything, max_size=5) | anything, max_size=3))
def test_whatever_stands_there_is_loaded_or_told_of(triggers: object) -> None:
    _, problems = parse_pipeline(
        HEAD.replace("triggers:\n", f"triggers: {json.dumps(triggers)}\n"), Path("t.yaml"), POLICIES
    )

    assert all(problem.line for problem in problems)
