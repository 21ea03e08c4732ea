"""An HTTP client that keeps a rate limit and tries again where a fault may pass."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Self

import httpx

from medkg_dagster.adapters.sources.payload_formats import load_json
from medkg_dagster.errors import DocumentError, SourceError
from medkg_dagster.stage_api import ExternalCalls

MAX_REPLY_BYTES = 256 * 1024 * 1024
LONGEST_WAIT_SECONDS = 120.0
FIRST_WAIT_SECONDS = 1.0
_PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})


class _PassingFaultError(Exception):
    """A fault that may be gone at the next attempt."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class PoliteClient:
    """Fetches JSON, never faster than it may.

    Args:
        requests_per_second: The most requests a second, retries included.
        timeout: Seconds to wait for each of connecting, sending and the next bytes of the reply; None waits
            without end.
        max_attempts: Attempts per request.
        log: Where retries are reported.
        calls: The stage's guard over calls to services: its pace and circuit breaker hold here too.
        sleep: Waits; exchanged in tests.
        clock: Monotonic seconds; exchanged in tests.
    """

    def __init__(
        self,
        *,
        requests_per_second: float,
        timeout: float | None,
        max_attempts: int,
        log: logging.Logger,
        calls: ExternalCalls | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval = 1.0 / requests_per_second
        self._max_attempts = max_attempts
        self._log = log
        self._calls = calls or ExternalCalls()
        self._sleep = sleep
        self._clock = clock
        self._next_request = clock()
        self._client = httpx.Client(
            timeout=timeout,
            follow_redirects=True,
            max_redirects=3,
            headers={"User-Agent": _user_agent(), "Accept": "application/json"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get_json(self, url: str, query: Mapping[str, str], *, missing_is_none: bool = False) -> Any:
        """Fetch and parse one reply.

        Args:
            url: The address.
            query: Query parameters.
            missing_is_none: Whether status 404 is an answer (None) and not an error.

        Returns:
            The parsed JSON.

        Raises:
            SourceError: No usable reply after all attempts; names the URL and the status or fault.
        """
        address = str(httpx.URL(url, params=dict(query)) if query else httpx.URL(url))
        for attempt in range(1, self._max_attempts + 1):
            self._keep_rate()
            try:
                content = self._calls.call(
                    httpx.URL(address).host, partial(self._attempt, address, missing_is_none=missing_is_none)
                )
                return None if content is None else _parse(address, content)
            except _PassingFaultError as fault:
                wait = FIRST_WAIT_SECONDS * 2 ** (attempt - 1) if fault.wait is None else fault.wait
                if attempt == self._max_attempts or wait > LONGEST_WAIT_SECONDS:
                    raise SourceError(f"{address}: {fault} (attempt {attempt}); try again later") from fault
                self._log.warning("%s: %s; attempt %d after %.1f s", address, fault, attempt + 1, wait)
                self._sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _keep_rate(self) -> None:
        wait = self._next_request - self._clock()
        if wait > 0:
            self._sleep(wait)
        self._next_request = self._clock() + self._interval

    def _attempt(self, address: str, *, missing_is_none: bool) -> bytes | None:
        try:
            with self._client.stream("GET", address) as response:
                if address.startswith("https:") and response.url.scheme != "https":
                    raise SourceError(f"{address}: redirected to the unprotected address {response.url}")
                if response.status_code == httpx.codes.NOT_FOUND and missing_is_none:
                    return None
                if response.status_code in _PASSING_STATUS:
                    raise _PassingFaultError(f"status {response.status_code}", _asked_to_wait(response))
                if response.status_code != httpx.codes.OK:
                    raise SourceError(_explain_status(address, response))
                return _read(address, response)
        except httpx.TimeoutException as error:
            raise _PassingFaultError(f"no answer in time ({type(error).__name__})") from error
        except (httpx.TooManyRedirects, httpx.UnsupportedProtocol, httpx.DecodingError) as error:
            raise SourceError(f"{address}: {error}") from error
        except httpx.TransportError as error:
            raise _PassingFaultError(f"the connection failed: {error or type(error).__name__}") from error


def _read(address: str, response: httpx.Response) -> bytes:
    content = bytearray()
    for part in response.iter_bytes():
        content += part
        if len(content) > MAX_REPLY_BYTES:
            raise SourceError(f"{address}: a reply of more than {MAX_REPLY_BYTES} bytes; lower page_size")
    return bytes(content)


def _parse(address: str, content: bytes) -> Any:
    try:
        return load_json(address, content)
    except DocumentError as error:
        raise _PassingFaultError(
            f"a reply that is no JSON: {str(error).removeprefix(address + ': ')}"
        ) from error


def _explain_status(address: str, response: httpx.Response) -> str:
    said = response.read()[:300].decode("utf-8", "replace").strip()
    return f"{address}: status {response.status_code}" + (f", the service says: {said}" if said else "")


def _asked_to_wait(response: httpx.Response) -> float | None:
    asked = response.headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        moment = parsedate_to_datetime(asked)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _user_agent() -> str:
    try:
        release = version("medkg-dagster")
    except PackageNotFoundError:  # a source tree that was never installed
        release = "unknown"
    return f"medkg-dagster/{release} (python-httpx/{httpx.__version__})"
