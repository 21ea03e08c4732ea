"""Every question of `Stores` over HTTP."""

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.query import ClaimFilter, SearchFilter, Stores
from medkg_dagster.settings import Settings
from medkg_dagster_tests.query.asked import examples
from medkg_dagster_tests.service.conftest import serving

REAL = SearchFilter(sources=("pubmed", "pmc"), synthetic=False)
QUESTIONS: dict[str, tuple[dict[str, Any], Callable[[Stores], Any]]] = {
    "search": (
        {"q": "melanoma", "sources": ["pubmed", "pmc"], "synthetic": "false", "limit": 2},
        lambda stores: stores.search("melanoma", which=REAL, limit=2),
    ),
    "documents": ({"text": "title"}, lambda stores: stores.documents(text="title")),
    "document": ({"id": "PMID:1"}, lambda stores: stores.document("PMID:1")),
    "entities": ({"name": "pd1"}, lambda stores: stores.entities("pd1")),
    "neighbours": (
        {"name": "melanoma", "predicate": "treats"},
        lambda stores: stores.neighbours("melanoma", which=ClaimFilter(predicate="treats")),
    ),
    "claims": (
        {"node": "melanoma", "mentions": "true", "limit": 3},
        lambda stores: stores.claims(which=ClaimFilter(node="melanoma", mentions=True), limit=3),
    ),
    "paths": (
        {"start": "melanoma", "end": "colitis"},
        lambda stores: stores.paths("melanoma", "colitis"),
    ),
    "counts": ({}, lambda stores: stores.counts()),
}
NUMBERS = {"limit", "offset", "text_start", "text_limit", "evidence", "max_length"}


def test_every_question_that_stores_answer_can_be_asked(client: httpx.Client) -> None:
    asked = {name for name, _ in inspect.getmembers(Stores, inspect.isfunction) if not name.startswith("_")}
    described = client.get("/api/openapi.json").json()["paths"]

    assert {f"/api/{name}" for name in asked - {"close"}} == set(described)
    assert set(QUESTIONS) == asked - {"close"}


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_answer_is_that_of_the_stores(
    client: httpx.Client, served_home: Path, repository: Path, question: str
) -> None:
    parameters, ask = QUESTIONS[question]
    with Stores(Settings(home=served_home, config=repository / "config")) as stores:
        expected = ask(stores)

    assert client.get(f"/api/{question}", params=parameters).json() == expected.model_dump(mode="json")


def test_every_parameter_but_numbers_is_described(client: httpx.Client) -> None:
    for path, methods in client.get("/api/openapi.json").json()["paths"].items():
        for parameter in methods["get"].get("parameters", ()):
            assert parameter.get("description") or parameter["name"] in NUMBERS, (path, parameter["name"])


@pytest.mark.parametrize(
    ("question", "status", "said"),
    [
        ("claims?predicat=treats", 400, "there is no parameter 'predicat'; did you mean 'predicate'?"),
        ("claims?limit=many", 400, "limit: input should be a valid integer"),
        ("claims?limit=0", 400, "limit is 0; give a number from 1 to 1,000"),
        ("search", 400, "q: field required"),
        ("neighbours?name=nothing", 400, "the graph has no node 'nothing'"),
        ("document?id=PMID:77", 400, "there is no document 'PMID:77'"),
        ("claims?job=nowhere", 400, "nowhere"),
        ("nothing", 404, "there is no such page"),
    ],
)
def test_a_question_without_sense_is_answered_by_one_sentence(
    client: httpx.Client, question: str, status: int, said: str
) -> None:
    answer = client.get(f"/api/{question}")

    assert answer.status_code == status
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_of_a_home_without_data_it_is_said(tmp_path: Path, repository: Path) -> None:
    with serving(tmp_path / "nothing", repository) as address:
        answer = httpx.get(f"{address}/api/search", params={"q": "melanoma"})
        counts = httpx.get(f"{address}/api/counts").json()

    assert answer.status_code == 503
    assert "nothing indexed yet" in answer.json()["error"]
    assert (counts["documents"], counts["cut"]) == (0, ["there is no graph yet", "there is no index yet"])
    assert not (tmp_path / "nothing").exists()


def test_many_may_ask_at_once(client: httpx.Client) -> None:
    def ask(number: int) -> tuple[str, Any]:
        question = list(QUESTIONS)[number % len(QUESTIONS)]
        return question, client.get(f"/api/{question}", params=QUESTIONS[question][0]).json()

    with ThreadPoolExecutor(8) as askers:
        answers = list(askers.map(ask, range(80)))

    first = dict(reversed(answers))
    assert all(answer == first[question] for question, answer in answers)


@pytest.mark.parametrize("question", QUESTIONS)
def test_whatever_is_asked_is_answered_as_the_service_describes_itself(address: str, question: str) -> None:
    # Every process of tests collects all tests, and few run these.
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    operation = schemathesis.openapi.from_url(f"{address}/api/openapi.json")[f"/api/{question}"]["GET"]
    as_described = [content_type_conformance, response_schema_conformance, status_code_conformance]

    @settings(max_examples=examples(20, asking=len(QUESTIONS)))
    @given(
        case=st.one_of(operation.as_strategy(), operation.as_strategy(schemathesis.GenerationMode.NEGATIVE))
    )
    def ask(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(checks=[*as_described, not_a_server_error])

    ask()
