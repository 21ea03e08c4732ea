"""Messages to webhooks, signed after Standard Webhooks (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from medkg_dagster.errors import ConfigError, counted
from medkg_dagster.io.faults import status_may_pass
from medkg_dagster.io.http import certificates, retry_after, user_agent

SECRET_PREFIX = "whsec_"  # noqa: S105 - how every secret begins, and none itself
STEP_SECONDS = 5.0
_KEY_BYTES = range(24, 65)
_GONE = 410


class UndeliveredError(Exception):
    """A message was not taken. What it says holds neither the address nor what was answered.

    Attributes:
        wait: The seconds that the receiver asks to wait; None where it does not.
        is_of_service: Whether the receiver could not be reached or is in trouble, whatever it is sent.
        is_final: Whether the receiver wants nothing of the kind any more.
    """

    def __init__(
        self, reason: str, wait: float | None = None, *, is_of_service: bool = False, is_final: bool = False
    ) -> None:
        super().__init__(reason)
        self.wait = wait
        self.is_of_service = is_of_service
        self.is_final = is_final


def signing_key(secret: str) -> bytes:
    """Return the key in a secret.

    Raises:
        ConfigError: It is none as Standard Webhooks writes them.
    """
    way_out = f"write {SECRET_PREFIX} and 24 to 64 random bytes in base64 behind it"
    if not secret.startswith(SECRET_PREFIX):
        raise ConfigError(f"the secret of a webhook does not begin with {SECRET_PREFIX}; {way_out}")
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"the secret of a webhook is not in base64; {way_out}") from None
    if len(key) not in _KEY_BYTES:
        raise ConfigError(f"the secret of a webhook has {counted(len(key), 'byte')}; {way_out}")
    return key


def signed_headers(key: bytes, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers by which a receiver knows who sent a message, and which one it is.

    Args:
        key: The key that the receiver has too.
        message_id: The same for each attempt to send the message.
        timestamp: The time of this attempt, in seconds since 1970.
        body: What is sent.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


class WebhookClient:
    """Sends messages, one attempt each: whoever sends keeps what was not taken.

    Args:
        seconds: How long connecting, sending and each part of the answer may take.
    """

    def __init__(self, *, seconds: float = STEP_SECONDS) -> None:
        import httpx

        self._client = httpx.Client(
            timeout=seconds,
            verify=certificates(),
            follow_redirects=False,
            headers={"User-Agent": user_agent(), "Accept": "*/*"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a message of JSON.

        Args:
            url: Where to; no redirection is followed, as that would send it to somebody else.
            body: The message.
            headers: What goes with it.

        Returns:
            The status with which it was taken, 200 to 299.

        Raises:
            UndeliveredError: It was not taken.
        """
        import httpx

        try:
            with self._client.stream(
                "POST", url, content=body, headers={"Content-Type": "application/json", **headers}
            ) as response:
                status = response.status_code
                if response.is_success:
                    return status
                wait = retry_after(response.headers.get("Retry-After", ""))
        except httpx.TimeoutException as error:
            raise UndeliveredError(
                f"no answer in time ({type(error).__name__})", is_of_service=True
            ) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise UndeliveredError("the address cannot be asked", is_of_service=True) from None
        except httpx.HTTPError as error:
            # The message of the error may quote the address, which may be a secret.
            raise UndeliveredError(
                f"the connection failed ({type(error).__name__})", is_of_service=True
            ) from None
        raise UndeliveredError(
            f"status {status}", wait, is_of_service=status_may_pass(status), is_final=status == _GONE
        )
