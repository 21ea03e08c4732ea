"""Calling a stage and holding it to its contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.errors import BatchFailedError, StageContractError, counted
from medkg_dagster.stage_api._context import StageContext, Stopwatch
from medkg_dagster.stage_api._contract import ScopedState, count_of, execute_stage, handle_output
from medkg_dagster.stage_api._document_loop import DocumentEngine, InOrder, run_documents
from medkg_dagster.stage_api._documents import (
    DocumentValues,
    by_document,
    is_kept_by_document,
    split_items,
    whole_value,
)
from medkg_dagster.stage_api._stage_types.metadata import StageMetadata
from medkg_dagster.stage_api._stage_types.registration import Stage


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What one call of a stage gave.

    Attributes:
        state: State key to value; `DocumentValues` where a stage worked document by document.
        output_count: What the type's counter says.
        seconds: Wall time of building and executing the stage.
    """

    state: Mapping[str, Any]
    output_count: int
    seconds: float


def invoke(
    metadata: StageMetadata,
    stage: Stage,
    ctx: StageContext,
    inputs: Mapping[str, Any],
    engine: DocumentEngine | None = None,
) -> StageOutcome:
    """Execute a stage, take its output onto a scoped state, and check what came of it.

    Args:
        metadata: The stage type.
        stage: What its builder returned.
        ctx: The context to give it; it collects the quarantined documents.
        inputs: State key to value; by document, or whole.
        engine: Does the work on documents; by default it is done here, in order.

    Raises:
        StageContractError: `execute` does not take the inputs, the handler wrote foreign keys or missed its
            own, a value is an iterator, the counter lies, or the stage tried to end the process.
        BatchFailedError: Too many documents failed.
    """
    watch = Stopwatch()
    engine = engine or InOrder()
    try:
        if metadata.per_document:
            values, count = run_documents(metadata, stage, ctx, inputs, engine)
            _refuse_failed_batch(metadata, ctx)
            return StageOutcome(values, count, watch.seconds)
        streams = metadata.streams_documents
        given = {
            name: by_document(name, value) if streams else whole_value(value)
            for name, value in inputs.items()
        }
        output = execute_stage(metadata, stage, ctx, given)
        if streams and isinstance(output, Iterator):
            output = _kept(metadata, output, engine)
        _refuse_failed_batch(metadata, ctx)
        state = ScopedState(metadata)
        handle_output(metadata, state, ctx.stage, output)
        return StageOutcome(dict(state), count_of(metadata, output), watch.seconds)
    except SystemExit as error:
        # It would end the run, or the code server, and take everything else in the process along.
        raise StageContractError(
            f"stage type {metadata.stage_type!r} called sys.exit({error.code!r}); raise an error instead"
        ) from error


def _kept(metadata: StageMetadata, items: Iterator[Any], engine: DocumentEngine) -> DocumentValues:
    """Read to its end what a stage gives item by item, and keep it."""
    key, *others = metadata.state_keys or ("",)
    value_type = metadata.state_types.get(key)
    if others or not is_kept_by_document(value_type):
        raise StageContractError(
            f"stage type {metadata.stage_type!r} returned a {type(items).__name__}; only a type with one "
            "state key may, whose items are documents or have a document_id; return a tuple"
        )
    return DocumentValues(engine.keep(split_items(key, items, value_type)), value_type)


def _refuse_failed_batch(metadata: StageMetadata, ctx: StageContext) -> None:
    faults = [item for item in ctx.quarantined if item.is_fault]
    seen = len(ctx.quarantined) + ctx.succeeded
    if not ctx.succeeded:
        # That none of a batch can be used is worth a failure; that all were retracted is how things are.
        faults = [item for item in ctx.quarantined if item.status is DocumentStatus.QUARANTINED]
    failed, ratio = len(faults), metadata.max_failure_ratio
    # Of a few documents one is more than any share, and must not stop the others.
    is_one_of_several = failed == 1 and ratio > 0
    if not failed or (ctx.succeeded and (is_one_of_several or failed / seen <= ratio)):
        return
    first = faults[0]
    allowed = f"at most {ratio:.0%} may, one in any case" if ratio else "none may"
    raise BatchFailedError(
        f"{failed} of {counted(seen, 'document')} failed in stage {ctx.stage!r} of pipeline "
        f"{ctx.pipeline!r}, job {ctx.job_id!r}; {allowed}. "
        f"First: {first.document_id}: {first.error_class}: {first.message}. "
        f"See them all with `medkg ledger show {ctx.pipeline}/{ctx.job_id}`; mend or remove them at their "
        "source first, then run the job again from its start"
    )
