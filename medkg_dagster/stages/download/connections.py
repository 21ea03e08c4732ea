"""Connections to checked addresses only, each read bounded by the transfer's own time."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore

from medkg_dagster.stages.download.addresses import AddressGuard

READ_BYTES = 256 * 1024
"""More than HTTP libraries ask for at once: threads then change turns a quarter as often."""
_ADDRESSES_TRIED = 4


class GuardedBackend(httpcore.NetworkBackend):
    """Opens connections to the very addresses that were checked, so that a second look-up cannot differ."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._plain = httpcore.SyncBackend()
        self._transfer = threading.local()
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopped = False
        self._tls: ssl.SSLContext | None = None

    @contextlib.contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Let every wait of this thread end at a moment of the monotonic clock."""
        self._transfer.deadline = deadline
        try:
            yield
        finally:
            self._transfer.deadline = None

    def limit(self, timeout: float | None) -> float | None:
        """Return how long to wait at most: a timeout, or what is left of the transfer's time.

        Raises:
            httpcore.ReadTimeout: Nothing is left.
        """
        if self._stopped:
            raise httpcore.ReadError("stopped")
        deadline: float | None = getattr(self._transfer, "deadline", None)
        if deadline is None:
            return timeout
        left = deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the transfer's time is up")
        return left if timeout is None else min(left, timeout)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve a host, check every address, and connect to one of them."""
        try:
            addresses = self._guard.resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError(error) from error
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses[:_ADDRESSES_TRIED]:
            try:
                stream = self._plain.connect_tcp(
                    address, port, self.limit(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            return GuardedStream(stream, self)
        raise failure

    def opened(self, stream: httpcore.NetworkStream) -> None:
        """Remember a connection, so that `stop` can end its waits."""
        with self._lock:
            self._sockets.add(stream.get_extra_info("socket"))

    def closed(self, stream: httpcore.NetworkStream) -> None:
        """Forget a connection."""
        with self._lock:
            self._sockets.discard(stream.get_extra_info("socket"))

    def tls_context(self) -> ssl.SSLContext:
        """Return what certificates are checked with, made at first use: it takes longer than a small file."""
        import httpx

        with self._lock:
            if self._tls is None:
                self._tls = httpx.create_ssl_context()
                # A server that is offered HTTP/2 may choose it, and this client does not speak it.
                self._tls.set_alpn_protocols(["http/1.1"])
            return self._tls

    def stop(self) -> None:
        """End every wait of every thread now."""
        self._stopped = True
        with self._lock:
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class GuardedStream(httpcore.NetworkStream):
    """A connection whose waits end with the transfer's time."""

    def __init__(self, stream: httpcore.NetworkStream, backend: GuardedBackend) -> None:
        self._stream = stream
        self._backend = backend
        backend.opened(stream)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has arrived."""
        return self._stream.read(max(max_bytes, READ_BYTES), self._backend.limit(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send."""
        self._stream.write(buffer, self._backend.limit(timeout))

    def close(self) -> None:
        """Close the connection."""
        self._backend.closed(self._stream)
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Encrypt; the certificate is checked against the host's name, not its address."""
        del ssl_context
        self._backend.closed(self._stream)
        context = self._backend.tls_context()
        secured = self._stream.start_tls(context, server_hostname, self._backend.limit(timeout))
        return GuardedStream(secured, self._backend)

    def get_extra_info(self, info: str) -> Any:
        """Return what the connection knows of itself."""
        return self._stream.get_extra_info(info)


def open_pool(backend: GuardedBackend, max_connections: int) -> httpcore.ConnectionPool:
    """Return a pool of connections; no proxy, no HTTP/2, certificates checked."""
    return httpcore.ConnectionPool(
        # It trusts nobody; streams use the backend's own.
        ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        max_connections=max_connections,
        max_keepalive_connections=max_connections,
        keepalive_expiry=5.0,  # as long as Apache keeps one; a request into a closing connection is lost
        network_backend=backend,
    )
