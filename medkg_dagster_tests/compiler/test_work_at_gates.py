"""Work at gates that third parties declare, from the sensor that starts it to the gate that it opens."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from dagster import (
    DagsterRunStatus,
    ExecuteInProcessResult,
    RunRequest,
    TableMetadataValue,
    build_sensor_context,
)
from pydantic import BaseModel

from medkg_dagster.compiler import job_sensors
from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.errors import ConfigError, Problem, StageRegistryError
from medkg_dagster.ledger import JobKey, JobLedger, JobStatus, StageStatus
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import load_plan
from medkg_dagster.settings import Settings
from medkg_dagster.stage_api import (
    Secret,
    StageContext,
    StageMetadata,
    StageRegistration,
    WaitingJob,
    WorkAtGate,
    write_key,
)
from medkg_dagster.stages.gate import register as register_gate
from medkg_dagster_tests.compiler.deployment import Deployment, Stage

SCANS = """\
name: scans
version: "2026-01-01"
stages:
  - {name: read, type: read}
  - {name: scan, type: scan, depends_on: [read], config: {language: la}}
  - {name: gate_legible, type: gate, depends_on: [scan]}
  - {name: count, type: count, depends_on: [gate_legible]}
gates:
  - name: legible
    resume_stage: count
    condition: {clauses: [{field: ocr.pages, operator: gt, value: 1}], poll_interval_seconds: 0.001}
"""
BEHIND = "scans__after_legible"
SCAN = JobKey("scans", "default")
RESCANS = SCANS.replace("name: scans", "name: scans2").replace("type: scan,", "type: rescan,")


class OcrOptions(BaseModel):
    dpi: int = 300


Recognise = Callable[[StageContext, WaitingJob], Mapping[str, Any]]


def recognise(ctx: StageContext, job: WaitingJob) -> Mapping[str, Any]:
    ctx.for_each(["a", "b", ""], lambda page: page[0], document_id=lambda page: page or "empty")
    ctx.describe("language", job.stage.config["language"])
    text = f"{ctx.pipeline}/{ctx.job_id} {job.options.dpi} {job.attempt} {[s.name for s in job.stages][-1]}"
    return {"ocr.pages": ctx.succeeded, "ocr.said": text}


def scan_type(
    execute: Recognise = recognise, *, stage_type: str = "scan", name: str = "ocr", sets: str = "ocr.pages"
) -> StageRegistration:
    """Return the registration of a third party's stage type, which writes nothing and declares work."""
    work = WorkAtGate(name, sets, execute, "Recognises the text of scans.", options_model=OcrOptions)
    metadata = StageMetadata(
        stage_type=stage_type,
        state_key=f"{stage_type}s",
        output_handler=write_key(f"{stage_type}s"),
        output_counter=len,
        description="Sends scans to a service.",
        dependencies=("read",),
        state_types={f"{stage_type}s": tuple[str, ...]},
        work_at_gates=(work,),
    )
    return StageRegistration(metadata, lambda _definition: Stage(lambda _ctx, words: words))


def use(deployment: Deployment, *registrations: StageRegistration) -> None:
    for item in registrations:
        deployment.registry.register_stage(metadata=item.metadata, builder=item.builder, replace=True)


@pytest.fixture
def scans(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setattr(job_sensors, "HOLD_SECONDS", 0.0)
    use(deployment, register_gate(), scan_type())
    return deployment


@pytest.fixture
def ledger(scans: Deployment) -> Iterator[JobLedger]:
    with JobLedger.open(scans.home) as book:
        yield book


def tick(deployment: Deployment, sensor: str, pipeline: str = SCANS) -> Any:
    definitions = deployment.definitions(pipeline)
    context = build_sensor_context(instance=deployment.instance, definitions=definitions)
    return definitions.resolve_sensor_def(sensor).evaluate_tick(context)


def start(deployment: Deployment, request: RunRequest, pipeline: str = SCANS) -> ExecuteInProcessResult:
    """Run what a sensor asked for, as the daemon does."""
    job = deployment.definitions(pipeline).resolve_job_def(request.job_name or "ocr")
    return job.execute_in_process(
        instance=deployment.instance,
        raise_on_error=False,
        tags=dict(request.tags),
        run_config=request.run_config,
    )


def problems(deployment: Deployment, **pipelines: str) -> tuple[Problem, ...]:
    folder = deployment.config / "orchestration" / "pipelines"
    for name, text in pipelines.items():
        (folder / f"{name}.yaml").write_text(text)
    factory = StageFactory(deployment.registry)
    plan = load_plan(deployment.config, factory)
    compile_plan(plan, factory, Settings(deployment.home, deployment.config))
    return plan.problems


def test_the_sensor_starts_the_work_the_work_sets_the_field_and_the_gate_opens(
    scans: Deployment, ledger: JobLedger
) -> None:
    scans.run("scans", pipeline=SCANS)
    assert ledger.jobs.get(SCAN).status is JobStatus.WAITING
    assert tick(scans, "scans__gate_legible").run_requests == []

    (work,) = tick(scans, "ocr").run_requests
    done = start(scans, work)

    assert (work.run_key, done.success, tick(scans, "ocr").run_requests) == ("scans:default:1", True, [])
    job = ledger.jobs.get(SCAN)
    assert job.status is JobStatus.WAITING
    assert job.fields["ocr"] == {"pages": 2, "said": "scans/default 300 1 count"}
    (refused,) = ledger.stage_runs.outcomes(SCAN)
    assert (refused.document_id, refused.stage) == ("empty", "ocr")

    (behind,) = tick(scans, "scans__gate_legible").run_requests
    assert start(scans, behind).success
    assert ledger.jobs.get(SCAN).status is JobStatus.SUCCEEDED


def test_work_is_done_and_its_field_is_set_at_one_moment(scans: Deployment, ledger: JobLedger) -> None:
    # Killed in between, it would count as done, and its job would wait at the gate for ever.
    scans.run("scans", pipeline=SCANS)
    start(scans, *tick(scans, "ocr").run_requests)

    (work,) = [run for run in ledger.runs.of_job(SCAN) if run.is_work]
    changes = [entry for entry in ledger.jobs.history(SCAN) if entry.field == "ocr.pages"]
    assert [(entry.at, entry.reason) for entry in changes] == [(work.ended_at, "ocr is done")]


def test_what_the_work_described_and_set_aside_is_shown_with_its_run(
    scans: Deployment,
) -> None:
    scans.run("scans", pipeline=SCANS)

    done = start(scans, *tick(scans, "ocr").run_requests)

    (output,) = [event for event in done.events_for_node("do_ocr") if event.is_successful_output]
    shown = output.step_output_data.metadata
    assert shown["language"].value == "la"
    quarantined = shown["quarantined"]
    assert isinstance(quarantined, TableMetadataValue)
    assert [record.data["document"] for record in quarantined.records] == ["empty"]


def test_the_launchpad_says_how_the_work_is_done(scans: Deployment, ledger: JobLedger) -> None:
    scans.run("scans", pipeline=SCANS)
    (request,) = tick(scans, "ocr").run_requests
    config = {"pipeline": "scans", "job_id": "default", "dpi": 600}

    start(scans, request._replace(run_config={"ops": {"do_ocr": {"config": config}}}))

    assert ledger.jobs.get(SCAN).fields["ocr"]["said"] == "scans/default 600 1 count"


def test_where_somebody_else_does_the_work_nothing_of_it_is_there(
    scans: Deployment, ledger: JobLedger
) -> None:
    elsewhere = SCANS + "conversion: external\n"

    scans.run("scans", pipeline=elsewhere)

    definitions = scans.definitions(elsewhere)
    assert "ocr" not in {job.name for job in definitions.resolve_all_job_defs()}
    assert [phase.phase for phase in ledger.phases.of_job(SCAN)] == [BEHIND]


def fail(_ctx: StageContext, _job: WaitingJob) -> Mapping[str, Any]:
    raise ConfigError("no scanner")


def leave(_ctx: StageContext, _job: WaitingJob) -> Mapping[str, Any]:
    raise SystemExit(3)


def forget(_ctx: StageContext, _job: WaitingJob) -> Mapping[str, Any]:
    return {"ocr.page": 2}


def misplace(_ctx: StageContext, _job: WaitingJob) -> Mapping[str, Any]:
    return {"ocr.pages": object()}


def betray(_ctx: StageContext, _job: WaitingJob) -> Mapping[str, Any]:
    return {"ocr.pages": Secret(env="OCR_TOKEN").reveal()}


@pytest.mark.parametrize(
    ("execute", "message"),
    [
        (fail, "ConfigError: no scanner"),
        (leave, r"StageContractError: work at gates 'ocr' called sys\.exit\(3\)"),
        (forget, r"StageContractError: work at gates 'ocr' must return .* 'ocr.pages' among them"),
        (misplace, r"LedgerError: field 'ocr.pages' .*object"),
        (betray, r"StateError: fields 'ocr.pages' hold the secret OCR_TOKEN; the ledger keeps no secrets"),
    ],
)
def test_work_that_fails_is_told_in_the_ledger_and_the_job_waits_on(
    scans: Deployment,
    ledger: JobLedger,
    monkeypatch: pytest.MonkeyPatch,
    execute: Recognise,
    message: str,
) -> None:
    monkeypatch.setenv("OCR_TOKEN", "a-secret-of-the-service")
    use(scans, scan_type(execute))
    scans.run("scans", pipeline=SCANS)

    assert not start(scans, *tick(scans, "ocr").run_requests).success

    (run,) = [item for item in ledger.stage_runs.of_job(SCAN) if item.stage == "ocr"]
    assert run.status is StageStatus.FAILED
    assert re.match(message, run.error or "")
    assert "ocr" not in ledger.jobs.get(SCAN).fields


def test_a_new_attempt_is_told_its_number(scans: Deployment, ledger: JobLedger) -> None:
    scans.run("scans", pipeline=SCANS)
    start(scans, *tick(scans, "ocr").run_requests)

    ledger.phases.plan_work(SCAN, "ocr", actor="ann")
    start(scans, *tick(scans, "ocr").run_requests)

    assert ledger.jobs.get(SCAN).fields["ocr"]["said"] == "scans/default 300 2 count"


def test_no_secret_of_the_work_is_stored(
    scans: Deployment, ledger: JobLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCR_TOKEN", "a-secret-of-the-service")

    def tell(_ctx: StageContext, _job: WaitingJob) -> Mapping[str, Any]:
        raise ConfigError(f"refused {Secret(env='OCR_TOKEN').reveal()}")

    use(scans, scan_type(tell))
    scans.run("scans", pipeline=SCANS)
    done = start(scans, *tick(scans, "ocr").run_requests)

    (run,) = [item for item in ledger.stage_runs.of_job(SCAN) if item.stage == "ocr"]
    assert run.error == "ConfigError: refused [secret OCR_TOKEN]"
    assert "a-secret-of-the-service" not in repr(done.all_events)
    assert scans.instance.get_runs()[0].status is DagsterRunStatus.FAILURE


def test_of_several_stages_the_nearest_ones_work_is_done(scans: Deployment) -> None:
    use(scans, scan_type(fail, stage_type="rescan", name="second_ocr"))
    both = SCANS.replace(
        "  - {name: gate_legible, type: gate, depends_on: [scan]}",
        "  - {name: rescan, type: rescan, depends_on: [read, scan]}\n"
        "  - {name: gate_legible, type: gate, depends_on: [rescan]}",
    )

    plan = scans.definitions(both)

    assert {job.name for job in plan.resolve_all_job_defs()} & {"ocr", "second_ocr"} == {"second_ocr"}


def test_of_parallel_stages_none_is_nearest(scans: Deployment) -> None:
    use(scans, scan_type(fail, stage_type="rescan", name="second_ocr"))
    both = SCANS.replace(
        "  - {name: gate_legible, type: gate, depends_on: [scan]}",
        "  - {name: rescan, type: rescan, depends_on: [read]}\n"
        "  - {name: gate_legible, type: gate, depends_on: [scan, rescan]}",
    )

    (problem,) = problems(scans, scans=both)

    assert "'scan' and 'rescan' before gate 'legible'" in str(problem)
    assert "let one of them depend on the other" in str(problem)


def test_a_gate_that_waits_for_something_else_has_no_work(scans: Deployment) -> None:
    other = SCANS.replace("field: ocr.pages", "field: ocr.lines")

    assert "ocr" not in {job.name for job in scans.definitions(other).resolve_all_job_defs()}


@pytest.mark.parametrize(
    ("registrations", "pipelines", "message"),
    [
        pytest.param(
            [scan_type()],
            {"scans": SCANS, "ocr": SCANS.replace("name: scans", "name: ocr")},
            "would be called 'ocr' in Dagster, like the work at gates of the stage type 'scan'",
            id="like-a-pipeline",
        ),
        pytest.param(
            [scan_type()],
            {"scans": SCANS.replace("{name: read,", "{name: ocr,").replace("[read]", "[ocr]")},
            "stage 'ocr' is called like the work that the type of stage 'scan' declares",
            id="like-a-stage",
        ),
        pytest.param(
            [scan_type(name="ended_runs")],
            {"scans": SCANS},
            "work that would be called 'ended_runs' in Dagster",
            id="like-a-part-of-the-location",
        ),
        pytest.param(
            [scan_type(), scan_type(fail, stage_type="rescan")],
            {
                "scans": SCANS,
                "scans2": RESCANS,
            },
            "work at gates that the type of stage 'scan' declares is called 'do_ocr' in Dagster, like other",
            id="like-other-work",
        ),
    ],
)
def test_a_name_that_means_two_things_leaves_one_pipeline_out_and_the_others_load(
    scans: Deployment, registrations: list[StageRegistration], pipelines: dict[str, str], message: str
) -> None:
    use(scans, *registrations)

    (problem,) = problems(scans, **pipelines)

    assert message in str(problem)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "two__parts"}, "name must be letters, digits and single underscores"),
        ({"op_name": "ocr"}, "op_name must differ from name"),
        ({"sets": "ocr..ready"}, "sets must be a field of the ledger job"),
        ({"execute": None}, "execute must be callable"),
        ({"description": " "}, "description must not be empty"),
        ({"options_model": dict}, "options_model must be a pydantic model class"),
    ],
)
def test_a_declaration_that_is_none_is_refused(changes: dict[str, Any], message: str) -> None:
    valid: dict[str, Any] = {
        "name": "ocr",
        "sets": "ocr.ready",
        "execute": recognise,
        "description": "Recognises.",
    }

    with pytest.raises(StageRegistryError, match=message):
        WorkAtGate(**(valid | changes))


def test_options_have_defaults_and_leave_the_names_of_the_job_alone() -> None:
    class Wrong(BaseModel):
        job_id: str
        dpi: int = 300

    with pytest.raises(StageRegistryError, match=r"must not have the field 'job_id'.*default for 'job_id'"):
        WorkAtGate("ocr", "ocr.ready", recognise, "Recognises.", options_model=Wrong)


def test_work_for_a_pipeline_without_it_is_refused(scans: Deployment) -> None:
    job = scans.definitions(SCANS).resolve_job_def("ocr")
    config = {"ops": {"do_ocr": {"config": {"pipeline": "scan", "job_id": "default"}}}}

    done = job.execute_in_process(instance=scans.instance, raise_on_error=False, run_config=config)

    (failure,) = [
        event
        for event in done.events_for_node("do_ocr")
        if event.is_step_failure or event.is_step_up_for_retry
    ]
    assert "no job of pipeline 'scan' waits at a gate for 'ocr'; did you mean 'scans'" in repr(failure)
