"""HTTP: how long servers ask to wait, which faults may pass, and a client that minds both."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from medkg_dagster.errors import DocumentError, PermanentSourceError, RetriedSourceError
from medkg_dagster.io.backoff import Backoff
from medkg_dagster.io.faults import status_may_pass

if TYPE_CHECKING:
    import ssl

    import httpx

R = TypeVar("R")
MAX_REPLY_BYTES = 256 * 1024 * 1024
LONGEST_WAIT_SECONDS = 120.0
_LONGEST_STATED = 1e9  # what is longer is not meant


def retry_after(stated: str) -> float | None:
    """Return the seconds a server asks to wait.

    Args:
        stated: The value of the header `Retry-After`: a whole number of seconds, or a date.

    Returns:
        Never negative; None where the server does not ask, or not in a way that can be understood.
    """
    stated = stated.strip()
    if stated.isascii() and stated.isdigit():
        return min(float(stated), _LONGEST_STATED)
    try:
        moment = parsedate_to_datetime(stated)
    except (ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def user_agent() -> str:
    """Return the `User-Agent` of requests."""
    try:
        return f"medkg-dagster/{version('medkg-dagster')}"
    except PackageNotFoundError:  # a source tree that was never installed
        return "medkg-dagster"


class Guard(Protocol):
    """Lets calls to a service through at a pace, and none to one that failed too often."""

    def call(self, service: str, work: Callable[[], R]) -> R:
        """Make a call when it is its turn, and return what it returns."""


@functools.cache
def certificates() -> ssl.SSLContext:
    """Return what servers are checked by; to read it takes longer than a small request."""
    import httpx

    return httpx.create_ssl_context()


class PassingFaultError(Exception):
    """A fault that may be gone at the next attempt."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class OversizedReplyError(PermanentSourceError):
    """A reply has more bytes than it may have."""


class HttpClient:
    """Asks for small replies, never faster than it may, and again where a fault may pass.

    Args:
        timeout: Seconds to wait for each of connecting, sending and the next bytes of the reply; None waits
            without end.
        max_attempts: Attempts per request; who asks does not try again.
        backoff: The waits between them, where the server does not ask for longer ones.
        log: Where retries are reported.
        guard: What every attempt goes through.
        requests_per_second: The most requests a second, retries included; None for no limit of its own.
        max_redirects: Redirects to follow; with 0 nothing is sent to another host than the one named.
        passing: Statuses of this service that may pass, besides those of `status_may_pass`.
        secret: Sent as a bearer token; never part of a message.
        longest: Seconds for one attempt as a whole, for a server that keeps on sending; None for no limit.
        max_bytes: The most bytes of a reply.
        sleep: Waits; exchanged in tests.
        clock: Monotonic seconds; exchanged in tests.
    """

    def __init__(
        self,
        *,
        timeout: float | None,
        max_attempts: int,
        log: logging.Logger,
        backoff: Backoff = Backoff(),  # noqa: B008 - a frozen value
        guard: Guard | None = None,
        requests_per_second: float | None = None,
        max_redirects: int = 0,
        passing: frozenset[int] = frozenset(),
        secret: str | None = None,
        longest: float | None = None,
        max_bytes: int = MAX_REPLY_BYTES,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        import httpx

        self._interval = 1.0 / requests_per_second if requests_per_second else 0.0
        self._max_attempts = max_attempts
        self._backoff = backoff
        self._log = log
        self._guard = guard
        self._passing = passing
        self._longest = longest
        self._max_bytes = max_bytes
        self._secret = secret
        self._sleep = sleep
        self._clock = clock
        self._next_request = clock()
        agent = f"{user_agent()} (python-httpx/{httpx.__version__})"
        self._client = httpx.Client(
            timeout=timeout,
            verify=certificates(),
            follow_redirects=max_redirects > 0,
            max_redirects=max_redirects,
            headers={"User-Agent": agent, "Accept": "application/json"}
            | ({"Authorization": f"Bearer {secret}"} if secret else {}),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(
        self,
        url: str,
        query: Mapping[str, str],
        read: Callable[[str, bytes], R],
        *,
        missing: Callable[[], R] | None = None,
    ) -> R:
        """Fetch one reply.

        Args:
            url: The address.
            query: Query parameters.
            read: Makes a value of the full address and the reply; a `DocumentError` says that it is no JSON,
                as where a proxy answers, and the request is made again.
            missing: Makes the value where status 404 is an answer and not an error.

        Returns:
            What was made of it.

        Raises:
            RetriedSourceError: No usable reply after all attempts, or the server asks to wait for longer than
                two minutes; names the address and the status or fault.
            PermanentSourceError: The request was refused, and would be again.
        """
        request = self._client.build_request("GET", url, params=dict(query) or None)
        return self._send(request, read, missing)

    def post(self, url: str, body: Mapping[str, Any], read: Callable[[str, bytes], R]) -> R:
        """Send JSON and return what `read` makes of the reply, see `get`."""
        return self._send(self._client.build_request("POST", url, json=body), read)

    def _send(
        self,
        request: httpx.Request,
        read: Callable[[str, bytes], R],
        missing: Callable[[], R] | None = None,
    ) -> R:
        address = str(request.url)
        work = partial(self._attempt, request, may_miss=missing is not None)
        for attempt in range(1, self._max_attempts + 1):
            self._keep_pace()
            try:
                content = self._guard.call(request.url.host, work) if self._guard else work()
                if content is None:
                    assert missing is not None
                    return missing()
                return _understood(address, content, read)
            except PassingFaultError as fault:
                stated = fault.wait or 0.0
                # A server in trouble that asks to be called again at once gets its pause all the same.
                wait = max(stated, self._backoff.wait(attempt))
                if attempt == self._max_attempts or stated > LONGEST_WAIT_SECONDS:
                    raise RetriedSourceError(
                        f"{address}: {fault} (attempt {attempt}); try again later"
                    ) from fault
                self._log.warning("%s: %s; attempt %d after %.1f s", address, fault, attempt + 1, wait)
                self._sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _keep_pace(self) -> None:
        wait = self._next_request - self._clock()
        if wait > 0:
            self._sleep(wait)
        self._next_request = self._clock() + self._interval

    def _attempt(self, request: httpx.Request, *, may_miss: bool) -> bytes | None:
        import httpx

        address = str(request.url)
        began = self._clock()
        try:
            with contextlib.closing(self._client.send(request, stream=True)) as response:
                if request.url.scheme == "https" and response.url.scheme != "https":
                    raise PermanentSourceError(
                        f"{address}: redirected to the unprotected address {response.url}"
                    )
                status = response.status_code
                if status == httpx.codes.NOT_FOUND and may_miss:
                    return None
                if status in self._passing or status_may_pass(status):
                    wait = retry_after(response.headers.get("Retry-After", ""))
                    raise PassingFaultError(f"status {status}", wait)
                if status != httpx.codes.OK:
                    raise PermanentSourceError(f"{address}: status {status}{self._quoted(response)}")
                return self._body(address, response, began)
        except httpx.TimeoutException as error:
            raise PassingFaultError(f"no answer in time ({type(error).__name__})") from error
        except (httpx.TooManyRedirects, httpx.UnsupportedProtocol, httpx.DecodingError) as error:
            raise PermanentSourceError(f"{address}: {error}") from error
        except httpx.TransportError as error:
            # The message may quote a header that cannot be sent.
            said = type(error).__name__ if self._secret else error or type(error).__name__
            raise PassingFaultError(f"the connection failed: {said}") from error

    def _body(self, address: str, response: httpx.Response, began: float) -> bytes:
        content = bytearray()
        for part in response.iter_bytes():
            content += part
            if len(content) > self._max_bytes:
                raise OversizedReplyError(
                    f"{address}: a reply of more than {self._max_bytes} bytes; ask for less at once"
                )
            if self._longest is not None and self._clock() - began > self._longest:
                raise PassingFaultError(f"the reply is not whole after {self._longest:g} s")
        return bytes(content)

    def _quoted(self, response: httpx.Response) -> str:
        # Services quote requests in their errors, some the key with them.
        said = response.read()[:2000].decode("utf-8", "replace")
        said = (said.replace(self._secret, "***") if self._secret else said)[:300].strip()
        return f", the service says: {said}" if said else ""


def _understood(address: str, content: bytes, read: Callable[[str, bytes], R]) -> R:
    try:
        return read(address, content)
    except DocumentError as error:
        said = str(error).removeprefix(f"{address}: ")
        raise PassingFaultError(f"a reply that is no JSON: {said}") from error
