"""What Dagster's webserver may be asked, and by whom."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from contextvars import ContextVar
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medkg_dagster.io.web_requests import bearer_token, is_of_another_page, is_secret, name_in

ACTOR: ContextVar[str | None] = ContextVar("medkg_actor", default=None)
"""Who has sent the request that is being answered; None where nobody is named."""

_READING = {"GET", "HEAD", "OPTIONS"}
_BASIC = "basic "
_POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1


class WebserverGuard:
    """Lets through what the webserver's own page and programs ask.

    Dagster carries out a mutation that stands in the address of a GET, for any `Host` and `Origin`: an image
    in a page of somebody else starts runs so. Here what changes something is sent by POST as JSON, which a
    browser lets a page of another origin send to nobody who does not allow it.

    Args:
        app: Dagster's application.
        hosts: The names that it has, without ports.
        token: What has to be sent with every request; None for nothing.
        actor_header: The header by which the proxy in front names who asks; None where none is trusted.
    """

    def __init__(
        self, app: ASGIApp, hosts: Collection[str], token: str | None, actor_header: str | None = None
    ) -> None:
        self._app = app
        self._hosts = {name.lower() for name in hosts}
        self._token = token
        self._actor_header = actor_header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a connection, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_unframed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-frame-options"] = "DENY"
            await send(message)

        refused = self._refuse(scope)
        if refused is None:
            acting = ACTOR.set(self._actor(Headers(scope=scope)))
            try:
                await self._app(scope, receive, send_unframed)
            finally:
                ACTOR.reset(acting)
        elif scope["type"] == "http":
            await refused(scope, receive, send_unframed)
        else:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    def _refuse(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if name_in(host) not in self._hosts:
            said = f"this webserver has no name {host[:80]!r}; MEDKG_WEBSERVER_HOSTS gives it more"
            return PlainTextResponse(said, 421)
        if is_of_another_page(headers.get("origin"), host):
            return PlainTextResponse("pages of other sites may not ask; open this webserver's own", 403)
        if self._token is not None and not is_secret(_sent(headers), self._token):
            asked = {"www-authenticate": 'Basic realm="the password is MEDKG_WEBSERVER_TOKEN"'}
            return PlainTextResponse("a token is wanted, as a Bearer or as the password", 401, asked)
        if self._actor_header is not None and self._is_change(scope) and self._actor(headers) is None:
            said = f"the proxy names nobody, or several, in {self._actor_header}; ask through the proxy"
            return PlainTextResponse(said, 403)
        return _refuse_hidden_change(scope, headers) if scope["type"] == "http" else None

    def _actor(self, headers: Headers) -> str | None:
        """Return who asks; None where no header is trusted, or it does not name one."""
        named = [] if self._actor_header is None else headers.getlist(self._actor_header)
        return (named[0].strip() or None) if len(named) == 1 else None

    @staticmethod
    def _is_change(scope: Scope) -> bool:
        return scope["type"] == "http" and scope["method"] not in _READING


def _refuse_hidden_change(scope: Scope, headers: Headers) -> Response | None:
    """Refuse what could change something and is no POST of JSON."""
    if scope["method"] in _READING:
        asks = scope["path"].rstrip("/").endswith("/graphql") and "query" in parse_qs(
            scope["query_string"].decode("latin-1"), keep_blank_values=True
        )
        return PlainTextResponse("ask GraphQL by POST, as JSON", 405, {"allow": "POST"}) if asks else None
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return None if kind == "application/json" else PlainTextResponse("send JSON", 415)


def _sent(headers: Headers) -> str:
    """Return the token of a request; empty where there is none."""
    sent = headers.get("authorization", "")
    if (token := bearer_token(sent)) is not None:
        return token
    if sent.lower().startswith(_BASIC):
        try:
            return base64.b64decode(sent[len(_BASIC) :], validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
