"""Requests to an OpenAI-compatible `/embeddings` endpoint: retries, and a reply that is checked."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from medkg_dagster.errors import SourceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_WAIT_SECONDS = 120.0
_FIRST_WAIT_SECONDS = 1.0
_PASSING_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504})
_log = logging.getLogger("medkg.embedder.openai")


def post_embeddings(
    url: str, body: dict[str, object], *, key: str | None, timeout: float, max_attempts: int
) -> NDArray[np.float32]:
    """Post one batch of texts and return their vectors.

    Args:
        url: The endpoint.
        body: The request; `input` is a list of texts.
        key: The API key, sent as a bearer token; never part of a message.
        timeout: Seconds to wait for a reply.
        max_attempts: Attempts before giving up.

    Returns:
        float32 of shape (texts, dimension), in the order of the texts.

    Raises:
        SourceError: The service refused, stayed away, or its reply does not fit the request.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    # Redirects are not followed: they could carry texts and key to another host.
    with httpx.Client(timeout=timeout, headers=headers, follow_redirects=False) as client:
        for attempt in range(1, max_attempts + 1):
            fault, asked = "", None
            try:
                response = client.post(url, json=body)
            except httpx.TransportError as error:
                fault = f"the connection failed ({type(error).__name__})"
            else:
                if response.status_code == httpx.codes.OK:
                    return _vectors(url, response, body)
                if response.status_code not in _PASSING_STATUS:
                    raise SourceError(f"{url}: status {response.status_code}{_said(response, key)}")
                fault, asked = f"status {response.status_code}", _asked_to_wait(response)
            wait = _FIRST_WAIT_SECONDS * 2 ** (attempt - 1) if asked is None else asked
            if attempt == max_attempts or wait > LONGEST_WAIT_SECONDS:
                raise SourceError(f"{url}: {fault} (attempt {attempt}); try again later")
            _log.warning("%s: %s; attempt %d after %.1f s", url, fault, attempt + 1, wait)
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _vectors(url: str, response: httpx.Response, body: dict[str, Any]) -> NDArray[np.float32]:
    expected, dimension = len(body["input"]), body.get("dimensions")
    try:
        entries = response.json()["data"]
        by_index = {int(entry["index"]): entry["embedding"] for entry in entries}
        vectors = np.array([by_index[index] for index in range(expected)], dtype=np.float32)
    except (ValueError, TypeError, KeyError) as error:
        raise SourceError(
            f"{url}: the reply is not {expected} embeddings of one length ({type(error).__name__}: {error}); "
            "check base_url and model"
        ) from error
    if len(entries) != expected:
        raise SourceError(f"{url}: {len(entries)} embeddings for {expected} texts; check base_url and model")
    if vectors.ndim != 2 or vectors.shape[1] == 0 or not np.isfinite(vectors).all():
        raise SourceError(f"{url}: the embeddings are not lists of finite numbers; check base_url and model")
    if dimension is not None and vectors.shape[1] != dimension:
        raise SourceError(
            f"{url}: embeddings of length {vectors.shape[1]}, not {dimension}; check dimensions and model"
        )
    return vectors


def _said(response: httpx.Response, key: str | None) -> str:
    # Services quote requests in their errors, some the key with them.
    said = response.text[:2000]
    said = (said.replace(key, "***") if key else said)[:300].strip()
    return f", the service says: {said}" if said else ""


def _asked_to_wait(response: httpx.Response) -> float | None:
    asked = response.headers.get("Retry-After", "").strip()
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(asked)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
