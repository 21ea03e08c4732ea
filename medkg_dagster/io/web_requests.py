"""Who asks a server of ours: under which name, from whose page, and with which secret."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""The names of a machine for itself."""

_BEARER = "bearer "


def name_in(host: str) -> str:
    """Return the name in a `Host` header, in lower case and without the port; empty where there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:  # no address
        return ""


def is_of_another_page(origin: str | None, host: str) -> bool:
    """Say whether a page that somebody else has made asks; browsers tell, but of the plainest requests.

    Args:
        origin: The header `Origin`; None where there is none.
        host: The header `Host`.
    """
    return origin is not None and origin.partition("://")[2].lower() != host.lower()


def bearer_token(authorization: str) -> str | None:
    """Return the token in an `Authorization` header; None where it has none of that kind (RFC 6750)."""
    is_bearer = authorization.lower().startswith(_BEARER)
    return authorization[len(_BEARER) :].strip() if is_bearer else None


def is_secret(sent: str, secret: str) -> bool:
    """Say whether what was sent is the secret, in a time that tells nothing of it."""
    return hmac.compare_digest(sent.encode(), secret.encode())
