"""The run that does the work on a waiting job, and then says in the job's fields that it is done."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medkg_dagster.errors import StageContractError
from medkg_dagster.ledger import JobKey, JobLedger, RunIdentity, RunSelection, StageStatus
from medkg_dagster.resolution.plan import PipelinePlan, PlannedWork
from medkg_dagster.runtime.ledger_job_record import LedgerJobRecord
from medkg_dagster.runtime.policies import external_calls
from medkg_dagster.runtime.progress import RunProgress
from medkg_dagster.settings import Settings
from medkg_dagster.stage_api import Extensions, StageContext, WaitingJob
from medkg_dagster.stage_api._context import withhold_secrets
from medkg_dagster.stage_api._redaction import text_of


@dataclass(frozen=True, slots=True)
class GateWorkRun:
    """Does the work on one job.

    Attributes:
        settings: Where the ledger and all data are.
        extensions: The extensions that are let in.
        pipeline: The job's pipeline.
        job_id: The job's id.
        work: The work.
    """

    settings: Settings
    extensions: Extensions
    pipeline: PipelinePlan
    job_id: str
    work: PlannedWork

    def execute(self, run: RunIdentity, options: Mapping[str, Any], log: logging.Logger) -> StageContext:
        """Do the work, and set the fields it returns.

        Args:
            run: The run.
            options: What the launchpad says.
            log: Where progress is logged.

        Returns:
            The context of the work, with what it counted and described.

        Raises:
            SupersededRunError: Another run does it, or there is a later attempt.
            StageContractError: The work did not return the field that it declares, or called `sys.exit`.
            Exception: Whatever the work raises.
        """
        key, name = JobKey(self.pipeline.name, self.job_id), self.work.declared.name
        with JobLedger.of(self.settings) as ledger:
            ledger.phases.begin(key, name, run)
            ledger.stage_runs.begin(key, name, run, is_work=True)
            selection = RunSelection(frozenset({name}), {})
            progress = RunProgress(name, log)
            record = LedgerJobRecord(ledger, self.pipeline, self.job_id, run)
            stage = self.pipeline.find_stage(self.work.stage)
            ctx = StageContext(
                pipeline=self.pipeline.name,
                stage=name,
                job_id=self.job_id,
                home=self.settings.home,
                log=log,
                report_progress=progress,
                calls=external_calls(stage.policy, record.reserve_call, log),
                job=record,
                extensions=self.extensions,
            )
            model = self.work.declared.options_model
            try:
                waiting = WaitingJob(
                    stage.definition,
                    self.pipeline.topology.stages,
                    model.model_validate(options) if model else None,
                    run.attempt or 1,
                )
                fields = self._fields(ctx, waiting)
            except Exception as error:
                # Whatever stopped it, the ledger must say so before Dagster does.
                message = f"{type(error).__name__}: {text_of(error)}"
                ledger.stage_runs.stop(key, name, run, selection, status=StageStatus.FAILED, error=message)
                raise
            finally:
                progress.close()
                withhold_secrets(ctx)
            ledger.stage_runs.finish(
                key,
                name,
                run,
                selection,
                output_count=ctx.succeeded,
                succeeded=ctx.succeeded,
                quarantined=ctx.quarantined,
            )
            ctx.job.set_fields(fields, reason=f"{name} is done")
        return ctx

    def _fields(self, ctx: StageContext, job: WaitingJob) -> Mapping[str, Any]:
        declared = self.work.declared
        try:
            fields = declared.execute(ctx, job)
        except SystemExit as error:
            # It would end the run, or the code server, and take everything else in the process along.
            raise StageContractError(
                f"work at gates {declared.name!r} called sys.exit({error.code!r}); raise an error instead"
            ) from error
        if not isinstance(fields, Mapping) or declared.sets not in fields:
            raise StageContractError(
                f"work at gates {declared.name!r} must return the fields of the job to set, "
                f"{declared.sets!r} among them; it returned {type(fields).__name__}"
            )
        return fields
