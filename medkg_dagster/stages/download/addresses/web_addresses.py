"""Addresses on the web: reading, following, and showing them without secrets."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit, urlunsplit

from medkg_dagster.errors import PermanentDownloadError

HIDDEN = "***"
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SECRET_NAME = re.compile(
    r"token|secret|passw|pwd|signature|^sig$|api[-_]?key|^key$|access[-_]?key|auth|credential|session|"
    r"^sid$|ticket|^code$|jwt|hmac|policy|x-amz-|x-goog-|^x-ms-",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(r"(?=[^&]*\d)(?=[^&]*[A-Za-z])[A-Za-z0-9_.~+/=%-]{24,}")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class WebAddress:
    """A checked http or https address, ready for a request.

    Attributes:
        scheme: `http` or `https`.
        host: The host in ASCII, lower case; no brackets around IPv6.
        port: The port.
        target: Path and query.
        authorization: The header for user and password in the address; empty without.
    """

    scheme: str
    host: str
    port: int
    target: str
    authorization: str

    @property
    def host_header(self) -> str:
        """The value of the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def is_absolute(text: str) -> bool:
    """Say whether a text has the form of an absolute address of any scheme."""
    return _ABSOLUTE.match(text) is not None


@lru_cache(maxsize=1024)
def read_address(text: str) -> WebAddress:
    """Check an address.

    Raises:
        PermanentDownloadError: It is none that may be fetched.
    """
    import httpx

    try:
        url = httpx.URL(text.strip())
    except (httpx.InvalidURL, ValueError) as error:
        raise PermanentDownloadError(f"{show(text)}: no valid address: {error}; correct it") from error
    if url.scheme not in _PORTS or not url.host:
        raise PermanentDownloadError(
            f"{show(text)}: only http and https addresses with a host are fetched; correct it"
        )
    login = ""
    if url.userinfo:
        login = "Basic " + base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
    return WebAddress(
        url.scheme,
        url.raw_host.decode("ascii"),
        url.port or _PORTS[url.scheme],
        url.raw_path.decode("ascii"),
        login,
    )


def follow(url: str, location: str) -> str:
    """Return where a redirect leads; a login in it is dropped.

    Raises:
        PermanentDownloadError: It leads nowhere, or from https to http.
    """
    import httpx

    try:
        target = httpx.URL(url).join(location.strip())
    except (httpx.InvalidURL, ValueError) as error:
        raise PermanentDownloadError(
            f"{show(url)}: redirects to {show(location)[:100]!r}, which is no address; check it"
        ) from error
    if target.scheme != "https" and url.strip().lower().startswith("https:"):
        raise PermanentDownloadError(
            f"{show(url)}: redirects to the unprotected {show(str(target))}; give an https address"
        )
    return str(target.copy_with(username=None, password=None, fragment=None))


def show(url: str) -> str:
    """Return an address for logs and records: no login, no query values that look like secrets."""
    try:
        parts = urlsplit(url.strip())
        host = parts.netloc.rpartition("@")[2]
        query = "&".join(map(_shown_pair, parts.query.split("&"))) if parts.query else ""
        return urlunsplit((parts.scheme, host, parts.path, query, ""))
    except ValueError:
        return "an address that cannot be read"


def _shown_pair(pair: str) -> str:
    name, separator, value = pair.partition("=")
    if value and (_SECRET_NAME.search(name) or _SECRET_VALUE.fullmatch(value)):
        return f"{name}={HIDDEN}"
    return HIDDEN if not separator and _SECRET_VALUE.fullmatch(name) else name + separator + value
