"""A loopback server of files that can misbehave in every way a server may."""

from __future__ import annotations

import gzip
import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>%PDF-1.7</body></html>"


def pdf(seed: int = 0, size: int = 2000) -> bytes:
    """Return bytes that begin and end like a PDF; the same for the same seed."""
    block = hashlib.sha256(str(seed).encode()).digest()
    body = block * (size // len(block) + 1)
    return b"%PDF-1.7\n" + body[: size - 15] + b"%%EOF\n"


def sha256(content: bytes) -> str:
    """Return the hash a file is kept under."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class ReceivedRequest:
    """One request that came."""

    path: str
    headers: dict[str, str]
    moment: float


class Conversation(BaseHTTPRequestHandler):
    """One connection; behaviours answer through it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Record the request and let the path's behaviour answer."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        files = self.server.files
        with files.lock:
            files.requests.append(ReceivedRequest(self.path, headers, time.monotonic()))
            turn = sum(request.path == self.path for request in files.requests)
            files.active += 1
            files.most_active = max(files.most_active, files.active)
        try:
            files.behaviours.get(self.path, status(404))(self, turn)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with files.lock:
                files.active -= 1

    def answer(self, code: int, body: bytes = b"", **headers: str) -> None:
        """Send a whole answer; underscores in header names stand for hyphens."""
        self.head(code, **{"Content_Length": str(len(body)), **headers})
        self.wfile.write(body)

    def head(self, code: int, **headers: str) -> None:
        """Send the head of an answer."""
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def reset(self) -> None:
        """Break the connection off, so that the other side sees a reset."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def wait(self) -> None:
        """Do nothing until the server goes."""
        self.server.files.closing.wait(30)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Stay silent."""


Behaviour = Callable[[Conversation, int], None]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    files: FileServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: clients break off on purpose."""


@dataclass
class FileServer:
    """Serves behaviours by path on every loopback address.

    Attributes:
        behaviours: What answers each path.
        requests: The requests that came, in order.
        active: Requests being answered.
        most_active: The most there were at once.
        closing: Set when the server goes.
    """

    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    requests: list[ReceivedRequest] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    active: int = 0
    most_active: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._server = _Server(("0.0.0.0", 0), Conversation)
        self._server.files = self
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def encrypt(self, certificate: Path, key: Path) -> None:
        """Speak TLS from now on."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        self._server.socket = tls.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """Return the address of a path."""
        return f"http://{host}:{self.port}{path}"

    def serve(self, path: str, behaviour: Behaviour, host: str = "127.0.0.1") -> str:
        """Let a behaviour answer a path and return its address."""
        self.behaviours[path] = behaviour
        return self.url(path, host)

    def count(self, path: str) -> int:
        """Return how often a path was asked for."""
        return sum(request.path == path for request in self.requests)


def whole(body: bytes, **headers: str) -> Behaviour:
    """Serve a file with an ETag, ranges and conditional requests, as a good server does."""
    etag = headers.pop("ETag", f'"{sha256(body)[:16]}"')

    def answer(conversation: Conversation, _turn: int) -> None:
        if conversation.headers.get("If-None-Match") == etag:
            conversation.answer(304, ETag=etag)
            return
        range_header = conversation.headers.get("Range", "")
        is_same = conversation.headers.get("If-Range", etag) == etag
        if not range_header or not is_same:
            conversation.answer(200, body, ETag=etag, **headers)
            return
        start = int(range_header.removeprefix("bytes=").rstrip("-"))
        if start >= len(body):
            conversation.answer(416, Content_Range=f"bytes */{len(body)}")
            return
        place = f"bytes {start}-{len(body) - 1}/{len(body)}"
        conversation.answer(206, body[start:], ETag=etag, Content_Range=place, **headers)

    return answer


def broken_once(body: bytes, after: int, then: Behaviour | None = None, **headers: str) -> Behaviour:
    """Break off in the middle of the first answer; be good, or as told, from then on."""
    etag = f'"{sha256(body)[:16]}"'

    def answer(conversation: Conversation, _turn: int) -> None:
        conversation.head(200, **{"Content_Length": str(len(body)), "ETag": etag, **headers})
        conversation.wfile.write(body[:after])
        conversation.close_connection = True

    return in_turn(answer, then or whole(body))


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Answer the first request by the first behaviour, and so on; the last one stays."""

    def answer(conversation: Conversation, turn: int) -> None:
        behaviours[min(turn, len(behaviours)) - 1](conversation, turn)

    return answer


def status(code: int, **headers: str) -> Behaviour:
    """Answer with a status and a short text."""
    return lambda conversation, _turn: conversation.answer(code, b"no\n", **headers)


def redirect(url: str, code: int = 302) -> Behaviour:
    """Send elsewhere."""
    return status(code, Location=url)


def stalled(body: bytes, after: int) -> Behaviour:
    """Send the beginning of a file and then nothing."""

    def answer(conversation: Conversation, _turn: int) -> None:
        conversation.head(200, Content_Length=str(len(body)))
        conversation.wfile.write(body[:after])
        conversation.wait()

    return answer


def dripping(body: bytes, pause: float) -> Behaviour:
    """Send a byte at a time, so that no wait for the next one is long."""

    def answer(conversation: Conversation, _turn: int) -> None:
        conversation.head(200, Content_Length=str(len(body)))
        for number in range(len(body)):
            conversation.wfile.write(body[number : number + 1])
            if conversation.server.files.closing.wait(pause):
                return

    return answer


def endless(beginning: bytes) -> Behaviour:
    """Send a body that never ends, without saying how long it is."""

    def answer(conversation: Conversation, _turn: int) -> None:
        conversation.head(200, Connection="close")
        conversation.close_connection = True
        conversation.wfile.write(beginning)
        while not conversation.server.files.closing.is_set():
            conversation.wfile.write(bytes(65536))

    return answer


def bomb(size: int) -> Behaviour:
    """Send a small gzip of a huge PDF, as a content encoding that nobody asked for."""
    packed = gzip.compress(b"%PDF-1.7\n" + bytes(size) + b"%%EOF\n", 6)
    return lambda conversation, _turn: conversation.answer(200, packed, Content_Encoding="gzip")
