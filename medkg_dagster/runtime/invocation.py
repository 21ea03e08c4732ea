"""Calling a stage and holding it to its contract."""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from medkg_dagster.errors import BatchFailedError, MedkgError, StageContractError
from medkg_dagster.resolution.plan import PlannedStage
from medkg_dagster.stage_api.context import StageContext, Stopwatch
from medkg_dagster.stage_api.metadata import StageMetadata, qualified_name
from medkg_dagster.stage_api.registration import Stage


class ScopedState(MutableMapping[str, Any]):
    """The state an output handler writes to; it accepts the stage type's own keys and no others."""

    __slots__ = ("_metadata", "_values")

    def __init__(self, metadata: StageMetadata) -> None:
        self._metadata = metadata
        self._values: dict[str, Any] = {}

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self._metadata.state_keys:
            raise StageContractError(
                f"output handler {qualified_name(self._metadata.output_handler)} of stage type "
                f"{self._metadata.stage_type!r} wrote the key {key!r}; its state_key allows "
                f"{', '.join(map(repr, self._metadata.state_keys)) or 'none'}"
            )
        self._values[key] = value

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __delitem__(self, key: str) -> None:
        del self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What one call of a stage gave.

    Attributes:
        state: State key to value.
        output_count: What the type's counter says.
        seconds: Wall time of building and executing the stage.
    """

    state: Mapping[str, Any]
    output_count: int
    seconds: float


def invoke(planned: PlannedStage, stage: Stage, ctx: StageContext, inputs: Mapping[str, Any]) -> StageOutcome:
    """Execute a stage, take its output onto a scoped state, and check what came of it.

    Args:
        planned: The stage's plan.
        stage: What its builder returned.
        ctx: The context to give it; it collects the quarantined documents.
        inputs: State key to value.

    Returns:
        The outcome.

    Raises:
        StageContractError: The handler wrote foreign keys or missed its own, or the counter lies.
        BatchFailedError: Too many documents failed.
    """
    watch = Stopwatch()
    execute = getattr(stage, "execute", None)
    if not callable(execute):
        raise StageContractError(
            f"the builder {qualified_name(planned.builder)} of stage type {planned.metadata.stage_type!r} "
            f"returned {type(stage).__name__}, which has no method execute(ctx, **inputs)"
        )
    output = execute(ctx, **inputs)
    _refuse_failed_batch(planned.metadata, ctx)
    state = ScopedState(planned.metadata)
    planned.metadata.output_handler(state, planned.name, output)
    missed = [key for key in planned.metadata.state_keys if key not in state]
    if missed:
        raise StageContractError(
            f"output handler {qualified_name(planned.metadata.output_handler)} of stage type "
            f"{planned.metadata.stage_type!r} did not write {', '.join(map(repr, missed))}"
        )
    return StageOutcome(dict(state), _count(planned.metadata, output), watch.seconds)


def is_retryable(error: Exception) -> bool:
    """Say whether trying again could help: a broken contract or bad data stays broken, a network may not."""
    from medkg_dagster.errors import SourceError, StoreError

    return not isinstance(error, MedkgError) or isinstance(error, SourceError | StoreError)


def _count(metadata: StageMetadata, output: Any) -> int:
    count = metadata.output_counter(output)
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise StageContractError(
            f"output counter {qualified_name(metadata.output_counter)} of stage type {metadata.stage_type!r} "
            f"returned {count!r}; it must return a whole number, 0 or more"
        )
    return count


def _refuse_failed_batch(metadata: StageMetadata, ctx: StageContext) -> None:
    failed = len(ctx.quarantined)
    seen = failed + ctx.succeeded
    if not failed or (ctx.succeeded and failed / seen <= metadata.max_failure_ratio):
        return
    first = ctx.quarantined[0]
    raise BatchFailedError(
        f"{failed} of {seen} documents failed in stage {ctx.stage!r} of pipeline {ctx.pipeline!r}, "
        f"job {ctx.job_id!r}; at most {metadata.max_failure_ratio:.0%} may. "
        f"First: {first.document_id}: {first.error_class}: {first.message}. "
        f"See them all with `medkg ledger show {ctx.pipeline}/{ctx.job_id}`"
    )
