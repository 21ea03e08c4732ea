"""Triggers on a real Dagster instance, their schedules evaluated as the daemon evaluates them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dagster import DefaultScheduleStatus, DefaultSensorStatus, RunRequest, build_schedule_context

from medkg_dagster.compiler import triggers
from medkg_dagster.errors import LedgerError, SourceError
from medkg_dagster.ledger import JobKey, JobLedger, JobStatus, PhaseStatus, TriggerKey
from medkg_dagster_tests.compiler.deployment import PIPELINE, Deployment
from medkg_dagster_tests.compiler.test_gates import start, tick

STANDING = (
    PIPELINE
    + """\
triggers:
  - name: nightly
    description: Reads all there is.
    schedule: {cron: "0 6 * * *", timezone: Europe/Berlin}
"""
)
FEED = (
    PIPELINE
    + """\
triggers:
  - name: changes
    schedule: {cron: "0 6 * * *", timezone: Europe/Berlin, catch_up: CATCH_UP}
    request:
      params: {since: "{window_start}", until: "{window_end:%Y-%m-%d}"}
"""
)
SCHEDULE, FEED_SCHEDULE = "word_count__trigger_nightly", "word_count__trigger_changes"
DAY = timedelta(days=1)
# Six in the morning in Berlin, the clock there is an hour ahead.
MORNING = datetime(2026, 2, 3, 5, tzinfo=UTC)


@pytest.fixture
def ledger(deployment: Deployment) -> Iterator[JobLedger]:
    with JobLedger.open(deployment.home) as book:
        yield book


class Clock(datetime):
    """A clock that shows what it is set to."""

    moment = MORNING

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return cls.moment.astimezone(tz)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggers, "datetime", Clock)


def look(
    deployment: Deployment, pipeline: str, schedule: str, moment: datetime, late: timedelta = timedelta()
) -> Any:
    """Evaluate a schedule as the daemon does, so much later than it should have been."""
    Clock.moment = moment.astimezone(UTC) + late
    definitions = deployment.definitions(pipeline)
    found = definitions.resolve_schedule_def(schedule)
    context = build_schedule_context(
        instance=deployment.instance,
        scheduled_execution_time=moment.astimezone(ZoneInfo("Europe/Berlin")),
        repository_def=definitions.get_repository_def(),
    )
    return found.evaluate_tick(context)


def asked(data: Any) -> list[RunRequest]:
    return list(data.run_requests)


def test_a_trigger_is_a_schedule_that_is_on_as_the_yaml_says(deployment: Deployment) -> None:
    schedule = deployment.definitions(STANDING).resolve_schedule_def(SCHEDULE)

    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 6 * * *", "Europe/Berlin")
    assert schedule.default_status is DefaultScheduleStatus.RUNNING
    assert (schedule.description, schedule.job_name) == ("Reads all there is.", "word_count")

    stopped = STANDING.replace("nightly\n", "nightly\n    default_status: stopped\n")
    schedule = deployment.definitions(stopped).resolve_schedule_def(SCHEDULE)
    assert schedule.default_status is DefaultScheduleStatus.STOPPED


def test_a_full_listing_runs_one_job_again_and_again(deployment: Deployment, ledger: JobLedger) -> None:
    for day in range(3):
        (request,) = asked(look(deployment, STANDING, SCHEDULE, MORNING + day * DAY))
        assert request.tags["medkg/trigger"] == "nightly"
        assert start(deployment, request, STANDING).success

    (job,) = ledger.jobs.list()
    assert (job.job_id, job.status, job.attempts) == ("word-count-nightly", JobStatus.SUCCEEDED, 3)
    by = {entry.reason for entry in ledger.jobs.history(job.key) if entry.actor == "trigger nightly"}
    assert by == {f"due at 2026-02-0{day}T05:00:00Z" for day in (3, 4, 5)}


def test_a_feed_makes_a_job_of_each_window_whose_request_names_it(
    deployment: Deployment, ledger: JobLedger
) -> None:
    pipeline = FEED.replace("CATCH_UP", "one")
    for day in range(2):
        (request,) = asked(look(deployment, pipeline, FEED_SCHEDULE, MORNING + day * DAY))
        assert start(deployment, request, pipeline).success

    assert {job.job_id: job.request["params"] for job in ledger.jobs.list()} == {
        "word-count-2026-02-03T06": {"since": "2026-02-02T05:00:00Z", "until": "2026-02-03"},
        "word-count-2026-02-04T06": {"since": "2026-02-03T05:00:00Z", "until": "2026-02-04"},
    }
    assert [config["params"]["until"] for config in deployment.seen] == ["2026-02-03", "2026-02-04"]


def test_a_tick_that_runs_twice_asks_once(deployment: Deployment, ledger: JobLedger) -> None:
    first = look(deployment, STANDING, SCHEDULE, MORNING)
    second = look(deployment, STANDING, SCHEDULE, MORNING)

    assert (len(asked(first)), asked(second)) == (1, [])
    assert second.skip_message == "Nothing is due; the next time is 2026-02-04T05:00:00Z."
    assert [phase.attempt for phase in ledger.phases.of_job(JobKey("word-count", "word-count-nightly"))] == [
        1
    ]


@pytest.mark.parametrize(
    ("catch_up", "jobs", "missed"),
    [
        ("one", {"word-count-2026-02-07T06": "2026-02-03T05:00:00Z"}, 3),
        (
            "all",
            {f"word-count-2026-02-0{day}T06": f"2026-02-0{day - 1}T05:00:00Z" for day in (4, 5, 6, 7)},
            0,
        ),
        ("none", {"word-count-2026-02-07T06": "2026-02-06T05:00:00Z"}, 3),
    ],
)
def test_missed_times_are_caught_up_as_the_yaml_says(
    deployment: Deployment, ledger: JobLedger, catch_up: str, jobs: dict[str, str], missed: int
) -> None:
    pipeline = FEED.replace("CATCH_UP", catch_up)
    (request,) = asked(look(deployment, pipeline, FEED_SCHEDULE, MORNING))
    start(deployment, request, pipeline)

    # The daemon was down for three mornings, and Dagster looks at the latest time alone.
    requests = asked(look(deployment, pipeline, FEED_SCHEDULE, MORNING + 4 * DAY))

    assert {item.tags["dagster/partition"] for item in requests} == set(jobs)
    found = {job.job_id: job.request["params"]["since"] for job in ledger.jobs.list()}
    assert found == {"word-count-2026-02-03T06": "2026-02-02T05:00:00Z"} | jobs
    state = ledger.triggers.find(TriggerKey("word-count", "changes"))
    assert state is not None
    assert state.missed == missed


def test_what_is_late_is_not_caught_up_where_nothing_is_to_be(
    deployment: Deployment, ledger: JobLedger
) -> None:
    pipeline = FEED.replace("CATCH_UP", "none")

    skipped = look(deployment, pipeline, FEED_SCHEDULE, MORNING, late=timedelta(hours=5))

    assert "nothing is caught up" in skipped.skip_message
    assert ledger.jobs.list() == ()
    (state,) = ledger.triggers.list()
    assert (state.outcome, state.missed) == ("missed", 1)


def test_a_ledger_that_is_away_for_a_moment_is_waited_for(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    JobLedger.open(deployment.home).close()
    file = deployment.home / "ledger.sqlite"
    aside = file.rename(deployment.home / "aside.sqlite")
    file.write_bytes(b"no database " * 500)
    naps: list[float] = []

    def come_back(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            aside.rename(file)

    monkeypatch.setattr("medkg_dagster.compiler.triggers.time.sleep", come_back)

    (request,) = asked(look(deployment, STANDING, SCHEDULE, MORNING))

    assert request.run_key == "word-count-nightly:start:1"
    assert len(naps) == 2


def test_a_ledger_that_stays_away_fails_the_tick_and_the_next_one_catches_up(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = FEED.replace("CATCH_UP", "all")
    look(deployment, pipeline, FEED_SCHEDULE, MORNING)
    monkeypatch.setattr(triggers, "AWAY_SECONDS", 0.0)
    file = deployment.home / "ledger.sqlite"
    aside = file.rename(deployment.home / "aside.sqlite")
    file.write_bytes(b"no database " * 500)
    with pytest.raises(LedgerError, match="file is not a database"):
        look(deployment, pipeline, FEED_SCHEDULE, MORNING + DAY)
    aside.rename(file)

    requests = asked(look(deployment, pipeline, FEED_SCHEDULE, MORNING + 2 * DAY))

    assert [item.tags["dagster/partition"] for item in requests] == [
        "word-count-2026-02-04T06",
        "word-count-2026-02-05T06",
    ]


def test_a_time_to_come_that_somebody_tries_in_the_ui_asks_for_nothing(
    deployment: Deployment, ledger: JobLedger
) -> None:
    skipped = look(deployment, STANDING, SCHEDULE, MORNING + DAY, late=-DAY)

    assert skipped.skip_message == "2026-02-04T05:00:00Z has not come yet."
    assert (ledger.jobs.list(), ledger.triggers.list()) == ((), ())


@pytest.mark.parametrize("ahead", [timedelta(seconds=-30), timedelta(seconds=30)])
def test_a_daemon_whose_clock_differs_a_little_loses_no_time(
    deployment: Deployment, ahead: timedelta
) -> None:
    assert len(asked(look(deployment, STANDING, SCHEDULE, MORNING, late=-ahead))) == 1


@pytest.mark.parametrize(("first", "hours"), [("2026-03-28", 23), ("2026-10-24", 25)])
def test_a_window_across_a_change_of_the_clock_is_as_long_as_the_day(
    deployment: Deployment, ledger: JobLedger, first: str, hours: int
) -> None:
    pipeline = FEED.replace("CATCH_UP", "all").replace("{window_end:%Y-%m-%d}", "{window_end}")
    start_of = datetime.fromisoformat(f"{first}T06:00").replace(tzinfo=ZoneInfo("Europe/Berlin"))
    look(deployment, pipeline, FEED_SCHEDULE, start_of)

    look(deployment, pipeline, FEED_SCHEDULE, start_of + DAY)

    latest = max(ledger.jobs.list(), key=lambda job: job.job_id)
    since, until = (datetime.fromisoformat(latest.request["params"][key]) for key in ("since", "until"))
    assert (until - since) / timedelta(hours=1) == hours
    assert latest.job_id == f"word-count-{start_of + DAY:%Y-%m-%dT06}"


def test_a_job_that_the_trigger_could_not_start_is_started_by_the_sensor_of_submissions(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(triggers, "_started", die)
        with pytest.raises(KeyboardInterrupt):
            look(deployment, STANDING, SCHEDULE, MORNING)

    assert asked(look(deployment, STANDING, SCHEDULE, MORNING)) == []
    (request,) = asked(tick(deployment, "word_count__submissions", STANDING))
    assert request.run_key == "word-count-nightly:start:1"
    assert start(deployment, request, STANDING).success


def test_a_run_that_is_requested_holds_off_the_sensor_of_submissions(
    deployment: Deployment, ledger: JobLedger
) -> None:
    assert len(asked(look(deployment, STANDING, SCHEDULE, MORNING))) == 1

    assert asked(tick(deployment, "word_count__submissions", STANDING)) == []
    (phase,) = ledger.phases.of_job(JobKey("word-count", "word-count-nightly"))
    assert (phase.status, phase.starter) == (PhaseStatus.DUE, SCHEDULE)


def test_a_job_that_has_yet_to_begin_is_left_alone_and_the_tick_says_so(
    deployment: Deployment, ledger: JobLedger
) -> None:
    look(deployment, STANDING, SCHEDULE, MORNING)

    skipped = look(deployment, STANDING, SCHEDULE, MORNING + DAY)

    assert skipped.skip_message == (
        "word-count-nightly: joined, due at 2026-02-04T05:00:00Z: "
        "the job has yet to begin, and works on this too"
    )
    (job,) = ledger.jobs.list()
    assert job.status is JobStatus.SUBMITTED


def test_a_job_of_another_request_fails_the_tick_with_the_way_out(
    deployment: Deployment, ledger: JobLedger
) -> None:
    ledger.jobs.ensure(JobKey("word-count", "word-count-nightly"), {"separator": "+"}, actor="ann")

    with pytest.raises(Exception, match="nightly") as failed:
        look(deployment, STANDING, SCHEDULE, MORNING)

    assert isinstance(failed.value.__cause__ or failed.value, LedgerError)
    assert "medkg ledger remove" in str(failed.value.__cause__ or failed.value)


PAPERS = """\
name: papers
version: "2026-01-01"
stages:
  - {name: read, type: read}
"""
READ = (
    PIPELINE
    + """\
triggers:
  - name: papers-read
    default_status: stopped
    asset: {pipeline: papers, stage: read}
    job_id: "of-{job_id}"
    request: {params: {job: "{job_id}"}}
"""
)
REVIEWED = (
    PIPELINE
    + """\
triggers:
  - name: papers-reviewed
    ledger: {pipeline: papers, condition: {clauses: [{field: pages, operator: gte, value: 3}]}}
"""
)
READ_SENSOR, REVIEWED_SENSOR = "word_count__trigger_papers_read", "word_count__trigger_papers_reviewed"


@pytest.fixture
def papers(deployment: Deployment) -> Deployment:
    """A deployment with another pipeline, whose jobs are looked at."""
    (deployment.config / "orchestration" / "pipelines" / "papers.yaml").write_text(PAPERS)
    return deployment


def test_a_trigger_on_another_pipeline_is_a_sensor_that_is_on_as_the_yaml_says(papers: Deployment) -> None:
    stopped = papers.definitions(READ).resolve_sensor_def(READ_SENSOR)
    running = papers.definitions(REVIEWED).resolve_sensor_def(REVIEWED_SENSOR)

    assert stopped.default_status is DefaultSensorStatus.STOPPED
    assert running.default_status is DefaultSensorStatus.RUNNING
    assert running.description == "Asks for jobs of word-count: jobs of papers: pages gte 3."


def test_a_stage_of_another_pipeline_that_was_materialized_calls_for_a_job(
    papers: Deployment, ledger: JobLedger
) -> None:
    assert tick(papers, READ_SENSOR, READ).skip_message.startswith("It has begun to look")
    for job_id in ("spring", "summer"):
        papers.run("papers", pipeline=READ, tags={"dagster/partition": job_id})

    data = tick(papers, READ_SENSOR, READ)

    assert [item.tags["dagster/partition"] for item in asked(data)] == ["of-spring", "of-summer"]
    assert data.dynamic_partitions_requests[0].partition_keys == ["of-spring", "of-summer"]
    for request in asked(data):
        assert start(papers, request, READ).success
    assert [config["params"] for config in papers.seen[-2:]] == [{"job": "spring"}, {"job": "summer"}]
    assert tick(papers, READ_SENSOR, READ).skip_message.startswith(
        "Stage read of papers has not finished since"
    )

    papers.run("papers", pipeline=READ, tags={"dagster/partition": "spring"})
    (request,) = asked(tick(papers, READ_SENSOR, READ))
    assert start(papers, request, READ).success
    assert ledger.jobs.get(JobKey("word-count", "of-spring")).attempts == 2


def test_a_field_of_another_pipeline_s_job_that_comes_to_a_value_calls_for_a_job(
    papers: Deployment, ledger: JobLedger
) -> None:
    tick(papers, REVIEWED_SENSOR, REVIEWED)
    ledger.jobs.ensure(JobKey("papers", "spring"), actor="ann")
    ledger.jobs.set_fields(JobKey("papers", "spring"), {"pages": 2}, actor="ann")
    assert asked(tick(papers, REVIEWED_SENSOR, REVIEWED)) == []

    ledger.jobs.set_fields(JobKey("papers", "spring"), {"pages": 3}, actor="ann")
    (request,) = asked(tick(papers, REVIEWED_SENSOR, REVIEWED))

    assert start(papers, request, REVIEWED).success
    (entry,) = [
        item
        for item in ledger.jobs.history(JobKey("word-count", "word-count-papers-reviewed"))
        if item.actor == "trigger papers-reviewed"
    ]
    assert entry.reason == "papers/spring: pages gte 3: 3"
    assert asked(tick(papers, REVIEWED_SENSOR, REVIEWED)) == []


INBOX = (
    PIPELINE
    + """\
triggers:
  - name: inbox
    files: {path: FOLDER, include: ["*.json"], poll_seconds: 60}
"""
)
INBOX_SENSOR = "word_count__trigger_inbox"


def test_files_that_keep_still_call_for_a_job(
    deployment: Deployment, ledger: JobLedger, tmp_path: Path
) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    pipeline = INBOX.replace("FOLDER", str(folder))
    Clock.moment = MORNING
    definition = deployment.definitions(pipeline).resolve_sensor_def(INBOX_SENSOR)
    assert definition.minimum_interval_seconds == 60
    (folder / "a.json").write_text("{}")
    assert tick(deployment, INBOX_SENSOR, pipeline).skip_message == "It has begun to look."

    Clock.moment += timedelta(minutes=1)
    (request,) = asked(tick(deployment, INBOX_SENSOR, pipeline))

    assert start(deployment, request, pipeline).success
    assert ledger.jobs.history(JobKey("word-count", "word-count-inbox"))[0].reason == "1 appeared: a.json"
    assert tick(deployment, INBOX_SENSOR, pipeline).skip_message.startswith("Nothing has appeared")


def test_a_folder_that_cannot_be_listed_fails_the_tick(deployment: Deployment, tmp_path: Path) -> None:
    pipeline = INBOX.replace("FOLDER", str(tmp_path / "none"))

    with pytest.raises(SourceError, match="cannot be listed: No such file or directory; check that it is"):
        tick(deployment, INBOX_SENSOR, pipeline)
