"""The resources every step shares: the ledger, and the ledger job this run works on."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from dagster import AssetKey, DagsterRun, Failure, InitResourceContext, ResourceDefinition, resource

from medkg_dagster.ledger import Job, JobKey, JobLedger, RunIdentity
from medkg_dagster.plugins.events import PluginEvent
from medkg_dagster.resolution.ledger_checks import audit_plugins
from medkg_dagster.resolution.plan import PipelinePlan
from medkg_dagster.runtime.run_processes import process_tags
from medkg_dagster.runtime.tags import ATTEMPT_TAG, PARTITION_TAG, PIPELINE_TAG
from medkg_dagster.settings import Settings


@dataclass(frozen=True, slots=True)
class LedgerJob:
    """The ledger job of a run.

    Attributes:
        ledger: The open ledger.
        job: The job as it was when the run, or in a process of its own the step, began.
        home: The folder for all data.
    """

    ledger: JobLedger
    job: Job
    home: Path


def ledger_job_resource(
    settings: Settings,
    pipelines: Sequence[PipelinePlan],
    one_process_jobs: AbstractSet[str],
    plugin_events: Sequence[PluginEvent],
) -> ResourceDefinition:
    """Return the resource that opens the ledger and makes sure that job and partition exist.

    Dagster initializes resources before the first step, which is before it needs the partition key to exist.

    Args:
        settings: Where the ledger and all data are.
        pipelines: The plans of the pipelines.
        one_process_jobs: Dagster jobs whose runs keep all steps in one process; such a run is marked with
            its process, so that the loss of the process can be seen.
        plugin_events: What became of plugins in this load, for the audit.
    """
    plans = {pipeline.name: pipeline for pipeline in pipelines}
    # The last but one part of an asset key is the pipeline's Dagster name.
    names = {pipeline.dagster_name: pipeline.name for pipeline in pipelines}

    @resource(description="The job ledger and the ledger job, made on first use, that the run works on.")
    def ledger_job(context: InitResourceContext) -> Iterator[LedgerJob]:
        run = context.run
        if run is None or context.instance is None:
            raise Failure("a stage needs a run: launch its job or materialize its asset", allow_retries=False)
        job_id = run.tags.get(PARTITION_TAG)
        pipeline = run.tags.get(PIPELINE_TAG) or _pipeline_of(run.asset_selection, names)
        if not job_id or not pipeline:
            raise Failure(
                "the run names no ledger job: choose a partition, "
                f'or set the tag {PARTITION_TAG!r} (`--tags \'{{"{PARTITION_TAG}": "default"}}\'`)',
                allow_retries=False,
            )
        # Of assets that somebody chose, the run's tags do not tell the pipeline.
        tags = {PIPELINE_TAG: pipeline}
        if run.job_name in one_process_jobs:
            tags |= process_tags(run.run_id)
        context.instance.add_run_tags(run.run_id, tags)
        if not context.instance.has_dynamic_partition(pipeline, job_id):
            context.instance.add_dynamic_partitions(pipeline, [job_id])
        with JobLedger.of(settings) as ledger:
            audit_plugins(plugin_events, ledger)
            key = JobKey(pipeline, job_id)
            ledger.jobs.ensure(key, actor=f"dagster run {run.run_id}")
            stages = plans[pipeline].stage_names if pipeline in plans else None
            job = ledger.runs.begin(key, run_identity(run), stages=stages)
            yield LedgerJob(ledger, job, settings.home)

    return ledger_job


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
