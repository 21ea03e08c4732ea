"""Interrupts wait while what must be whole is begun or ended."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class HeldInterrupts:
    """Holds SIGINT and SIGTERM back while it is entered, and lets them come when it is left.

    What they raise comes between any two instructions of the main thread, also between a BEGIN and what
    would roll it back. The traceback then keeps the connection and its lock, and whoever handles the
    interrupt waits for himself. In other threads nothing is raised, and nothing held.
    """

    def __init__(self) -> None:
        self._handlers: dict[signal.Signals, Any] = {}
        self._received: list[int] = []

    def __enter__(self) -> Self:
        self._hold()
        return self

    def __exit__(self, *_error: object) -> None:
        self._release()

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """Let interrupts come, those that were held back first."""
        try:
            self._release()
            yield
        finally:
            self._hold()

    def _hold(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        try:
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if handler is not None:  # one that is not Python's cannot be put back
                    self._handlers[number] = handler
                    signal.signal(number, self._take)
        except BaseException:
            self._restore()
            raise

    def _release(self) -> None:
        self._restore()
        received, self._received = self._received, []
        if received:
            signal.raise_signal(received[0])

    def _restore(self) -> None:
        while self._handlers:
            signal.signal(*self._handlers.popitem())

    def _take(self, number: int, _frame: FrameType | None) -> None:
        self._received.append(number)
