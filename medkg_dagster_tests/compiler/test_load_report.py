"""The asset that shows loading: its checks, its figures, and what it remembers between loads."""

import dataclasses
from pathlib import Path

import pytest
from dagster import (
    AssetCheckEvaluation,
    AssetMaterialization,
    DagsterInstance,
    Definitions,
    SensorResult,
    SkipReason,
    build_sensor_context,
)

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.compiler.load_report import LOAD_REPORT
from medkg_dagster.errors import Problem
from medkg_dagster.ledger import JobKey, JobLedger, JobStatus, RunIdentity
from medkg_dagster.plugins import Origin
from medkg_dagster.plugins.events import Outcome, PluginEvent
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import Plan, PluginReport
from medkg_dagster.settings import Settings
from medkg_dagster.topology.names import JOBS_GO_ON, PIPELINES_LOAD, PLUGINS_LOAD, PLUGINS_UNCHANGED
from medkg_dagster_tests.ledger.gated_jobs import gate

OCR = Origin("ocr", "lab.ocr:register", "lab-ocr", "1.0", record_hash="aa")
CLEAN = Plan(
    (),
    (),
    PluginReport(
        (PluginEvent(OCR, Outcome.DISCOVERED), PluginEvent(OCR, Outcome.REGISTERED, "ocr")),
        {"lab-ocr": 0.25, "medkg-dagster": 0.01},
        {("trials", "scan", "ocr", "lab-ocr"): 0.0015, ("papers", "scan", "ocr", "lab-ocr"): 0.0005},
    ),
)
BROKEN_FILE = Problem("unknown key 'stagse'", Path("broken.yaml"), 3, "did you mean 'stages'?")
BROKEN_PLUGIN = Problem("cannot be loaded: ImportError", subject=str(OCR), hint="reinstall", details="Trace")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "home", tmp_path / "config")


def definitions(plan: Plan, settings: Settings) -> Definitions:
    return compile_plan(plan, StageFactory.load_plugins(), settings)


def tick(plan: Plan, settings: Settings, cursor: str | None = None) -> SensorResult | SkipReason:
    sensor = definitions(plan, settings).resolve_sensor_def("load_report")
    with DagsterInstance.ephemeral() as instance:
        result = sensor(build_sensor_context(instance=instance, cursor=cursor))
    assert isinstance(result, SensorResult | SkipReason)
    return result


def checks(result: SensorResult | SkipReason) -> dict[str, AssetCheckEvaluation]:
    assert isinstance(result, SensorResult)
    return {
        event.check_name: event for event in result.asset_events if isinstance(event, AssetCheckEvaluation)
    }


def with_origin(plan: Plan, origin: Origin) -> Plan:
    events = tuple(dataclasses.replace(event, origin=origin) for event in plan.report.events)
    return dataclasses.replace(plan, report=dataclasses.replace(plan.report, events=events))


def test_a_clean_load_passes_every_check_without_a_run(settings: Settings) -> None:
    found = checks(tick(CLEAN, settings))

    assert {name: check.passed for name, check in found.items()} == {
        PIPELINES_LOAD: True,
        PLUGINS_LOAD: True,
        PLUGINS_UNCHANGED: True,
        JOBS_GO_ON: True,
    }


def test_problems_of_files_and_of_plugins_fail_checks_of_their_own(settings: Settings) -> None:
    files = checks(tick(dataclasses.replace(CLEAN, problems=(BROKEN_FILE,)), settings))
    plugins = checks(tick(dataclasses.replace(CLEAN, problems=(BROKEN_PLUGIN,)), settings))

    assert (files[PIPELINES_LOAD].passed, files[PLUGINS_LOAD].passed) == (False, True)
    assert "broken.yaml:3" in str(files[PIPELINES_LOAD].metadata["problems"])
    assert "did you mean 'stages'?" in str(files[PIPELINES_LOAD].metadata["problems"])
    assert (plugins[PIPELINES_LOAD].passed, plugins[PLUGINS_LOAD].passed) == (True, False)
    shown = str(plugins[PLUGINS_LOAD].metadata["problems"])
    assert "lab-ocr 1.0" in shown
    assert "Trace" in shown


def test_times_of_each_plugin_are_numbers_so_that_they_are_plotted(settings: Settings) -> None:
    result = tick(CLEAN, settings)

    assert isinstance(result, SensorResult)
    (report,) = (event for event in result.asset_events if isinstance(event, AssetMaterialization))
    assert report.asset_key == LOAD_REPORT
    assert report.metadata["discovery_seconds/lab-ocr"].value == 0.25
    assert report.metadata["resolution_seconds/lab-ocr"].value == 0.002
    assert report.metadata["discovery_seconds"].value == pytest.approx(0.26)


def test_the_same_load_is_reported_once(settings: Settings) -> None:
    first = tick(CLEAN, settings)

    assert isinstance(first, SensorResult)
    assert isinstance(tick(CLEAN, settings, first.cursor), SkipReason)


def test_every_later_load_is_a_point_in_the_plots_and_an_earlier_one_is_not(settings: Settings) -> None:
    def loaded(at: str) -> Plan:
        return dataclasses.replace(CLEAN, report=dataclasses.replace(CLEAN.report, loaded_at=at))

    second = tick(loaded("2026-01-02"), settings)

    assert isinstance(second, SensorResult)
    assert isinstance(tick(loaded("2026-01-03"), settings, second.cursor), SensorResult)
    assert isinstance(tick(loaded("2026-01-01"), settings, second.cursor), SkipReason)


@pytest.mark.parametrize("noticed_first", [False, True])
@pytest.mark.parametrize(
    ("origin", "change"),
    [
        (dataclasses.replace(OCR, version="1.1"), "version 1.0 -> 1.1"),
        (dataclasses.replace(OCR, record_hash="bb"), "same version, other files"),
    ],
)
def test_a_plugin_that_changed_between_loads_is_a_warning_that_says_how(
    settings: Settings, origin: Origin, change: str, noticed_first: bool
) -> None:
    before = tick(CLEAN, settings)
    assert isinstance(before, SensorResult)
    changed = with_origin(CLEAN, origin)
    if noticed_first:
        # A command or a run has written the audit before the sensor looks.
        tick(changed, settings)

    unchanged = checks(tick(changed, settings, before.cursor))[PLUGINS_UNCHANGED]

    assert not unchanged.passed
    assert unchanged.severity.value == "WARN"
    assert change in str(unchanged.metadata["since_the_load_before"])


def test_every_load_is_in_the_audit_of_the_ledger(settings: Settings) -> None:
    tick(CLEAN, settings)

    with JobLedger.of(settings) as ledger:
        entries = ledger.registrations.list()
    assert [(entry.distribution, entry.version, entry.outcome, entry.subject) for entry in entries] == [
        ("lab-ocr", "1.0", "registered", "ocr"),
        ("lab-ocr", "1.0", "discovered", ""),
    ]
    assert {entry.record_hash for entry in entries} == {"aa"}


def test_the_checks_can_be_run_from_the_ui(settings: Settings) -> None:
    broken = definitions(dataclasses.replace(CLEAN, problems=(BROKEN_FILE,)), settings)

    result = broken.resolve_implicit_global_asset_job_def().execute_in_process()

    passed = {item.check_name: item.passed for item in result.get_asset_check_evaluations()}
    assert passed == {PIPELINES_LOAD: False, PLUGINS_LOAD: True, PLUGINS_UNCHANGED: True, JOBS_GO_ON: True}


def test_jobs_whose_gate_is_gone_are_named_and_their_wait_ends(settings: Settings) -> None:
    first = tick(CLEAN, settings)
    assert isinstance(first, SensorResult)
    with JobLedger.of(settings) as ledger:
        for job_id, timeout in (("patient", None), ("hasty", 0.000001)):
            ledger.phases.submit(JobKey("papers", job_id), "papers", {}, actor="ann")
            ledger.phases.begin(JobKey("papers", job_id), "papers", RunIdentity("r1"))
            ledger.gates.arrive(JobKey("papers", job_id), gate(timeout=timeout), RunIdentity("r1"))

    stranded = checks(tick(CLEAN, settings, first.cursor))[JOBS_GO_ON]
    broken = checks(tick(dataclasses.replace(CLEAN, problems=(BROKEN_FILE,)), settings))[JOBS_GO_ON]

    assert (stranded.passed, stranded.severity.value) == (False, "WARN")
    shown = str(stranded.metadata["problems"])
    assert "a job waits for gate 'ready' of pipeline 'papers', which nothing that is loaded defines" in shown
    assert "`medkg ledger cancel papers/patient --reason WHY`" in shown
    assert not broken.passed
    with JobLedger.of(settings) as ledger:
        statuses = {job.job_id: (job.status, job.error) for job in ledger.jobs.list()}
        ledger.phases.cancel(JobKey("papers", "patient"), actor="ann", reason="the gate is gone")
        assert not ledger.phases.open()
    assert statuses == {
        "patient": (JobStatus.WAITING, None),
        "hasty": (JobStatus.FAILED, "gate 'ready' is no longer defined, and did not open in time"),
    }
