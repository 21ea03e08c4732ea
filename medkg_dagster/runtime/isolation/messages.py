"""What a step and the child process of its stage say to each other: frames of JSON with bytes behind it.

A frame is four fixed bytes, the lengths of both parts, the message as JSON, and the bytes of a value where
the message is about one. Nothing is pickled: no side can make the other build more than the models below.
"""

from __future__ import annotations

import errno
import functools
import json
import struct
import traceback
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, TypeAdapter, ValidationError

from medkg_dagster import errors
from medkg_dagster.errors import (
    GateConditionError,
    IsolatedStageError,
    MedkgError,
    Problem,
    TopologyError,
    TransientDownloadError,
)
from medkg_dagster.io.backoff import Backoff
from medkg_dagster.io.faults import may_pass, was_retried
from medkg_dagster.plugins import PluginPolicy, Replacement
from medkg_dagster.stage_api import DocumentPart, QuarantinedDocument
from medkg_dagster.stage_api._context import Described
from medkg_dagster.stage_api._document_loop import DocumentOutcome
from medkg_dagster.stage_api._redaction import redact, redacted, text_of

_HEAD = struct.Struct("!4sIQ")
_MARK = b"MKG1"


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class DeclaredType(_Message):
    """Where the type of an input is declared.

    Attributes:
        target: The entry point's `module:attribute` that registers the stage type that writes it.
        stage_type: That stage type.
        state_key: The type's own name of the key.
    """

    target: str
    stage_type: str
    state_key: str


class CallLimits(_Message):
    """How a stage calls other services; see `ExternalCalls`."""

    timeout_seconds: float | None
    max_attempts: int | None
    backoff: Backoff
    rate_limit_per_second: float | None
    failure_threshold: int | None
    recovery_timeout: float
    shares_turns: bool


class Policy(_Message):
    """A plugin policy in a form JSON can hold."""

    closed: str
    autoload: bool
    allow: tuple[str, ...]
    block: tuple[str, ...]
    import_prefixes: tuple[str, ...]
    replaces: tuple[Replacement, ...]
    load_seconds: float
    written: str

    @classmethod
    def of(cls, policy: PluginPolicy) -> Policy:
        """Return the form of a policy that is sent."""
        names = [name for name in cls.model_fields if name != "replaces"]
        replaces = tuple(policy.replaces.values())
        return cls(replaces=replaces, **{name: getattr(policy, name) for name in names})

    def policy(self) -> PluginPolicy:
        """Return the policy again."""
        names = [name for name in type(self).model_fields if name != "replaces"]
        replaces = {(item.kind, item.name): item for item in self.replaces}
        return PluginPolicy(replaces=replaces, **{name: getattr(self, name) for name in names})


class Start(_Message):
    """What the child process needs to begin; as many `Input` follow as there are inputs.

    One that works on documents may be told another stage when it is done with one.

    Attributes:
        fingerprints: What the step found that the stage's results depend on.
        for_good: Whether its limits cannot be raised again, as they are for another stage.
    """

    kind: Literal["start"] = "start"
    import_path: list[str]
    target: str
    stage_type: str
    version: str
    state_keys: tuple[str, ...]
    max_failure_ratio: float
    definition: dict[str, Any]
    topology: dict[str, Any]
    pipeline: str
    stage: str
    job_id: str
    home: str
    calls: CallLimits
    policy: Policy
    inputs: dict[str, DeclaredType]
    fingerprints: dict[str, str] = Field(default_factory=dict)
    memory_mb: int
    timeout_seconds: float
    for_good: bool = True


class Input(_Message):
    """An input; its bytes follow."""

    kind: Literal["input"] = "input"
    key: str


class LogRecord(_Message):
    """A line of the stage's log."""

    kind: Literal["log"] = "log"
    level: int
    message: str


class Progress(_Message):
    """How far the stage has come."""

    kind: Literal["progress"] = "progress"
    done: int
    total: int | None
    unit: str


class Call(_Message):
    """A call of the ledger job or of the shared pace; `arguments` is JSON."""

    kind: Literal["call"] = "call"
    number: int
    method: str
    arguments: str


class RaisedError(_Message):
    """An error on its way to the other process."""

    name: str
    known_as: str | None
    arguments: list[Any]
    message: str
    details: str
    is_out_of_memory: bool
    is_retryable: bool
    was_retried: bool


class Answer(_Message):
    """What a call gave, as JSON, or what it raised."""

    kind: Literal["answer"] = "answer"
    number: int
    result: str | None = None
    error: RaisedError | None = None


class StateValue(_Message):
    """A value the stage wrote; its bytes follow."""

    kind: Literal["value"] = "value"
    key: str


class Report(_Message):
    """What the stage left on its context."""

    succeeded: int
    quarantined: tuple[QuarantinedDocument, ...]
    described: dict[str, Described]
    revealed: tuple[str, ...]


class Ready(_Message):
    """The stage is built and has opened what it needs: what ends the process now is a document's doing."""

    kind: Literal["ready"] = "ready"


class PartPlace(_Message):
    """Where a document's part of an input is: a file, and a piece of it."""

    document_id: str
    path: str
    offset: int
    length: int


PlacedDocument = tuple[str, dict[str, PartPlace | None]]
"""A document's id, and its parts by argument of `execute`."""


class Work(_Message):
    """Documents to work on, in units: what of them is worked on at once."""

    kind: Literal["work"] = "work"
    units: tuple[tuple[PlacedDocument, ...], ...]


class MadePart(_Message):
    """What a stage made of a document: the next `length` of the bytes that follow.

    Attributes:
        document_id: The document's id.
        version: SHA-256 (hex) of its content.
        header: What is to be known of it without loading it.
        length: How many bytes it has; 0 where the input `passed` is passed on unchanged.
        passed: The argument of `execute` that is passed on.
    """

    document_id: str
    version: str = ""
    header: dict[str, Any] = {}
    length: int = 0
    passed: str | None = None


class MadeDocument(_Message):
    """What came of one document; see `DocumentOutcome`."""

    parts: dict[str, MadePart]
    count: int
    fault: QuarantinedDocument | None
    is_left_out: bool
    is_remembered: bool
    spent: dict[str, int | float] = {}

    @property
    def broke_a_limit(self) -> bool:
        """Whether its process was at a limit, and is not to be trusted with the next document."""
        return self.fault is not None and not self.is_remembered

    def outcome(self, parts: Mapping[str, DocumentPart]) -> DocumentOutcome:
        """Return what came of it, given its parts."""
        return DocumentOutcome(
            parts,
            self.count,
            self.fault,
            is_left_out=self.is_left_out,
            is_remembered=self.is_remembered,
            spent=self.spent,
        )


class Worked(_Message):
    """What came of some documents, in their order; the bytes of all their parts follow.

    Attributes:
        documents: What came of each.
        revealed: Names of the secrets that were revealed so far.
        has_grown: Whether the process keeps so much memory that no other stage is to go on with it.
    """

    kind: Literal["worked"] = "worked"
    documents: tuple[MadeDocument, ...]
    revealed: tuple[str, ...]
    has_grown: bool


class Finished(_Message):
    """The stage is done; its values came before."""

    kind: Literal["finished"] = "finished"
    output_count: int
    report: Report


class Failed(_Message):
    """The stage raised an error."""

    kind: Literal["failed"] = "failed"
    error: RaisedError
    report: Report


Message = (
    Start
    | Input
    | LogRecord
    | Progress
    | Call
    | Answer
    | StateValue
    | Ready
    | Work
    | Worked
    | Finished
    | Failed
)


@functools.cache
def _adapter() -> TypeAdapter[Message]:
    return TypeAdapter(Annotated[Message, Discriminator("kind")])


def encode_frame(message: Message, content: bytes = b"") -> bytes:
    """Return a message, and the bytes it is about, as one frame."""
    header = json.dumps(message.model_dump(), default=plain_scalar).encode()
    return b"".join((_HEAD.pack(_MARK, len(header), len(content)), header, content))


class FrameBuffer:
    """Puts frames together from bytes as they come."""

    def __init__(self, max_bytes: int | None = None) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Message, bytes]]:
        """Take more bytes.

        Yields:
            The messages that are complete by now, each with the bytes it is about.

        Raises:
            IsolatedStageError: The bytes are no frame.
        """
        self._buffer += data
        while len(self._buffer) >= _HEAD.size:
            mark, header_size, content_size = _HEAD.unpack_from(self._buffer)
            if mark != _MARK:
                raise IsolatedStageError("something else than a message came through the channel")
            if self._max_bytes is not None and header_size + content_size > self._max_bytes:
                raise IsolatedStageError(
                    f"a message of {header_size + content_size:,} bytes was announced; "
                    f"at most {self._max_bytes:,} are taken"
                )
            begin = _HEAD.size + header_size
            if len(self._buffer) < begin + content_size:
                return
            message = _decode(bytes(self._buffer[_HEAD.size : begin]))
            content = bytes(self._buffer[begin : begin + content_size])
            del self._buffer[: begin + content_size]
            yield message, content


def raised(error: BaseException) -> RaisedError:
    """Return an error as it is sent, without revealed secrets; `details` is its traceback."""
    known = next((kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__), None)
    is_own = known is type(error)
    message = text_of(error)
    name = type(error).__name__
    return RaisedError(
        name=name,
        known_as=known.__name__ if known else None,
        arguments=_arguments(error, message if is_own else f"{name}: {message}"),
        message=message,
        details=redact("".join(traceback.format_exception(error))),
        is_out_of_memory=is_out_of_memory(error),
        is_retryable=may_pass(error) is not False,
        was_retried=was_retried(error),
    )


def known_error(error: RaisedError) -> MedkgError | None:
    """Return a sent error as the class of this package it was, or derives from; None where it is none."""
    kind = getattr(errors, error.known_as or "", None)
    if not isinstance(kind, type) or not issubclass(kind, MedkgError):
        return None
    if issubclass(kind, TopologyError):  # made of problems, not of a text
        return TopologyError([Problem(error.message)])
    made: MedkgError = kind(*error.arguments)
    made.is_retryable, made.was_retried = error.is_retryable, error.was_retried
    return made


def _decode(header: bytes) -> Message:
    try:
        return _adapter().validate_python(json.loads(header))
    except (ValueError, ValidationError, RecursionError) as error:
        raise IsolatedStageError(f"a message that is none came through the channel: {error}") from error


def _arguments(error: BaseException, message: str) -> list[Any]:
    if isinstance(error, GateConditionError):
        return [redact(error.gate), redact(error.reason), _json(error.expected), _json(error.observed)]
    if isinstance(error, TransientDownloadError):
        return [message, error.retry_after]
    return [message]


def is_out_of_memory(error: BaseException | None) -> bool:
    """Say whether an error, or what it was raised from, is that memory ran out."""
    if error is None:
        return False
    if is_out_of_memory(error.__cause__):
        return True
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)


def _json(value: Any) -> Any:
    try:
        return redacted(json.loads(json.dumps(value)))
    except (TypeError, ValueError):
        return redact(str(value))


def plain_scalar(value: Any) -> Any:
    """Return a scalar of a library, such as NumPy's, as Python's own; anything else as text."""
    item = getattr(value, "item", None)
    return item() if callable(item) else redact(str(value))
