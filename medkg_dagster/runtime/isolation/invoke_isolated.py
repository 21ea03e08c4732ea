"""Running a stage in a child process with limits of memory and time."""

import contextlib
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from medkg_dagster.errors import ConfigError, IsolatedStageError, StageLimitError, StageResolutionError
from medkg_dagster.plugins import PluginPolicy
from medkg_dagster.runtime.isolation.messages import (
    CallLimits,
    DeclaredType,
    Failed,
    Input,
    Policy,
    RaisedError,
    Report,
    Start,
    encode_frame,
    known_error,
)
from medkg_dagster.runtime.isolation.stage_process import StageProcess
from medkg_dagster.stage_api import (
    ExternalCalls,
    Secret,
    StageContext,
    StageMetadata,
    Stopwatch,
    SubprocessIsolation,
)
from medkg_dagster.stage_api._invocation import StageOutcome
from medkg_dagster.stage_api._serialization import dump_value, load_value
from medkg_dagster.topology.models import PipelineTopologyConfig, StageDefinition


@dataclass(frozen=True, slots=True)
class InputSource:
    """Who wrote an input, so that the child process can read it.

    Attributes:
        target: The entry point, `module:attribute`, of the stage type that wrote it.
        metadata: That type's metadata under its own key names.
        state_key: The type's own name of the key.
    """

    target: str
    metadata: StageMetadata
    state_key: str


def invoke_isolated(
    *,
    target: str,
    metadata: StageMetadata,
    input_sources: Mapping[str, InputSource],
    topology: PipelineTopologyConfig,
    definition: StageDefinition,
    ctx: StageContext,
    inputs: Mapping[str, Any],
    limits: SubprocessIsolation,
    policy: PluginPolicy,
) -> StageOutcome:
    """Build and execute a stage in a child process, as `invoke` does in this one.

    The child gets the environment, the configuration with its references to secrets, and copies of the
    inputs. Its log, its progress and its use of the ledger job come back while it runs. Whatever happens, it
    and the processes it started are gone afterwards.

    Args:
        target: The entry point, `module:attribute`, that registers the stage type.
        metadata: The stage type, under its own key names.
        input_sources: By argument of `execute`: who wrote the input.
        topology: The stage's pipeline.
        definition: The stage with the configuration of this run.
        ctx: The context; it collects what the stage reports.
        inputs: By argument of `execute`: the value.
        limits: How much memory and time the stage may take; its time begins with the start of the child.
        policy: Which extensions are let in.

    Raises:
        StageResolutionError: An input has no source.
        StageLimitError: The stage took too much memory or time.
        IsolatedStageError: It raised an error that is none of this package, or its process ended.
        MedkgError: What the stage raised, as `invoke` does.
    """
    watch = Stopwatch()
    start = start_message(
        target=target,
        metadata=metadata,
        input_sources=input_sources,
        topology=topology,
        definition=definition,
        ctx=ctx,
        inputs=inputs,
        limits=limits,
        policy=policy,
    )
    process = StageProcess(metadata.stage_type, ctx, limits)
    end = process.run(chain([encode_frame(start)], _input_frames(inputs, input_sources)))
    _take_report(ctx, end.report)
    if isinstance(end, Failed):
        raise child_error(metadata.stage_type, end.error, limits)
    state = {
        key: load_value(key, process.values.pop(key, b""), metadata.state_types.get(key, Any))
        for key in metadata.state_keys
    }
    return StageOutcome(state, end.output_count, watch.seconds)


def start_message(
    *,
    target: str,
    metadata: StageMetadata,
    input_sources: Mapping[str, InputSource],
    topology: PipelineTopologyConfig,
    definition: StageDefinition,
    ctx: StageContext,
    inputs: Collection[str],
    limits: SubprocessIsolation,
    policy: PluginPolicy,
) -> Start:
    """Return what a child process needs to begin; see `invoke_isolated`.

    Raises:
        StageResolutionError: An input has no source.
    """
    _check_sources(metadata.stage_type, inputs, input_sources)
    _remember_secrets(definition.config)
    return Start(
        import_path=sys.path,
        target=target,
        stage_type=metadata.stage_type,
        version=metadata.version,
        state_keys=metadata.state_keys,
        max_failure_ratio=metadata.max_failure_ratio,
        definition=_as_written(definition),
        topology=_as_written(topology),
        pipeline=ctx.pipeline,
        stage=ctx.stage,
        job_id=ctx.job_id,
        home=str(ctx.home),
        calls=_call_limits(ctx.calls),
        policy=Policy.of(policy),
        inputs={key: _declared(input_sources[key]) for key in inputs},
        fingerprints=dict(ctx.fingerprints),
        memory_mb=limits.memory_mb,
        timeout_seconds=limits.timeout_seconds,
    )


def _check_sources(stage_type: str, inputs: Collection[str], sources: Mapping[str, InputSource]) -> None:
    for key in inputs:
        if key not in sources:
            raise StageResolutionError(
                f"stage type {stage_type!r} cannot run in a child process: the type of its input {key!r} is "
                "registered by code, which no other process knows; register it by an entry point, or remove "
                "`isolation`"
            )


def _as_written(model: PipelineTopologyConfig | StageDefinition) -> dict[str, Any]:
    # Keys that were left out stay so: a clause without a value differs from one with null.
    return model.model_dump(by_alias=True, exclude_unset=True)


def _call_limits(calls: ExternalCalls) -> CallLimits:
    return CallLimits(
        timeout_seconds=calls.timeout_seconds,
        max_attempts=calls.max_attempts,
        backoff=calls.backoff,
        rate_limit_per_second=calls.rate_limit_per_second,
        failure_threshold=calls.failure_threshold,
        recovery_timeout=calls.recovery_timeout,
        shares_turns=calls.reserve is not None,
    )


def _declared(source: InputSource) -> DeclaredType:
    stage_type = source.metadata.stage_type
    return DeclaredType(target=source.target, stage_type=stage_type, state_key=source.state_key)


def _input_frames(inputs: Mapping[str, Any], sources: Mapping[str, InputSource]) -> Iterator[bytes]:
    for key, value in inputs.items():
        value_type = sources[key].metadata.state_types.get(sources[key].state_key, Any)
        yield encode_frame(Input(key=key), dump_value(key, value, value_type))


def child_error(stage_type: str, error: RaisedError, limits: SubprocessIsolation) -> Exception:
    """Return what the stage raised in the child process."""
    described = f"{error.name}: {error.message}" if error.message else error.name
    if error.is_out_of_memory:
        made: Exception = StageLimitError(
            f"stage type {stage_type!r} took more than the {limits.memory_mb} MB that memory_mb of its "
            f"isolation allows ({described}); raise it, or give the stage less to do",
            error_class=error.name,
            details=error.details,
        )
    else:
        made = known_error(error) or IsolatedStageError(
            described, error_class=error.name, details=error.details, is_retryable=error.is_retryable
        )
    made.add_note(f"In the child process:\n{error.details}")
    return made


def _take_report(ctx: StageContext, report: Report) -> None:
    remember_secrets(report.revealed)
    ctx.succeeded += report.succeeded
    ctx.quarantined += report.quarantined
    ctx.described |= report.described


def remember_secrets(names: Collection[str]) -> None:
    """Keep what a child process revealed out of what is shown and stored here, too."""
    for name in names:
        _remember(name)


def _remember_secrets(config: Mapping[str, Any]) -> None:
    """Keep what the child process may print out of the log, before it reveals anything."""
    for name in _references(config):
        _remember(name)


def _remember(name: str) -> None:
    # The child process says so where the variable is missing and needed.
    with contextlib.suppress(ConfigError):
        Secret(env=name).reveal()


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if set(value) == {"env"} and isinstance(value["env"], str):
            yield value["env"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _references(item)
