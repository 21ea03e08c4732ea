import base64
import copy
import html
import json
import logging
import pickle
import sys
import threading
import traceback
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, SecretBytes, SecretStr, ValidationError
from typing_extensions import TypedDict

from medkg_dagster.errors import ConfigError, StateError
from medkg_dagster.stage_api import Payload, PayloadFormat, Secret
from medkg_dagster.stage_api import _redaction as memory
from medkg_dagster.stage_api._redaction import holds_secret, redact, revealed_names, showable
from medkg_dagster.stage_api._secrets import secret_fields
from medkg_dagster.stage_api._serialization import dump_value, load_value
from medkg_dagster.topology.explain import explain

VALUE = 'hunter2/"é" 100%\\'
WAY_OUT = "write `{env: NAME}` and set the variable"


@pytest.fixture(autouse=True)
def _nothing_is_revealed_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_revealed", {})
    monkeypatch.setattr(memory, "_known", None)


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> Secret:
    """A revealed secret."""
    monkeypatch.setenv("TOKEN", VALUE)
    secret = Secret(env="TOKEN")
    assert secret.reveal() == VALUE
    return secret


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user: str
    password: Secret
    others: tuple[Secret, ...] = ()
    spare: Secret | None = Field(default=Secret(env="SPARE"), description="Another one.")


def refusal(given: dict[str, Any]) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Login.model_validate(given)
    return caught.value


# --- the field type


def test_a_field_takes_the_name_of_a_variable_and_gives_its_value_when_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    login = Login.model_validate({"user": "ada", "password": {"env": "TOKEN"}})

    monkeypatch.setenv("TOKEN", "first")
    assert login.password.reveal() == "first"
    monkeypatch.setenv("TOKEN", " second\n")
    assert login.password.reveal() == "second"


def test_a_field_takes_another_secret() -> None:
    assert Login(user="ada", password=Secret(env="TOKEN")).password == Secret(env="TOKEN")


@pytest.mark.parametrize("value", [VALUE, 4711123, ["hunter2"], {"env": "hunter2 x"}, {"value": "hunter2"}])
@pytest.mark.parametrize("shape", ["password", "others", "spare"])
def test_a_value_written_in_plain_is_refused_and_not_repeated(value: Any, shape: str) -> None:
    given = {"user": "ada", "password": {"env": "TOKEN"}}
    error = refusal({**given, shape: [value] if shape == "others" else value})

    (finding,) = explain(error, Login)
    shown = f"{error} {error!r} {error.errors()} {error.json()} {finding}"
    assert WAY_OUT in finding.message
    assert "hunter2" not in shown
    assert "4711123" not in shown


def test_a_name_that_no_variable_has_is_refused_in_code_too() -> None:
    with pytest.raises(ConfigError, match="name of an environment variable") as caught:
        Secret(env=VALUE)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_an_unset_or_empty_variable_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("TOKEN", value)

    with pytest.raises(ConfigError, match="TOKEN is not set or empty; put the secret into it"):
        Secret(env="TOKEN").reveal()


def test_only_the_reference_is_ever_shown_dumped_or_copied(token: Secret) -> None:
    login = Login(user="ada", password=token)

    assert repr(token) == str(token) == "Secret(env='TOKEN')"
    assert login.model_dump()["password"] == {"env": "TOKEN"}
    assert json.loads(login.model_dump_json())["password"] == {"env": "TOKEN"}
    assert Login.model_validate(login.model_dump()) == login
    assert "hunter2" not in repr(login)
    assert pickle.loads(pickle.dumps(token)) == copy.deepcopy(token) == token
    assert b"hunter2" not in pickle.dumps(token)


def test_secrets_are_equal_by_name() -> None:
    assert {Secret(env="A"), Secret(env="A"), Secret(env="B")} == {Secret(env="B"), Secret(env="A")}


def test_the_json_schema_is_an_object_with_the_name() -> None:
    schema = Login.model_json_schema()["properties"]

    assert schema["password"]["properties"]["env"]["type"] == "string"
    assert schema["password"]["required"] == ["env"]
    assert schema["password"]["additionalProperties"] is False
    assert schema["spare"]["default"] == {"env": "SPARE"}


# --- what must not be a config model


class Inner(BaseModel):
    pin: SecretBytes
    again: "Inner | None" = None


@dataclass
class Plain:
    word: SecretStr


class Typed(TypedDict):
    key: SecretStr


class Named(NamedTuple):
    key: SecretStr


class Careless(BaseModel):
    password: SecretStr
    maybe: SecretStr | None = None
    many: dict[str, list[Inner]] = {}
    noted: Annotated[SecretStr, Field(min_length=3)] = SecretStr("abc")
    plain: Plain | None = None
    typed: Typed | None = None
    named: Named | None = None
    number: pydantic.Secret[int] | None = None
    fine: Secret | None = None
    name: str = ""


def test_fields_that_take_secrets_in_plain_are_found_wherever_they_are() -> None:
    assert secret_fields(Careless) == [
        "password",
        "maybe",
        "many.pin",
        "noted",
        "plain.word",
        "typed.key",
        "named.key",
        "number",
    ]
    assert secret_fields(Login) == []


# --- redaction


def written_forms(value: str) -> Iterator[str]:
    yield value
    yield repr(value)
    yield json.dumps(value)
    yield json.dumps(value, ensure_ascii=False)
    yield urllib.parse.quote(value)
    yield urllib.parse.quote(value, safe="")
    yield urllib.parse.urlencode({"key": value})
    yield urllib.parse.urlencode({"next": urllib.parse.urlencode({"key": value})})
    yield json.dumps({"request": json.dumps({"key": value})})
    yield json.dumps({"request": repr({"key": value})})
    yield repr(value.encode())
    yield html.escape(value)
    yield f"<p>{html.escape(json.dumps(value))}"
    if len(value) > 7:
        yield value.encode().hex()
        yield value.encode().hex().upper()
    for before in ("", "u", "us", "user:"):
        yield base64.b64encode(f"{before}{value}{before}".encode()).decode()
        yield base64.urlsafe_b64encode(f"{before}{value}{before}".encode()).decode()


def test_every_form_a_value_is_written_in_is_replaced(token: Secret) -> None:
    for form in written_forms(VALUE):
        text = f"before {form} after"

        assert "[secret TOKEN]" in redact(text), form
        assert holds_secret(text) == holds_secret(text.encode()) == "TOKEN", form
        assert holds_secret(redact(text)) is None, form
    assert "hunter2" not in redact(" ".join(written_forms(VALUE)).replace("%2f", "%2F"))
    assert token.reveal() == VALUE


def test_text_that_holds_no_secret_is_the_same_object(token: Secret) -> None:
    text = "nothing to see here"

    assert redact(text) is text
    assert holds_secret(text) is None
    assert token.env not in redact(text)


def test_the_longest_value_is_replaced_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SHORT": "hunter", "LONG": "hunter2-and-more", "MIDDLE": "hunter2"}.items():
        monkeypatch.setenv(name, value)
        Secret(env=name).reveal()

    assert redact("hunter2-and-more hunter2 hunter") == "[secret LONG] [secret MIDDLE] [secret SHORT]"


def test_a_text_may_be_redacted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "secret")
    Secret(env="PASSWORD").reveal()

    assert redact(redact("it is secret")) == "it is [secret PASSWORD]"


def test_a_value_stays_hidden_after_its_variable_has_changed(
    token: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "another-value")
    token.reveal()

    assert redact(f"{VALUE} another-value") == "[secret TOKEN] [secret TOKEN]"
    assert revealed_names() == ("TOKEN",)


def test_a_value_too_short_to_tell_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIN", "123")
    Secret(env="PIN").reveal()

    assert redact("12345") == "12345"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=7))
def test_no_value_survives_in_any_form(value: str) -> None:
    if len(value.strip()) < 7:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "_revealed", {})
        patch.setattr(memory, "_known", None)
        patch.setenv("ANY", value)
        revealed = Secret(env="ANY").reveal()

        for form in written_forms(revealed):
            assert holds_secret(form) == "ANY"
            assert holds_secret(form.encode()) == "ANY"
            assert "[secret ANY]" in redact(form)


def test_threads_may_reveal_and_redact_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"TOKEN_{number}" for number in range(40)]
    for name in names:
        monkeypatch.setenv(name, f"value-of-{name}-")
    failures: list[str] = []

    def work(name: str) -> None:
        value = Secret(env=name).reveal()
        if redact(f"a {value} b") != f"a [secret {name}] b":
            failures.append(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert revealed_names() == tuple(sorted(names))


# --- log records


@pytest.mark.parametrize("logger", ["medkg.stage", "somebody.elses.client"])
def test_log_records_of_every_logger_are_redacted(
    token: Secret, logger: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = logging.getLogger(logger)
    with caplog.at_level(logging.DEBUG):
        log.info("plain %s", token.reveal())
        log.debug(f"formatted {VALUE}")
        log.warning("mapping %(key)s", {"key": {"nested": VALUE}})
        try:
            raise RuntimeError(f"refused {VALUE}") from KeyError(VALUE)
        except RuntimeError:
            log.exception("broken")

    assert "hunter2" not in caplog.text
    assert caplog.text.count("[secret TOKEN]") == 5
    assert "RuntimeError: refused [secret TOKEN]" in caplog.text
    assert __file__ in caplog.text


def test_a_malformed_log_call_shows_no_secret_either(
    token: Secret, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logging.Logger("apart")
    log.addHandler(logging.StreamHandler(sys.stderr))

    log.warning("%d of many", token.reveal())

    shown = capsys.readouterr().err
    assert "[secret TOKEN]" in shown
    assert "hunter2" not in shown


# --- errors


def formatted(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def raised(*, note: str = "") -> Exception:
    try:
        try:
            raise KeyError(VALUE)
        except KeyError as error:
            broken = ConnectionError(f"no answer for {urllib.parse.quote(VALUE)}")
            if note:
                broken.add_note(note)
            raise broken from error
    except ConnectionError as error:
        return error


def test_an_error_and_its_causes_are_shown_without_the_value(token: Secret) -> None:
    shown = formatted(showable(raised(note=f"tried {token.reveal()}")))

    assert "hunter2" not in shown
    assert "ConnectionError: no answer for [secret TOKEN]" in shown
    assert "KeyError: '[secret TOKEN]'" in shown
    assert "tried [secret TOKEN]" in shown
    assert "raise broken from error" in shown


def test_an_error_that_caused_itself_is_shown_without_the_value(token: Secret) -> None:
    first, second = ValueError(VALUE), ValueError(token.reveal())
    first.__cause__, second.__cause__ = second, first

    assert "hunter2" not in formatted(showable(first))


def test_an_error_in_a_group_is_shown_without_the_value(token: Secret) -> None:
    group = ExceptionGroup("two calls failed", [ValueError(token.reveal()), OSError("gone")])

    shown = formatted(showable(group))

    assert "two calls failed" in shown
    assert "hunter2" not in shown


def test_an_error_without_a_secret_is_left_alone(token: Secret) -> None:
    error = ValueError(f"{token} has no rights")

    assert showable(error) is error


def test_a_refused_configuration_is_not_quoted_by_the_cause_of_the_error() -> None:
    # `user` is missing, and pydantic then quotes the whole mapping.
    broken = refusal({"password": "hunter2"})
    assert "hunter2" in str(broken)
    error = ConfigError("the login does not fit")
    error.__cause__ = broken

    shown = formatted(showable(error))

    assert "hunter2" not in shown
    assert "user: Field required" in shown


# --- state


def payload(content: bytes) -> Payload:
    return Payload(id="p", format=PayloadFormat.TEXT, content=content, source="files", origin="p")


@pytest.mark.parametrize("before", range(3))
def test_a_state_that_holds_a_revealed_value_is_refused(token: Secret, before: int) -> None:
    for value, kind in (
        (token.reveal(), str),
        ({VALUE: 1}, dict[str, int]),
        (payload(b"x" * before + VALUE.encode() + b"y"), Payload),
        (np.array(["x" * before, f"a {VALUE} b"]), NDArray[np.str_]),
        (np.frombuffer(f"a {VALUE}".encode(), dtype=np.uint8), NDArray[np.uint8]),
    ):
        with pytest.raises(StateError, match=r"'answer'.*variable TOKEN; remove it") as caught:
            dump_value("answer", value, kind)
        assert "hunter2" not in str(caught.value)


def test_a_state_of_another_type_does_not_show_the_value_it_holds(token: Secret) -> None:
    for before in range(60):
        with pytest.raises(StateError, match=r"'answer'.*not a builtins.int") as caught:
            dump_value("answer", "x" * before + token.reveal() + "x" * 60, int)

        assert "hun" not in formatted(caught.value)


def test_a_state_may_hold_the_reference(token: Secret) -> None:
    content = dump_value("login", Login(user="ada", password=token), Login)

    assert load_value("login", content, Login).password == token
