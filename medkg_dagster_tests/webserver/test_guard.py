"""Dagster's webserver does for a page of somebody else what it does for nobody."""

import base64
from collections.abc import Mapping

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from medkg_dagster.webserver.guard import WebserverGuard

OWN = "http://localhost:3000"
JSON = {"content-type": "application/json"}
FOREIGN = [{"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "http://localhost:3001"}]
STRANGE_HOSTS = [{"host": "evil.example"}, {"host": "localhost.evil.example:3000"}, {"host": ""}]


async def answer(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("done")


async def converse(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


def client(token: str | None = None) -> TestClient:
    """Give a client of a guarded application that answers everything."""
    methods = ["GET", "POST", "PUT", "DELETE"]
    routes = [WebSocketRoute("/graphql", converse), Route("/{path:path}", answer, methods=methods)]
    return TestClient(WebserverGuard(Starlette(routes=routes), ["localhost"], token), OWN)


@pytest.mark.parametrize(
    "path", ["/graphql?query=mutation{a}", "/graphql/?query=", "/prefix/graphql?a=1&query=x"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_graphql_is_not_asked_by_an_address(method: str, path: str) -> None:
    assert client().request(method, path).status_code == 405


@pytest.mark.parametrize("path", ["/", "/graphql", "/runs?query=x", "/graphql?other=query"])
def test_pages_are_given(path: str) -> None:
    answered = client().get(path, headers={"origin": OWN})

    assert answered.text == "done"
    assert answered.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
        "text/plain;application/json",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_what_a_form_can_send_changes_nothing(method: str, kind: str) -> None:
    assert client().request(method, "/graphql", headers={"content-type": kind}).status_code == 415


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_is_taken_from_the_own_page_and_from_programs(kind: str) -> None:
    for headers in ({"origin": OWN}, {}):
        assert client().post("/graphql", headers={"content-type": kind, **headers}).text == "done"


@pytest.mark.parametrize(
    ("headers", "code"), [(each, 403) for each in FOREIGN] + [(each, 421) for each in STRANGE_HOSTS]
)
def test_others_get_neither_page_nor_answer_nor_connection(headers: Mapping[str, str], code: int) -> None:
    asking = client()

    assert asking.get("/", headers=headers).status_code == code
    assert asking.post("/graphql", headers={**JSON, **headers}).status_code == code
    with pytest.raises(WebSocketDisconnect), asking.websocket_connect("/graphql", headers=headers):
        pass


def test_the_own_page_has_its_connection() -> None:
    with client().websocket_connect("/graphql", headers={"origin": OWN, "host": "localhost:3000"}) as socket:
        assert socket.receive_text() == "hello"


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "Bearer wrong",
        "Bearer",
        "Basic wrong",
        "Basic " + base64.b64encode(b"sesame:open").decode(),
        "Digest sesame",
    ],
)
def test_without_the_token_there_is_nothing(sent: str | None) -> None:
    headers = {} if sent is None else {"authorization": sent}
    asking = client("sesame")

    refused = asking.get("/", headers=headers)

    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic ")
    assert "sesame" not in refused.text
    with pytest.raises(WebSocketDisconnect), asking.websocket_connect("/graphql", headers=headers):
        pass


@pytest.mark.parametrize("sent", ["Bearer sesame", "Basic " + base64.b64encode(b"anyone:sesame").decode()])
def test_the_token_is_taken_as_a_bearer_and_as_the_password_of_anybody(sent: str) -> None:
    assert client("sesame").get("/", headers={"authorization": sent}).text == "done"
