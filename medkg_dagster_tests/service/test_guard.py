"""Pages of others, other names and strangers get no answer."""

from pathlib import Path

import httpx
import pytest

from medkg_dagster_tests.service.conftest import serving

SECRET = "a long secret"
STRANGE = [{}, {"authorization": f"Bearer {SECRET}x"}, {"authorization": f"Basic {SECRET}"}]


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "[", "127.0.0.1@evil.example"]
)
def test_a_name_that_is_not_the_services_own_is_refused(client: httpx.Client, host: str) -> None:
    answer = client.get("/api/counts", headers={"host": host})

    assert answer.status_code in {400, 421}
    assert "documents" not in answer.text


@pytest.mark.parametrize("host", ["medkg.example.org", "MEDKG.example.org:8710", "127.0.0.1:1"])
def test_its_own_names_are_answered_whatever_the_port(client: httpx.Client, host: str) -> None:
    assert client.get("/api/counts", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://["])
def test_a_page_of_others_gets_no_answer(client: httpx.Client, origin: str) -> None:
    answer = client.get("/api/counts", headers={"origin": origin})

    assert answer.status_code == 403
    assert answer.json() == {"error": "pages of other sites may not ask; open this service's own"}


def test_its_own_page_is_answered(client: httpx.Client, address: str) -> None:
    answer = client.get("/api/counts", headers={"origin": address})

    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("sent", STRANGE)
def test_without_the_token_there_is_the_page_and_no_answer(
    served_home: Path, repository: Path, sent: dict[str, str]
) -> None:
    with serving(served_home, repository, SECRET) as address:
        refused = httpx.get(f"{address}/api/counts", headers=sent)
        page = httpx.get(address)

    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert SECRET not in refused.text
    assert page.status_code == 200


def test_with_the_token_there_is_an_answer(served_home: Path, repository: Path) -> None:
    with serving(served_home, repository, SECRET) as address:
        answer = httpx.get(f"{address}/api/counts", headers={"authorization": f"bearer {SECRET}"})

    assert answer.json()["documents"] == 4


@pytest.mark.parametrize("path", ["/", "/page.js", "/api/counts", "/api/claims?nope=1", "/nowhere"])
def test_browsers_may_do_nothing_but_show_what_comes(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers

    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert path.startswith("/api/") == (headers.get("cache-control") == "no-store")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(client: httpx.Client, method: str) -> None:
    assert client.request(method, "/api/claims").status_code == 405


@pytest.mark.parametrize("path", ["/../app.py", "/%2e%2e/app.py", "/..%2fapp.py", "/%2fetc/passwd", "/no.js"])
def test_only_the_files_of_the_page_are_read(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404
