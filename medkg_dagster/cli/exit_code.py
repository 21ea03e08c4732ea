"""The exit code of a command is the command's own, whatever else ends the process."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

_NOT_ENDED = 1


def run_to_its_end(command: Callable[[], Any]) -> NoReturn:
    """Run a command as the last thing that the process does.

    Code of a plugin may end the process with exit code 0 and no word, before the command has come to its end
    or, by `atexit`, after that. From here on `os._exit` gives the code that the command has come to, which is
    1 until it has come to any.

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
    raise SystemExit(code)
