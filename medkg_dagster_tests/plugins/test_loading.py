"""Running plugins' code under a guard, in the main thread and in others."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from medkg_dagster.errors import PluginExitError, PluginTimeoutError
from medkg_dagster.plugins import LoadGuard
from medkg_dagster.plugins.loading import error_text, load_target
from medkg_dagster.plugins.surroundings import Surroundings, kept_surroundings
from medkg_dagster_tests.clock import LOAD_SECONDS, late


def loop() -> None:
    late()
    while True:
        pass


def sleep() -> None:
    late()
    time.sleep(600)


def catches_everything_once() -> None:
    try:
        loop()
    except BaseException:  # noqa: BLE001 - the misbehaviour under test
        loop()


def in_thread(work: Callable[[], Any]) -> Any:
    """Return what work gives, or raises, in a thread of its own."""
    given: list[Any] = []

    def run() -> None:
        try:
            given.append(work())
        except Exception as error:  # noqa: BLE001 - handed to the caller
            given.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(300)
    assert not thread.is_alive()
    return given[0]


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def guarded(work: Callable[[], Any], limit: float = LOAD_SECONDS) -> Any:
    with LoadGuard(limit) as guard:
        return guard.run("plugin 'x'", work)


@pytest.fixture
def foreign_handler() -> Iterator[Callable[[int, Any], None]]:
    """A handler of SIGALRM that somebody else has set."""

    def handle(_number: int, _frame: Any) -> None:
        raise AssertionError("the signal is not for this handler")

    before = signal.signal(signal.SIGALRM, handle)
    yield handle
    signal.signal(signal.SIGALRM, before)


def test_what_the_code_gives_and_raises_passes() -> None:
    def breaks() -> None:
        raise ValueError("as ever")

    assert guarded(lambda: 5) == 5
    with pytest.raises(ValueError, match="as ever"):
        guarded(breaks)


@pytest.mark.parametrize("work", [loop, sleep, catches_everything_once])
def test_what_takes_too_long_is_interrupted_in_the_main_thread(work: Callable[[], None]) -> None:
    with pytest.raises(PluginTimeoutError, match=r"interrupted after 60 s"):
        guarded(work)


def test_what_takes_too_long_in_another_thread_is_reported_once_and_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def slow() -> str:
        late()
        wait_for(lambda: "plugin 'x'" in caplog.text)
        late()  # by more than the time after which an interruption is sent again
        time.sleep(0.5)
        return "loaded"

    with caplog.at_level(logging.ERROR, "medkg.plugins"):
        assert in_thread(lambda: guarded(slow)) == "loaded"

    (message,) = caplog.messages
    assert message.startswith("plugin 'x' has been loading for 1")
    assert message.endswith("s; it cannot be interrupted here")


def test_each_code_that_takes_too_long_in_another_thread_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def load() -> list[str]:
        with LoadGuard(LOAD_SECONDS) as guard:
            return [guard.run(who, partial(reported, who)) for who in ("plugin 'x'", "plugin 'y'")]

    def reported(who: str) -> str:
        late()
        wait_for(lambda: who in caplog.text)
        return who

    with caplog.at_level(logging.ERROR, "medkg.plugins"):
        assert in_thread(load) == ["plugin 'x'", "plugin 'y'"]

    assert [message[:10] for message in caplog.messages] == ["plugin 'x'", "plugin 'y'"]


def test_the_code_may_catch_every_exception_and_is_interrupted_all_the_same() -> None:
    def stubborn() -> None:
        while True:
            try:
                loop()
            except Exception:  # noqa: BLE001 - the misbehaviour under test
                continue

    with pytest.raises(PluginTimeoutError):
        guarded(stubborn)


def test_code_that_holds_a_lock_of_logging_is_interrupted_and_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def holds() -> None:
        with caplog.handler.lock:  # type: ignore[union-attr] # every handler has one
            loop()

    with caplog.at_level(logging.ERROR, "medkg.plugins"), pytest.raises(PluginTimeoutError):
        guarded(holds)

    assert "it is being interrupted" in caplog.text


def test_who_takes_too_long_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "medkg.plugins"), pytest.raises(PluginTimeoutError):
        guarded(loop)

    assert "plugin 'x' has been loading for 1" in caplog.text
    assert "it is being interrupted" in caplog.text


@pytest.mark.parametrize(
    ("error", "described"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (SystemExit(), "SystemExit"),
        (GeneratorExit("bye"), "GeneratorExit: bye"),
        (asyncio.CancelledError(), "CancelledError"),
    ],
)
def test_what_would_end_more_than_the_plugin_is_an_error_like_others(
    error: BaseException, described: str
) -> None:
    def exits() -> None:
        raise error

    with pytest.raises(PluginExitError) as raised:
        guarded(exits)

    assert str(raised.value) == described
    assert raised.value.__cause__ is error


def test_a_person_can_interrupt() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded(interrupted)


def test_the_handler_of_signals_is_put_back() -> None:
    before = signal.getsignal(signal.SIGALRM)

    with LoadGuard(LOAD_SECONDS):
        assert signal.getsignal(signal.SIGALRM) is not before

    assert signal.getsignal(signal.SIGALRM) is before


def test_a_handler_that_somebody_else_has_set_stays_and_the_code_is_reported(
    foreign_handler: Callable[[int, Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    def slow() -> None:
        late()
        wait_for(lambda: bool(caplog.messages))

    with caplog.at_level(logging.ERROR, "medkg.plugins"):
        guarded(slow)

    assert signal.getsignal(signal.SIGALRM) is foreign_handler
    assert "cannot be interrupted here" in caplog.text


def test_a_guard_within_a_guard_leaves_the_outer_one_its_handler() -> None:
    with LoadGuard(LOAD_SECONDS) as outer:
        handler = signal.getsignal(signal.SIGALRM)
        with pytest.raises(PluginTimeoutError):
            guarded(loop)
        assert signal.getsignal(signal.SIGALRM) is handler
        with pytest.raises(PluginTimeoutError):
            outer.run("plugin 'y'", loop)


def test_a_guard_within_a_guard_does_not_keep_the_outer_one_from_interrupting() -> None:
    def loads_another() -> None:
        with LoadGuard(3600):
            loop()

    with pytest.raises(PluginTimeoutError, match=r"interrupted after 60 s"):
        guarded(loads_another)

    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def test_code_that_another_guard_ends_leaves_the_code_around_it_its_time() -> None:
    def loads_another() -> str:
        with pytest.raises(PluginTimeoutError):
            guarded(loop)
        time.sleep(0.5)  # longer than a guard takes to look
        return "loaded"

    assert guarded(loads_another) == "loaded"


def test_code_in_another_thread_that_another_guard_runs_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def slow() -> None:
        late()
        wait_for(lambda: bool(caplog.messages))
        time.sleep(0.5)

    with caplog.at_level(logging.ERROR, "medkg.plugins"):
        in_thread(lambda: guarded(lambda: guarded(slow)))

    assert len(caplog.messages) == 1


def test_after_an_interruption_the_next_code_has_its_full_time() -> None:
    with LoadGuard(LOAD_SECONDS) as guard:
        with pytest.raises(PluginTimeoutError):
            guard.run("plugin 'x'", loop)

        assert guard.run("plugin 'y'", lambda: sum(range(1000))) == 499500


def test_an_interruption_that_comes_too_late_hits_nobody() -> None:
    def run_many() -> int:
        done = 0
        with LoadGuard(0.001) as guard:
            for _ in range(30):
                with contextlib.suppress(PluginTimeoutError):
                    guard.run("plugin 'x'", lambda: time.sleep(0.01))
                done += 1
        return done

    assert run_many() == 30
    assert in_thread(run_many) == 30


def test_an_error_is_told_by_class_and_text_even_where_it_has_none() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert error_text(KeyError("a")) == "KeyError: 'a'"
    assert error_text(ValueError()) == "ValueError"
    assert error_text(MuteError()) == "MuteError: its text cannot be shown"


def test_an_entry_point_gives_what_it_names() -> None:
    assert load_target(EntryPoint("x", "medkg_dagster.plugins.loading:load_target", "g")) is load_target


@pytest.mark.parametrize("value", ["", "a b", "../x:y", "a:b:c", "a:", ":b", "a-b:c", "a:b c"])
def test_an_entry_point_that_names_no_path_says_how_one_is_written(value: str) -> None:
    with pytest.raises(ImportError, match="is no path; write 'module:attribute'"):
        load_target(EntryPoint("x", value, "g"))


def test_each_change_of_the_environment_is_put_back_and_what_is_new_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EARLIER", "as it was")
    monkeypatch.setenv("NEW", "")  # so that it is taken away again
    monkeypatch.delenv("NEW")
    surroundings, told = Surroundings(), list[str]()
    for value in ("one", "two"):
        with kept_surroundings(surroundings, told.append):
            os.environ |= {"EARLIER": value, "NEW": value}
        assert (os.environ["EARLIER"], os.environ["NEW"]) == ("as it was", value)
    assert len(told) == 2
    assert all("environment (EARLIER)" in sentence for sentence in told)
