"""One request and what comes of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

import httpcore

from medkg_dagster.errors import PermanentDownloadError, TransientDownloadError
from medkg_dagster.stages.download import MEBIBYTE, DownloadConfig
from medkg_dagster.stages.download.addresses import WebAddress, follow, show
from medkg_dagster.stages.download.connections import GuardedBackend
from medkg_dagster.stages.download.file_store import FileStore, Partial
from medkg_dagster.stages.download.responses import (
    HEAD_BYTES,
    NETWORK_ERRORS,
    TAIL_BYTES,
    Answer,
    connection_error,
    describe_head,
    is_complete,
    recognise,
    status_error,
)

WRITE_BYTES: Final = 512 * 1024
NOTE_FROM_BYTES: Final = MEBIBYTE
"""Transfers of at least this size write down where they come from at once: a kill may cut them."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PARTIAL_CONTENT = 206


@dataclass(frozen=True, slots=True)
class Request:
    """What a worker is to fetch.

    Attributes:
        candidate: The document's address as given; broken transfers are kept under it.
        url: The address to ask now: the candidate, or where it redirected to.
        address: The same, read.
        deadline: When the transfer must be over, on the monotonic clock.
        expected: The SHA-256 it must have; None for any.
        etag: What the server said of the file that is there; None to fetch in any case.
        last_modified: Likewise.
    """

    candidate: str
    url: str
    address: WebAddress
    deadline: float
    expected: str | None = None
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that was stored."""

    sha256: str
    size: int
    media_type: str
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The file that is there is still the server's."""


@dataclass(frozen=True, slots=True)
class Redirected:
    """The server says to ask elsewhere."""

    url: str


Reply = Fetched | Unchanged | Redirected


class _StartOverError(Exception):
    """What is there of the file cannot be gone on with."""


class Transfers:
    """Makes requests; used by many threads at once."""

    def __init__(
        self,
        config: DownloadConfig,
        store: FileStore,
        backend: GuardedBackend,
        pool: httpcore.ConnectionPool,
        *,
        read_timeout: float,
        user_agent: str,
    ) -> None:
        self._config = config
        self._store = store
        self._backend = backend
        self._pool = pool
        self._extensions = {
            "timeout": {
                "connect": config.connect_timeout_seconds,
                "read": read_timeout,
                "write": read_timeout,
                "pool": None,
            }
        }
        self._headers = [
            ("User-Agent", user_agent),
            ("Accept", ", ".join((*config.accept, "*/*;q=0.1"))),
            # A range counts bytes as they are sent: only plain ones can be gone on with.
            ("Accept-Encoding", "identity"),
        ]
        self._received = 0
        self._lock = threading.Lock()

    @property
    def received(self) -> int:
        """Bytes of files received so far, by all threads."""
        return self._received

    def fetch(self, request: Request) -> Reply:
        """Make one request and store what comes.

        Raises:
            TransientDownloadError: It failed and may succeed another time.
            PermanentDownloadError: It will not succeed.
            OSError: The file could not be written.
        """
        partial = self._store.resume(request.candidate)
        with self._backend.until(request.deadline):
            try:
                return self._fetch(request, partial)
            except _StartOverError:
                return self._fetch(request, None)

    def _fetch(self, request: Request, partial: Partial | None) -> Reply:
        shown = show(request.url)
        try:
            answer = Answer.of(shown, self._ask(request, partial))
        except BaseException as error:
            if partial is not None:
                self._store.keep(request.candidate, partial)
            if isinstance(error, NETWORK_ERRORS):
                raise connection_error(shown, error) from error
            raise
        try:
            if self._carries_file(answer, partial):
                return self._receive(request, answer, partial)
            return self._reply_without_file(request, answer, partial)
        finally:
            answer.response.close()

    def _ask(self, request: Request, partial: Partial | None) -> httpcore.Response:
        address = request.address
        headers = [("Host", address.host_header), *self._headers]
        if address.authorization:
            headers.append(("Authorization", address.authorization))
        if partial is not None and partial.origin is not None:
            headers += [("Range", f"bytes={partial.size}-"), ("If-Range", partial.origin.validator)]
        else:
            if request.etag:
                headers.append(("If-None-Match", request.etag))
            if request.last_modified:
                headers.append(("If-Modified-Since", request.last_modified))
        url = httpcore.URL(scheme=address.scheme, host=address.host, port=address.port, target=address.target)
        return self._pool.handle_request(
            httpcore.Request("GET", url, headers=headers, extensions=self._extensions)
        )

    @staticmethod
    def _carries_file(answer: Answer, partial: Partial | None) -> bool:
        # 203 is 200 through a proxy that changed something; 206 without a range is no answer to the request.
        return answer.status in (200, 203) or (answer.status == _PARTIAL_CONTENT and partial is not None)

    def _reply_without_file(self, request: Request, answer: Answer, partial: Partial | None) -> Reply:
        """Return or raise what an answer says that carries no file."""
        if partial is not None:
            if answer.status == 416:  # the file is no longer than what is there of it
                partial.discard()
                raise _StartOverError
            self._store.keep(request.candidate, partial)
        answer.drain()
        if answer.status == 304 and (request.etag or request.last_modified):
            return Unchanged()
        if answer.status in _REDIRECTS and "location" in answer.headers:
            return Redirected(follow(request.url, answer.headers["location"]))
        raise status_error(answer.shown, answer.status, answer.headers)

    def _receive(self, request: Request, answer: Answer, partial: Partial | None) -> Fetched:
        """Store the file an answer carries, or the rest of it."""
        if partial is not None and answer.status == _PARTIAL_CONTENT and not answer.continues(partial):
            partial.discard()
            raise _StartOverError
        if partial is not None and answer.status != _PARTIAL_CONTENT:
            partial.restart()
        file = partial or self._store.begin(request.candidate)
        try:
            length = self._whole_length(answer, file)
            if file.origin is None:
                file.origin = answer.origin(self._store.boot)
            media_type = self._write_body(answer, file, length)
            self._check(answer.shown, file, media_type, length, request.expected)
            size = file.size
            sha256 = self._store.commit(file, media_type)
        except NETWORK_ERRORS as error:
            self._store.keep(request.candidate, file)
            raise connection_error(answer.shown, error) from error
        except TransientDownloadError:
            self._store.keep(request.candidate, file)
            raise
        except BaseException:
            file.discard()
            raise
        return Fetched(sha256, size, media_type, answer.etag, answer.last_modified)

    def _whole_length(self, answer: Answer, file: Partial) -> int | None:
        """Return the size the file will have, None where it is not declared; refuse one too large."""
        if answer.length is None:
            return None
        length = file.size + answer.length
        if length > self._config.max_file_bytes:
            raise self._too_large(answer.shown, f"{length} bytes are")
        return length

    def _write_body(self, answer: Answer, file: Partial, length: int | None) -> str:
        """Write the body and return its media type, which is known before the first byte is written."""
        media_type = self._recognised(answer.shown, file.head(HEAD_BYTES)) if file.size else ""
        held: list[bytes] = []
        waiting = 0
        try:
            for part in answer.body():
                held.append(part)
                waiting += len(part)
                if file.size + waiting > self._config.max_file_bytes:
                    raise self._too_large(answer.shown, "it is")
                if not media_type and waiting >= HEAD_BYTES:
                    media_type = self._recognised(answer.shown, b"".join(held)[:HEAD_BYTES])
                if waiting >= WRITE_BYTES:
                    self._write(file, held, waiting)
                    held, waiting = [], 0
                    if length is not None and length >= NOTE_FROM_BYTES:
                        file.note()
        except (*NETWORK_ERRORS, TransientDownloadError):
            if media_type:
                self._write(file, held, waiting)
            raise
        media_type = media_type or self._recognised(answer.shown, b"".join(held)[:HEAD_BYTES])
        self._write(file, held, waiting)
        return media_type

    def _write(self, file: Partial, parts: list[bytes], size: int) -> None:
        if size:
            file.write(b"".join(parts) if len(parts) > 1 else parts[0])
            with self._lock:
                self._received += size

    def _recognised(self, shown: str, head: bytes) -> str:
        media_type = recognise(head)
        if media_type is None or media_type not in self._config.accept:
            what = media_type or describe_head(head)
            raise PermanentDownloadError(
                f"{shown}: the server sent {what}, not {' or '.join(self._config.accept)}; check the address"
            )
        return media_type

    def _check(
        self, shown: str, file: Partial, media_type: str, length: int | None, expected: str | None
    ) -> None:
        """Refuse a file that is not whole or not the one that was meant."""
        if length is not None and file.size != length:
            raise TransientDownloadError(f"{shown}: {file.size} bytes came of {length}")
        if not is_complete(media_type, file.tail(TAIL_BYTES)):
            message = f"{shown}: the file of {file.size} bytes lacks the mark that ends a {media_type}"
            if length is None:
                raise TransientDownloadError(f"{message}; it broke off")
            raise PermanentDownloadError(f"{message}; it is truncated at its source")
        found = file.hash.hexdigest()
        if expected is not None and found != expected:
            raise PermanentDownloadError(
                f"{shown}: its SHA-256 is {found}, not {expected}; correct `sha256` if that is right"
            )

    def _too_large(self, shown: str, what: str) -> PermanentDownloadError:
        return PermanentDownloadError(
            f"{shown}: {what} more than {self._config.max_file_bytes} bytes; raise max_file_bytes to have it"
        )
