"""What may pass by itself and what may not, on the errors that real libraries raise."""

from __future__ import annotations

import errno
import gzip
import http.client
import io
import os
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import grpc  # type: ignore[import-untyped]  # it has none
import httpx
import pytest
import requests
import sqlalchemy
from lxml import etree

from medkg_dagster.errors import (
    BatchFailedError,
    CircuitOpenError,
    ConfigError,
    IsolatedStageError,
    LedgerError,
    PermanentDownloadError,
    PermanentSourceError,
    RejectedDocumentError,
    SourceError,
    StageLimitError,
    StoreError,
    TransientDownloadError,
    UnreadableDocumentError,
    UnsafeDocumentError,
)
from medkg_dagster.io.faults import is_of_document, may_pass
from medkg_dagster.io.regular_files import RefusedFileError


class RateLimitExceededError(Exception):
    """As a client of a service may name it."""


class MaxRetryError(Exception):
    """As urllib3 calls it."""


class NetworkXError(Exception):
    """As a library that calls nothing over a network calls what is wrong with a graph."""


class ProtocolBufferError(Exception):
    """As a reader may call what is wrong with a document."""


class ClientError(Exception):
    """As botocore builds it."""

    def __init__(self, status: int, code: str = "ValidationException") -> None:
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        super().__init__(code)


class RpcFailedError(grpc.RpcError):  # type: ignore[misc]  # the module has no types
    """As a call of gRPC ends."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code
        super().__init__(code.name)

    def code(self) -> grpc.StatusCode:
        """Return the status."""
        return self._code


class APIStatusError(Exception):
    """As a client of a service may build it."""

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code
        super().__init__(f"status {status_code}")


def caught(work: Callable[[], object]) -> Exception:
    """Return what a library raises."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked at
        return error
    raise AssertionError("nothing was raised")


def name_of(value: object) -> str:
    """Return an id that is the same in every process."""
    return type(value).__name__ if isinstance(value, Exception) else str(value)


def because_of(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def system_error(number: int) -> OSError:
    return OSError(number, os.strerror(number), "some/file")


def nobody_listens() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/"


def locked_database() -> object:
    shared = partial(sqlite3.connect, "file:locked?mode=memory&cache=shared", uri=True, timeout=0)
    with closing(shared()) as one, closing(shared()) as two:
        one.executescript("BEGIN IMMEDIATE; CREATE TABLE held (x);")
        return two.execute("INSERT INTO held VALUES (1)")


def refused_by_sqlite() -> object:
    with closing(sqlite3.connect(":memory:")) as connection:
        return connection.execute("SELECT '")


def refused_by_sqlalchemy() -> object:
    return sqlalchemy.create_engine(
        "sqlite://", creator=lambda: (_ for _ in ()).throw(caught(locked_database))
    ).connect()


def status_of(status: int) -> Exception:
    request = httpx.Request("GET", "http://example.org")
    return caught(httpx.Response(status, request=request).raise_for_status)


def status_of_requests(status: int) -> Exception:
    response = requests.Response()
    response.status_code = status
    return caught(response.raise_for_status)


def status_of_urllib(status: int) -> Exception:
    return urllib.error.HTTPError("http://example.org", status, "no", http.client.HTTPMessage(), io.BytesIO())


PASSING = [
    system_error(errno.ENOSPC),
    system_error(errno.EIO),
    system_error(errno.EMFILE),
    system_error(errno.ENETUNREACH),
    MemoryError(),
    TimeoutError("too late"),
    ConnectionResetError("reset"),
    socket.gaierror(socket.EAI_AGAIN, "name service is away"),
    caught(lambda: urllib.request.urlopen(nobody_listens())),
    caught(lambda: httpx.get(nobody_listens())),
    caught(lambda: requests.get(nobody_listens(), timeout=5)),
    caught(locked_database),
    caught(refused_by_sqlalchemy),
    http.client.IncompleteRead(b"half"),
    status_of(503),
    status_of_requests(429),
    status_of_urllib(500),
    APIStatusError(502),
    RateLimitExceededError(),
    MaxRetryError(),
    http.client.BadStatusLine("<html>"),
    ClientError(503),
    ClientError(400, "ThrottlingException"),
    RpcFailedError(grpc.StatusCode.UNAVAILABLE),
    RpcFailedError(grpc.StatusCode.RESOURCE_EXHAUSTED),
    SourceError("away"),
    CircuitOpenError("open"),
    StoreError("away"),
    IsolatedStageError("ended"),
    TransientDownloadError("busy"),
    because_of(ValueError("no JSON"), status_of(503)),
    because_of(UnreadableDocumentError("cannot be read"), system_error(errno.EIO)),
    because_of(LedgerError("locked"), caught(locked_database)),
    because_of(ConfigError("vocabulary"), system_error(errno.EIO)),
    ExceptionGroup("both", [ValueError(), ConnectionResetError()]),
]
PERMANENT = [
    system_error(errno.ENOENT),
    system_error(errno.EACCES),
    system_error(errno.EISDIR),
    RefusedFileError(errno.ENOENT, "it is a link to what is not there"),
    status_of(404),
    status_of_requests(401),
    status_of_urllib(400),
    APIStatusError(422),
    ClientError(404),
    RpcFailedError(grpc.StatusCode.INVALID_ARGUMENT),
    ModuleNotFoundError("No module named 'torch'"),
    ConfigError("unknown"),
    PermanentSourceError("refused"),
    LedgerError("refused"),
    BatchFailedError("all of them"),
    StageLimitError("too much"),
    because_of(SourceError("no such path"), system_error(errno.ENOENT)),
    because_of(SourceError("refused"), status_of(403)),
    because_of(PermanentDownloadError("the certificate is not valid"), ConnectionError()),
    because_of(UnsafeDocumentError("a bomb"), MemoryError()),
]
UNKNOWN = [
    ValueError("no number"),
    KeyError("name"),
    RecursionError("too deep"),
    gzip.BadGzipFile("not a gzip file"),
    zipfile.BadZipFile("not a zip file"),
    caught(lambda: etree.fromstring(b"<a>")),
    caught(refused_by_sqlite),
    caught(lambda: subprocess.run([sys.executable, "-c", "import time; time.sleep(600)"], timeout=0.01)),  # noqa: PLW1510 - it does not end
    because_of(ValueError("odd"), KeyError("name")),
    NetworkXError("node 1 is not in the graph"),
    ProtocolBufferError("wrong wire type"),
    RpcFailedError(grpc.StatusCode.UNKNOWN),
]
NOT_ADMITTED = [
    status_of(401),
    status_of_requests(407),
    APIStatusError(402),
    ClientError(401),
    RpcFailedError(grpc.StatusCode.UNAUTHENTICATED),
    because_of(ValueError("no answer"), status_of(401)),
]


@pytest.mark.parametrize("error", PASSING, ids=name_of)
def test_what_may_pass_is_worth_another_try_and_no_fault_of_a_document(error: Exception) -> None:
    assert may_pass(error) is True
    assert not is_of_document(error)


@pytest.mark.parametrize("error", PERMANENT, ids=name_of)
def test_what_comes_again_each_time_is_not_worth_another_try(error: Exception) -> None:
    assert may_pass(error) is False


@pytest.mark.parametrize("error", UNKNOWN, ids=name_of)
def test_of_what_nobody_foresaw_nothing_is_claimed_and_a_document_may_be_its_cause(error: Exception) -> None:
    assert may_pass(error) is None
    assert is_of_document(error)


@pytest.mark.parametrize(
    ("error", "is_its_fault"),
    [
        (RejectedDocumentError("empty"), True),
        (system_error(errno.ENOENT), True),
        (status_of(404), True),
        (ConfigError("no such model"), False),
        (PermanentSourceError("refused"), False),
        (LedgerError("refused"), False),
        (ModuleNotFoundError("No module named 'torch'"), False),
    ],
    ids=name_of,
)
def test_of_what_comes_again_each_time_only_some_is_a_documents_fault(
    error: Exception, is_its_fault: bool
) -> None:
    assert is_of_document(error) is is_its_fault


def test_a_real_missing_file_does_not_pass(tmp_path: Path) -> None:
    assert may_pass(caught((tmp_path / "missing").read_bytes)) is False


@pytest.mark.parametrize("error", NOT_ADMITTED, ids=name_of)
def test_that_a_service_does_not_know_who_asks_is_no_fault_of_a_document_and_does_not_pass(
    error: Exception,
) -> None:
    assert not may_pass(error)
    assert not is_of_document(error)


def test_a_document_that_a_server_does_not_give_to_us_is_at_fault() -> None:
    assert is_of_document(because_of(PermanentDownloadError("status 401"), status_of(401)))
