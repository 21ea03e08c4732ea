"""A service on loopback for every client of the project, which fails in the ways it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from medkg_dagster_tests.stages.download.file_server import pdf
from medkg_dagster_tests.stages.extract.chat_service import completion

Fault = Callable[["Handler"], None]

STUDIES = [
    {"protocolSection": {"identificationModule": {"nctId": f"NCT0000000{n}", "briefTitle": f"Study {n}"}}}
    for n in (1, 2)
]


def status(code: int, **headers: str) -> Fault:
    """Answer with a status."""
    return lambda handler: handler.answer(code, b"no", **headers)


def cut_off(handler: Handler) -> None:
    """Break the connection in the middle of a body."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b'{"data": [')
    handler.close_connection = True


def no_http(handler: Handler) -> None:
    """Answer with what is no HTTP."""
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    handler.close_connection = True


def silent(handler: Handler) -> None:
    """Say nothing until the service ends."""
    handler.service.ended.wait(30)
    handler.close_connection = True


class Handler(BaseHTTPRequestHandler):
    """Gives the next fault, or where there is none what was asked for."""

    service: FaultyService

    def do_GET(self) -> None:
        """Answer a request."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.service.paths.append(self.path.partition("?")[0])
        if (fault := self.service.next_fault()) is not None:
            fault(self)
            return
        if self.path.endswith(".pdf"):
            self.answer(200, pdf(1))
            return
        self.answer(200, json.dumps(_reply(self.path, json.loads(body or b"{}"))).encode())

    do_POST = do_GET  # noqa: N815 - the name the base class looks for

    def answer(self, code: int, content: bytes, **headers: str) -> None:
        """Send a whole answer; underscores in names of headers stand for hyphens."""
        self.send_response(code)
        for name, value in {"Content_Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


def _reply(path: str, asked: dict[str, Any]) -> dict[str, Any]:
    if "embeddings" in path:
        return {"data": [{"index": n, "embedding": [3.0, 4.0]} for n in range(len(asked["input"]))]}
    if "completions" in path:
        return completion('{"claims": []}')
    return {"studies": STUDIES}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: clients break off on purpose."""


@dataclass
class FaultyService:
    """What fails, and what was asked.

    Attributes:
        first: Faults of the first requests, in order.
        always: The fault of all that follow; None where they are answered.
        paths: What was asked for, in order.
        ended: Set when the service ends.
    """

    first: list[Fault] = field(default_factory=list)
    always: Fault | None = None
    paths: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), type("OwnHandler", (Handler,), {"service": self}))
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Listen no more."""
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()

    def next_fault(self) -> Fault | None:
        """Return what is wrong with the next answer."""
        return self.first.pop(0) if self.first else self.always

    @property
    def url(self) -> str:
        """Its root."""
        return f"http://127.0.0.1:{self._server.server_port}"
