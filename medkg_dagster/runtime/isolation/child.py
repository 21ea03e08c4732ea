"""The child process of one isolated stage: `python -m medkg_dagster.runtime.isolation.child DESCRIPTOR`.

It talks to the step that started it through the socket of that descriptor, and ends when the step does. It
must not import Dagster: a stage that is isolated pays for its own imports only.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import faulthandler
import gc
import io
import json
import logging
import os
import socket
import sys
import traceback
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from medkg_dagster.errors import StageContractError, StageRegistryError
from medkg_dagster.io.child_process import address_space, lift_memory_limit, limit_cpu, limit_memory
from medkg_dagster.plugins import PluginPolicy
from medkg_dagster.registry import (
    STAGE_GROUP,
    ExtensionRegistry,
    RegisteredStage,
    StageFactory,
    StageRegistry,
)
from medkg_dagster.runtime.isolation.channel import Channel, LogSender, ProgressSender, RemoteJobRecord
from medkg_dagster.runtime.isolation.messages import (
    DeclaredType,
    Failed,
    Finished,
    Report,
    Start,
    StateValue,
    plain_scalar,
    raised,
)
from medkg_dagster.stage_api import ExternalCalls, Stage, StageContext, StageMetadata
from medkg_dagster.stage_api._context import withhold_secrets
from medkg_dagster.stage_api._documents import whole_value
from medkg_dagster.stage_api._invocation import StageOutcome, invoke
from medkg_dagster.stage_api._redaction import redact, revealed_names
from medkg_dagster.stage_api._serialization import dump_value, load_value
from medkg_dagster.topology.models import PipelineTopologyConfig, StageDefinition

_HEADROOM_BYTES = 64 << 20
_MORE_CPU_SECONDS = 5
_MEBIBYTE = 1 << 20


def main() -> None:
    """Run one stage and send what comes of it."""
    channel, start, contents, ctx = begin()
    limit_cpu(start.timeout_seconds * (os.cpu_count() or 1) + _MORE_CPU_SECONDS)
    try:
        metadata, outcome = _run(start, ctx, contents)
        for key in metadata.state_keys:
            value_type = metadata.state_types.get(key, Any)
            channel.send(StateValue(key=key), dump_value(key, whole_value(outcome.state[key]), value_type))
        report = report_of(ctx, failed=False)
        flush()
        channel.send(Finished(output_count=outcome.output_count, report=report))
    except BaseException as error:  # noqa: BLE001 - whatever a plugin raises, the step must be told
        send_failure(channel, ctx, error)


def send_failure(channel: Channel, ctx: StageContext, error: BaseException) -> None:
    """Tell the step what ends the work of this process."""
    free_memory(error)
    flush()
    channel.send(Failed(error=raised(error), report=report_of(ctx, failed=True)))


def free_memory(error: BaseException) -> None:
    """Make room to report an error: where memory ran out the limit goes, and the frames hold the values."""
    lift_memory_limit()
    traceback.clear_frames(error.__traceback__)


def begin() -> tuple[Channel, Start, dict[str, bytes], StageContext]:
    """Set this process up.

    Returns:
        The channel to the step, what to do, the bytes of the inputs, and the surroundings of the stage.
    """
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    # A crash in a library leaves no exception; its stack on standard error is all there is to quote.
    faulthandler.enable()
    _redact_what_is_printed()
    start, contents = channel.receive_stage()
    channel.listen()
    _send_logs(channel)
    return channel, start, contents, enter(start, channel)


def enter(start: Start, channel: Channel) -> StageContext:
    """Make this process one for a stage, whatever it was for before; return the surroundings of the stage."""
    # `-m` puts the working directory first, where the step may not import from.
    sys.path[:] = start.import_path
    limit_memory_of(start)
    return _context(start, channel)


def limit_memory_of(start: Start) -> None:
    """Limit the memory that this process, and each one it starts, may take.

    Memory is counted as address space beyond what this process has taken so far, so that the limit holds for
    the plugin's imports, the inputs and the work, and not for the interpreter. Time is kept by the step; the
    limit of processor time only ends what is left of a step that was killed itself.
    """
    taken = address_space()
    if taken is None:
        logging.getLogger("medkg.stage").warning("this system does not tell memory; memory_mb does not hold")
        return
    limit = taken + start.memory_mb * _MEBIBYTE
    limit_memory(limit, headroom=_HEADROOM_BYTES, for_good=start.for_good)


def _run(start: Start, ctx: StageContext, contents: dict[str, bytes]) -> tuple[StageMetadata, StageOutcome]:
    metadata, stage, types = build(start)
    inputs = {key: load_value(key, contents.pop(key), value_type) for key, value_type in types.items()}
    return metadata, invoke(metadata, stage, ctx, inputs)


def build(start: Start) -> tuple[StageMetadata, Stage, dict[str, Any]]:
    """Build the stage again from what the step sent.

    Returns:
        The stage type, the stage, and by argument of `execute` the type of the input.

    Raises:
        StageContractError: The stage type has changed on disk.
    """
    stage_types = _StageTypes(start.timeout_seconds)
    entry = stage_types.find(start.target, start.stage_type)
    metadata = dataclasses.replace(entry.metadata, max_failure_ratio=start.max_failure_ratio)
    if (metadata.version, metadata.state_keys) != (start.version, start.state_keys):
        raise StageContractError(
            f"stage type {start.stage_type!r} of '{start.target}' has changed on disk: version "
            f"{metadata.version!r}, the run began with {start.version!r}; reload the code location"
        )
    types = {key: stage_types.type_of(declared) for key, declared in start.inputs.items()}
    topology = PipelineTopologyConfig.model_validate(start.topology)
    definition = StageDefinition.model_validate(start.definition)
    return metadata, StageFactory(stage_types.of(start.target)).resolve(topology, definition), types


class _StageTypes:
    """Loads entry points, each once; `load_seconds` is the limit of each."""

    def __init__(self, load_seconds: float) -> None:
        self._policy = PluginPolicy(load_seconds=load_seconds)
        self._loaded: dict[str, StageRegistry] = {}

    def of(self, target: str) -> StageRegistry:
        """Return the stage types that an entry point registers."""
        if target not in self._loaded:
            self._loaded[target] = StageRegistry(self._policy)
            self._loaded[target].load_entry_points([EntryPoint(target, target, STAGE_GROUP)])
        return self._loaded[target]

    def find(self, target: str, stage_type: str) -> RegisteredStage:
        """Return what an entry point registers under a stage type."""
        entry = self.of(target).find(stage_type)
        if entry is None:
            raise StageRegistryError(
                "; ".join(map(str, self.of(target).problems))
                or f"'{target}' does not register the stage type {stage_type!r} in a new process; let it "
                "register the same types each time"
            )
        return entry

    def type_of(self, declared: DeclaredType) -> Any:
        """Return the type of a state key as the stage type that writes it declares it."""
        metadata = self.find(declared.target, declared.stage_type).metadata
        return metadata.state_types.get(declared.state_key, Any)


def _context(start: Start, channel: Channel) -> StageContext:
    record = RemoteJobRecord(channel.exchange)
    log = logging.getLogger("medkg.stage")
    log.setLevel(logging.DEBUG)
    return StageContext(
        pipeline=start.pipeline,
        stage=start.stage,
        job_id=start.job_id,
        home=Path(start.home),
        log=log,
        report_progress=ProgressSender(channel),
        calls=ExternalCalls(
            timeout_seconds=start.calls.timeout_seconds,
            max_attempts=start.calls.max_attempts,
            backoff=start.calls.backoff,
            rate_limit_per_second=start.calls.rate_limit_per_second,
            failure_threshold=start.calls.failure_threshold,
            recovery_timeout=start.calls.recovery_timeout,
            reserve=record.take_turn if start.calls.shares_turns else None,
            log=log,
        ),
        job=record,
        fingerprints=start.fingerprints,
        extensions=ExtensionRegistry(start.policy.policy()),
    )


def _send_logs(channel: Channel) -> None:
    logging.basicConfig(handlers=[LogSender(channel)], format="%(message)s")
    logging.captureWarnings(capture=True)


class _RedactedText(io.TextIOWrapper):
    """A stream that secrets do not pass."""

    def write(self, text: str) -> int:
        super().write(redact(text))
        return len(text)


def _redact_what_is_printed() -> None:
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        raw = os.fdopen(descriptor, "wb", closefd=False)
        stream = _RedactedText(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        setattr(sys, name, stream)


def flush() -> None:
    """Let what was printed go out."""
    for stream in (sys.stdout, sys.stderr):
        # A stage may have closed or replaced them.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def report_of(ctx: StageContext, *, failed: bool) -> Report:
    """Return what the stage left on its context."""
    withhold_secrets(ctx)
    described = {} if failed else ctx.described
    return Report(
        succeeded=ctx.succeeded,
        quarantined=tuple(ctx.quarantined),
        described=json.loads(json.dumps(described, default=plain_scalar)),
        revealed=revealed_names(),
    )


if __name__ == "__main__":
    atexit.register(gc.freeze)  # no last search for garbage, which takes a fifth of a short process
    main()
