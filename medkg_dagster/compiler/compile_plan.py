"""The whole plan as Dagster definitions."""

import logging
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dagster import (
    AssetsDefinition,
    Definitions,
    SensorDefinition,
)

from medkg_dagster.compiler import job_sensors
from medkg_dagster.compiler.alerts import alert_sensors
from medkg_dagster.compiler.assets import build_assets, build_jobs
from medkg_dagster.compiler.config_schema import config_fields
from medkg_dagster.compiler.ended_runs import ended_run_sensor
from medkg_dagster.compiler.executors import Executors
from medkg_dagster.compiler.gate_decisions import decision_jobs
from medkg_dagster.compiler.load_report import load_report_asset, load_report_checks, load_report_sensor
from medkg_dagster.compiler.ops import SharedTypes
from medkg_dagster.compiler.stage_checks import stage_checks
from medkg_dagster.compiler.translator import PipelineAssets, PipelineTranslator, load_translator
from medkg_dagster.compiler.triggers import trigger_definitions
from medkg_dagster.conversion import gate_work_job, gate_work_sensor
from medkg_dagster.errors import Problem, TopologyError
from medkg_dagster.io.collector import collector_paused
from medkg_dagster.ledger import GateRule, JobLedger
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution.plan import Plan
from medkg_dagster.runtime.dagster_internals import IMPLICIT_ASSET_JOB_NAME
from medkg_dagster.runtime.ledger_job_record import gate_rule
from medkg_dagster.runtime.resources import ledger_job_resource
from medkg_dagster.runtime.state.io_manager import state_io_manager
from medkg_dagster.settings import Settings
from medkg_dagster.topology.names import LEDGER_JOB_RESOURCE, STATE_RESOURCE


def compile_plan(
    plan: Plan,
    factory: StageFactory,
    settings: Settings,
    *,
    translator: PipelineTranslator | None = None,
    is_default_executor: bool = True,
) -> Definitions:
    """Compile every pipeline of a plan.

    Args:
        plan: What resolution gave.
        factory: Builds stages when ops run.
        settings: Where data lives and how steps are executed.
        translator: How stages show as assets; by default the one that the settings name, if any.
        is_default_executor: Whether runs that belong to no job of ours, such as those of assets chosen in the
            UI, are executed like our jobs; not where the code location has an executor of its own.

    Returns:
        Assets, jobs, sensors and resources of the code location.

    Raises:
        ConfigError: The settings name a translator that there is none of.
        LedgerError: The settings name a ledger that there can be none of.
        TopologyError: The plan has problems, or a pipeline cannot be compiled, and the settings are strict.
            Otherwise each problem is logged, and shown by the load report.
    """
    JobLedger.check_address(settings)
    with collector_paused():
        translator = translator or load_translator(settings.translator)
        compiled, plan = _compile_pipelines(plan, factory, translator)
        if plan.problems and settings.strict:
            raise TopologyError(plan.problems)
        for problem in plan.problems:
            logging.getLogger("medkg").error("%s", problem)
        for note in plan.deprecations:
            logging.getLogger("medkg").warning("%s", note)
        executors = Executors(settings)
        own_jobs = plan.job_names | plan.work.keys()
        one_process_jobs = _one_process_jobs(plan, executors, settings, is_default_executor)
        triggers = [trigger_definitions(assets.pipeline, settings) for assets, _ in compiled]
        works = [item.declared for item in plan.work.values()]
        return Definitions(
            assets=[
                *(made for _, made in compiled),
                load_report_asset(),
            ],
            asset_checks=[
                load_report_checks(plan, settings),
                *stage_checks([assets for assets, _ in compiled]),
                *(
                    job_sensors.waiting_check(assets, gate, settings)
                    for assets, _ in compiled
                    for gate in assets.pipeline.gates
                ),
            ],
            jobs=[
                *(
                    job
                    for assets, _ in compiled
                    for job in build_jobs(assets, executors.get(executors.name_for(assets.pipeline)))
                ),
                *(
                    job
                    for assets, _ in compiled
                    for job in decision_jobs(assets.pipeline, settings, executors.get("in_process"))
                ),
                *(
                    gate_work_job(
                        work,
                        plan=plan,
                        settings=settings,
                        extensions=factory.extensions,
                        executor=executors.default,
                        options=config_fields(work.options_model),
                    )
                    for work in works
                ),
            ],
            sensors=[
                load_report_sensor(plan, settings),
                *(made for _, sensors in triggers for made in sensors),
                *_job_sensors([assets for assets, _ in compiled], settings),
                *(gate_work_sensor(work, settings) for work in works),
                ended_run_sensor(settings, own_jobs, _phases(plan)),
                *alert_sensors(plan.alerts, plan.pipelines, settings, plan.report.loaded_at),
            ],
            schedules=[schedule for schedules, _ in triggers for schedule in schedules],
            resources={
                STATE_RESOURCE: state_io_manager(settings.home / "state", plan.state_types),
                LEDGER_JOB_RESOURCE: ledger_job_resource(
                    settings,
                    plan.pipelines,
                    one_process_jobs,
                    plan.report.events,
                    factory.extensions,
                ),
            },
            executor=executors.default if is_default_executor else None,
        )


def _phases(plan: Plan) -> dict[str, GateRule | None]:
    """Return the Dagster jobs of all phases, each with the gate in front of it."""
    phases: dict[str, GateRule | None] = dict.fromkeys(plan.job_names)
    return phases | {gate.job_name: gate_rule(gate) for _, gate in plan.gates}


def _one_process_jobs(
    plan: Plan, executors: Executors, settings: Settings, is_default_executor: bool
) -> frozenset[str]:
    """Return the Dagster jobs whose runs keep all steps in one process."""
    jobs = {
        phase.job_name
        for pipeline in plan.pipelines
        if executors.name_for(pipeline) == "in_process"
        for phase in pipeline.phases
    }
    if settings.executor == "in_process":
        jobs |= {*plan.work, *([IMPLICIT_ASSET_JOB_NAME] if is_default_executor else ())}
    return frozenset(jobs)


Compiled = list[tuple[PipelineAssets, AssetsDefinition]]


def _compile_pipelines(
    plan: Plan, factory: StageFactory, translator: PipelineTranslator
) -> tuple[Compiled, Plan]:
    """Compile the pipelines one by one; what a plugin breaks here breaks its own pipelines only."""
    types = SharedTypes()
    compiled: Compiled = []
    problems: list[Problem] = []
    for pipeline in plan.pipelines:
        try:
            assets = PipelineAssets.translate(pipeline, translator)
            compiled.append((assets, build_assets(assets, factory, types)))
        except Exception as error:  # noqa: BLE001 - Dagster may refuse anything a plugin gives, and others must load
            details = "".join(traceback.format_exception(error))
            problems.append(
                Problem(
                    f"cannot be compiled: {type(error).__name__}: {error}",
                    subject=f"pipeline '{pipeline.name}'",
                    hint="tell the authors of the stage types it uses, or of the translator",
                    details=details,
                )
            )
    pipelines = tuple(assets.pipeline for assets, _ in compiled)
    return compiled, replace(plan, pipelines=pipelines, problems=(*plan.problems, *problems))


def _job_sensors(compiled: Sequence[PipelineAssets], settings: Settings) -> Iterator[SensorDefinition]:
    gates = [(assets, gate) for assets in compiled for gate in assets.pipeline.gates]
    hold_seconds = min(job_sensors.HOLD_SECONDS, job_sensors.HOLD_SECONDS_OF_ALL / max(1, len(gates)))
    for assets in compiled:
        yield job_sensors.submission_sensor(assets.pipeline, settings)
    for assets, gate in gates:
        yield job_sensors.gate_sensor(assets, gate, settings, hold_seconds)
