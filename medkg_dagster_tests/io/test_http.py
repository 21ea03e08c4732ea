"""The HTTP client and its reading of headers, against a loopback server."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.errors import CircuitOpenError, SourceError, UnreadableDocumentError
from medkg_dagster.io.faults import status_may_pass
from medkg_dagster.io.http import HttpClient, OversizedReplyError, retry_after
from medkg_dagster.stage_api import ExternalCalls
from medkg_dagster_tests.clock import Clock

KEY = "sk-quoted"


@dataclass
class Server:
    """Gives its replies in order, the last one for ever, and remembers what was asked."""

    url: str
    replies: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            live.requests.append((self.command, self.path, dict(self.headers.items()), body))
            status, headers, content = live.replies.pop(0) if len(live.replies) > 1 else live.replies[0]
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the name the base class looks for

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        live = Server(f"http://127.0.0.1:{listening.server_port}/x")
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield live
        listening.shutdown()
        thread.join()


def read(address: str, content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise UnreadableDocumentError(f"{address}: {error}") from error


def client(clock: Clock | None = None, **options: Any) -> HttpClient:
    clock = clock or Clock()
    log = logging.getLogger("test")
    return HttpClient(timeout=5.0, max_attempts=3, log=log, **options, sleep=clock.sleep, clock=clock.read)


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ("", None),
        ("0", 0.0),
        ("120", 120.0),
        ("  7\t", 7.0),
        ("9" * 400, 1e9),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1e3", None),
        ("nan", None),
        ("inf", None),
        ("\u0667", None),  # a digit, but not of HTTP
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wednesday, 21-Oct-15 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00", 0.0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
        ("Fri, 01 Jan 99999 00:00:00 GMT", None),
        ("Fri, 01 Jan 2100 00:00:00 +99999999", None),
        (",", None),
    ],
)
def test_the_wait_a_server_asks_for_is_read(stated: str, seconds: float | None) -> None:
    assert retry_after(stated) == seconds


@given(st.integers(min_value=-100_000, max_value=10_000_000))
def test_dates_are_seconds_from_now(offset: int) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=offset)
    seconds = retry_after(format_datetime(moment, usegmt=True))
    assert seconds is not None
    assert max(0, offset) - 5 <= seconds <= max(0, offset)


@given(
    st.text()
    | st.from_regex(r"\A\w{3}, \d{1,3} (Jan|Feb|Dec) \d{1,6} \d{1,3}:\d{1,3}:\d{1,3} ([+-]\d{1,9}|GMT)\Z")
)
def test_whatever_a_server_says_is_a_wait_or_none(stated: str) -> None:
    seconds = retry_after(stated)
    assert seconds is None or seconds >= 0


def test_statuses_that_may_pass() -> None:
    assert [status for status in range(200, 600) if status_may_pass(status)] == [
        408,
        425,
        429,
        *range(500, 600),
    ]


def test_a_wait_the_server_asks_for_comes_before_ones_own(server: Server) -> None:
    server.replies = [(503, {}, b""), (429, {"Retry-After": "7"}, b""), (200, {}, b"[1]")]
    clock = Clock()
    with client(clock) as asking:
        assert asking.get(server.url, {"q": "a b"}, read) == [1]
    assert clock.naps == [1.0, 7.0]
    assert [path for _, path, _, _ in server.requests] == ["/x?q=a+b"] * 3


def test_a_service_may_have_passing_statuses_of_its_own(server: Server) -> None:
    server.replies = [(409, {}, b""), (200, {}, b"1")]
    with client(passing=frozenset({409})) as asking:
        assert asking.get(server.url, {}, read) == 1


def test_a_reply_that_is_no_json_is_asked_for_again(server: Server) -> None:
    server.replies = [(200, {}, b"<html>log in</html>"), (200, {}, b"[1]")]
    with client() as asking:
        assert asking.get(server.url, {}, read) == [1]


def test_a_missing_thing_is_an_answer_only_where_it_may_be(server: Server) -> None:
    server.replies = [(404, {}, b"no such study")]
    with client() as asking:
        assert asking.get(server.url, {}, read, missing=lambda: "none") == "none"
        with pytest.raises(SourceError, match="status 404, the service says: no such study"):
            asking.get(server.url, {}, read)
    assert len(server.requests) == 2


def test_a_pace_of_ones_own_holds_for_attempts_too(server: Server) -> None:
    server.replies = [(503, {"Retry-After": "0"}, b""), (200, {}, b"1")]
    clock = Clock()
    with client(clock, requests_per_second=0.5) as asking:
        asking.get(server.url, {}, read)
    assert clock.now == pytest.approx(2.0)


def test_every_attempt_is_one_call_of_the_guard_and_counts_for_its_circuit(server: Server) -> None:
    server.replies = [(500, {}, b"")]
    turns: list[str] = []

    def reserve(service: str, _interval: float) -> float:
        turns.append(service)
        return 0.0

    calls = ExternalCalls(failure_threshold=2, rate_limit_per_second=5.0, reserve=reserve)
    with client(guard=calls) as asking, pytest.raises(CircuitOpenError, match=r"127\.0\.0\.1 failed 2 times"):
        asking.get(server.url, {}, read)
    assert turns == ["127.0.0.1"] * 2
    assert len(server.requests) == 2


def test_a_secret_is_sent_and_never_told(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.replies = [(500, {}, KEY.encode()), (401, {}, f"{KEY} is wrong".encode())]
    with client(secret=KEY) as asking, pytest.raises(SourceError, match=r"says: \*\*\* is wrong") as caught:
        asking.post(server.url, {"input": ["a"]}, read)
    assert [headers["Authorization"] for _, _, headers, _ in server.requests] == [f"Bearer {KEY}"] * 2
    assert json.loads(server.requests[0][3]) == {"input": ["a"]}
    assert KEY not in str(caught.value) + caplog.text


def test_redirects_are_not_followed_unless_allowed(server: Server) -> None:
    server.replies = [(302, {"Location": server.url + "y"}, b""), (200, {}, b"1")]
    with client(secret=KEY) as asking, pytest.raises(SourceError, match="status 302"):
        asking.get(server.url, {}, read)
    server.replies = [(302, {"Location": server.url + "y"}, b""), (200, {}, b"1")]
    with client(max_redirects=3) as asking:
        assert asking.get(server.url, {}, read) == 1


def test_a_reply_without_end_is_cut(server: Server) -> None:
    server.replies = [(200, {}, b" " * 2000)]
    with client(max_bytes=1000) as asking, pytest.raises(OversizedReplyError, match="more than 1000 bytes"):
        asking.get(server.url, {}, read)
    assert len(server.requests) == 1
