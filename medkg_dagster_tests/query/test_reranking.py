"""A search whose best documents a reranker puts in order, and one whose reranker fails."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from medkg_dagster.cli import main
from medkg_dagster.errors import ConfigError
from medkg_dagster.query import SearchAnswer, Stores
from medkg_dagster.settings import Settings

QUERY = "melanoma"


@contextmanager
def service(status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A service that likes documents the better the further down they were."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(body)
            results = [{"index": n, "relevance_score": n} for n in range(len(body["documents"]))]
            content = json.dumps({"results": results}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/rerank", asked
        server.shutdown()
        thread.join()


def search(home: Path, reranker: str | None, **options: Any) -> SearchAnswer:
    settings = replace(Settings.from_environment({"MEDKG_HOME": str(home)}), reranker=reranker)
    with Stores(settings) as stores:
        return stores.search(QUERY, **options)


def names(answer: SearchAnswer) -> list[str]:
    return [hit.document.id for hit in answer.hits]


def test_the_best_documents_are_in_the_order_of_the_reranker_and_the_others_behind_them(home: Path) -> None:
    plain = search(home, None)
    assert len(plain.hits) >= 3

    with service() as (url, asked):
        two = search(home, f'http:{{"url": "{url}", "depth": 2}}')
        every = search(home, f'http:{{"url": "{url}"}}')
        second = search(home, f'http:{{"url": "{url}"}}', limit=1, offset=1)

    first, other, *rest = names(plain)
    assert names(two) == [other, first, *rest]
    assert (plain.reranked, two.reranked, every.reranked) == (0, 2, len(plain.hits))
    assert names(every) == names(plain)[::-1]
    assert names(second) == [names(plain)[::-1][1]]
    assert every.total == plain.total
    title, text = plain.hits[0].document.title, plain.hits[0].passage.text
    assert (asked[0]["query"], asked[0]["documents"][0]) == (QUERY, f"{title}\n{text}")


def test_where_the_service_fails_documents_stay_as_they_are_and_the_answer_says_so(home: Path) -> None:
    with service(500) as (url, _):
        found = search(home, f'http:{{"url": "{url}"}}')

    assert names(found) == names(search(home, None))
    assert found.reranked == 0
    assert found.cut[0].startswith("documents are not reranked: http://127.0.0.1:")


@pytest.mark.parametrize(
    ("reranker", "message"),
    [
        ("htp", "unknown reranker 'htp'; did you mean 'http'"),
        ("http:[]", "MEDKG_RERANKER is 'http:\\[\\]': no parameters; write name:"),
        ("http:{", "MEDKG_RERANKER is 'http:{': "),
        ('http:{"depth": 3}', "url"),
        ('cross-encoder:{"folder": "nowhere"}', "has no "),
    ],
)
def test_a_reranker_that_cannot_be_is_said_beside_the_documents(
    home: Path, reranker: str, message: str
) -> None:
    found = search(home, reranker)

    assert names(found) == names(search(home, None))
    with pytest.raises(ConfigError, match=message):
        raise ConfigError(found.cut[0])


def test_the_command_says_how_many_were_reranked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with service() as (url, _):
        monkeypatch.setenv("MEDKG_HOME", str(home))
        monkeypatch.setenv("MEDKG_RERANKER", f'http:{{"url": "{url}", "depth": 2}}')
        said = CliRunner().invoke(main, ["search", QUERY])

    assert said.stdout.splitlines()[-1].endswith("by words, 2 reranked")
