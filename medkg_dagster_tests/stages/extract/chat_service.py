"""A chat endpoint on loopback that answers properly, or wrongly in every way."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[["Handler"], None]
KEY = "sk-a-very-secret-key"


def claim(quote: str, subject: str, predicate: str, object_: str, **changes: Any) -> dict[str, Any]:
    """A claim by the schema."""
    said = {"quote": quote, "subject": subject, "predicate": predicate, "object": object_}
    return {**said, "negated": False, "certainty": "asserted", "background": False, **changes}


def completion(content: str | None, finish_reason: str = "stop", **message: Any) -> dict[str, Any]:
    """The reply of a chat endpoint, with its count of tokens."""
    said = {"role": "assistant", "content": content, **message}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return {"choices": [{"index": 0, "message": said, "finish_reason": finish_reason}], "usage": usage}


def claims(*said: Any) -> Reply:
    """Reply with claims."""
    return raw(completion(json.dumps({"claims": list(said)})))


def raw(body: Any, status: int = 200, content_type: str = "application/json", **headers: str) -> Reply:
    """Reply with anything: bytes as they are, else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def reply(handler: Handler) -> None:
        handler.send_response(status)
        sent = {"Content-Type": content_type, "Content-Length": str(len(content)), **headers}
        for name, value in sent.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return reply


def hanging(handler: Handler) -> None:
    """Say nothing until the service ends or the client goes."""
    handler.service.ended.wait(30)


def trickling(handler: Handler) -> None:
    """Send a byte now and then, and come to no end."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    with contextlib.suppress(OSError):
        while not handler.service.ended.wait(0.02):
            handler.wfile.write(b" ")
            handler.wfile.flush()


def cut_off(handler: Handler) -> None:
    """Announce more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')


def huge(handler: Handler) -> None:
    """Send more than anybody wants to read."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(64 << 20))
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(64):
            handler.wfile.write(b" " * (1 << 20))


class Handler(BaseHTTPRequestHandler):
    """Takes a request and gives the next reply."""

    service: Service

    def do_POST(self) -> None:
        """Answer a question."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.service.requests.append((self.path, dict(self.headers.items()), body))
        replies = self.service.replies
        (replies.pop(0) if replies else self.service.otherwise)(self)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@dataclass
class Service:
    """What the endpoint is to reply, in order, and then; and what it was asked."""

    replies: list[Reply] = field(default_factory=list)
    otherwise: Reply = field(default_factory=claims)
    requests: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    base_url: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    def passages(self) -> list[str]:
        """The passages it was asked about."""
        return [json.loads(body["messages"][1]["content"])["passage"] for _, _, body in self.requests]


@contextlib.contextmanager
def chat_service() -> Iterator[Service]:
    """Serve on loopback until the block ends."""
    service = Service()
    handler = type("OwnHandler", (Handler,), {"service": service})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        service.base_url = f"http://127.0.0.1:{server.server_port}/v1"
        try:
            yield service
        finally:
            service.ended.set()
            server.shutdown()
            thread.join()
