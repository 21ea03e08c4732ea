"""The `clinicaltrials` source: studies from the ClinicalTrials.gov API, version 2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from medkg_dagster.errors import DocumentError, PermanentSourceError, RejectedDocumentError, SourceError
from medkg_dagster.stage_api import Config, Extension, ExtensionKind, StageContext

if TYPE_CHECKING:
    from medkg_dagster.io.http import HttpClient
    from medkg_dagster.stage_api import Payload

DEFAULT_BASE_URL = "https://clinicaltrials.gov/api/v2"
MAX_REDIRECTS = 3

Status = Literal[
    "ACTIVE_NOT_RECRUITING",
    "APPROVED_FOR_MARKETING",
    "AVAILABLE",
    "COMPLETED",
    "ENROLLING_BY_INVITATION",
    "NOT_YET_RECRUITING",
    "NO_LONGER_AVAILABLE",
    "RECRUITING",
    "SUSPENDED",
    "TEMPORARILY_NOT_AVAILABLE",
    "TERMINATED",
    "UNKNOWN",
    "WITHDRAWN",
    "WITHHELD",
]
NctId = Annotated[str, StringConstraints(pattern=r"^NCT[0-9]{8}$")]


class ClinicalTrialsParameters(Config):
    """Which studies to fetch, and how politely."""

    query_cond: str | None = Field(
        default=None, min_length=1, description="Condition or disease (`query.cond`), for example `melanoma`."
    )
    query_term: str | None = Field(
        default=None, min_length=1, description="Words anywhere in the study (`query.term`)."
    )
    query_intr: str | None = Field(
        default=None, min_length=1, description="Intervention or treatment (`query.intr`)."
    )
    overall_status: tuple[Status, ...] = Field(
        default=(), description="Only studies in one of these states (`filter.overallStatus`)."
    )
    nct_ids: tuple[NctId, ...] = Field(
        default=(), description="Fetch exactly these studies; leaves no room for a query."
    )
    max_studies: int = Field(default=1000, ge=1, description="Stop after this many studies.")
    page_size: int = Field(default=100, ge=1, le=1000, description="Studies per request (`pageSize`).")
    base_url: str = Field(
        default=DEFAULT_BASE_URL,
        pattern=r"^https?://",
        description="Root of the API, for a mirror or a test.",
    )
    requests_per_second: float = Field(
        default=1.0,
        gt=0,
        description="At most this many requests a second; above 1 only where `base_url` is not "
        "clinicaltrials.gov.",
    )
    timeout: float | None = Field(
        default=None,
        gt=0,
        description="Seconds to wait for an answer; the stage policy's `timeout_seconds` by default.",
    )
    max_attempts: int | None = Field(
        default=None,
        ge=1,
        le=10,
        description="Attempts per request where they are to be fewer than the stage policy's "
        "`max_attempts`; only passing faults are tried again.",
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        host = urlsplit(self.base_url).hostname or ""
        official = host == "clinicaltrials.gov" or host.endswith(".clinicaltrials.gov")
        if official and self.requests_per_second > 1:
            raise ValueError("requests_per_second may not be above 1 for clinicaltrials.gov")
        if self.nct_ids and (self.query_cond or self.query_term or self.query_intr or self.overall_status):
            raise ValueError("nct_ids names exact studies; remove the query and overall_status, or nct_ids")
        return self


class ClinicalTrialsSource:
    """Fetches studies page by page, or one by one where they are named.

    Args:
        parameters: Which studies.
        client: The HTTP client to use; one is made for each fetch by default.
    """

    def __init__(self, parameters: ClinicalTrialsParameters, client: HttpClient | None = None) -> None:
        self._parameters = parameters
        self._client = client
        self._base_url = parameters.base_url.rstrip("/")
        self._lists_all = True

    @property
    def lists_all(self) -> bool:
        """Whether no study was left out for `max_studies`."""
        return self._lists_all

    def fetch(self, ctx: StageContext) -> Iterator[Payload]:
        """Yield one payload per study, in the order of the service.

        Args:
            ctx: The surroundings of this run; studies that cannot be used are quarantined there.

        Raises:
            SourceError: The service cannot be reached or does not speak the API; names URL and status.
        """
        from medkg_dagster.io.http import HttpClient

        self._lists_all = len(self._parameters.nct_ids) <= self._parameters.max_studies
        client = self._client or HttpClient(
            requests_per_second=self._parameters.requests_per_second,
            timeout=self._parameters.timeout or ctx.calls.timeout_seconds,
            max_attempts=ctx.calls.attempts(self._parameters.max_attempts),
            backoff=ctx.calls.backoff,
            log=ctx.log,
            guard=ctx.calls,
            max_redirects=MAX_REDIRECTS,
        )
        with client:
            yield from self._named(client, ctx) if self._parameters.nct_ids else self._searched(client, ctx)

    def _named(self, client: HttpClient, ctx: StageContext) -> Iterator[Payload]:
        from medkg_dagster.adapters.sources.payload_formats import load_json

        for nct_id in dict.fromkeys(self._parameters.nct_ids[: self._parameters.max_studies]):
            reply = client.get(self._study_url(nct_id), {}, load_json, missing=lambda: None)
            if reply is None:
                ctx.quarantine(
                    f"clinicaltrials:{nct_id}",
                    RejectedDocumentError(f"{self._study_url(nct_id)}: no such study (status 404)"),
                )
                continue
            yield from self._payload(f"{self._study_url(nct_id)}", reply, ctx)

    def _searched(self, client: HttpClient, ctx: StageContext) -> Iterator[Payload]:
        fetched: set[str] = set()
        for place, study in self._studies(client, ctx):
            for payload in self._payload(place, study, ctx):
                if payload.id in fetched:
                    ctx.log.info("%s is on two pages (the service changed meanwhile)", payload.id)
                    continue
                fetched.add(payload.id)
                yield payload
            if len(fetched) >= self._parameters.max_studies:
                ctx.log.info("stopped at max_studies = %d", self._parameters.max_studies)
                self._lists_all = False
                return

    def _studies(self, client: HttpClient, ctx: StageContext) -> Iterator[tuple[str, Any]]:
        from medkg_dagster.adapters.sources.payload_formats import load_json

        url = f"{self._base_url}/studies"
        tokens: set[str] = set()
        query = self._query()
        for page in range(1, self._parameters.max_studies + 2):
            reply = client.get(url, query, load_json)
            studies, token = _read_page(url, page, reply)
            if page == 1 and "totalCount" in reply:
                ctx.log.info("%s: %s studies match", url, reply["totalCount"])
            for number, study in enumerate(studies, start=1):
                yield f"{url} page {page} study {number}", study
            if token is None:
                return
            if token in tokens:
                raise SourceError(
                    f"{url}: page {page} names a page token a second time; fetching would not end"
                )
            tokens.add(token)
            query = {**self._query(), "pageToken": token}
            query.pop("countTotal")

    def _query(self) -> dict[str, str]:
        parameters = self._parameters
        values = {
            "query.cond": parameters.query_cond,
            "query.term": parameters.query_term,
            "query.intr": parameters.query_intr,
            "filter.overallStatus": ",".join(parameters.overall_status),
            "pageSize": str(min(parameters.page_size, parameters.max_studies)),
            "countTotal": "true",
            "format": "json",
        }
        return {key: value for key, value in values.items() if value}

    def _payload(self, place: str, study: Any, ctx: StageContext) -> Iterator[Payload]:
        from medkg_dagster.adapters.sources.payload_formats import study_payload

        try:
            payload = study_payload(place, place, study, "clinicaltrials")
        except DocumentError as error:
            ctx.quarantine(place, error)
        else:
            # The address of the study, not of the page it was on: pages shift between fetches.
            yield payload.model_copy(update={"origin": self._study_url(payload.id.partition(":")[2])})

    def _study_url(self, nct_id: str) -> str:
        return f"{self._base_url}/studies/{nct_id}"


def _read_page(url: str, page: int, reply: Any) -> tuple[list[Any], str | None]:
    studies = reply.get("studies") if isinstance(reply, dict) else None
    if not isinstance(studies, list):
        raise PermanentSourceError(
            f"{url}: page {page} has no list of studies; is base_url the root of an API version 2?"
        )
    token = reply.get("nextPageToken")
    if token is not None and not (isinstance(token, str) and token):
        raise SourceError(f"{url}: page {page} has a nextPageToken that is no text: {token!r}")
    if token is not None and not studies:
        raise SourceError(f"{url}: page {page} is empty but names a next page; fetching would not end")
    return studies, token


CLINICALTRIALS = Extension(
    kind=ExtensionKind.SOURCE,
    name="clinicaltrials",
    description="Studies from the ClinicalTrials.gov API, version 2, at most one request a second.",
    config_model=ClinicalTrialsParameters,
    build=lambda parameters, home: ClinicalTrialsSource(parameters),  # noqa: ARG005 - the protocol of build
)
