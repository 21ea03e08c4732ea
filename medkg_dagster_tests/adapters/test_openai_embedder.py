import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medkg_dagster.adapters.embedders.openai import OPENAI, OpenAIEmbedder, OpenAIParameters
from medkg_dagster.errors import ConfigError, SourceError
from medkg_dagster.io.backoff import Backoff
from medkg_dagster.registry import ExtensionRegistry
from medkg_dagster.stage_api import ExtensionKind, ExternalCalls, Secret
from medkg_dagster.stage_api._extensions import embed_query, open_embedder

QUICK = Backoff(initial=0.001)
KEY = "sk-a-very-secret-key"


def answer(body: dict[str, Any]) -> dict[str, Any]:
    entries = [
        {"index": index, "embedding": [3.0 * len(text), 4.0 * len(text)]}
        for index, text in enumerate(body["input"])
    ]
    return {"data": entries[::-1]}


@dataclass
class Service:
    """A loopback service that replays a list of replies, then answers properly."""

    replies: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    make: Callable[[dict[str, Any]], Any] = answer
    requests: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    base_url: str = ""

    def embedder(self, **parameters: Any) -> OpenAIEmbedder:
        given = {"base_url": self.base_url, "model": "m", "api_key": {"env": "TEST_KEY"}, **parameters}
        return OpenAIEmbedder(OpenAIParameters.model_validate(given), ExternalCalls(backoff=QUICK))


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    state = Service()
    monkeypatch.setenv("TEST_KEY", KEY)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append((self.path, dict(self.headers.items()), body))
            status, headers, content = (
                state.replies.pop(0) if state.replies else (200, {}, json.dumps(state.make(body)).encode())
            )
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.base_url = f"http://127.0.0.1:{server.server_port}/v1"
        yield state
        server.shutdown()
        thread.join()


def test_queries_and_documents_are_told_apart_as_the_service_wants_it(service: Service) -> None:
    embedder = service.embedder(
        query_prefix="query: ", query_input_type="query", document_input_type="passage"
    )

    embedder.embed(["a"])
    embed_query(embedder, "b")
    service.embedder().embed(["c"])

    told = [(body["input"], body.get("input_type")) for _, _, body in service.requests]
    assert told == [(["a"], "passage"), (["query: b"], "query"), (["c"], None)]
    assert '"query_prefix":"query: "' in embedder.model
    assert "prefix" not in service.embedder().model


def test_the_entry_point_names_it() -> None:
    assert ExtensionRegistry().find(ExtensionKind.EMBEDDER, "openai") is OPENAI


def test_a_batch_is_one_request_and_rows_follow_the_index_of_the_reply(service: Service) -> None:
    service.make = lambda body: {
        "data": [
            {"index": index, "embedding": [0, 2] if text == "b" else [5, 0]}
            for index, text in enumerate(body["input"])
        ][::-1]
    }

    vectors = service.embedder().embed(["a", "b", "  ", "a"])

    assert vectors.tolist() == [[1, 0], [0, 1], [0, 0], [1, 0]]
    path, headers, body = service.requests[0]
    assert len(service.requests) == 1
    assert path == "/v1/embeddings"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body == {"model": "m", "input": ["a", "b", "a"], "encoding_format": "float"}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_faults_are_tried_again_after_the_time_the_service_asks_for(
    service: Service, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    service.replies = [(status, {"Retry-After": "0.01"}, b""), (status, {}, b"")]

    with caplog.at_level(logging.WARNING):
        vectors = service.embedder().embed(["a"])

    assert vectors[0] == pytest.approx([0.6, 0.8])
    assert len(service.requests) == 3
    assert "attempt 2 after 0.0 s" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ((429, {}, b""), r"status 429 \(attempt 2\)"),
        ((503, {"Retry-After": "9999"}, b""), r"status 503 \(attempt 1\)"),
        ((401, {}, f"wrong key {KEY}".encode()), r"status 401, the service says: wrong key \*\*\*"),
        ((302, {"Location": "http://elsewhere.invalid/"}, b""), "status 302"),
        ((200, {}, b"<html>"), "the reply is not 1 embedding"),
        ((200, {}, b'{"data": []}'), "the reply is not 1 embedding"),
        ((200, {}, b'{"data": [{"index": 0, "embedding": "x"}]}'), "the reply is not"),
        ((200, {}, b'{"data": [{"index": 0, "embedding": [NaN]}]}'), "finite numbers"),
        (
            (200, {}, b'{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1]}]}'),
            "2 embeddings",
        ),
    ],
)
def test_faults_that_stay_are_a_source_error_without_the_key(
    service: Service, reply: tuple[int, dict[str, str], bytes], message: str
) -> None:
    service.replies = [reply] * 5

    with pytest.raises(SourceError, match=message) as caught:
        service.embedder(max_attempts=2).embed(["a"])

    assert KEY not in str(caught.value)


def test_a_policy_bounds_attempts_and_sets_the_pace_of_each(service: Service) -> None:
    service.replies = [(503, {}, b"")] * 5
    turns: list[str] = []

    def reserve(host: str, _interval: float) -> float:
        turns.append(host)
        return 0.0

    calls = ExternalCalls(max_attempts=2, backoff=QUICK, rate_limit_per_second=100.0, reserve=reserve)

    with pytest.raises(SourceError, match=r"status 503 \(attempt 2\)"):
        service.embedder().using(calls).embed(["a"])

    assert turns == ["127.0.0.1"] * len(service.requests) == ["127.0.0.1"] * 2


def test_dimensions_are_asked_for_and_checked(service: Service) -> None:
    with pytest.raises(SourceError, match="length 2, not 3"):
        service.embedder(dimensions=3).embed(["a"])

    assert service.requests[0][2]["dimensions"] == 3


def test_an_unreachable_service_is_a_source_error(service: Service) -> None:
    with pytest.raises(SourceError, match="the connection failed"):
        service.embedder(base_url="http://127.0.0.1:1/v1", max_attempts=2).embed(["a"])


def test_a_service_without_a_key_gets_none(service: Service) -> None:
    service.embedder(api_key=None).embed(["a"])

    assert "Authorization" not in service.requests[0][1]


def test_the_model_name_holds_no_secret_and_reopens(service: Service, tmp_path: Path) -> None:
    embedder = service.embedder(dimensions=2)

    reopened = open_embedder(ExtensionRegistry(), embedder.model, tmp_path)

    assert KEY not in embedder.model
    assert '"api_key":{"env":"TEST_KEY"}' in embedder.model
    assert reopened.model == embedder.model
    assert np.array_equal(reopened.embed(["a"]), embedder.embed(["a"]))


def test_a_missing_key_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ABSENT_KEY", raising=False)

    with pytest.raises(ConfigError, match=r"ABSENT_KEY is not set.*api_key: null"):
        OpenAIEmbedder(OpenAIParameters(model="m", api_key=Secret(env="ABSENT_KEY")))


@pytest.mark.parametrize(
    "base_url",
    ["ftp://x", "https://", "https://user:password@x/v1", "https://x/v1?key=1", "http://far.example/v1"],
)
def test_addresses_that_would_give_a_secret_away_are_refused(base_url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        OPENAI.open({"model": "m", "base_url": base_url}, tmp_path)


def test_a_key_written_in_plain_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'api_key'.*write `\{env: NAME\}`") as caught:
        OPENAI.open({"model": "m", "api_key": KEY}, tmp_path)

    assert KEY not in f"{caught.value} {caught.value.__cause__}"
