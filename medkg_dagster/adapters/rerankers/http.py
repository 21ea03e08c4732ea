"""A reranker behind an HTTP endpoint, as Cohere, Jina, TEI, vLLM and others have it."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

from pydantic import Field, model_validator

from medkg_dagster.errors import PermanentSourceError, counted
from medkg_dagster.io.service_addresses import check_base_url
from medkg_dagster.stage_api import Config, Extension, ExtensionKind, ExternalCalls, Secret

_FAILURES, _RECOVERY_SECONDS = 2, 60.0


class HttpRerankerParameters(Config):
    """Parameters of the reranker `http`."""

    url: str = Field(
        description="Where query and documents are posted to, such as https://api.jina.ai/v1/rerank."
    )
    model: str | None = Field(default=None, description="The model's name, for a service that has several.")
    api_key: Secret | None = Field(
        default=None, description="Environment variable that holds the API key; none is sent by default."
    )
    depth: int = Field(default=50, ge=2, le=1000, description="So many of the best documents are reranked.")
    timeout_seconds: float = Field(
        default=10.0, gt=0, le=600, description="Longest wait for a reply; then documents stay as they were."
    )
    documents_key: str = Field(
        default="documents", description="What the list of texts is called; TEI's own endpoint says `texts`."
    )

    @model_validator(mode="after")
    def _check_url(self) -> Self:
        """Refuse addresses that hold or would give away a secret."""
        check_base_url(self.url, sends_key=self.api_key is not None)
        return self


class HttpReranker:
    """Asks a service, once for each query.

    After failures in a row the service is left alone for a minute, so that no search waits for it.

    Args:
        parameters: The service.

    Raises:
        ConfigError: The environment variable of the API key is not set.
    """

    def __init__(self, parameters: HttpRerankerParameters) -> None:
        self.depth = parameters.depth
        self._parameters = parameters
        self._key = None if parameters.api_key is None else parameters.api_key.reveal_key()
        self._calls = ExternalCalls(
            timeout_seconds=parameters.timeout_seconds,
            max_attempts=1,
            failure_threshold=_FAILURES,
            recovery_timeout=_RECOVERY_SECONDS,
        )

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return how well each text answers a query, see `Reranker.scores`.

        Raises:
            SourceError: The service refused, stayed away, or its reply does not fit the request.
        """
        from medkg_dagster.io.http import HttpClient

        parameters = self._parameters
        body: dict[str, Any] = {"query": query, parameters.documents_key: list(texts)}
        if parameters.documents_key == "documents":
            body["top_n"] = len(texts)
        if parameters.model is not None:
            body["model"] = parameters.model
        client = HttpClient(
            timeout=parameters.timeout_seconds,
            longest=parameters.timeout_seconds,
            max_attempts=1,
            log=logging.getLogger("medkg.reranker.http"),
            guard=self._calls,
            secret=self._key,
        )
        with client:
            return client.post(parameters.url, body, partial(_read_scores, expected=len(texts)))


def _read_scores(url: str, content: bytes, *, expected: int) -> list[float]:
    """Read the scores of a reply: a list of results, or an object with one.

    Raises:
        SourceError: It does not have one for each text.
    """
    try:
        answer = json.loads(content)
        results = answer if isinstance(answer, list) else answer["results"]
        found = {int(one["index"]): float(_score(one)) for one in results}
        scores = [found[index] for index in range(expected)]
    except (ValueError, TypeError, KeyError) as error:
        raise PermanentSourceError(
            f"{url}: the reply has no relevance for each of {counted(expected, 'document')} "
            f"({type(error).__name__}: {error}); check the address and model"
        ) from error
    if not all(map(math.isfinite, scores)):
        raise PermanentSourceError(f"{url}: a relevance is no finite number; check the address and model")
    return scores


def _score(result: Any) -> Any:
    return result["relevance_score"] if "relevance_score" in result else result["score"]


HTTP = Extension(
    kind=ExtensionKind.RERANKER,
    name="http",
    description="An HTTP endpoint as Cohere, Jina, TEI and vLLM have it, hosted or local.",
    config_model=HttpRerankerParameters,
    build=lambda parameters, _home: HttpReranker(parameters),
)
