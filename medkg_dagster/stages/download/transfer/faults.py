"""What went wrong with a request, and whether it may pass."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import httpcore

from medkg_dagster.errors import DownloadError, PermanentDownloadError, TransientDownloadError
from medkg_dagster.io.http import may_pass, retry_after

TOO_MANY_REQUESTS = 429
_MEANINGS = {
    401: "a login is needed",
    403: "the server does not allow it",
    404: "there is no such file",
    410: "the file was removed",
    429: "too many requests",
    451: "it is withheld for legal reasons",
}


class BusyServerError(TransientDownloadError):
    """The server is there and asks for fewer requests; no reason to think it broken."""


def status_error(url: str, status: int, headers: Mapping[str, str]) -> DownloadError:
    """Return the error a status stands for.

    Args:
        url: The address, for people.
        status: A status that is no success.
        headers: The reply's headers, names in lower case.
    """
    meaning = f" ({_MEANINGS[status]})" if status in _MEANINGS else ""
    message = f"{url}: status {status}{meaning}"
    wait = retry_after(headers.get("retry-after", ""))
    if status == TOO_MANY_REQUESTS:
        return BusyServerError(message, wait)
    if may_pass(status):
        return TransientDownloadError(message, wait)
    return PermanentDownloadError(f"{message}; check the address")


def connection_error(url: str, error: Exception) -> DownloadError:
    """Return the error a failed connection or transfer stands for."""
    cause = error.args[0] if error.args else None
    if isinstance(cause, ssl.SSLCertVerificationError):
        return PermanentDownloadError(
            f"{url}: the server's certificate is not valid ({cause.verify_message}); correct the address, "
            "or add its authority to SSL_CERT_FILE"
        )
    if isinstance(error, httpcore.LocalProtocolError | httpcore.UnsupportedProtocol):
        return PermanentDownloadError(f"{url}: no valid request can be made of it: {error}")
    if isinstance(error, httpcore.TimeoutException):
        said = f": {error}" if str(error) else ""
        return TransientDownloadError(f"{url}: no answer in time ({type(error).__name__}{said})")
    return TransientDownloadError(f"{url}: the connection failed: {error or type(error).__name__}")
