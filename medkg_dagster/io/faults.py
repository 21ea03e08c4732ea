"""Which errors may pass by themselves, whoever raised them, and which of them are one document's fault."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Mapping

from medkg_dagster.errors import (
    ConfigError,
    DocumentError,
    LedgerError,
    MedkgError,
    StateError,
    UnreadableDocumentError,
)

_PASSING_STATUSES = frozenset({408, 425, 429})
_ERROR_STATUSES = range(400, 600)

# What is wrong with a path stays wrong; all else a system says is about the machine or the network.
_PERMANENT = (
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY}
    | {errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EXDEV, errno.EFBIG, errno.ESPIPE}
    | {errno.ENOEXEC, errno.ENOTSUP, errno.EBADF}
)
_PASSING_SQLITE = frozenset({5, 6, 7, 10, 13, 15})
"""Primary result codes: busy, locked, no memory, input and output, full, protocol."""

_BROKEN_CODE = (ImportError, NotImplementedError, NameError)
_BROKEN_PATH = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
_LEFT_TO_THE_CAUSE = (UnreadableDocumentError, ConfigError, StateError, LedgerError)
"""Errors that name a file or a database, and may have been raised because it could not be reached."""

# Clients of services have no common base, but a common way to name their errors.
_PASSING_NAME = re.compile(
    r"(Time(d)?[oO]ut|Connect(ion)?|Disconnected|Network|Transport|Protocol|Unavailable|RateLimit(ed|Exceeded)?|"
    r"TooManyRequests|Throttl(ed|ing)|Operational|InternalServer|IncompleteRead|ChunkedEncoding|BadStatusLine|"
    r"Retr(y|ies)|Reconnect|Transient|Temporary|Deadline(Exceeded)?|Overloaded|Busy|Quota(Exceeded)?)"
    r"(Error|Exception|Failure|Fault)?$|Connection[A-Z]"
)
_PASSING_RPC = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED", "INTERNAL"})
_UNCLEAR_RPC = frozenset({"UNKNOWN", "CANCELLED"})
_NOT_ADMITTED = frozenset({401, 402, 407, "UNAUTHENTICATED"})
"""What tells of whoever asks, and not of what is asked for: no key, no credit, no way through a proxy."""


def status_may_pass(status: int) -> bool:
    """Say whether the same request may succeed another time although it was answered with this status."""
    return status in _PASSING_STATUSES or status >= 500


def may_pass(error: BaseException) -> bool | None:
    """Say whether the same work may succeed another time.

    Of an error of this project its class tells, unless the error behind it is known to be otherwise. Of
    others these may pass: no memory, what the operating system says of the machine or the network, a database
    that is busy or full, some statuses of HTTP, and what clients of services call a fault of connection or
    time. A path that is missing or forbidden, and code that is missing, may not.

    Args:
        error: Any error.

    Returns:
        None where nothing is known of such an error.
    """
    if isinstance(error, BaseExceptionGroup):
        judged = {may_pass(part) for part in error.exceptions}
        return True if True in judged else False if judged == {False} else None
    behind = None if error.__cause__ is None else may_pass(error.__cause__)
    if isinstance(error, MedkgError):
        if behind and isinstance(error, _LEFT_TO_THE_CAUSE):
            return True
        return error.is_retryable and behind is not False
    own = _judge(error)
    return own if own is not None else behind or None


def was_retried(error: BaseException | None) -> bool:
    """Say whether an error, or what it was raised from, tells of what was tried as often as it may be."""
    if error is None:
        return False
    return (isinstance(error, MedkgError) and error.was_retried) or was_retried(error.__cause__)


def is_of_document(error: Exception) -> bool:
    """Say whether an error met in the work on a document may be held against the document.

    What is worth another try is not, nor what is wrong with the surroundings: an error of this project that
    is no `DocumentError`, code that is not installed, a service that does not know who asks.

    Args:
        error: What the work raised.
    """
    if isinstance(error, MedkgError):
        return isinstance(error, DocumentError) and not may_pass(error)
    return not (may_pass(error) or isinstance(error, ImportError) or _is_not_admitted(error))


def _is_not_admitted(error: BaseException | None) -> bool:
    if error is None:
        return False
    of_itself = _status(error) in _NOT_ADMITTED or _rpc_code(error) in _NOT_ADMITTED
    return of_itself or _is_not_admitted(error.__cause__)


def _judge(error: BaseException) -> bool | None:  # noqa: PLR0911 - one return per kind of error reads best
    if isinstance(error, (*_BROKEN_CODE, *_BROKEN_PATH)):
        return False
    if _is_of("subprocess", "TimeoutExpired", error):
        # A program that came to no end on one document will not on the same one again.
        return None
    if isinstance(error, MemoryError | TimeoutError | ConnectionError) or _is_of("ssl", "SSLError", error):
        return True
    if _is_of("sqlite3", "Error", error):
        code = getattr(error, "sqlite_errorcode", None)
        return True if code is not None and code & 0xFF in _PASSING_SQLITE else None
    names = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ != "builtins"]
    if any(map(_PASSING_NAME.search, [*names, _service_code(error)])):
        return True
    code, status = _rpc_code(error), _status(error)
    if code is not None:
        return None if code in _UNCLEAR_RPC else code in _PASSING_RPC
    if status is not None:
        return status_may_pass(status)
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno not in _PERMANENT
    reason = getattr(error, "reason", None)
    if isinstance(error, OSError) and isinstance(reason, BaseException):
        # As `urllib` wraps it.
        return may_pass(reason)
    return None


def _is_of(module: str, name: str, error: BaseException) -> bool:
    # Who raised the error has imported the module; imported here, it would delay every command.
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(error, kind)


def _status(error: BaseException) -> int | None:
    """Return the status of HTTP that an error of some client carries."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        # As `botocore` has it.
        found = response.get("ResponseMetadata")
        status = found.get("HTTPStatusCode") if isinstance(found, Mapping) else None
        return status if isinstance(status, int) and status in _ERROR_STATUSES else None
    found = [
        getattr(holder, name, None) for holder in (error, response) for name in ("status_code", "status")
    ]
    if response is not None or hasattr(error, "headers"):
        # By itself it may be anything, such as the number of a fault in a document.
        found.append(getattr(error, "code", None))
    return next((one for one in found if isinstance(one, int) and one in _ERROR_STATUSES), None)


def _service_code(error: BaseException) -> str:
    """Return by which word a service of AWS says what is wrong; empty for others."""
    response = getattr(error, "response", None)
    said = response.get("Error") if isinstance(response, Mapping) else None
    return str(said.get("Code", "")) if isinstance(said, Mapping) else ""


def _rpc_code(error: BaseException) -> str | None:
    """Return the name of the status of gRPC that an error carries."""
    code = getattr(error, "code", None)
    if not callable(code) or not _is_of("grpc", "RpcError", error):
        return None
    return getattr(code(), "name", None)
