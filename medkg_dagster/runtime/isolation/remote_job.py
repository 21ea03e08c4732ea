"""The ledger job and the shared pace of calls, used from a child process and answered by the step."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from medkg_dagster.domain.gate_conditions import GateCondition
from medkg_dagster.domain.payloads import FileRecord
from medkg_dagster.errors import LedgerError, MedkgError
from medkg_dagster.io.faults import may_pass
from medkg_dagster.runtime.isolation.messages import Answer, Call, raised
from medkg_dagster.stage_api import GatePassage, StageContext

TAKE_TURN = "take_turn"
"""The call of `ExternalCalls.reserve`; all others are methods of `JobRecord`."""

_Turn = tuple[str, float]

_ARGUMENTS: Mapping[str, Any] = {
    "fields": tuple[()],
    "set_fields": tuple[dict[str, Any], str | None],
    "pass_gate": tuple[str, GateCondition],
    "files": tuple[()],
    "stored_files": tuple[tuple[str, ...]],
    "record_files": tuple[tuple[FileRecord, ...]],
    "reserve_call": _Turn,
    TAKE_TURN: _Turn,
}
_RESULTS: Mapping[str, Any] = {
    "fields": dict[str, Any],
    "set_fields": None,
    "pass_gate": GatePassage,
    "files": dict[str, FileRecord],
    "stored_files": dict[str, FileRecord],
    "record_files": None,
    "reserve_call": float,
    TAKE_TURN: float,
}


@dataclass(frozen=True, slots=True)
class RemoteJobRecord:
    """The ledger job in a child process; every method is a call to the step.

    Attributes:
        exchange: Sends a method's name and its arguments as JSON, and returns the result as JSON.
    """

    exchange: Callable[[str, str], str]

    def fields(self) -> Mapping[str, Any]:
        """Return the job's fields as they are now."""
        return self._call("fields")  # type: ignore[no-any-return] # validated as the type in `_RESULTS`

    def set_fields(self, changes: Mapping[str, Any], reason: str | None = None) -> None:
        """Set fields by dotted path."""
        self._call("set_fields", dict(changes), reason)

    def pass_gate(self, gate: str, condition: GateCondition) -> GatePassage:
        """Check a gate now and record that the job went through."""
        return self._call("pass_gate", gate, condition)  # type: ignore[no-any-return] # see above

    def files(self) -> Mapping[str, FileRecord]:
        """Return what is remembered of this job's files, by document id."""
        return self._call("files")  # type: ignore[no-any-return] # see above

    def stored_files(self, urls: Sequence[str]) -> Mapping[str, FileRecord]:
        """Return the latest stored file of each address, whichever job fetched it."""
        return self._call("stored_files", tuple(urls))  # type: ignore[no-any-return] # see above

    def record_files(self, records: Iterable[FileRecord]) -> None:
        """Remember what became of files."""
        self._call("record_files", tuple(records))

    def reserve_call(self, service: str, interval: float) -> float:
        """Take the next free turn to call a service, among all who share the ledger."""
        return self._call("reserve_call", service, interval)  # type: ignore[no-any-return] # see above

    def take_turn(self, service: str, interval: float) -> float:
        """Take the next turn of the stage's own pace, as `ExternalCalls.reserve` does."""
        return self._call(TAKE_TURN, service, interval)  # type: ignore[no-any-return] # see above

    def _call(self, method: str, *arguments: Any) -> Any:
        result = self.exchange(method, _dump(_ARGUMENTS[method], arguments, method))
        return _adapter(_RESULTS[method]).validate_python(json.loads(result))


def answer(ctx: StageContext, call: Call) -> Answer:
    """Carry out a call in the step.

    Args:
        ctx: The context of the step.
        call: What the child process asks for.

    Returns:
        The result, or the error to raise in the child process.
    """
    try:
        arguments = _adapter(_ARGUMENTS[call.method]).validate_python(json.loads(call.arguments))
        result = _method(ctx, call.method)(*arguments)
        result = dict(result) if isinstance(result, Mapping) else result
        return Answer(number=call.number, result=_dump(_RESULTS[call.method], result, call.method))
    except MedkgError as error:
        return Answer(number=call.number, error=raised(error))
    except Exception as error:  # noqa: BLE001 - the stage gets what its call raised, and may go on without
        failure = LedgerError(f"{call.method} failed: {type(error).__name__}: {error}")
        failure.is_retryable = may_pass(error) is not False
        return Answer(number=call.number, error=raised(failure))


def _method(ctx: StageContext, name: str) -> Callable[..., Any]:
    if name == TAKE_TURN:
        assert ctx.calls.reserve is not None
        return ctx.calls.reserve
    method: Callable[..., Any] = getattr(ctx.job, name)
    return method


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _dump(kind: Any, value: Any, method: str) -> str:
    try:
        # Fields that were left out stay so: a gate's clause without a value differs from one with null.
        return json.dumps(_adapter(kind).dump_python(value, exclude_unset=True))
    except (TypeError, ValueError, RecursionError) as error:
        raise LedgerError(f"{method}: the value cannot be stored as JSON: {error}") from error
