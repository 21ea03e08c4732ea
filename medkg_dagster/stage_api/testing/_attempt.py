"""One run of a stage taken apart, so that each step is judged even where another failed."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import traceback
from collections.abc import Iterator, Mapping, MutableMapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medkg_dagster.errors import (
    BatchFailedError,
    Problem,
    StageConfigError,
    StageContractError,
    StageRegistryError,
    StateError,
)
from medkg_dagster.stage_api._context import StageContext
from medkg_dagster.stage_api._invocation import invoke
from medkg_dagster.stage_api._serialization import dump_value, load_value
from medkg_dagster.stage_api._stage_types.metadata import StageMetadata, qualified_name
from medkg_dagster.stage_api._stage_types.registration import Stage, handler_of
from medkg_dagster.stage_api.testing._differences import find_difference
from medkg_dagster.stage_api.testing._run import Bench, StageRun, finished_run

_NO_COPY = object()
_SAY_IT_ALL = (BatchFailedError, StageConfigError, StageContractError, StageRegistryError, StateError)


class Findings:
    """The broken rules of one stage type.

    Attributes:
        problems: What was found, in order.
        cause: The first exception that was noted.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.cause: BaseException | None = None

    def add(self, message: str, hint: str) -> None:
        """Note a broken rule."""
        self.problems.append(Problem(message, hint=hint))

    @contextlib.contextmanager
    def noting(self, what: str, hint: str | None = None) -> Iterator[None]:
        """Note what is raised inside, and go on behind it.

        Args:
            what: Who raises it, for errors that do not say so themselves.
            hint: What to do about it.
        """
        try:
            yield
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stage may raise anything; it is one broken rule of several
            self.cause = self.cause or error
            message = str(error) if isinstance(error, _SAY_IT_ALL) else f"{what} raised {_described(error)}"
            details = "".join(traceback.format_exception(error))
            self.problems.append(Problem(message, hint=hint, details=details))


@dataclass(slots=True)
class Attempt:
    """What came of one run.

    Attributes:
        findings: The rules it broke.
        run: What it gave; None where it gave no state.
        stored: State key to what the next stage would load.
    """

    findings: Findings = field(default_factory=Findings)
    run: StageRun | None = None
    stored: dict[str, Any] = field(default_factory=dict)


def attempt(bench: Bench, home: Path) -> Attempt:
    """Run a stage and judge every step of it."""
    made = Attempt()
    findings = made.findings
    metadata = bench.registration.metadata
    ctx = bench.context(home)
    built: list[Stage] = []
    produced: list[tuple[Any, float]] = []
    with findings.noting(f"the builder {qualified_name(bench.registration.builder)}"):
        built.append(bench.build())
    if metadata.per_document or metadata.streams_documents:
        for stage in built:
            _invoke(bench, stage, ctx, made)
        return made
    for stage in built:
        with findings.noting("execute"):
            produced.append(_execute(bench, stage, ctx, findings))
    if not produced:
        return made
    output, seconds = produced[0]
    state = _handle(metadata, ctx, output, findings)
    count = _count(metadata, ctx, output, findings)
    if state is None:
        return made
    _check_count(metadata, state, count, findings)
    _finish(made, metadata, finished_run(ctx, state, count or 0, seconds))
    return made


def _finish(made: Attempt, metadata: StageMetadata, run: StageRun) -> None:
    for key, value in run.state.items():
        if key in metadata.state_types:
            _store(made, key, value, metadata.state_types[key])
    made.run = run


def _invoke(bench: Bench, stage: Stage, ctx: StageContext, made: Attempt) -> None:
    """Execute a stage that works by document: what it returns is judged document by document."""
    metadata = bench.registration.metadata
    given = bench.copy_inputs()
    with made.findings.noting("execute"), _unchanged(bench, given, made.findings):
        outcome = invoke(metadata, stage, ctx, dict(given))
        run = finished_run(ctx, outcome.state, outcome.output_count, outcome.seconds)
        _check_count(metadata, run.state, run.output_count, made.findings)
        _finish(made, metadata, run)


@dataclass(frozen=True, slots=True)
class _Produced:
    """A stage that is done: it returns what another one produced."""

    output: Any

    def execute(self, ctx: StageContext) -> Any:
        """Return the output."""
        del ctx
        return self.output


def _execute(bench: Bench, stage: Stage, ctx: StageContext, findings: Findings) -> tuple[Any, float]:
    """Execute the stage alone, without handler and counter, and see that it leaves its inputs as they are."""
    outputs: list[Any] = []

    def take(state: MutableMapping[str, Any], stage_name: str, output: Any) -> None:
        del state, stage_name
        outputs.append(output)

    given = bench.copy_inputs()
    metadata = dataclasses.replace(_without_keys(bench.registration.metadata), output_handler=take)
    with _unchanged(bench, given, findings):
        outcome = invoke(dataclasses.replace(metadata, output_counter=lambda _: 0), stage, ctx, dict(given))
    return outputs[0], outcome.seconds


@contextlib.contextmanager
def _unchanged(bench: Bench, given: Mapping[str, Any], findings: Findings) -> Iterator[None]:
    """Note what of its inputs a stage changes."""
    try:
        yield
    finally:
        for key, value in bench.inputs.items():
            difference = find_difference(value, given[key])
            if difference is not None:
                findings.add(
                    f"execute changed its input {key!r}: {difference}",
                    "inputs belong to the stage that made them; work on a copy",
                )


def _handle(
    metadata: StageMetadata, ctx: StageContext, output: Any, findings: Findings
) -> Mapping[str, Any] | None:
    handler = f"output handler {qualified_name(metadata.output_handler)}"
    before = _copied(output)
    states: list[Mapping[str, Any]] = []
    with findings.noting(handler, "a handler writes the keys of state_key and nothing else"):
        states.append(
            invoke(
                dataclasses.replace(metadata, output_counter=lambda _: 0), _Produced(output), ctx, {}
            ).state
        )
    difference = None if before is _NO_COPY else find_difference(before, output)
    if difference is not None:
        findings.add(f"{handler} changed the output it was given: {difference}", "write a copy")
    return states[0] if states else None


def _count(metadata: StageMetadata, ctx: StageContext, output: Any, findings: Findings) -> int | None:
    counts: list[int] = []
    with findings.noting(f"output counter {qualified_name(metadata.output_counter)}"):
        alone = dataclasses.replace(_without_keys(metadata), output_handler=handler_of(()))
        counts.append(invoke(alone, _Produced(output), ctx, {}).output_count)
    return counts[0] if counts else None


def _check_count(
    metadata: StageMetadata, state: Mapping[str, Any], count: int | None, findings: Findings
) -> None:
    """Hold the count of a list, tuple or set under the only key to its length; others count as they like."""
    if count is None or len(state) != 1:
        return
    ((key, value),) = state.items()
    if isinstance(value, list | tuple | Set) and count != len(value):
        findings.add(
            f"output counter {qualified_name(metadata.output_counter)} returned {count}, but {key!r} holds "
            f"{len(value)}",
            "the count of a list, tuple or set under the only state key is its length",
        )


def _store(made: Attempt, key: str, value: Any, value_type: Any) -> None:
    hint = "every value must come back from storage as it was; see state_types"
    with made.findings.noting(f"storing {key!r} as {qualified_name(value_type)}", hint):
        loaded = load_value(key, dump_value(key, value, value_type), value_type)
        difference = find_difference(value, loaded)
        if difference is None:
            made.stored[key] = loaded
        else:
            declared = qualified_name(value_type)
            made.findings.add(
                f"state key {key!r}: a stored {declared} came back different: {difference}", hint
            )


def _without_keys(metadata: StageMetadata) -> StageMetadata:
    return dataclasses.replace(metadata, state_key=None, state_types={})


def _copied(output: Any) -> Any:
    try:
        return copy.deepcopy(output)
    except Exception:  # noqa: BLE001 - copying runs the output's own code; what cannot be copied is not compared
        return _NO_COPY


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
