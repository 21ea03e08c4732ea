"""The child process's side of the channel to the step that started it."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue

from medkg_dagster.errors import IsolatedStageError
from medkg_dagster.runtime.isolation.messages import (
    Answer,
    Call,
    FrameBuffer,
    Input,
    LogRecord,
    Message,
    Progress,
    Start,
    encode_frame,
    known_error,
)
from medkg_dagster.stage_api._redaction import redact

_RECEIVED_BYTES = 1 << 18
_PROGRESS_SECONDS = 0.2


class Channel:
    """The socket to the step; many threads may send and call at once.

    Args:
        connection: The socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._frames = FrameBuffer()
        self._sending = threading.Lock()
        self._numbers = itertools.count()
        self._waiting: dict[int, SimpleQueue[Answer]] = {}
        # Processes that a stage starts must not speak for it, nor keep the socket open when it is gone.
        connection.set_inheritable(False)
        os.register_at_fork(after_in_child=connection.close)

    def receive_stage(self) -> tuple[Start, dict[str, bytes]]:
        """Receive what to run, and the inputs' bytes."""
        messages = self._messages()
        start, _ = next(messages)
        assert isinstance(start, Start)
        contents: dict[str, bytes] = {}
        while len(contents) < len(start.inputs):
            message, content = next(messages)
            assert isinstance(message, Input)
            contents[message.key] = content
        return start, contents

    def listen(self) -> None:
        """Receive answers from now on, in a thread."""
        threading.Thread(target=self._listen, name="medkg-step", daemon=True).start()

    def send(self, message: Message, content: bytes = b"") -> None:
        """Send one message."""
        frame = encode_frame(message, content)
        with self._sending:
            self._connection.sendall(frame)

    def exchange(self, method: str, arguments: str) -> str:
        """Let the step carry out a call; see `RemoteJobRecord`."""
        number, answers = next(self._numbers), SimpleQueue[Answer]()
        self._waiting[number] = answers
        self.send(Call(number=number, method=method, arguments=arguments))
        answer = answers.get()
        if answer.error is not None:
            raise known_error(answer.error) or IsolatedStageError(answer.error.message)
        assert answer.result is not None
        return answer.result

    def _listen(self) -> None:
        for message, _ in self._messages():
            if isinstance(message, Answer):
                self._waiting.pop(message.number).put(message)

    def _messages(self) -> Iterator[tuple[Message, bytes]]:
        while True:
            data = b""
            # A connection that is reset has ended too.
            with contextlib.suppress(OSError):
                data = self._connection.recv(_RECEIVED_BYTES)
            if not data:
                # Nobody waits for this process any more; its supervisor ends what it started.
                os._exit(1)
            yield from self._frames.feed(data)


class ProgressSender:
    """Sends progress, a few times per second at most, and always the end."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._next = 0.0

    def __call__(self, done: int, total: int | None, unit: str) -> None:
        """Report `done` of `total` units."""
        now = time.monotonic()
        if now >= self._next or done == total:
            self._next = now + _PROGRESS_SECONDS
            self._channel.send(Progress(done=done, total=total, unit=unit))


class LogSender(logging.Handler):
    """Sends what any logger of the process lets through."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        try:
            self._channel.send(LogRecord(level=record.levelno, message=redact(self.format(record))))
        except Exception:  # noqa: BLE001 - as every handler: a line that cannot be logged ends nothing
            self.handleError(record)
