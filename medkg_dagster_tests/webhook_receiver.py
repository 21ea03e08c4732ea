"""A receiver of webhooks on loopback, which may fail in every way."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Received:
    """What came in."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.received.append(Received(headers, body))
        answers = self.receiver.answers
        (answers.pop(0) if answers else ok)(self)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


Answer = Callable[[Handler], None]


def status(code: int, **headers: str) -> Answer:
    """Answer with a status; in the names of headers `_` is `-`."""

    def answer(handler: Handler) -> None:
        handler.send_response(code)
        for name, value in {"Content-Length": "0", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    return answer


ok = status(204)


def close(handler: Handler) -> None:
    """Close the connection without a word."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def garbage(handler: Handler) -> None:
    """Answer with what is no HTTP."""
    handler.wfile.write(b"220 smtp.example ESMTP\r\n\r\n")
    handler.close_connection = True


def hang(handler: Handler) -> None:
    """Answer once the test has ended."""
    handler.receiver.ended.wait()
    handler.close_connection = True


@dataclass
class Receiver:
    """Gives its answers in order and then takes everything; remembers what came."""

    url: str
    answers: list[Answer] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.received]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Listen while the block runs."""
    handler = type("BoundHandler", (Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hook")
        handler.receiver = receiver  # type: ignore[attr-defined] # the class is made above, of `Handler`
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.ended.set()
            server.shutdown()
            thread.join()
