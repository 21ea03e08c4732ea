"""The child process of an isolated stage: starting it, serving it, and seeing that it is gone."""

import contextlib
import logging
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import IO

from medkg_dagster.errors import IsolatedStageError, StageLimitError
from medkg_dagster.io.child_process import TOOK_TOO_MUCH_MEMORY, ChildProcess, describe_end
from medkg_dagster.runtime.isolation.channel import answer
from medkg_dagster.runtime.isolation.messages import (
    Call,
    Failed,
    Finished,
    FrameBuffer,
    LogRecord,
    Message,
    Progress,
    Ready,
    StateValue,
    Worked,
    encode_frame,
)
from medkg_dagster.stage_api import StageContext, SubprocessIsolation
from medkg_dagster.stage_api._redaction import redact

CHILD = "medkg_dagster.runtime.isolation.child"
"""The module of the child process of one execution of a stage."""
LONGEST_LINE = 2_000
SHOWN_LINES = 1_000
TAIL_BYTES = 2_000
FRAME_BYTES = 1 << 20
"""What a message may have beyond the value it is about: a log line, a traceback, a table."""

_RECEIVED_BYTES = 1 << 18
_TICK_SECONDS = 0.5  # a channel that a process of the stage holds open never closes: its end is polled
_GRACE_SECONDS = 1.0
_EXIT_SECONDS = 10.0  # a busy machine takes its time to say how a process ended
_DRAINED_BYTES = 1 << 20
_INTERPRETER_BYTES = 256 << 20  # what the child takes before the stage, which memory_mb does not count
_CRASH = re.compile(
    r"(Fatal Python error: [^\n]*)(?:.*?\(most recent call first\):\n\s*(File [^\n]*))?", re.DOTALL
)
"""What `faulthandler` writes: what the crash was, and the innermost call."""
_MODULES = "Extension modules: "  # the end of what it writes, long and of no use


class StageProcess:
    """The child process of one stage; everything happens in the thread that calls.

    Args:
        stage_type: The stage type, for messages.
        ctx: The context of the step: its log, its ledger job, its pace of calls.
        limits: How much memory and time the stage may take; its time begins now.

    Attributes:
        values: The bytes of the values that the stage wrote.
        is_ready: Whether it is ready for documents.
        worked: What came of documents, not yet taken.
        end: The last that the child said; None before.
    """

    def __init__(self, stage_type: str, ctx: StageContext, limits: SubprocessIsolation) -> None:
        self.values: dict[str, bytes] = {}
        self.is_ready = False
        self.worked: list[tuple[Worked, bytes]] = []
        self._stage_type = stage_type
        self._ctx = ctx
        self._limits = limits
        self._deadline = time.monotonic() + limits.timeout_seconds
        self._sending: deque[memoryview] = deque()
        self.end: Finished | Failed | None = None

    def run(self, opening: Iterable[bytes]) -> Finished | Failed:
        """Start the process, talk to it until it has ended, and see that it has.

        Raises:
            StageLimitError: It took too long.
            IsolatedStageError: The process ended before it said anything, or said what is no message.
        """
        with contextlib.closing(RunningChild.start(CHILD, self._ctx.log, self._limits)) as child:
            self.talk(child, opening, until=lambda: False)
            if self.end is None:
                raise self.ended(child)
        return self.end

    def talk(self, child: "RunningChild", frames: Iterable[bytes], *, until: Callable[[], bool]) -> None:
        """Send frames and serve the child until something is so, or it closes the channel or has ended.

        Raises:
            StageLimitError: It took too long.
            IsolatedStageError: It said what is no message.
        """
        self._sending.extend(map(memoryview, frames))
        process, channel, outputs = child.process, child.channel, child.outputs
        with selectors.DefaultSelector() as selector:
            for output in outputs:
                if not output.is_at_end:
                    selector.register(output.stream, selectors.EVENT_READ, output)
            selector.register(channel, selectors.EVENT_READ)
            while not until() and self._has_time():
                wants = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._sending else 0)
                selector.modify(channel, wants)
                ready = selector.select(min(_TICK_SECONDS, max(0.0, self._deadline - time.monotonic())))
                if not ready and process.poll() is not None:
                    return
                for key, events in ready:
                    if isinstance(key.data, _Output):
                        if not key.data.read():
                            key.data.is_at_end = True
                            selector.unregister(key.fileobj)
                    elif not self._exchange(child, events):
                        return

    def _has_time(self) -> bool:
        if time.monotonic() < self._deadline:
            return True
        if self.end is None:
            raise StageLimitError(
                f"stage type {self._stage_type!r} was not done within {self._limits.timeout_seconds:g} s and "
                "its process was killed; raise timeout_seconds of its isolation, or give it less to do"
            )
        return False

    def _exchange(self, child: "RunningChild", events: int) -> bool:
        """Send and receive what can be; False where the other side has closed the channel."""
        channel = child.channel
        try:
            if events & selectors.EVENT_WRITE:
                sent = channel.send(self._sending[0])
                self._sending[0] = self._sending[0][sent:]
                if not self._sending[0]:
                    self._sending.popleft()
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            # It has ended, but what it said before is still to be read.
            self._sending.clear()
        try:
            data = channel.recv(_RECEIVED_BYTES)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        for message, content in child.frames.feed(data):
            self._take(message, content)
        return bool(data)

    def _take(self, message: Message, content: bytes) -> None:
        match message:
            case LogRecord():
                self._ctx.log.log(message.level, "%s", message.message)
            case Progress():
                self._ctx.report_progress(message.done, message.total, message.unit)
            case Call():
                self._sending.append(memoryview(encode_frame(answer(self._ctx, message))))
            case StateValue():
                self.values[message.key] = content
            case Ready():
                self.is_ready = True
            case Worked():
                self.worked.append((message, content))
            case Finished() | Failed():
                self.end = message
                # What is left is the end of the interpreter, and threads that the stage forgot.
                self._deadline = time.monotonic() + _GRACE_SECONDS
            case _:
                raise IsolatedStageError(f"the child process sent a message of kind {message.kind!r}")

    def take_worked(self) -> list[tuple[Worked, bytes]]:
        """Take what came of documents."""
        worked, self.worked = self.worked, []
        return worked

    def give(self, seconds: float) -> None:
        """Give the child so many seconds from now on."""
        self._deadline = time.monotonic() + seconds

    def _exit_code(self, process: ChildProcess) -> int | None:
        try:
            return process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return None

    def ended(self, child: "RunningChild") -> IsolatedStageError:
        """Return the error of a process that ended, or closed the channel, before it answered."""
        code = self._exit_code(child.process)
        for output in child.outputs:
            output.read_rest()
        said = "\n".join(filter(None, (output.tail for output in reversed(child.outputs))))
        who = f"the child process of stage type {self._stage_type!r}"
        last = _last_words(said)
        if code is None:
            return IsolatedStageError(
                f"{who} closed its connection; a stage must leave descriptors alone that it did not open",
                details=said,
            )
        if code == -signal.SIGXCPU:
            return StageLimitError(f"{who} used up its processor time; raise timeout_seconds", details=said)
        if code == TOOK_TOO_MUCH_MEMORY:
            return StageLimitError(
                f"{who} and what it started took more together than the {self._limits.memory_mb} MB that "
                "memory_mb of its isolation allows; start fewer processes, or raise memory_mb",
                details=said,
            )
        if code >= 0:
            return IsolatedStageError(
                f"{who} ended with exit code {code} before the stage was done; let the stage raise an error "
                f"instead, or raise memory_mb of its isolation where {self._limits.memory_mb} MB are too "
                f"little{_quoted(last)}",
                details=said,
            )
        return IsolatedStageError(
            f"{who} was ended {describe_end(code)}; a library crashed, or memory ran out: the limit is "
            f"{self._limits.memory_mb} MB (memory_mb of its isolation){_quoted(last)}",
            details=said,
        )


@dataclass(frozen=True, slots=True, eq=False)
class RunningChild:
    """A running child.

    Attributes:
        process: The process.
        channel: This side of the channel to it.
        outputs: What it prints.
        frames: What came through the channel and is no whole message yet.
    """

    process: ChildProcess
    channel: socket.socket
    outputs: tuple["_Output", ...]
    frames: FrameBuffer

    @classmethod
    def start(
        cls, module: str, log: logging.Logger, limits: SubprocessIsolation, inherited: Sequence[int] = ()
    ) -> "RunningChild":
        """Start a process; it and all that it starts are gone when it is closed.

        Args:
            module: What it runs; its arguments are the descriptors of the channel and of what it inherits.
            log: Where what it prints goes.
            limits: How much memory it may take: nothing that it sends can be larger.
            inherited: Descriptors that it gets.
        """
        mine, theirs = socket.socketpair()
        mine.setblocking(False)
        with theirs:
            descriptors = (theirs.fileno(), *inherited)
            command = [sys.executable, "-m", module, *map(str, descriptors)]
            family_memory = (limits.memory_mb << 20) + _INTERPRETER_BYTES
            process = ChildProcess(command, inherited=descriptors, family_memory=family_memory)
        assert process.stdout is not None
        assert process.stderr is not None
        outputs = (
            _Output(process.stdout, log, logging.INFO),
            _Output(process.stderr, log, logging.WARNING),
        )
        return cls(process, mine, outputs, FrameBuffer(limits.memory_mb * (1 << 20) + FRAME_BYTES))

    def log_to(self, log: logging.Logger) -> None:
        """Have what it prints from now on go elsewhere."""
        for output in self.outputs:
            output.log_to(log)

    def close(self) -> None:
        """End it and all that it started."""
        self.process.kill()
        for output in self.outputs:
            output.drain()
        self.channel.close()


class _Output:
    """What a child process prints, forwarded line by line.

    Attributes:
        stream: The pipe.
        tail: The end of it.
        is_at_end: Whether nothing more comes.
    """

    def __init__(self, stream: IO[bytes], log: logging.Logger, level: int) -> None:
        self.stream = stream
        self._level = level
        self._rest = b""
        self.is_at_end = False
        self.log_to(log)

    def log_to(self, log: logging.Logger) -> None:
        """Have what is printed from now on go to a log, as if nothing had been printed before."""
        self.tail = ""
        self._log = log
        self._lines = 0

    def read(self) -> int:
        """Forward what is there; return how many bytes that were, 0 at the end."""
        data = os.read(self.stream.fileno(), _RECEIVED_BYTES)
        *lines, self._rest = (self._rest + data).splitlines(keepends=True) or [b""]
        if self._rest.endswith((b"\n", b"\r")) or len(self._rest) > LONGEST_LINE or not data:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._forward(line.decode(errors="replace").rstrip())
        return len(data)

    def drain(self) -> None:
        """Forward what is left in the pipe and close it."""
        self.read_rest()
        self.stream.close()

    def read_rest(self) -> None:
        """Forward what is left in the pipe."""
        os.set_blocking(self.stream.fileno(), False)
        drained = 0
        # A process that left the group may go on printing, or hold the pipe open.
        with contextlib.suppress(BlockingIOError):
            while drained < _DRAINED_BYTES and (count := self.read()):
                drained += count

    def _forward(self, line: str) -> None:
        if not line:
            return
        line = redact(line)
        if not line.startswith(_MODULES):
            self.tail = f"{self.tail}\n{line}"[-TAIL_BYTES:]
        self._lines += 1
        if self._lines <= SHOWN_LINES:
            shown = line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} ..."
            self._log.log(self._level, "%s", shown)
        elif self._lines == SHOWN_LINES + 1:
            self._log.warning("the stage prints more than %d lines; the others are not shown", SHOWN_LINES)


def _last_words(said: str) -> str:
    """Return what a process wrote last; of a crash that Python describes, what it was and where."""
    if crash := _CRASH.search(said):
        return " in ".join(filter(None, crash.groups()))
    return said.strip().rpartition("\n")[2]


def _quoted(line: str) -> str:
    return f"; it wrote last: {line[-300:]}" if line else ""
