"""A process that converts one PDF after the other, and is replaced when it had to be killed."""

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO


class ConversionFailure(Exception):  # noqa: N818 - an answer of the process, told and not raised to callers
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
    """One converting process at a time; replaced after it was killed or has died."""

    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    complaints: IO[bytes] | None = None
    buffer: bytearray = field(default_factory=bytearray)

    def convert(self, path: Path, timeout: float) -> None:
        """Convert a PDF.

        Raises:
            ConversionFailure: It cannot be converted.
        """
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(str(path)).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        answer = json.loads(self._read_line(time.monotonic() + timeout, timeout))
        if answer is not None:
            raise ConversionFailure(answer["error_class"], answer["message"])

    def stop(self) -> None:
        """Kill the process and everything it started."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.complaints):
            if stream is not None:
                # The process may have been killed with a request still in the pipe.
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self.process = None
        self.buffer.clear()

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            self.complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.complaints,
                start_new_session=True,
            )
        return self.process

    def _read_line(self, deadline: float, timeout: float) -> bytes:
        assert self.process is not None
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        while b"\n" not in self.buffer:
            readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                self.stop()
                raise ConversionFailure(
                    "ConversionTimeout", f"not converted within {timeout:g} s; its process was killed"
                )
            part = os.read(descriptor, 65536)
            if not part:
                raise self._died()
            self.buffer += part
        line, _, rest = bytes(self.buffer).partition(b"\n")
        self.buffer[:] = rest
        return line

    def _died(self) -> ConversionFailure:
        assert self.process is not None
        assert self.complaints is not None
        code = self.process.wait()
        self.complaints.seek(0)
        said = self.complaints.read()[-500:].decode(errors="replace").strip()
        self.stop()
        ended = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return ConversionFailure(
            "ConversionCrash", f"the converting process ended {ended}" + (f": {said}" if said else "")
        )


@contextmanager
def running_converter(command: Sequence[str]) -> Iterator[Converter]:
    """Give a converter whose process is gone afterwards.

    Args:
        command: The converting process and its arguments.
    """
    converter = Converter(command)
    try:
        yield converter
    finally:
        converter.stop()
