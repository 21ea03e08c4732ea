"""The exit code of a command is the command's own, whatever else ends the process."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

PATIENCE_SECONDS = 10.0
"""How long a process may take to end once its command has come to its end."""

_NOT_ENDED = 1


def run_to_its_end(command: Callable[[], Any]) -> NoReturn:
    """Run a command as the last thing that the process does.

    Code of a plugin may end the process with exit code 0 and no word, before the command has come to its end
    or, by `atexit`, after that. From here on `os._exit` gives the code that the command has come to, which is
    1 until it has come to any. Where what it left to `atexit` comes to no end, the process ends without it
    after `PATIENCE_SECONDS`, and says so.

    Args:
        command: Raises `SystemExit`, as commands of click do.

    Raises:
        SystemExit: Always.
    """
    code: int | str | None = _NOT_ENDED
    end, process = os._exit, os.getpid()

    def end_as_told(status: int) -> NoReturn:
        if os.getpid() != process:  # a child that was forked
            end(status)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        end(status or (code if isinstance(code, int) else 0 if code is None else _NOT_ENDED))

    os._exit = end_as_told
    try:
        command()
    except SystemExit as ended:
        code = ended.code
    ending = threading.Event()
    # A daemon still runs while `atexit` waits for what was registered there; a thread cannot be started then.
    threading.Thread(target=_end_late, args=(ending, end_as_told, PATIENCE_SECONDS), daemon=True).start()
    atexit.register(ending.set)
    raise SystemExit(code)


def _end_late(ending: threading.Event, end: Callable[[int], NoReturn], patience: float) -> None:
    ending.wait()
    threading.Event().wait(patience)
    what = f"{_at_work()} keeps the process from ending"
    print(f"medkg: {what}, {patience:g} s after its command has; it ends without", file=sys.stderr)
    end(0)


def _at_work() -> str:
    """Return the place of the code that the main thread was called with, and has not come back from."""
    frame: FrameType | None = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "what a plugin registered with atexit"
