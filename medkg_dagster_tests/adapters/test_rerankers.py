"""What puts documents in order: a small model with a head, and a service that is well, wrong or away."""

import importlib.util
import json
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from medkg_dagster.adapters.rerankers.cross_encoder import CROSS_ENCODER
from medkg_dagster.adapters.rerankers.http import HTTP
from medkg_dagster.errors import CircuitOpenError, ConfigError, SourceError
from medkg_dagster.registry import ExtensionRegistry
from medkg_dagster.stage_api import ExtensionKind
from medkg_dagster_tests.adapters.small_bert import expected_scores, write_bert

INSTALLED = bool(importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("tokenizers"))
needs_runtime = pytest.mark.skipif(not INSTALLED, reason="the extra 'onnx' is not installed")


@dataclass
class Service:
    """A loopback service that answers what it is told to."""

    status: int = 200
    answer: Any = None
    requests: list[tuple[dict[str, Any], str | None]] = field(default_factory=list)
    holds: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def scores(self, texts: list[str], **parameters: Any) -> list[float]:
        found: list[float] = HTTP.open({"url": self.url, **parameters}, Path()).scores("q", texts)
        return found


@pytest.fixture
def service() -> Iterator[Service]:
    state = Service()
    state.holds.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append((body, self.headers.get("Authorization")))
            state.holds.wait(30)
            content = json.dumps(state.answer).encode()
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}/v1/rerank"
        yield state
        state.holds.set()
        server.shutdown()
        thread.join()


def test_the_entry_points_name_them() -> None:
    assert ExtensionRegistry().find(ExtensionKind.RERANKER, "http") is HTTP
    assert ExtensionRegistry().find(ExtensionKind.RERANKER, "cross-encoder") is CROSS_ENCODER


def test_a_service_is_asked_once_and_its_results_are_read_by_their_index(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RERANK_KEY", "a-very-secret-key")
    service.answer = {"results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]}

    scores = service.scores(["a", "b"], model="m", api_key={"env": "RERANK_KEY"})

    assert scores == [0.1, 0.9]
    body = {"query": "q", "documents": ["a", "b"], "top_n": 2, "model": "m"}
    assert service.requests == [(body, "Bearer a-very-secret-key")]


def test_the_form_of_text_embeddings_inference_is_understood(service: Service) -> None:
    service.answer = [{"index": 0, "score": 0.4}, {"index": 1, "score": -3}]

    assert service.scores(["a", "b"], documents_key="texts") == [0.4, -3]
    assert service.requests == [({"query": "q", "texts": ["a", "b"]}, None)]


@pytest.mark.parametrize(
    "answer",
    [
        {"results": [{"index": 0, "relevance_score": 1}]},
        {"results": [{"index": 0}, {"index": 1}]},
        {"results": [{"index": 0, "relevance_score": "x"}, {"index": 1, "relevance_score": 1}]},
        [{"index": 0, "score": math.nan}, {"index": 1, "score": 1}],
        {"error": "no"},
        "text",
        None,
    ],
)
def test_a_reply_without_a_number_for_each_document_is_a_source_error(service: Service, answer: Any) -> None:
    service.answer = answer

    with pytest.raises(SourceError, match=r"relevance .*check the address and model"):
        service.scores(["a", "b"])


def test_a_service_that_does_not_answer_is_not_waited_for_and_then_left_alone(service: Service) -> None:
    service.holds.clear()
    reranker = HTTP.open({"url": service.url, "timeout_seconds": 0.05}, Path())

    for _ in range(2):
        with pytest.raises(SourceError):
            reranker.scores("q", ["a", "b"])
    with pytest.raises(CircuitOpenError):
        reranker.scores("q", ["a", "b"])

    assert len(service.requests) == 2


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"url": "ftp://host"}, "must begin with http"),
        ({"url": "http://far.example/rerank", "api_key": {"env": "X"}}, "https:// where an API key is sent"),
        ({"url": "http://localhost/rerank", "depth": 1}, "greater than or equal to 2"),
        ({}, "url"),
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HTTP.open(parameters, Path())


@needs_runtime
@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("classes", [1, 2])
def test_a_cross_encoder_gives_what_its_formulas_say(tmp_path: Path, family: str, classes: int) -> None:
    weights = write_bert(tmp_path / "model", family, classes=classes)
    texts = ["kidney", "lung lung", "skin kidney lung"]

    reranker = CROSS_ENCODER.open({"folder": "model", "depth": 3}, tmp_path)

    assert reranker.depth == 3
    expected = expected_scores(weights, "skin lung", texts, family)
    assert reranker.scores("skin lung", texts) == pytest.approx(expected, abs=2e-5)


@needs_runtime
def test_a_model_that_does_not_classify_is_refused(tmp_path: Path) -> None:
    write_bert(tmp_path, "bert")

    with pytest.raises(ConfigError, match=r"lacks 'classifier\.dense\.weight'"):
        CROSS_ENCODER.open({"folder": str(tmp_path)}, tmp_path)


@needs_runtime
def test_a_model_with_many_classes_is_refused(tmp_path: Path) -> None:
    write_bert(tmp_path, "bert", classes=3)

    with pytest.raises(ConfigError, match=r"shape \(3,\) for a pair; expected 1 score or 2"):
        CROSS_ENCODER.open({"folder": str(tmp_path)}, tmp_path).scores("skin", ["lung"])
