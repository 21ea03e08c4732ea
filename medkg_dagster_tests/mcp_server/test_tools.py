"""The tools as the SDK's own client meets them: in process, over stdin and stdout, over HTTP."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from medkg_dagster.errors import ConfigError
from medkg_dagster.mcp_server.serving import TOOLS, make_server, serve_http
from medkg_dagster.mcp_server.tools import MOST_CHARACTERS
from medkg_dagster.query import Stores
from medkg_dagster.settings import Settings
from medkg_dagster_tests.query.asked import NUMBERS, TEXTS, examples
from medkg_dagster_tests.query.made_home import CAUSES, FIRST, TREATS, Said, Written, make_home

# It is imported where it is used: every process of tests collects all tests, and few run these.
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mcp") is None, reason="the MCP SDK, the extra `mcp`, is not installed"
)

NAMES = [tool.__name__ for tool in TOOLS]
PATIENCE = 120


def ask(server: Any, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """Return what the tools of a server answer, in one session."""

    from mcp import Client

    async def session() -> list[Any]:
        async with Client(server) as client:
            return [await client.call_tool(name, arguments) for name, arguments in calls]

    return anyio.run(session)


def text_of(result: Any) -> str:
    return "".join(part.text for part in result.content)


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "MEDKG_HOME": str(settings.home),
        "MEDKG_CONFIG": str(settings.config),
        "MEDKG_LEDGER_URL": "",
    }


def test_every_tool_says_what_it_takes_and_that_it_only_reads(stores: Stores) -> None:
    from mcp import Client

    async def listed() -> Any:
        async with Client(make_server(stores)) as client:
            return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in anyio.run(listed)}
    assert set(tools) == set(NAMES)
    for tool in tools.values():
        assert tool.description
        assert tool.annotations.read_only_hint is True
        assert tool.output_schema is not None
        for name, parameter in tool.input_schema["properties"].items():
            assert "self" not in name
            assert parameter.get("description"), (tool.name, name)


def test_answers_have_evidence_with_places_and_links(stores: Stores) -> None:
    (neighbours, paths, document, found) = ask(
        make_server(stores),
        ("get_neighbours", {"name": "melanoma", "polarity": "affirmed", "status": "asserted"}),
        ("find_paths", {"start": "PD-1", "end": "colitis"}),
        ("read_document", {"document": "PMID:1"}),
        ("search_documents", {"query": "colitis", "sources": ["pubmed"]}),
    )

    (treats,) = neighbours.structured_content["neighbours"]
    where = treats["evidence"][0]
    assert FIRST.text[where["start"] : where["end"]] == where["sentence"] == TREATS.sentence
    assert where["document"]["url"] == FIRST.url
    assert json.loads(text_of(neighbours)) == neighbours.structured_content
    assert len(paths.structured_content["paths"][0]["steps"]) == 3
    assert document.structured_content["text"] == FIRST.text
    assert [hit["document"]["id"] for hit in found.structured_content["hits"]] == ["PMID:1"]


def test_what_cannot_be_answered_is_an_error_of_one_sentence(stores: Stores) -> None:
    answers = ask(
        make_server(stores),
        ("get_neighbours", {"name": "melanomma"}),
        ("get_claims", {"predicate": "treat"}),
        ("read_document", {"document": "../../etc/passwd"}),
        ("get_claims", {"job": "winter"}),
    )
    assert [answer.is_error for answer in answers] == [True] * 4
    told = [text_of(answer).partition(";")[0].partition(": ")[2] for answer in answers]
    assert told == [
        "the graph has no node 'melanomma'",
        "predicate 'treat' is not known",
        "there is no document '../../etc/passwd'",
        "the ledger has no job 'winter'",
    ]


def test_an_answer_that_would_be_too_long_has_fewer_items_and_says_so(
    tmp_path: Path, repository: Path
) -> None:
    long = [Said("DRUGBANK:1", "causes", "HP:1", f"{number} {'word ' * 500}.") for number in range(60)]
    home = make_home(tmp_path / "home", [Written("PMID:1", tuple(long))])
    with Stores(Settings(home=home, config=repository / "config")) as stores:
        (claims, document) = ask(
            make_server(stores),
            ("get_claims", {"limit": 60}),
            ("read_document", {"document": "PMID:1", "text_limit": 20_000}),
        )

    assert len(text_of(claims)) <= MOST_CHARACTERS
    assert 0 < len(claims.structured_content["claims"]) < 60
    assert claims.structured_content["cut"]
    assert len(document.structured_content["text"]) == 20_000


def test_it_serves_over_stdin_and_stdout(environment: dict[str, str]) -> None:
    from mcp import StdioServerParameters

    started = StdioServerParameters(
        command=sys.executable, args=["-m", "medkg_dagster.cli", "mcp"], env=environment
    )
    (answer, wrong) = ask(
        started,
        ("get_claims", {"predicate": "causes"}),
        ("get_neighbours", {"name": "nobody at all"}),
    )
    (claim,) = answer.structured_content["claims"]
    assert claim["evidence"]["sentence"] == CAUSES.sentence
    assert wrong.is_error


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[str]:
    """Serve over HTTP; yields the address."""
    command = [sys.executable, "-m", "medkg_dagster.cli", "mcp", "--http", "--port", "0"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as started:
        try:
            assert started.stderr is not None
            yield started.stderr.readline().removeprefix("serving ").strip()
        finally:
            started.send_signal(signal.SIGTERM)
            started.communicate(timeout=PATIENCE)


def test_it_serves_over_http_and_refuses_other_hosts_and_origins(environment: dict[str, str]) -> None:
    import httpx

    with serving(environment) as address:
        (answer,) = ask(address, ("find_entities", {"name": "PD1"}))
        assert [one["id"] for one in answer.structured_content["found"]] == ["HGNC:1"]
        body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        accepted = {"Accept": "application/json, text/event-stream"}
        for refused in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            status = httpx.post(address, json=body, headers={**accepted, **refused}).status_code
            assert status in {403, 421}


def test_a_port_that_is_taken_is_one_sentence(stores: Stores) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port} of 127\.0\.0\.1 cannot be used"):
            serve_http(stores, port, print)


def test_without_its_extra_it_says_what_to_install(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server", None)
    with pytest.raises(ConfigError, match=r"medkg-dagster\[mcp\]"):
        make_server(stores)


def can_be_sent(text: str) -> bool:
    """Say whether JSON in UTF-8 can hold a text."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS.filter(can_be_sent),
    st.lists(st.text(max_size=5), max_size=2),
)
ARGUMENTS = (
    *("query", "name", "start", "end", "document", "subject", "object", "node", "predicate", "category"),
    *(
        "source",
        "sources",
        "phases",
        "job",
        "status",
        "polarity",
        "limit",
        "offset",
        "since",
        "until",
        "concept",
        "text",
        "after",
    ),
    *("text_start", "text_limit", "max_length", "evidence", "mentions", "other"),
)
UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.fixture(scope="module")
def opened(made: Path, repository: Path) -> Iterator[Stores]:
    with Stores(Settings(home=made, config=repository / "config")) as stores:
        yield stores


@hypothesis_settings(max_examples=examples(15, asking=5), suppress_health_check=UNHURRIED)
@given(
    calls=st.lists(
        st.tuples(st.sampled_from(NAMES), st.dictionaries(st.sampled_from(ARGUMENTS), VALUES, max_size=8)),
        min_size=1,
        max_size=10,
    )
)
def test_whatever_a_tool_is_given_it_answers_or_says_why_not(
    opened: Stores, calls: list[tuple[str, dict[str, Any]]]
) -> None:
    for answer in ask(make_server(opened), *calls):
        said = text_of(answer)
        assert "Traceback" not in said
        # All that the SDK says of a tool that broke off, in place of what happened.
        assert said not in {f"Error executing tool {name}" for name in NAMES}
        assert not answer.is_error or "\n" not in said
        assert len(said) <= MOST_CHARACTERS
        assert answer.is_error or answer.structured_content is not None
