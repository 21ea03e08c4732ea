"""A process that converts one PDF after the other, and is replaced when it had to be killed."""

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from medkg_dagster.errors import StoreError
from medkg_dagster.io.child_process import ChildProcess, describe_end

_MORE_CPU_SECONDS = 5


class ConversionFailure(Exception):  # noqa: N818 - an answer of the process, reported and not raised to callers
    """Why a PDF was not converted.

    Attributes:
        error_class: The class of the error.
        message: What was wrong.
    """

    def __init__(self, error_class: str, message: str) -> None:
        self.error_class = error_class
        self.message = message
        super().__init__(f"{error_class}: {message}")


@dataclass(slots=True)
class Converter:
    """One converting process at a time, gone when the context is left; replaced where it was killed or died.

    Attributes:
        command: The converting process and its arguments.
    """

    command: Sequence[str]
    _process: ChildProcess | None = None
    _complaints: IO[bytes] = field(default_factory=tempfile.TemporaryFile)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop()
        self._complaints.close()

    def convert(self, path: Path, timeout: float) -> None:
        """Convert a PDF.

        Args:
            path: The file.
            timeout: The longest time, in seconds; as much processor time on each core, and a little more.

        Raises:
            ConversionFailure: It cannot be converted.
            StoreError: It may be another time: a disk is full, for example.
        """
        if self._process is None:
            self._complaints.seek(0)
            self._complaints.truncate()
            self._process = ChildProcess(self.command, stdin=subprocess.PIPE, stderr=self._complaints)
        assert self._process.stdin is not None
        cpu_seconds = timeout * (os.cpu_count() or 1) + _MORE_CPU_SECONDS
        try:
            self._process.stdin.write(json.dumps([str(path), cpu_seconds]).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died(self._process) from None
        answer = json.loads(self._read_line(self._process, timeout))
        if answer is not None and answer["may_pass"]:
            raise StoreError(
                f"{path.name} is not converted yet: {answer['error_class']}: {answer['message']}"
            )
        if answer is not None:
            raise ConversionFailure(answer["error_class"], answer["message"])

    def _stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _read_line(self, process: ChildProcess, timeout: float) -> bytes:
        assert process.stdout is not None
        deadline = time.monotonic() + timeout
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                self._stop()
                raise ConversionFailure(
                    "ConversionTimeout", f"not converted within {timeout:g} s; its process was killed"
                )
            part = os.read(process.stdout.fileno(), 65536)
            if not part:
                raise self._died(process)
            line += part
        return line

    def _died(self, process: ChildProcess) -> ConversionFailure:
        code = process.wait()
        self._complaints.seek(0)
        said = self._complaints.read()[-500:].decode(errors="replace").strip()
        self._stop()
        if code == -signal.SIGXCPU:
            return ConversionFailure("ConversionTimeout", "it used up the processor time that it may take")
        return ConversionFailure(
            "ConversionCrash",
            f"the converting process ended {describe_end(code)}" + (f": {said}" if said else ""),
        )
