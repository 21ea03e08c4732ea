"""Addresses of services that get a key: none may give it away."""

from __future__ import annotations

from urllib.parse import urlsplit

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def check_base_url(url: str, *, sends_key: bool) -> None:
    """Refuse an address that holds a secret or would give one away.

    Args:
        url: The address below which a service is.
        sends_key: Whether a key is sent to it.

    Raises:
        ValueError: It is no address of HTTP, holds credentials, or is not protected where a key is sent.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("base_url must begin with http:// or https:// and name a host")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("base_url must hold no credentials, query or fragment; use api_key")
    if parts.scheme == "http" and sends_key and parts.hostname not in _LOCAL_HOSTS:
        raise ValueError("base_url must be https:// where an API key is sent; or set api_key: null")
