"""The `clinicaltrials` source against a loopback server: pages, faults that pass and faults that do not."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from medkg_dagster.adapters.sources.clinicaltrials import (
    CLINICALTRIALS,
    MAX_REDIRECTS,
    ClinicalTrialsParameters,
    ClinicalTrialsSource,
)
from medkg_dagster.errors import ConfigError, SourceError
from medkg_dagster.io.http import HttpClient
from medkg_dagster.stage_api import Payload, StageContext
from medkg_dagster_tests.clock import Clock


@dataclass
class Reply:
    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Service:
    """A server that gives its replies in order, the last one for ever, and remembers what was asked."""

    url: str
    replies: list[Reply] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)

    def answer(self, *replies: Any) -> None:
        self.replies = [
            reply if isinstance(reply, Reply) else Reply(json.dumps(reply).encode()) for reply in replies
        ]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            live.paths.append(parts.path)
            live.queries.append(parse_qs(parts.query))
            live.agents.append(self.headers["User-Agent"])
            reply = live.replies.pop(0) if len(live.replies) > 1 else live.replies[0]
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name the base class gives
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        live = Service(f"http://127.0.0.1:{server.server_port}/api/v2")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield live
        server.shutdown()
        thread.join()


def study(number: int) -> dict[str, Any]:
    return {"protocolSection": {"identificationModule": {"nctId": f"NCT{99990000 + number}"}}}


def context() -> StageContext:
    return StageContext(pipeline="p", stage="ingest", job_id="default", home=Path("unused"))


def fetch(
    service: Service, clock: Clock | None = None, **parameters: Any
) -> tuple[list[Payload], StageContext]:
    clock = clock or Clock()
    checked = ClinicalTrialsParameters(base_url=service.url, **parameters)
    client = HttpClient(
        requests_per_second=checked.requests_per_second,
        timeout=checked.timeout,
        max_attempts=context().calls.attempts(checked.max_attempts),
        log=logging.getLogger("test"),
        max_redirects=MAX_REDIRECTS,
        sleep=clock.sleep,
        clock=clock.read,
    )
    ctx = context()
    return list(ClinicalTrialsSource(checked, client).fetch(ctx)), ctx


def numbers(payloads: list[Payload]) -> list[int]:
    return [int(payload.id.removeprefix("clinicaltrials:NCT9999")) for payload in payloads]


def test_pages_are_followed_by_their_tokens_with_the_query_repeated(service: Service) -> None:
    service.answer(
        {"studies": [study(1), study(2)], "nextPageToken": "t1", "totalCount": 5},
        {"studies": [study(3), study(4)], "nextPageToken": "t2"},
        {"studies": [study(5)]},
    )
    payloads, _ = fetch(
        service,
        query_cond="melanoma",
        query_term="BRAF & MEK",
        query_intr="nivolumab",
        overall_status=["RECRUITING", "COMPLETED"],
        page_size=2,
    )
    assert numbers(payloads) == [1, 2, 3, 4, 5]
    assert service.paths == ["/api/v2/studies"] * 3
    assert service.queries[0] == {
        "query.cond": ["melanoma"],
        "query.term": ["BRAF & MEK"],
        "query.intr": ["nivolumab"],
        "filter.overallStatus": ["RECRUITING,COMPLETED"],
        "pageSize": ["2"],
        "countTotal": ["true"],
        "format": ["json"],
    }
    assert [query.get("pageToken") for query in service.queries] == [None, ["t1"], ["t2"]]
    assert all(query["query.cond"] == ["melanoma"] for query in service.queries)
    assert payloads[0].origin == f"{service.url}/studies/NCT99990001"
    assert payloads[0].source == "clinicaltrials"


def test_client_says_who_it_is(service: Service) -> None:
    service.answer({"studies": [study(1)]})
    fetch(service)
    assert service.agents[0].startswith("medkg-dagster/")


def test_no_more_than_one_request_a_second_by_default(service: Service) -> None:
    service.answer(
        {"studies": [study(1)], "nextPageToken": "a"},
        {"studies": [study(2)], "nextPageToken": "b"},
        {"studies": [study(3)]},
    )
    clock = Clock()
    fetch(service, clock)
    assert clock.naps == [1.0, 1.0]


def test_fetching_stops_at_max_studies(service: Service) -> None:
    service.answer({"studies": [study(1), study(2), study(3)], "nextPageToken": "t"})
    payloads, _ = fetch(service, max_studies=2)
    assert numbers(payloads) == [1, 2]
    assert service.queries[0]["pageSize"] == ["2"]
    assert len(service.queries) == 1


@pytest.mark.parametrize(
    ("parameters", "is_all"),
    [({}, True), ({"max_studies": 2}, False), ({"nct_ids": ["NCT99990001", "NCT99990002"]}, True)],
)
def test_a_listing_is_all_there_is_unless_it_was_cut_off(
    service: Service, parameters: dict[str, Any], is_all: bool
) -> None:
    listed = {"studies": [study(1), study(2), study(3)]}
    service.answer(study(1) if parameters.get("nct_ids") else listed)
    checked = ClinicalTrialsParameters(base_url=service.url, requests_per_second=1000, **parameters)
    source = ClinicalTrialsSource(checked)

    assert list(source.fetch(context()))
    assert source.lists_all is is_all


def test_named_studies_are_fetched_one_by_one_and_missing_ones_quarantined(service: Service) -> None:
    service.answer(study(1), Reply(b"not found", 404), study(3))
    payloads, ctx = fetch(service, nct_ids=["NCT99990001", "NCT99990002", "NCT99990003", "NCT99990001"])
    assert numbers(payloads) == [1, 3]
    assert service.paths == [f"/api/v2/studies/NCT9999000{number}" for number in (1, 2, 3)]
    assert ctx.quarantined[0].document_id == "clinicaltrials:NCT99990002"
    assert "no such study (status 404)" in ctx.quarantined[0].message


def test_study_on_two_pages_is_yielded_once(service: Service) -> None:
    service.answer({"studies": [study(1), study(2)], "nextPageToken": "t"}, {"studies": [study(2), study(3)]})
    payloads, ctx = fetch(service)
    assert numbers(payloads) == [1, 2, 3]
    assert ctx.quarantined == []


def test_bad_study_is_quarantined_and_the_page_goes_on(service: Service) -> None:
    service.answer({"studies": [{"protocolSection": {}}, study(2), "junk"]})
    payloads, ctx = fetch(service)
    assert numbers(payloads) == [2]
    assert [refused.document_id.rpartition("/")[2] for refused in ctx.quarantined] == [
        "studies page 1 study 1",
        "studies page 1 study 3",
    ]


def test_server_that_asks_to_wait_is_obeyed(service: Service) -> None:
    service.answer(Reply(b"slow down", 429, {"Retry-After": "7"}), {"studies": [study(1)]})
    clock = Clock()
    payloads, _ = fetch(service, clock)
    assert numbers(payloads) == [1]
    assert clock.naps == [7.0]


def test_server_that_asks_to_wait_until_a_past_date_is_asked_again(service: Service) -> None:
    past = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
    service.answer(Reply(b"", 503, past), {"studies": [study(1)]})
    payloads, _ = fetch(service)
    assert numbers(payloads) == [1]


def test_server_that_asks_to_wait_too_long_is_given_up(service: Service) -> None:
    service.answer(Reply(b"", 429, {"Retry-After": "86400"}))
    with pytest.raises(SourceError, match=r"studies\?.*status 429 \(attempt 1\); try again later"):
        fetch(service)


@pytest.mark.parametrize("fault", [Reply(b"oops", 500), Reply(b"", 503), Reply(b'{"studies": [')])
def test_passing_faults_are_tried_again_with_growing_waits(service: Service, fault: Reply) -> None:
    service.answer(fault, fault, {"studies": [study(1)]})
    clock = Clock()
    payloads, _ = fetch(service, clock)
    assert numbers(payloads) == [1]
    assert clock.naps == [1.0, 2.0]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Reply(b"oops", 500), r"status 500 \(attempt 4\)"),
        (Reply(b"<html>proxy login</html>"), r"a reply that is no JSON.* \(attempt 4\)"),
    ],
)
def test_fault_that_stays_is_a_source_error_naming_url_and_fault(
    service: Service, fault: Reply, reason: str
) -> None:
    service.answer(fault)
    with pytest.raises(SourceError, match=rf"http://127\.0\.0\.1:\d+/api/v2/studies\?.*{reason}"):
        fetch(service)
    assert len(service.paths) == 4


def test_refusal_is_not_tried_again_and_quoted(service: Service) -> None:
    service.answer(Reply(b"Invalid query syntax", 400))
    with pytest.raises(SourceError, match="status 400, the service says: Invalid query syntax"):
        fetch(service, query_term="((")
    assert len(service.paths) == 1


@pytest.mark.parametrize("page", [[], {}, {"studies": 3}, "text", None])
def test_reply_that_is_no_page_is_a_source_error(service: Service, page: Any) -> None:
    service.answer(page)
    with pytest.raises(SourceError, match="page 1 has no list of studies"):
        fetch(service)


@pytest.mark.parametrize("token", ["", 7, ["t"]])
def test_page_token_that_is_no_text_is_a_source_error(service: Service, token: Any) -> None:
    service.answer({"studies": [study(1)], "nextPageToken": token})
    with pytest.raises(SourceError, match="a nextPageToken that is no text"):
        fetch(service)


def test_page_token_that_repeats_does_not_loop(service: Service) -> None:
    service.answer({"studies": [study(1)], "nextPageToken": "t"})
    with pytest.raises(SourceError, match="page 2 names a page token a second time"):
        fetch(service)


def test_empty_page_that_names_a_next_one_does_not_loop(service: Service) -> None:
    service.answer({"studies": [], "nextPageToken": "t"})
    with pytest.raises(SourceError, match="page 1 is empty but names a next page"):
        fetch(service)


def test_query_without_matches_yields_nothing(service: Service) -> None:
    service.answer({"studies": [], "totalCount": 0})
    payloads, ctx = fetch(service)
    assert (payloads, ctx.quarantined) == ([], [])


def test_redirects_are_followed_but_not_for_ever(service: Service) -> None:
    here = {"Location": f"{service.url}/studies"}
    service.answer(Reply(b"", 301, here), {"studies": [study(1)]})
    assert numbers(fetch(service)[0]) == [1]
    service.answer(Reply(b"", 302, here))
    with pytest.raises(SourceError, match="redirect"):
        fetch(service)


def test_service_that_is_not_there_is_a_source_error(service: Service) -> None:
    service.url = "http://127.0.0.1:1/api/v2"
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:1/.*the connection failed.*\(attempt 2\)"):
        fetch(service, max_attempts=2)


def test_default_client_fetches_too(service: Service) -> None:
    service.answer({"studies": [study(1)]})
    parameters = {"base_url": f"{service.url}/", "requests_per_second": 1000}
    payloads = list(CLINICALTRIALS.open(parameters, Path("unused")).fetch(context()))
    assert numbers(payloads) == [1]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"requests_per_second": 2}, "may not be above 1 for clinicaltrials.gov"),
        ({"requests_per_second": 2, "base_url": "https://www.clinicaltrials.gov/api"}, "may not be above 1"),
        ({"requests_per_second": 0}, "requests_per_second"),
        ({"nct_ids": ["NCT99990001"], "query_cond": "melanoma"}, "remove the query"),
        ({"nct_ids": ["NCT1"]}, "nct_ids.0"),
        ({"overall_status": ["OPEN"]}, "'RECRUITING'"),
        ({"base_url": "ftp://example.org"}, "base_url"),
        ({"query": "x"}, "unknown parameter 'query'"),
    ],
)
def test_wrong_parameters_are_config_errors(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CLINICALTRIALS.validate(parameters)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "biomcp_search_melanoma_recruiting_limit3_20260811.json",
            ["NCT06970236", "NCT04114136", "NCT04318717"],
        ),
        ("biomcp_search_keytruda_limit3_20260811.json", ["NCT05431270"]),
    ],
)
def test_captured_pages_are_read(service: Service, shared_data: Path, name: str, expected: list[str]) -> None:
    capture = (shared_data / "clinicaltrials" / "api_v2_captures" / name).read_bytes()
    service.answer(Reply(capture))
    payloads, ctx = fetch(service, max_studies=3, query_cond="melanoma")
    assert len(payloads) == 3
    assert [payload.id.partition(":")[2] for payload in payloads][: len(expected)] == expected
    assert ctx.quarantined == []


def test_captured_study_is_read(service: Service, shared_data: Path) -> None:
    folder = shared_data / "clinicaltrials" / "api_v2_captures"
    service.answer(Reply((folder / "biomcp_get_nct02576665_20260811.json").read_bytes()))
    payloads, _ = fetch(service, nct_ids=["NCT02576665"])
    assert [payload.id for payload in payloads] == ["clinicaltrials:NCT02576665"]
