"""What the code of a plugin finds in the process while it loads, and must leave as it was."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGCHLD)
_OURS = ("MEDKG_", "DAGSTER_")
"""Variables that are no business of a plugin even where they were not set."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the process is like before plugins are loaded into it."""

    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    encoded: dict[Any, Any] = field(default_factory=lambda: dict(_encoded_environment()))
    path: list[str] = field(default_factory=lambda: list(sys.path))
    shared: dict[str, Any] = field(
        default_factory=lambda: {name: read() for name, (read, _) in _SHARED.items()}
    )


@contextmanager
def kept_surroundings(before: Surroundings, tell: Callable[[str], None]) -> Iterator[None]:
    """Undo what a plugin's code does to the process while it loads, so that it harms nobody else.

    A thread that it leaves running becomes a daemon, or it would keep every process that loads the plugin
    from ending. `os._exit` raises `SystemExit`: a process that ends without a word looks like success. What
    is done in C, or later, is not noticed.

    Args:
        before: What is put back.
        tell: Called with a sentence about each thing that was undone.
    """
    started: list[threading.Thread] = []
    loading: int | None = threading.get_ident()
    process = os.getpid()
    start, end = threading.Thread.start, os._exit

    def start_as_daemon(thread: threading.Thread) -> None:
        if threading.get_ident() == loading and thread.ident is None and not thread.daemon:
            thread.daemon = True
            started.append(thread)
        start(thread)

    def fail_to_end(status: int) -> NoReturn:
        if loading is None or os.getpid() != process:
            end(status)
        if threading.get_ident() == loading:
            raise SystemExit(f"os._exit({status})")
        end(status or 1)

    try:
        with _replaced(threading.Thread, "start", start_as_daemon), _replaced(os, "_exit", fail_to_end):
            yield
    finally:
        loading = None  # who has taken hold of what was put in the place of the two is not affected later
        changed = [*_changed_variables(before), *_missing_entries(before.path)]
        for name, (read, put_back) in _SHARED.items():
            if read() != before.shared[name]:
                put_back(before.shared[name])
                changed.append(name)
        for name in changed:
            tell(f"changes the {name} of the whole process while it loads; that was put back")
        for thread in filter(threading.Thread.is_alive, started):
            # Otherwise a pool waits for its threads when the process ends, daemons or not.
            getattr(sys.modules.get("concurrent.futures.thread"), "_threads_queues", {}).pop(thread, None)
            tell(f"leaves the thread {thread.name!r} running, which no command waits for when it ends")


def _encoded_environment() -> Mapping[Any, Any]:
    # To decode every variable after each plugin would cost more than all else here.
    return getattr(os.environ, "_data", os.environ)


def _changed_variables(surroundings: Surroundings) -> Iterator[str]:
    # A variable that is new stays, as libraries set defaults of their own.
    if _encoded_environment() == surroundings.encoded:
        return
    before, now = surroundings.environment, dict(os.environ)
    names = {*before, *(name for name in now if name.startswith(_OURS))}
    changed = sorted(name for name in names if now.get(name) != before.get(name))
    for name in changed:
        os.environ.pop(name, None)
        os.environ.update({name: before[name]} if name in before else {})
    surroundings.encoded.clear()
    surroundings.encoded.update(_encoded_environment())
    if changed:
        yield f"environment ({', '.join(changed)})"


def _missing_entries(before: list[str]) -> Iterator[str]:
    missing = [entry for entry in before if entry not in sys.path]
    if missing:
        sys.path[:] = [*before, *(entry for entry in sys.path if entry not in before)]
        yield "import path"


def _working_directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - it is put back as it was
    except FileNotFoundError:
        return ""


def _change_directory(folder: str) -> None:
    with contextlib.suppress(OSError):  # it may be gone
        os.chdir(folder)


def _set_exit(function: Any) -> None:
    sys.exit = function


def _file_mode_mask() -> int:
    mask = os.umask(
        0o077
    )  # it is read by being set; a file that another thread makes meanwhile is no less private
    os.umask(mask)
    return mask


# What has not been imported is as Python sets it, and `medkg` starts without it.
def _socket_timeout() -> float | None:
    socket = sys.modules.get("socket")
    return None if socket is None else socket.getdefaulttimeout()


def _set_socket_timeout(seconds: float | None) -> None:
    sys.modules["socket"].setdefaulttimeout(seconds)


def _handle_signals(handlers: tuple[Any, ...]) -> None:
    for number, handler in zip(_SIGNALS, handlers, strict=True):
        signal.signal(number, handler)


def _set_streams(streams: tuple[Any, ...]) -> None:
    sys.stdin, sys.stdout, sys.stderr = streams


_SHARED: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "working directory": (_working_directory, _change_directory),
    "recursion limit": (sys.getrecursionlimit, sys.setrecursionlimit),
    "file mode mask (umask)": (_file_mode_mask, os.umask),
    "timeout of sockets": (_socket_timeout, _set_socket_timeout),
    "function sys.exit": (lambda: sys.exit, _set_exit),
    "signal handlers": (lambda: tuple(map(signal.getsignal, _SIGNALS)), _handle_signals),
    "standard streams": (lambda: (sys.stdin, sys.stdout, sys.stderr), _set_streams),
}
"""State that everything in the process shares: how it is read, and how it is put back."""


@contextmanager
def _replaced(holder: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(holder, name)
    setattr(holder, name, value)
    try:
        yield
    finally:
        setattr(holder, name, before)
