"""A chat endpoint: one question, one answer, and what the answer says."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from medkg_dagster.domain import Value
from medkg_dagster.errors import ConfigError, PermanentSourceError, UnreadableDocumentError
from medkg_dagster.io.faults import status_may_pass
from medkg_dagster.io.http import HttpClient, OversizedReplyError, PassingFaultError
from medkg_dagster.stage_api import ExternalCalls, Secret
from medkg_dagster.stages.extract.llm.statements import Proposed

MAX_ANSWER_BYTES = 4 * 1024 * 1024
_QUOTED = 300


class Answer(Value):
    """What a model answered to one request.

    Attributes:
        content: What it says; empty where it says nothing.
        ended: Why it ended, as the service calls it: `stop`, `length`, `content_filter`.
        refusal: Why it refuses; empty where it does not.
        prompt_tokens: Tokens of the request, as the service counts them; 0 where it does not.
        completion_tokens: Tokens of the answer.
    """

    content: str = ""
    ended: str = "stop"
    refusal: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Unanswered(StrEnum):
    """Why a passage has no answer that can be used."""

    TRUNCATED = "truncated"
    REFUSED = "refused"
    EMPTY = "empty"
    NOT_JSON = "not JSON"
    OTHER_SHAPE = "other shape"
    TOO_LARGE = "too large"


FINAL = frozenset({Unanswered.TRUNCATED, Unanswered.REFUSED})
"""What the same model answers to the same passage once more; of the rest another answer may come."""


class ChatService:
    """Asks a model over HTTP.

    Args:
        url: Where questions are posted.
        api_key: Where the key is; None for a service without one.
        timeout_seconds: Longest wait for one reply.
        max_attempts: Attempts of one request; None for as many as the policy allows.

    Raises:
        ConfigError: The environment variable of the key is not set, or holds no key.
    """

    def __init__(
        self, url: str, api_key: Secret | None, timeout_seconds: float, max_attempts: int | None
    ) -> None:
        self._url = url
        self._key = _read_key(api_key)
        self._timeout = timeout_seconds
        self._max_attempts = max_attempts

    def ask(self, calls: ExternalCalls, body: Mapping[str, Any]) -> Answer | Unanswered:
        """Return what the model answers; that it is too large, where it is.

        Args:
            calls: What the request goes through.
            body: The request.

        Raises:
            SourceError: The service is away.
            PermanentSourceError: It refuses the request, or its reply is none of a chat endpoint.
        """
        timeout = min(self._timeout, calls.timeout_seconds or self._timeout)
        client = HttpClient(
            timeout=timeout,
            max_attempts=calls.attempts(self._max_attempts),
            backoff=calls.backoff,
            log=logging.getLogger("medkg.extractor.llm"),
            guard=calls,
            passing=frozenset({409}),  # such services answer so where a request timed out on a lock
            secret=self._key,
            longest=timeout,
            max_bytes=MAX_ANSWER_BYTES,
        )
        with client:
            try:
                return client.post(self._url, body, _read_answer)
            except OversizedReplyError:
                return Unanswered.TOO_LARGE


def _read_answer(url: str, content: bytes) -> Answer:
    """Read the reply of a chat endpoint.

    Raises:
        UnreadableDocumentError: It is no JSON, as where a proxy answers.
        PassingFaultError: The service says that it has a fault which may pass.
        PermanentSourceError: It is none of a chat endpoint.
    """
    try:
        reply = from_json(content)
    except ValueError as error:
        raise UnreadableDocumentError(f"{url}: {error}") from error
    _refuse_error(url, reply)
    try:
        choices, usage = reply["choices"], reply.get("usage") or {}
        tokens = {name: _tokens(usage, name) for name in ("prompt_tokens", "completion_tokens")}
        if not choices:
            return Answer(ended="", **tokens)
        message = choices[0]["message"]
        said, refusal = message.get("content") or "", message.get("refusal") or ""
        ended = choices[0].get("finish_reason") or ""
        return Answer(content=said, ended=ended, refusal=refusal, **tokens)
    except (AttributeError, IndexError, KeyError, TypeError, ValidationError) as error:
        raise PermanentSourceError(
            f"{url}: the reply is none of a chat endpoint ({type(error).__name__}); check base_url and model"
        ) from error


def _refuse_error(url: str, reply: Any) -> None:
    """Some services tell of an error under the status 200."""
    error = reply.get("error") if isinstance(reply, dict) else None
    if not error:
        return
    said = str(error.get("message") if isinstance(error, dict) else error)[:_QUOTED]
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, int) and status_may_pass(code):
        raise PassingFaultError(f"the service says: {said}")
    raise PermanentSourceError(f"{url}: the service says: {said}")


def _tokens(usage: Any, name: str) -> int:
    found = usage.get(name) if isinstance(usage, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else 0


def read_claims(answer: Answer) -> Sequence[Any] | Unanswered:
    """Return the claims of an answer, each as it is written; or why it has none that can be used."""
    if answer.refusal or answer.ended == "content_filter":
        return Unanswered.REFUSED
    if answer.ended == "length":
        return Unanswered.TRUNCATED
    if not answer.content.strip():
        return Unanswered.EMPTY
    try:
        said = from_json(answer.content)
    except ValueError:
        return Unanswered.NOT_JSON
    claims = said.get("claims") if isinstance(said, dict) else None
    if not isinstance(claims, list) or set(said) != {"claims"}:
        return Unanswered.OTHER_SHAPE
    return claims


def read_claim(written: Any) -> Proposed | None:
    """Return a claim; None where it does not fit the schema."""
    try:
        return Proposed.model_validate(written)
    except ValidationError:
        return None


def _read_key(secret: Secret | None) -> str | None:
    if secret is None:
        return None
    try:
        return secret.reveal_key()
    except ConfigError as error:
        raise ConfigError(f"llm: {error}, or set api_key: null for a service without a key") from error
