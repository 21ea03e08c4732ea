"""Who may ask: the right host, no page of others, and the token where there is one."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medkg_dagster.io.web_requests import bearer_token, is_of_another_page, is_secret, name_in

API = "/api/"
_ALWAYS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Guard:
    """Lets through what may be asked, and forbids browsers to do more with answers than show them.

    A page of somebody else that a browser has open can send requests to loopback, under a name of its own
    that leads there: such have a strange `Host` or `Origin`.

    Args:
        app: What is guarded.
        hosts: The names that the service has, without ports.
        token: What has to be sent as `Authorization: Bearer ...` for answers; None for nothing. The page
            itself holds no data.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], token: str | None) -> None:
        self._app = app
        self._hosts = {name.lower() for name in hosts}
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers[name] = value
                if scope["path"].startswith(API):
                    headers["cache-control"] = "no-store"
            await send(message)

        headers = Headers(scope=scope)
        refused = self._refuse(headers, scope["path"])
        await (refused or self._app)(scope, receive, send_guarded)

    def _refuse(self, headers: Headers, path: str) -> JSONResponse | None:
        host = headers.get("host", "")
        if name_in(host) not in self._hosts:
            said = f"this service has no name {host[:80]!r}; `medkg serve --host-name NAME` gives it one"
            return JSONResponse({"error": said}, 421)
        if is_of_another_page(headers.get("origin"), host):
            return JSONResponse({"error": "pages of other sites may not ask; open this service's own"}, 403)
        if self._token is not None and path.startswith(API) and not self._is_known(headers):
            said = "a token is wanted: send `Authorization: Bearer ...`, or open the page with #token=..."
            return JSONResponse({"error": said}, 401, {"www-authenticate": "Bearer"})
        return None

    def _is_known(self, headers: Headers) -> bool:
        sent = bearer_token(headers.get("authorization", ""))
        return sent is not None and is_secret(sent, self._token or "")
