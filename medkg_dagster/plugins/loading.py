"""Running a plugin's code while definitions load, under a limit of time."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from importlib.metadata import EntryPoint
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

from medkg_dagster.errors import PluginExitError, PluginTimeoutError

T = TypeVar("T")
_LOG = logging.getLogger("medkg.plugins")
_POLL_SECONDS = 0.1
_REPEAT_SECONDS = 1.0
_REPORTED_WITHIN_SECONDS = 5.0
_RUNNING = threading.local()
"""Its `guard` is the innermost one that runs code in this thread."""


class _InterruptionError(BaseException):
    """Raised inside a plugin; no `Exception`, so that what a plugin catches does not keep it from ending."""


class LoadGuard:
    """Runs plugins' code one after the other and ends what takes too long.

    A watching thread reports at the limit. It interrupts the main thread by a signal, which also ends most
    waits of the operating system. In any other thread, and where somebody else handles `SIGALRM`, the code is
    reported and goes on until it returns; so does code that never comes back from a C library.
    The time of code that another guard runs within is that one's alone.

    Args:
        limit_seconds: The longest time of one call.

    Attributes:
        seconds: How long the last call took.
    """

    def __init__(self, limit_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        self.seconds = 0.0
        self._sending = threading.Lock()
        self._stopped = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="medkg-load-guard", daemon=True)
        self._watched: tuple[str, float] | None = None
        self._thread_id = 0
        self._previous: signal.Handlers | Callable[[int, FrameType | None], object] | int | None = None
        self._uses_signal = False

    def __enter__(self) -> Self:
        self._thread_id = threading.get_ident()
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGALRM)
            is_guard = getattr(handler, "__func__", None) is LoadGuard._take_signal
            # A handler that somebody else has set is left alone.
            self._uses_signal = handler is signal.SIG_DFL or is_guard
        if self._uses_signal:
            self._previous = signal.signal(signal.SIGALRM, self._take_signal)
        self._watching.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._sending:
            self._stopped.set()
        if self._uses_signal:
            # A signal that came after this would end the process.
            signal.signal(signal.SIGALRM, self._previous)
        self._watching.join(_REPORTED_WITHIN_SECONDS)

    def run(self, who: str, work: Callable[[], T]) -> T:
        """Run a plugin's code.

        Args:
            who: Whose code it is, for the report.
            work: Calls the code.

        Raises:
            PluginTimeoutError: It took longer than the limit and could be interrupted.
            PluginExitError: It raised something that is no `Exception`; an interrupt by a person passes.
            Exception: It raised one.
        """
        start = time.monotonic()
        around: LoadGuard | None = getattr(_RUNNING, "guard", None)
        paused = around and around._watched
        if around is not None:
            around._watched = None
        _RUNNING.guard = self
        self._watched = (who, start)
        try:
            return work()
        except (Exception, KeyboardInterrupt):
            raise
        except _InterruptionError as error:
            raise PluginTimeoutError(f"interrupted after {self.limit_seconds:g} s") from error
        except BaseException as error:
            raise PluginExitError(error_text(error)) from error
        finally:
            # From here on a signal that comes too late is ignored.
            self._watched = None
            self.seconds = time.monotonic() - start
            _RUNNING.guard = around
            if around is not None and paused:
                around._watched = (paused[0], paused[1] + self.seconds)

    def _watch(self) -> None:
        reported: tuple[tuple[str, float] | None, float] = None, 0.0
        while not self._stopped.wait(_POLL_SECONDS):
            watched, now = self._watched, time.monotonic()
            if watched is None or now - watched[1] < self.limit_seconds:
                continue
            if watched is reported[0] and (not self._uses_signal or now - reported[1] < _REPEAT_SECONDS):
                continue
            reported = watched, now
            with self._sending:
                if self._uses_signal and not self._stopped.is_set():
                    signal.pthread_kill(self._thread_id, signal.SIGALRM)
            # Only then, as the code may hold a lock of logging.
            what_follows = "is being interrupted" if self._uses_signal else "cannot be interrupted here"
            _LOG.error("%s has been loading for %.1f s; it %s", watched[0], now - watched[1], what_follows)

    def _take_signal(self, number: int, frame: FrameType | None) -> None:
        watched = self._watched
        # The signal may be late, and meant for code that has ended since.
        if watched is not None and time.monotonic() - watched[1] >= self.limit_seconds:
            raise _InterruptionError
        if callable(self._previous):
            self._previous(number, frame)  # the guard around this one may be waiting for it


def load_target(point: EntryPoint) -> Any:
    """Import what an entry point names.

    Args:
        point: The entry point.

    Raises:
        ImportError: It names no `module:attribute`.
        Exception: Whatever its module raises.
    """
    if EntryPoint.pattern.match(point.value) is None:
        raise ImportError(f"{point.value!r} is no path; write 'module:attribute'")
    return point.load()


def error_text(error: BaseException) -> str:
    """Return an error's class and text for people; a plugin's error may not be able to tell its text."""
    if isinstance(error, PluginExitError):
        # Its text is that of what the plugin raised.
        return str(error)
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the error has to be reported whatever its text does
        text = "its text cannot be shown"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
