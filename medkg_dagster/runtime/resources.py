"""The resources every step shares: the ledger, and the ledger job this run works on."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from dagster import AssetKey, DagsterRun, Failure, InitResourceContext, ResourceDefinition, resource

from medkg_dagster.errors import ConfigError
from medkg_dagster.ledger import Job, JobKey, JobLedger, RunIdentity
from medkg_dagster.plugins.events import PluginEvent
from medkg_dagster.resolution.ledger_checks import audit_plugins
from medkg_dagster.resolution.plan import PipelinePlan
from medkg_dagster.runtime.isolation.kept_processes import KeptProcesses
from medkg_dagster.runtime.launch import tell_run_id
from medkg_dagster.runtime.machines import only_local
from medkg_dagster.runtime.requests import check_given, given_config
from medkg_dagster.runtime.run_processes import ending_with, process_of, process_tags
from medkg_dagster.runtime.tags import ATTEMPT_TAG, PARTITION_TAG, PIPELINE_TAG
from medkg_dagster.settings import Settings
from medkg_dagster.stage_api import Extensions
from medkg_dagster.topology.names import dagster_name


@dataclass(frozen=True, slots=True)
class LedgerJob:
    """The ledger job of a run.

    Attributes:
        ledger: The open ledger.
        job: The job as it was when the run, or in a process of its own the step, began.
        home: The folder for all data.
        workers: How many processes documents are worked on in at once.
        kept: Processes that stages leave to one another; they end with the run, or with a step's own process.
        problem: What is wrong with the configuration that the run gives its stages; none of them begins then.
        local: What only this machine sees, so that no stage may begin on others.
    """

    ledger: JobLedger
    job: Job
    home: Path
    workers: int
    kept: KeptProcesses
    problem: ConfigError | None
    local: tuple[str, ...] = ()


def ledger_job_resource(
    settings: Settings,
    pipelines: Sequence[PipelinePlan],
    one_process_jobs: AbstractSet[str],
    plugin_events: Sequence[PluginEvent],
    extensions: Extensions,
) -> ResourceDefinition:
    """Return the resource that opens the ledger and makes sure that job and partition exist.

    Dagster initializes resources before the first step, which is before it needs the partition key to exist.
    Of a resource that fails it shows its own calls, and not what is wrong: the first step says that.

    Args:
        settings: Where the ledger and all data are.
        pipelines: The plans of the pipelines.
        one_process_jobs: Dagster jobs whose runs keep all steps in one process; such a run is marked with
            its process, so that the loss of the process can be seen.
        plugin_events: What became of plugins in this load, for the audit.
        extensions: What the configuration of stages may name.
    """
    plans = {pipeline.name: pipeline for pipeline in pipelines}
    # The last but one part of an asset key is the pipeline's Dagster name.
    names = {pipeline.dagster_name: pipeline.name for pipeline in pipelines}

    @resource(description="The job ledger and the ledger job, made on first use, that the run works on.")
    def ledger_job(context: InitResourceContext) -> Iterator[LedgerJob | ConfigError]:
        run = context.run
        if run is None or context.instance is None:
            raise Failure("a stage needs a run: launch its job or materialize its asset", allow_retries=False)
        job_id = run.tags.get(PARTITION_TAG)
        pipeline = run.tags.get(PIPELINE_TAG) or _pipeline_of(run.asset_selection, names)
        if not job_id or not pipeline:
            yield ConfigError(
                "the run names no ledger job: choose a partition, "
                f'or set the tag {PARTITION_TAG!r} (`--tags \'{{"{PARTITION_TAG}": "default"}}\'`)'
            )
            return
        process = ""
        if run.job_name not in one_process_jobs:
            # A step is given the run as it was before it began, and named its process.
            begun = context.instance.get_run_by_id(run.run_id)
            process = process_of(run.run_id, begun.tags) if begun else ""
        with ending_with(process), JobLedger.of(settings) as ledger, KeptProcesses() as kept:
            audit_plugins(plugin_events, ledger)
            key = JobKey(pipeline, job_id)
            try:
                ledger.jobs.ensure(key, actor=f"dagster run {run.run_id}")
            except ConfigError as error:
                yield error
                return
            # Of assets that somebody chose, the run's tags do not tell the pipeline.
            tags = {PIPELINE_TAG: pipeline}
            if run.job_name in one_process_jobs:
                tags |= process_tags(run.run_id)
            if not tags.items() <= run.tags.items():
                context.instance.add_run_tags(run.run_id, tags)
            if not context.instance.has_dynamic_partition(pipeline, job_id):
                context.instance.add_dynamic_partitions(pipeline, [job_id])
            plan = plans.get(pipeline)
            tell_run_id(run.run_id)
            job = ledger.runs.begin(key, run_identity(run), stages=plan.stage_names if plan else None)
            problem = _wrong_config(plan, job, run, extensions) if plan else None
            local = only_local(settings)
            yield LedgerJob(ledger, job, settings.home, settings.workers, kept, problem, local)

    return ledger_job


def _wrong_config(
    plan: PipelinePlan, job: Job, run: DagsterRun, extensions: Extensions
) -> ConfigError | None:
    """Return what is wrong with what a run gives any of its stages."""
    assets = {key.path[-1] for key in run.asset_selection or ()}
    phase = next((phase.stages for phase in plan.phases if phase.job_name == run.job_name), plan.stage_names)
    given = {
        stage.name: given_config(plan, stage, job.request, run.run_config)
        for stage in plan.stages
        if (dagster_name(stage.name) in assets if assets else stage.name in phase)
    }
    try:
        check_given(plan, given, extensions)
    except ConfigError as error:
        return error
    return None


def run_identity(run: DagsterRun) -> RunIdentity:
    """Return a run as the ledger knows it: which attempt it was started for, and what it re-executes."""
    attempt = run.tags.get(ATTEMPT_TAG, "")
    lineage = {run.parent_run_id, run.root_run_id} - {None, run.run_id}
    return RunIdentity(
        run.run_id,
        int(attempt) if attempt.isascii() and attempt.isdigit() else None,
        tuple(sorted(parent for parent in lineage if parent)),
        run.job_name,
    )


def _pipeline_of(selection: AbstractSet[AssetKey] | None, pipelines: Mapping[str, str]) -> str | None:
    """Return the pipeline of a run that was launched from assets, not from a pipeline's own job."""
    names = {key.path[-2] for key in selection or () if len(key.path) > 1}
    return pipelines.get(names.pop()) if len(names) == 1 else None
