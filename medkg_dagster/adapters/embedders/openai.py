"""An embedder behind an OpenAI-compatible HTTP endpoint, hosted or local."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Self

import numpy as np
from pydantic import Field, model_validator

from medkg_dagster.adapters.embedders import model_name, of_unit_length
from medkg_dagster.errors import ConfigError, PermanentSourceError, counted
from medkg_dagster.io.service_addresses import check_base_url
from medkg_dagster.stage_api import Config, Extension, ExtensionKind, ExternalCalls, Secret

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_IDENTITY = {"base_url", "model", "dimensions", "api_key"}
_ASYMMETRY = {"query_prefix", "document_prefix", "query_input_type", "document_input_type"}


class OpenAIParameters(Config):
    """Parameters of the embedder `openai`."""

    base_url: str = Field(
        default="https://api.openai.com/v1",
        description="The service; texts are posted to <base_url>/embeddings.",
    )
    model: str = Field(min_length=1, description="The model's name at the service.")
    dimensions: int | None = Field(
        default=None,
        ge=1,
        le=65_536,
        description="Length of the vectors, asked for and checked; else the model's own.",
    )
    api_key: Secret | None = Field(
        default=Secret(env="OPENAI_API_KEY"),
        description="Environment variable that holds the API key; null for a service without one.",
    )
    query_prefix: str = Field(
        default="",
        description="What is put before a query, such as 'query: ' for a model that was trained so.",
    )
    document_prefix: str = Field(default="", description="What is put before a text of a document.")
    query_input_type: str | None = Field(
        default=None, description="The `input_type` sent with a query, for a service that asks for one."
    )
    document_input_type: str | None = Field(
        default=None, description="The `input_type` sent with texts of documents."
    )
    timeout_seconds: float = Field(
        default=60.0, gt=0, description="Longest wait for one reply; the stage's policy may make it shorter."
    )
    max_attempts: int | None = Field(
        default=None,
        ge=1,
        le=20,
        description="Attempts per request where they are to be fewer than the stage policy's "
        "`max_attempts`; status 429, 5xx and broken connections are tried again.",
    )

    @model_validator(mode="after")
    def _check_url(self) -> Self:
        """Refuse addresses that hold or would give away a secret."""
        check_base_url(self.base_url, sends_key=self.api_key is not None)
        return self


class OpenAIEmbedder:
    """Embeds texts over HTTP, one request per batch.

    Args:
        parameters: The service and its model.
        calls: What requests go through, and how many attempts and seconds it allows at most.

    Raises:
        ConfigError: The environment variable of the API key is not set.
    """

    lexical = False

    def __init__(self, parameters: OpenAIParameters, calls: ExternalCalls | None = None) -> None:
        self._parameters = parameters
        self._calls = calls or ExternalCalls(timeout_seconds=None)
        self._url = parameters.base_url.rstrip("/") + "/embeddings"
        self._key = _read_key(parameters.api_key)
        stated = parameters.model_dump(include=_IDENTITY)
        # What is not set stands in no name: an index made before there was such a setting keeps its own.
        stated |= parameters.model_dump(include=_ASYMMETRY, exclude_defaults=True)
        self.model = model_name("openai", stated)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of texts, see `Embedder.embed`.

        Args:
            texts: Any texts; empty ones are not sent.

        Returns:
            float32 of shape (texts, dimension), rows of length 1, or 0 for an empty text.

        Raises:
            SourceError: The service refused, stayed away, or its reply does not fit the request.
        """
        return self._embed(texts, self._parameters.document_prefix, self._parameters.document_input_type)

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of queries, see `embed`."""
        return self._embed(texts, self._parameters.query_prefix, self._parameters.query_input_type)

    def _embed(self, texts: Sequence[str], prefix: str, input_type: str | None) -> NDArray[np.float32]:
        import numpy as np

        sent = [index for index, text in enumerate(texts) if text.strip()]
        if not sent:
            return np.zeros((len(texts), self._parameters.dimensions or 0), dtype=np.float32)
        received = self._ask([prefix + texts[index] for index in sent], input_type)
        vectors = np.zeros((len(texts), received.shape[1]), dtype=np.float32)
        vectors[sent] = of_unit_length(received)
        return vectors

    def using(self, calls: ExternalCalls) -> OpenAIEmbedder:
        """Return the same embedder, its requests made through the stage's guard."""
        return OpenAIEmbedder(self._parameters, calls)

    def _ask(self, texts: list[str], input_type: str | None) -> NDArray[np.float32]:
        from medkg_dagster.io.http import HttpClient

        parameters, calls = self._parameters, self._calls
        body: dict[str, object] = {"model": parameters.model, "input": texts, "encoding_format": "float"}
        if parameters.dimensions is not None:
            body["dimensions"] = parameters.dimensions
        if input_type is not None:
            body["input_type"] = input_type
        client = HttpClient(
            timeout=min(parameters.timeout_seconds, calls.timeout_seconds or parameters.timeout_seconds),
            max_attempts=calls.attempts(parameters.max_attempts),
            backoff=calls.backoff,
            log=logging.getLogger("medkg.embedder.openai"),
            guard=calls,
            passing=frozenset({409}),  # such services answer so where a request timed out on a lock
            secret=self._key,
        )
        read = partial(_read_vectors, expected=len(texts), dimension=parameters.dimensions)
        with client:
            return client.post(self._url, body, read)


def _read_vectors(url: str, content: bytes, *, expected: int, dimension: int | None) -> NDArray[np.float32]:
    """Read the vectors of a reply.

    Args:
        url: The endpoint, for messages.
        content: The reply.
        expected: How many texts were sent.
        dimension: The length that was asked for; None for any.

    Returns:
        float32 of shape (texts, dimension), in the order of the texts.

    Raises:
        SourceError: The reply does not fit the request.
    """
    import numpy as np

    try:
        entries = json.loads(content)["data"]
        by_index = {int(entry["index"]): entry["embedding"] for entry in entries}
        vectors = np.array([by_index[index] for index in range(expected)], dtype=np.float32)
    except (ValueError, TypeError, KeyError) as error:
        raise PermanentSourceError(
            f"{url}: the reply is not {counted(expected, 'embedding')} of one length "
            f"({type(error).__name__}: {error}); "
            "check base_url and model"
        ) from error
    if len(entries) != expected:
        raise PermanentSourceError(
            f"{url}: {counted(len(entries), 'embedding')} for {counted(expected, 'text')}; check base_url "
            "and model"
        )
    if vectors.ndim != 2 or vectors.shape[1] == 0 or not np.isfinite(vectors).all():
        raise PermanentSourceError(
            f"{url}: the embeddings are not lists of finite numbers; check base_url and model"
        )
    if dimension is not None and vectors.shape[1] != dimension:
        raise PermanentSourceError(
            f"{url}: embeddings of length {vectors.shape[1]}, not {dimension}; check dimensions and model"
        )
    return vectors


def _read_key(secret: Secret | None) -> str | None:
    if secret is None:
        return None
    try:
        return secret.reveal_key()
    except ConfigError as error:
        raise ConfigError(f"openai: {error}, or set api_key: null for a service without a key") from error


OPENAI = Extension(
    kind=ExtensionKind.EMBEDDER,
    name="openai",
    description="An OpenAI-compatible HTTP endpoint, hosted or local.",
    config_model=OpenAIParameters,
    build=lambda parameters, _home: OpenAIEmbedder(parameters),
)
