"""One attempt to send a message, against a receiver that fails in every way."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.errors import ConfigError
from medkg_dagster.io.webhooks import UndeliveredError, WebhookClient, signed_headers, signing_key
from medkg_dagster_tests.webhook_receiver import (
    SECRET,
    Answer,
    Receiver,
    close,
    garbage,
    hang,
    receiving,
    status,
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as live:
        yield live


@pytest.fixture
def client() -> Iterator[WebhookClient]:
    with WebhookClient(seconds=0.3) as opened:
        yield opened


def test_the_signature_is_that_of_the_specification() -> None:
    # The example of the documentation of Svix, from which the specification comes.
    headers = signed_headers(
        signing_key(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(st.binary(min_size=24, max_size=64), st.binary(), st.integers(0, 2**40))
def test_whoever_has_the_secret_finds_the_signature_right(key: bytes, body: bytes, moment: int) -> None:
    secret = f"whsec_{base64.b64encode(key).decode()}"
    headers = signed_headers(signing_key(secret), "msg_1", moment, body)

    expected = hmac.new(key, b"msg_1." + str(moment).encode() + b"." + body, hashlib.sha256).digest()
    assert base64.b64decode(headers["webhook-signature"].removeprefix("v1,")) == expected


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not begin with whsec_"),
        ("whsec_not base64!", "is not in base64"),
        ("whsec_c2hvcnQ=", "has 5 bytes"),
        ("whsec_", "has 0 bytes"),
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_shown(secret: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        signing_key(secret)
    assert secret.removeprefix("whsec_") not in str(refused.value) or secret == "whsec_"


def test_what_is_taken_is_taken_once(receiver: Receiver, client: WebhookClient) -> None:
    assert client.send(receiver.url, b'{"a": 1}', {"webhook-id": "msg_1"}) == 204

    (message,) = receiver.received
    assert (message.body, message.id) == (b'{"a": 1}', "msg_1")
    assert message.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("answer", "said", "is_of_service"),
    [
        (status(500), "status 500", True),
        (status(503), "status 503", True),
        (status(400), "status 400", False),
        (status(302, Location="http://127.0.0.1:1/elsewhere"), "status 302", False),
        (close, "the connection failed", True),
        (garbage, "the connection failed", True),
        (hang, "no answer in time", True),
    ],
    ids=["500", "503", "400", "302", "closed", "garbage", "hangs"],
)
def test_what_is_not_taken_is_said_without_the_address(
    receiver: Receiver, client: WebhookClient, answer: Answer, said: str, is_of_service: bool
) -> None:
    receiver.answers = [answer]

    with pytest.raises(UndeliveredError, match=said) as refused:
        client.send(receiver.url, b"{}", {})

    assert (refused.value.is_of_service, refused.value.is_final) == (is_of_service, False)
    assert "/hook" not in str(refused.value)
    assert len(receiver.received) == 1


def test_a_receiver_may_ask_to_wait_or_want_nothing_any_more(
    receiver: Receiver, client: WebhookClient
) -> None:
    receiver.answers = [status(429, Retry_After="120"), status(410)]

    with pytest.raises(UndeliveredError, match="429") as busy:
        client.send(receiver.url, b"{}", {})
    with pytest.raises(UndeliveredError, match="410") as gone:
        client.send(receiver.url, b"{}", {})

    assert (busy.value.wait, busy.value.is_final) == (120.0, False)
    assert gone.value.is_final


def test_where_nobody_listens_the_connection_fails(client: WebhookClient) -> None:
    with receiving() as ended:
        pass
    with pytest.raises(UndeliveredError, match="the connection failed"):
        client.send(ended.url, b"{}", {})
