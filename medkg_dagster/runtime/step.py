"""One step of a run: configure, invoke, store, record in the ledger, describe for the asset catalog."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from dagster import AssetCheckEvaluation, MetadataValue, OpExecutionContext, Output

from medkg_dagster.errors import (
    ConfigError,
    GateConditionError,
    MedkgError,
    StageResolutionError,
    SupersededRunError,
    counted,
)
from medkg_dagster.ledger import StageStatus
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution.plan import PipelinePlan, PlannedStage, Wire
from medkg_dagster.resolution.stage_config import stored_names
from medkg_dagster.runtime.dagster_internals import StepOutputHandle, versioned_output
from medkg_dagster.runtime.failures import (
    INTERRUPTS,
    InterruptWatch,
    StepFailedError,
    StepInterruptedError,
    may_retry,
    try_again,
)
from medkg_dagster.runtime.garbage_collection import rare_collections
from medkg_dagster.runtime.isolation.kept_processes import KeptProcesses
from medkg_dagster.runtime.machines import refuse_other_machines
from medkg_dagster.runtime.materialization import output_metadata, quarantine_table
from medkg_dagster.runtime.outcome_checks import evaluation
from medkg_dagster.runtime.policies import backoff, external_calls, is_retryable
from medkg_dagster.runtime.progress import RunProgress
from medkg_dagster.runtime.requests import given_config
from medkg_dagster.runtime.resources import LedgerJob
from medkg_dagster.runtime.state.archives import archive_state, data_version
from medkg_dagster.runtime.state.batch_memo import BatchMemo
from medkg_dagster.runtime.state.io_manager import StateIOManager, StoredState, load_reference
from medkg_dagster.runtime.state.leases import LEASES, leased
from medkg_dagster.runtime.state.memo import MemoEngine
from medkg_dagster.runtime.state.work_account import WorkAccount
from medkg_dagster.runtime.step_record import StepRecord
from medkg_dagster.stage_api import QuarantinedDocument, StageContext, StageMetadata, SubprocessIsolation
from medkg_dagster.stage_api._context import withhold_secrets
from medkg_dagster.stage_api._document_loop import DocumentEngine, InOrder
from medkg_dagster.stage_api._documents import (
    DocumentValues,
    MemoryPart,
    is_kept_by_document,
    split_items,
    whole_value,
)
from medkg_dagster.stage_api._invocation import StageOutcome, invoke
from medkg_dagster.stage_api._preparation import Preparation
from medkg_dagster.stage_api._redaction import printing_redacted, redact, text_of
from medkg_dagster.topology.models import StageDefinition
from medkg_dagster.topology.names import LEDGER_JOB_RESOURCE

if TYPE_CHECKING:
    from medkg_dagster.runtime.isolation.invoke_isolated import InputSource

RESULT = "result"
"""The one output of a step's op."""


@dataclass(frozen=True, slots=True, eq=False)
class StepRunner:
    """Runs one planned stage inside an op.

    Attributes:
        pipeline: The pipeline's plan.
        planned: The stage's plan.
        factory: Builds the stage.
    """

    pipeline: PipelinePlan
    planned: PlannedStage
    factory: StageFactory

    def __call__(
        self, context: OpExecutionContext, inputs: Mapping[str, Any]
    ) -> Iterator[Output[Any] | AssetCheckEvaluation]:
        """Run the stage and yield what its checks say, and its state as the op's output `result`.

        Raises:
            StepFailedError: The stage failed, and trying again could not help.
            StepRetryError: The stage failed, and is to be tried again.
        """
        ledger_job: LedgerJob | ConfigError = getattr(context.resources, LEDGER_JOB_RESOURCE)
        if isinstance(ledger_job, ConfigError):
            raise StepFailedError(text_of(ledger_job), ledger_job)
        step = _Step.of(self, context, ledger_job)
        with step.recorded():
            output, evaluations = step.execute(inputs)
        yield from evaluations
        yield output

    # Dagster asks for that of every op's function, and finding it takes a tenth of the time to make an op.
    __signature__ = Signature(list(signature(__call__).parameters.values())[1:])

    def call(
        self,
        definition: StageDefinition,
        ctx: StageContext,
        inputs: Mapping[str, Any],
        engine: DocumentEngine,
        batches: BatchMemo | None = None,
    ) -> StageOutcome:
        """Build and execute the stage, in this process or in a child process of its own.

        Args:
            definition: The stage with the configuration of this run.
            ctx: The context to give it.
            inputs: By argument of `execute`: the value.
            engine: Does the work on documents, and keeps it.
            batches: Remembers whole batches of documents.

        Returns:
            The outcome, its state under the names this stage stores it under.

        Raises:
            Exception: Whatever the stage raises; see `invoke` and `invoke_isolated`.
        """
        planned = self.planned
        wired = {wire.argument: inputs[wire.argument] for wire in planned.wires}
        try:
            if planned.isolation is None or planned.metadata.per_document:
                stage = self.factory.resolve(self.pipeline.topology, definition)
                known = None if batches is None else batches.recall(stage, ctx, wired)
                if known is not None:
                    return known
                outcome = invoke(planned.contract, stage, ctx, wired, engine)
                if batches is not None:
                    batches.keep(ctx, outcome)
            else:
                outcome = self._call_isolated(definition, ctx, wired, planned.isolation)
        finally:
            withhold_secrets(ctx)
        names = stored_names(planned.contract, planned.metadata)
        state = {key: _kept(key, value, planned.contract, engine) for key, value in outcome.state.items()}
        return replace(outcome, state={stored: state[key] for key, stored in names.items()})

    def _call_isolated(
        self,
        definition: StageDefinition,
        ctx: StageContext,
        inputs: Mapping[str, Any],
        limits: SubprocessIsolation,
    ) -> StageOutcome:
        from medkg_dagster.runtime.isolation.invoke_isolated import invoke_isolated

        whole = {argument: whole_value(value) for argument, value in inputs.items()}
        return invoke_isolated(ctx=ctx, inputs=whole, **self.child_arguments(definition, limits))

    def child_arguments(
        self,
        definition: StageDefinition,
        limits: SubprocessIsolation,
        preparation: Preparation | None = None,
    ) -> dict[str, Any]:
        """Return what a child process of the stage is told beside its context and inputs.

        Args:
            definition: The stage with the configuration of this run.
            limits: Those of the process.
            preparation: The half of the stage that it does; None for the whole.

        Raises:
            StageResolutionError: No other process knows the stage type.
        """
        planned = self.planned
        if planned.origin is None:
            raise StageResolutionError(
                f"stage {planned.name!r} cannot run in a child process: code registered its type, which no "
                "other process knows; register it by an entry point, or remove `isolation`"
            )
        writers = {stage.name: stage for stage in self.pipeline.stages}
        sources = {wire.argument: _input_source(wire, writers[wire.source]) for wire in planned.wires}
        target, metadata = planned.origin.target, planned.contract
        if preparation is not None:
            target, metadata = preparation.target, preparation.register().metadata
            told = {"type": metadata.stage_type, "config": dict(preparation.config)}
            definition = definition.model_copy(update=told)
        return {
            "target": target,
            "metadata": metadata,
            "input_sources": {argument: source for argument, source in sources.items() if source is not None},
            "topology": self.pipeline.topology,
            "definition": definition,
            "limits": limits,
            "policy": self.factory.registry.policy,
        }


@dataclass(slots=True, eq=False)
class _Step:
    """One attempt at a stage: what it works with, and what it has come to.

    Attributes:
        runner: The stage's plan.
        dagster: Dagster's side of it.
        record: The ledger's side of it.
        home: The folder for all data.
        workers: How many processes documents are worked on in at once.
        kept: Processes that stages leave to one another.
        problem: What is wrong with what the run was asked for; the stage does not begin then.
        interrupts: Whether the run is to stop.
        ctx: What the stage is given; None until that is made.
    """

    runner: StepRunner
    dagster: OpExecutionContext
    record: StepRecord
    home: Path
    workers: int
    kept: KeptProcesses
    problem: ConfigError | None
    interrupts: InterruptWatch = field(default_factory=InterruptWatch)
    ctx: StageContext | None = None

    @classmethod
    def of(cls, runner: StepRunner, context: OpExecutionContext, ledger_job: LedgerJob) -> "_Step":
        """Return the attempt that Dagster asks for."""
        problem = ledger_job.problem or refuse_other_machines(context, ledger_job.local)
        record = StepRecord.of(ledger_job, runner.pipeline, runner.planned.name, context)
        of_job = (ledger_job.home, ledger_job.workers, ledger_job.kept)
        return cls(runner, context, record, *of_job, problem)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Let the ledger know how the attempt ended, before Dagster does."""
        try:
            with self.interrupts:
                try:
                    yield
                except INTERRUPTS:
                    raise
                except BaseException as error:  # noqa: BLE001 - whatever it is, the ledger must say so first
                    self.interrupts.check()
                    self._end(error)
        except INTERRUPTS:
            try:
                self.record.cancel()
            except MedkgError as error:
                # The executor tells the ledger once more, and the sensor of ended runs after it.
                self.dagster.log.error("the ledger does not know yet that the run was cancelled: %s", error)
            raise StepInterruptedError(f"run {self.record.run.run_id} was cancelled") from None

    def execute(self, inputs: Mapping[str, Any]) -> tuple[Output[Any], list[AssetCheckEvaluation]]:
        """Run the stage to its end; return its output, and what its checks say of it."""
        planned, log = self.runner.planned, self.dagster.log
        self.record.begin()
        if self.problem is not None:
            raise self.problem
        progress = RunProgress(planned.name, log)
        try:
            ctx = self.ctx = self._context(progress)
            with leased(self.home / LEASES), rare_collections(), printing_redacted():
                loaded = {name: self._loaded(name, value) for name, value in inputs.items()}
                configured = self._configured()
                engine = self._engine(configured)
                ctx.recall = engine.recall
                ctx.engine_of = partial(self._document_engine, configured)
                outcome = self.runner.call(configured, ctx, loaded, engine, self._batches(engine))
                metadata = output_metadata(ctx, outcome)
                stored = self._store(outcome, engine.account)
        finally:
            progress.close()
            # What was known of every document stands in circles with what Dagster keeps of a step, and the
            # next step of this process would carry it along.
            gc.collect()
        self.interrupts.check()
        asset, checks = self.dagster.asset_key_for_output(RESULT), planned.contract.checks
        evaluations = [evaluation(check, asset, ctx.described) for check in checks]
        refused = counted(len(ctx.quarantined), "document")
        figures = (planned.name, outcome.output_count, refused, outcome.seconds)
        log.info("%s: %d out, %s quarantined, %.2f s", *figures)
        self.record.finish(outcome, ctx)
        version = data_version(outcome.state, planned.metadata.state_types)
        return versioned_output(stored, RESULT, metadata, version), evaluations

    def _loaded(self, argument: str, value: Any) -> Any:
        """Return an input, and its type with it where it is one unit that a document's work depends on."""
        loaded = load_reference(value)
        planned = self.runner.planned
        wire = next((wire for wire in planned.wires if wire.argument == argument), None)
        if wire is None or isinstance(loaded, DocumentValues) or not planned.metadata.per_document:
            return loaded
        types = self.runner.pipeline.find_stage(wire.source).metadata.state_types
        return MemoryPart("", wire.state_key, loaded, types.get(wire.state_key, Any))

    def _context(self, progress: RunProgress) -> StageContext:
        planned, of_job = self.runner.planned, self.record.of_job
        return StageContext(
            pipeline=self.runner.pipeline.name,
            stage=planned.name,
            job_id=of_job.job_id,
            home=self.home,
            log=self.dagster.log,
            report_progress=progress,
            calls=external_calls(planned.policy, of_job.reserve_call, self.dagster.log),
            job=of_job,
            extensions=self.runner.factory.extensions,
        )

    def _store(self, outcome: StageOutcome, account: WorkAccount) -> StoredState | None:
        """Store what the stage wrote; were it left to Dagster, the ledger would not hear of a full disk."""
        if not outcome.state:
            return None
        types = self.runner.planned.metadata.state_types
        step = self.dagster.get_step_execution_context()
        return self._io_manager.store(
            step.get_output_context(self._handle),
            lambda path: archive_state(outcome.state, types, account, path, self._io_manager.shards),
        )

    @property
    def _handle(self) -> StepOutputHandle:
        return StepOutputHandle(self.dagster.get_step_execution_context().step.key, RESULT)

    def _batches(self, engine: MemoEngine) -> BatchMemo | None:
        if not self.runner.planned.metadata.per_document:
            return None
        context = self.dagster.get_step_execution_context().get_output_context(self._handle)
        return BatchMemo(engine, self._io_manager.archive(context))

    @property
    def _io_manager(self) -> StateIOManager:
        manager = self.dagster.get_step_execution_context().get_io_manager(self._handle)
        assert isinstance(manager, StateIOManager)
        return manager

    def _engine(self, definition: StageDefinition) -> MemoEngine:
        """Return what does the work on documents: only what is not remembered, apart where that pays."""
        planned = self.runner.planned
        inner = self._document_engine(definition) if planned.metadata.per_document else InOrder()
        where = (self._io_manager.shards, self.runner.pipeline.name, planned)
        return MemoEngine(*where, definition.config, self.home, inner, self.record.asked_again())

    def _document_engine(
        self, definition: StageDefinition, preparation: Preparation | None = None
    ) -> DocumentEngine:
        """Return what works on documents, in other processes too where these can know the stage type."""
        from medkg_dagster.runtime.isolation.document_workers import DocumentWorkers
        from medkg_dagster.runtime.isolation.invoke_isolated import start_message

        runner, planned = self.runner, self.runner.planned
        writers = {stage.name: stage for stage in runner.pipeline.stages}
        if None in [planned.origin, *(writers[wire.source].origin for wire in planned.wires)]:
            return InOrder()
        limits = planned.isolation or SubprocessIsolation()
        start = partial(start_message, **runner.child_arguments(definition, limits, preparation))
        return DocumentWorkers(
            workers=definition.workers or self.workers,
            limits=limits,
            is_demanded=planned.isolation is not None,
            start=lambda ctx, inputs: start(ctx=ctx, inputs=inputs),
            kept=self.kept,
        )

    def _configured(self) -> StageDefinition:
        """Return the definition with this run's configuration: launchpad over request over YAML."""
        planned, request = self.runner.planned, self.record.job.request
        given = given_config(self.runner.pipeline, planned, request, self.dagster.run.run_config)
        config = {**planned.definition.config, **given}
        return planned.definition.model_copy(update={"config": config})

    @property
    def _quarantined(self) -> list[QuarantinedDocument]:
        return self.ctx.quarantined if self.ctx else []

    def _end(self, error: BaseException) -> NoReturn:
        """Record that the attempt failed, and let Dagster know: for good, or to be tried again."""
        context, policy = self.dagster, self.runner.planned.policy
        retry = context.retry_number + 1
        message = f"{type(error).__name__}: {text_of(error)}"
        failure = self._failure(error)
        if isinstance(error, SupersededRunError):
            self.record.supersede(message)
            raise failure from None
        if isinstance(error, GateConditionError):
            self.record.stop(StageStatus.REFUSED, message, self._quarantined)
            raise failure from None
        if not (is_retryable(error) and retry < policy.max_attempts and may_retry(context)):
            self.record.stop(StageStatus.FAILED, message, self._quarantined)
            raise failure from None
        self.record.stop(StageStatus.UP_FOR_RETRY, message, self._quarantined)
        try_again(context, failure, error, backoff(policy).wait(retry))

    def _failure(self, error: BaseException) -> StepFailedError:
        planned = self.runner.planned
        metadata: dict[str, MetadataValue[Any]] = {
            "stage": MetadataValue.text(f"{self.runner.pipeline.name}.{planned.name}"),
            "stage_type": MetadataValue.text(planned.metadata.stage_type),
            "ledger_job": MetadataValue.text(self.record.job.job_id),
        }
        if isinstance(error, GateConditionError):
            for name in ("gate", "reason", "expected", "observed"):
                metadata[name] = MetadataValue.text(redact(str(getattr(error, name))))
        if self._quarantined:
            metadata["quarantined"] = quarantine_table(self._quarantined)
        text = text_of(error)
        described = text if isinstance(error, MedkgError) else f"{type(error).__name__}: {text}"
        if error is not self.problem:
            described = f"stage {planned.name!r} ({_described_type(planned)}): {described}"
        return StepFailedError(described, error, metadata)


def _described_type(planned: PlannedStage) -> str:
    """Return the stage type and, where it is a third party's, whose."""
    origin = planned.origin
    stage_type = planned.metadata.stage_type
    if origin is None or origin.is_own:
        return stage_type
    return f"{stage_type} of {origin.distribution} {origin.version}"


def _kept(key: str, value: Any, metadata: StageMetadata, engine: DocumentEngine) -> Any:
    """Return a value as it is stored: by document where its items know theirs, else as one unit."""
    value_type = metadata.state_types.get(key, Any)
    if isinstance(value, DocumentValues) or not is_kept_by_document(value_type):
        return value
    return DocumentValues(engine.keep(split_items(key, value, value_type)), value_type)


def _input_source(wire: Wire, writer: PlannedStage) -> "InputSource | None":
    from medkg_dagster.runtime.isolation.invoke_isolated import InputSource

    if writer.origin is None:
        return None
    names = stored_names(writer.contract, writer.metadata)
    own = next(key for key, stored in names.items() if stored == wire.state_key)
    return InputSource(writer.origin.target, writer.contract, own)
