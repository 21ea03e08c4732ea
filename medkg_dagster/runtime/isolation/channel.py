"""The channel of an isolated stage's child process to the step, and the ledger job on the other side of it.

The child sends progress, logs and calls; the step carries out the calls with `answer`.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from pydantic import TypeAdapter

from medkg_dagster.domain.gate_conditions import GateCondition
from medkg_dagster.domain.holdings import (
    DocumentStatus,
    HeldForm,
    Listing,
    ListingOutcome,
    ParsedDocument,
    UsedForm,
)
from medkg_dagster.domain.payloads import FileRecord
from medkg_dagster.errors import IsolatedStageError, LedgerError, MedkgError
from medkg_dagster.io.faults import may_pass
from medkg_dagster.runtime.isolation.messages import (
    Answer,
    Call,
    FrameBuffer,
    Input,
    LogRecord,
    Message,
    Progress,
    Start,
    Work,
    encode_frame,
    known_error,
    raised,
)
from medkg_dagster.stage_api import GatePassage, StageContext
from medkg_dagster.stage_api._redaction import redact

_RECEIVED_BYTES = 1 << 18
_PROGRESS_SECONDS = 0.2
TAKE_TURN = "take_turn"
"""The call of `ExternalCalls.reserve`; all others are methods of `JobRecord`."""

_Turn = tuple[str, float]
Stage = tuple[Start, dict[str, bytes]]
"""What to run, and the bytes of its inputs by argument of `execute`."""

_ARGUMENTS: Mapping[str, Any] = {
    "fields": tuple[()],
    "set_fields": tuple[dict[str, Any], str | None],
    "pass_gate": tuple[str, GateCondition],
    "files": tuple[()],
    "stored_files": tuple[tuple[str, ...]],
    "record_files": tuple[tuple[FileRecord, ...]],
    "record_listing": tuple[Listing],
    "record_documents": tuple[tuple[ParsedDocument, ...]],
    "standing": tuple[tuple[str, ...]],
    "used_forms": tuple[tuple[str, ...]],
    "forms": tuple[tuple[str, ...]],
    "origins": tuple[tuple[str, ...]],
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
    "record_listing": ListingOutcome,
    "record_documents": None,
    "standing": dict[str, DocumentStatus],
    "used_forms": dict[str, UsedForm],
    "forms": dict[str, tuple[HeldForm, ...]],
    "origins": dict[str, str],
    "reserve_call": float,
    TAKE_TURN: float,
}


class Channel:
    """The socket to the step; many threads may send and call at once.

    Attributes:
        work: What the step sent to be worked on, and the next stage with the bytes of its inputs.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._frames = FrameBuffer()
        # One for all: what came with the inputs is not lost when somebody else reads on.
        self._incoming = self._messages()
        self._sending = threading.Lock()
        self._numbers = itertools.count()
        self._waiting: dict[int, SimpleQueue[Answer]] = {}
        self.work: SimpleQueue[Work | Stage] = SimpleQueue()
        # Processes that a stage starts must not speak for it, nor keep the socket open when it is gone.
        connection.set_inheritable(False)
        os.register_at_fork(after_in_child=connection.close)

    def receive_stage(self) -> Stage:
        """Receive what to run, and the inputs' bytes."""
        start, _ = next(self._incoming)
        assert isinstance(start, Start)
        return self._with_inputs(start)

    def _with_inputs(self, start: Start) -> Stage:
        contents: dict[str, bytes] = {}
        while len(contents) < len(start.inputs):
            message, content = next(self._incoming)
            assert isinstance(message, Input)
            contents[message.key] = content
        return start, contents

    def listen(self) -> None:
        """Receive answers from now on, in a thread."""
        threading.Thread(target=self._listen, name="medkg-step", daemon=True).start()

    def send(self, message: Message, content: bytes = b"") -> None:
        """Send one message."""
        frame = encode_frame(message, content)
        with self._sending:
            self._connection.sendall(frame)

    def exchange(self, method: str, arguments: str) -> str:
        """Let the step carry out a call; see `RemoteJobRecord`."""
        number, answers = next(self._numbers), SimpleQueue[Answer]()
        self._waiting[number] = answers
        self.send(Call(number=number, method=method, arguments=arguments))
        answer = answers.get()
        if answer.error is not None:
            raise known_error(answer.error) or IsolatedStageError(answer.error.message)
        assert answer.result is not None
        return answer.result

    def _listen(self) -> None:
        for message, _ in self._incoming:
            if isinstance(message, Answer):
                self._waiting.pop(message.number).put(message)
            elif isinstance(message, Work):
                self.work.put(message)
            elif isinstance(message, Start):
                self.work.put(self._with_inputs(message))

    def _messages(self) -> Iterator[tuple[Message, bytes]]:
        while True:
            data = b""
            # A connection that is reset has ended too.
            with contextlib.suppress(OSError):
                data = self._connection.recv(_RECEIVED_BYTES)
            if not data:
                # Nobody waits for this process any more; its supervisor ends what it started.
                os._exit(1)
            yield from self._frames.feed(data)


class ProgressSender:
    """Sends progress, a few times per second at most, and always the end."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._next = 0.0

    def __call__(self, done: int, total: int | None, unit: str) -> None:
        """Report `done` of `total` units."""
        now = time.monotonic()
        if now >= self._next or done == total:
            self._next = now + _PROGRESS_SECONDS
            self._channel.send(Progress(done=done, total=total, unit=unit))


class LogSender(logging.Handler):
    """Sends what any logger of the process lets through."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        try:
            self._channel.send(LogRecord(level=record.levelno, message=redact(self.format(record))))
        except Exception:  # noqa: BLE001 - as every handler: a line that cannot be logged ends nothing
            self.handleError(record)


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

    def record_listing(self, listing: Listing) -> ListingOutcome:
        """Let the pipeline hold what a source listed, in place of what it held for the same parameters."""
        return self._call("record_listing", listing)  # type: ignore[no-any-return] # see above

    def record_documents(self, documents: Sequence[ParsedDocument]) -> None:
        """Remember which documents the listed payloads were found to be."""
        self._call("record_documents", tuple(documents))

    def standing(self, document_ids: Sequence[str]) -> Mapping[str, DocumentStatus]:
        """Return the status of those of the documents that the ledger knows."""
        return self._call("standing", tuple(document_ids))  # type: ignore[no-any-return] # see above

    def used_forms(self, document_ids: Sequence[str]) -> Mapping[str, UsedForm]:
        """Return of those of the documents that the ledger knows the status, and which form is used."""
        return self._call("used_forms", tuple(document_ids))  # type: ignore[no-any-return] # see above

    def forms(self, document_ids: Sequence[str]) -> Mapping[str, Sequence[HeldForm]]:
        """Return the forms of the documents that are current, the best first, whichever job holds them."""
        return self._call("forms", tuple(document_ids))  # type: ignore[no-any-return] # see above

    def origins(self, document_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the file or address of those of the documents and payloads that the job holds."""
        return self._call("origins", tuple(document_ids))  # type: ignore[no-any-return] # see above

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
