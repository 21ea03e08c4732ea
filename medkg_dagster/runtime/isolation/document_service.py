"""Serving one process that works on documents: what it is asked for, what comes of it, and what breaks it."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from medkg_dagster.errors import IsolatedStageError, StageLimitError
from medkg_dagster.runtime.isolation.document_process import DocumentProcess
from medkg_dagster.runtime.isolation.document_queue import DocumentQueue, Unit, units
from medkg_dagster.runtime.isolation.document_worker import limit_fault
from medkg_dagster.runtime.isolation.invoke_isolated import child_error, remember_secrets
from medkg_dagster.runtime.isolation.messages import (
    Failed,
    PartPlace,
    PlacedDocument,
    Work,
    Worked,
    encode_frame,
)
from medkg_dagster.runtime.isolation.stage_process import StageProcess
from medkg_dagster.runtime.state.shards import EncodedPart, StoredPart
from medkg_dagster.stage_api import DocumentPart, StageContext, SubprocessIsolation
from medkg_dagster.stage_api._document_loop import DocumentOutcome, DocumentTask, DocumentWork
from medkg_dagster.stage_api._documents import EmptyPart

AT_ONCE_SECONDS = 0.1
"""For how much work a process is asked at once, and for as much again before it is done with that."""
_MOST_AT_ONCE = 64

Done = list[tuple[DocumentTask, DocumentOutcome]] | BaseException | logging.LogRecord | None
"""What came of documents; what ends the work on all of them; a line of the log; that a thread is done."""


@dataclass(slots=True, eq=False)
class DocumentService:
    """A process at the documents of one stage.

    Attributes:
        process: The process.
        work: The work of the stage.
        ctx: The step's surroundings for the thread that serves.
        limits: What the work on one document may take.
        waiting: What nobody works on yet.
        share: How many processes work on that.
        put: Takes what came of documents.
        is_stopped: Whether nobody waits for that any more.
        asked: What the process was asked for and has not reported.
    """

    process: DocumentProcess
    work: DocumentWork
    ctx: StageContext
    limits: SubprocessIsolation
    waiting: DocumentQueue
    share: int
    put: Callable[[Done], None]
    is_stopped: Callable[[], bool]
    asked: deque[Unit] = field(default_factory=deque)
    _begun: int = 0
    _at_once: int = 1
    _heard: float = 0.0

    def serve(self, opening: Sequence[bytes]) -> bool:
        """Give the process documents until none are left, or one of them breaks it.

        Args:
            opening: The frames that tell it the stage.

        Returns:
            Whether it is as good as before.

        Raises:
            Exception: What ends the work on all documents.
        """
        talk = StageProcess(self.work.metadata.stage_type, self.ctx, self.limits)
        frames = list(opening)
        try:
            while self._ask(frames):
                talk.give(self.limits.timeout_seconds)
                if not self._is_served(talk, frames):
                    return False
                frames.clear()
        finally:
            # What the process did not come to is another one's.
            self.waiting.give_back(self.asked)
        return True

    def _ask(self, frames: list[bytes]) -> bool:
        """Ask for some documents before those that were asked for are done; False where nothing is left."""
        if len(self.asked) <= self._at_once:
            # The fewer are left the less is asked for at once, so that all processes are done at a time.
            fair = len(self.waiting) // (2 * self.share)
            some = self.waiting.take(max(min(self._at_once, fair), not self.asked))
            self.asked.extend(some)
            self.process.is_spent |= any(unit.is_apart for unit in some)
            if some:
                placed = tuple(tuple(map(_placed, unit.tasks)) for unit in some)
                frames.append(encode_frame(Work(units=placed)))
        return bool(self.asked)

    def _is_served(self, talk: StageProcess, frames: Sequence[bytes]) -> bool:
        """Take what the process comes to next; False where it is to be given nothing more."""
        broken: IsolatedStageError | StageLimitError | None = None
        try:
            talk.talk(self.process.child, frames, until=lambda: bool(talk.worked) or self.is_stopped())
        except StageLimitError as error:
            broken = error
        if self.is_stopped():
            return False
        if talk.worked:
            is_whole = True
            for worked, content in talk.take_worked():
                is_whole &= self._take(worked, content)
            return is_whole
        at = self._culprit()
        if isinstance(talk.end, Failed) and not (
            talk.is_ready and talk.end.error.is_out_of_memory and len(self.asked[at].tasks) > 1
        ):
            raise child_error(self.work.metadata.stage_type, talk.end.error, self.limits)
        ended = broken or talk.ended(self.process.child)
        if talk.is_ready:
            self._set_aside(at, ended)
        elif not self.process.is_used:
            raise ended
        # Else it has ended since it was left, or for what is left in it: a new one will tell.
        return False

    def _culprit(self) -> int:
        """Return which of the units the process is at."""
        self._begun += self.process.begun()
        return min(max(self._begun - 1, 0), len(self.asked) - 1)

    def _set_aside(self, at: int, error: Exception) -> None:
        """Find out which document of a unit it was; of one alone it is known."""
        asked = list(self.asked)
        culprit = asked.pop(at)
        self.asked = deque(asked)
        if len(culprit.tasks) > 1:
            self.waiting.give_back(units(culprit.tasks, 1, is_apart=True))
            return
        (task,) = culprit.tasks
        fault = limit_fault(self.ctx.stage, task.document_id, str(error))
        self.put([(task, DocumentOutcome(fault=fault, is_remembered=False))])

    def _take(self, worked: Worked, content: bytes) -> bool:
        """Hand on what came of documents; False where the process ends after them."""
        remember_secrets(worked.revealed)
        tasks: list[DocumentTask] = []
        number = 0
        while len(tasks) < len(worked.documents):
            tasks += self.asked.popleft().tasks
            number += 1
        self._begun += self.process.begun() - number
        self._learn_pace(number)
        types = self.work.metadata.state_types
        done: list[tuple[DocumentTask, DocumentOutcome]] = []
        offset = 0
        for task, document in zip(tasks, worked.documents, strict=True):
            parts: dict[str, DocumentPart] = {}
            for key, part in document.parts.items():
                if part.passed is not None:
                    passed = task.parts[part.passed]
                    assert passed is not None
                    parts[key] = passed
                    continue
                piece = content[offset : offset + part.length]
                offset += part.length
                about = (part.document_id, part.version, part.header)
                parts[key] = EncodedPart(*about, key, types[key], piece)
            done.append((task, document.outcome(parts)))
        self.put(done)
        self.process.is_spent |= worked.has_grown
        return not any(one.broke_a_limit for one in worked.documents)

    def _learn_pace(self, number: int) -> None:
        now = time.monotonic()
        if self._heard:
            pace = (now - self._heard) / number
            self._at_once = max(1, min(_MOST_AT_ONCE, int(AT_ONCE_SECONDS / max(pace, 1e-6))))
        self._heard = now


def _placed(task: DocumentTask) -> PlacedDocument:
    """Return a document with the places of its parts."""
    places: dict[str, PartPlace | None] = {}
    for name, part in task.parts.items():
        if isinstance(part, StoredPart):
            places[name] = PartPlace(
                document_id=part.document_id,
                path=str(part.shard.path),
                offset=part.offset,
                length=part.length,
            )
        elif isinstance(part, EmptyPart):
            places[name] = PartPlace(document_id="", path="", offset=0, length=0)
        elif part is None:
            places[name] = None
    return task.document_id, places
