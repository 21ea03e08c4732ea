"""Work on documents in several processes at once, each document within limits of memory and time."""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from medkg_dagster.errors import IsolatedStageError, StageLimitError
from medkg_dagster.runtime.isolation.document_worker import limit_fault
from medkg_dagster.runtime.isolation.invoke_isolated import child_error, remember_secrets
from medkg_dagster.runtime.isolation.messages import (
    Failed,
    Input,
    MadeDocument,
    PartPlace,
    Start,
    Work,
    encode_frame,
)
from medkg_dagster.runtime.isolation.stage_process import RunningChild, StageProcess
from medkg_dagster.runtime.state.shards import EncodedPart, StoredPart
from medkg_dagster.stage_api import DocumentPart, MemoryPart, StageContext, SubprocessIsolation
from medkg_dagster.stage_api._document_loop import DocumentOutcome, DocumentTask, DocumentWork, InOrder
from medkg_dagster.stage_api._documents import EmptyPart, EndOfFile
from medkg_dagster.stage_api._serialization import dump_value

WORKER = "medkg_dagster.runtime.isolation.document_worker"
WORTH_SECONDS = 2.0
"""Work for which another process is started, which takes a good half second to be ready; seconds."""
TRIED_SECONDS = 0.2
"""How long documents are worked on before it is judged how long the others will take; seconds."""
_ASKED_AHEAD = 2
FEW_DOCUMENTS = 24
"""Up to so many, a stage that has something to prepare, like a model, does so in the step's process."""

_Done = tuple[DocumentTask, DocumentOutcome] | BaseException | logging.LogRecord | None


@dataclass(frozen=True, slots=True, eq=False)
class DocumentWorkers:
    """Works on documents in processes of their own, where that pays or is safer.

    Attributes:
        workers: How many processes at most.
        limits: What the work on one document may take.
        is_demanded: Whether the stage asks for its limits, so that all documents are worked on apart.
        start: Returns the message that a process begins with, given the stage's context and its inputs.
    """

    workers: int
    limits: SubprocessIsolation
    is_demanded: bool
    start: Callable[[StageContext, Sequence[str]], Start]

    def run(
        self, work: DocumentWork, tasks: Sequence[DocumentTask]
    ) -> Iterator[tuple[DocumentTask, DocumentOutcome]]:
        """Yield what comes of each document, in the order in which they are done."""
        if not all(map(_is_stored, tasks)):
            # What an earlier release stored as one unit is in this process alone.
            yield from InOrder().run(work, tasks)
            return
        apart, here = self._divided(work, tasks)
        tried, seconds_left = yield from self._work_here(work, here)
        apart = sorted([*apart, *here[tried:]], key=attrgetter("position"))
        if apart:
            yield from _Pool(self, work, apart).results(seconds_left)

    def _divided(
        self, work: DocumentWork, tasks: Sequence[DocumentTask]
    ) -> tuple[list[DocumentTask], list[DocumentTask]]:
        """Return what is to be worked on apart, and what may be worked on here."""
        prepares = getattr(work.stage, "prepare", None) is not None
        if self.is_demanded or (prepares and self.workers > 1 and len(tasks) > FEW_DOCUMENTS):
            return list(tasks), []
        is_hostile = getattr(work.stage, "is_hostile", None)
        if is_hostile is None:
            return [], list(tasks)
        divided: tuple[list[DocumentTask], list[DocumentTask]] = ([], [])
        for task in tasks:
            divided[not is_hostile(_headers(task))].append(task)
        return divided

    def _work_here(
        self, work: DocumentWork, tasks: Sequence[DocumentTask]
    ) -> Generator[tuple[DocumentTask, DocumentOutcome], None, tuple[int, float]]:
        """Work in this process until others would be done sooner.

        Returns:
            How many documents were worked on, and how many seconds the others would take.
        """
        spent, size, done = 0.0, work.metadata.batch, 0
        while done < len(tasks):
            left = spent / done * (len(tasks) - done) if spent > TRIED_SECONDS else 0.0
            if self.workers > 1 and left > WORTH_SECONDS:
                return done, left
            some = tasks[done : done + size]
            begun = time.monotonic()
            outcomes = work.compute(some)
            spent += time.monotonic() - begun
            done += len(some)
            yield from zip(some, outcomes, strict=True)
        return done, 0.0

    def keep(self, parts: Iterator[DocumentPart | EndOfFile]) -> list[DocumentPart]:
        """Return the parts."""
        return InOrder().keep(parts)


class _Pool:
    """Some processes, each served by a thread; what they come to is handed out by the thread that asks.

    It begins with one; another is started where what is left would take that one long.
    """

    def __init__(self, settings: DocumentWorkers, work: DocumentWork, tasks: Sequence[DocumentTask]) -> None:
        self._settings = settings
        self._work = work
        self._count = len(tasks)
        size = work.metadata.batch
        self._waiting = deque(tasks[start : start + size] for start in range(0, len(tasks), size))
        self._done: queue.SimpleQueue[_Done] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._opening = self._frames(tasks[0])

    def results(self, seconds: float) -> Iterator[tuple[DocumentTask, DocumentOutcome]]:
        """Yield what comes of the documents.

        Args:
            seconds: How long one process would take, as far as that is known.
        """
        try:
            for _ in range(max(1, min(self._settings.workers, int(seconds / WORTH_SECONDS)))):
                self._start()
            yield from self._finished()
        finally:
            self._stopped.set()
            for thread in self._threads:
                thread.join()

    def _start(self) -> None:
        name = f"medkg-documents-{len(self._threads)}"
        self._threads.append(threading.Thread(target=self._serve, name=name, daemon=True))
        self._threads[-1].start()

    def _finished(self) -> Iterator[tuple[DocumentTask, DocumentOutcome]]:
        left, ended, first = self._count, 0, 0.0
        while left or ended < len(self._threads):
            try:
                done = self._done.get(timeout=WORTH_SECONDS if self._may_start else None)
            except queue.Empty:
                self._start()
                continue
            if isinstance(done, BaseException):
                raise done
            if isinstance(done, logging.LogRecord):
                self._work.ctx.log.log(done.levelno, "%s", done.getMessage())
            elif done is None:
                ended += 1
            else:
                left -= 1
                first = first or time.monotonic()
                spent, since = time.monotonic() - first, self._count - left - 1
                is_judged = since > 0 and spent > TRIED_SECONDS
                if is_judged and self._may_start and spent / since * left > WORTH_SECONDS:
                    self._start()
                yield done

    @property
    def _may_start(self) -> bool:
        return len(self._threads) < self._settings.workers and bool(self._waiting)

    def _frames(self, task: DocumentTask) -> list[bytes]:
        start = self._settings.start(self._work.ctx, list(task.parts))
        frames = [encode_frame(start)]
        for name, part in task.parts.items():
            content = b""
            if isinstance(part, MemoryPart):
                content = dump_value(name, part.value, part.value_type)
            frames.append(encode_frame(Input(key=name), content))
        return frames

    def _serve(self) -> None:
        try:
            while self._waiting and not self._stopped.is_set():
                self._serve_process()
        except BaseException as error:  # noqa: BLE001 - the thread that asks raises it
            self._done.put(error)
        finally:
            self._done.put(None)

    def _serve_process(self) -> None:
        """Start a process and give it documents until none are left, or one of them breaks it."""
        limits = self._settings.limits
        process = StageProcess(self._work.metadata.stage_type, self._context(), limits)
        asked: deque[Sequence[DocumentTask]] = deque()
        try:
            with process.started(WORKER) as child:
                frames: list[bytes] = list(self._opening)
                while self._ask(asked, frames):
                    process.give(limits.timeout_seconds)
                    if not self._is_served(process, child, frames, asked):
                        return
                    frames.clear()
        finally:
            # What the process did not come to is another one's.
            self._waiting.extendleft(reversed(asked))

    def _ask(self, asked: deque[Sequence[DocumentTask]], frames: list[bytes]) -> bool:
        """Ask a process for what it is to be at, and what follows, so that it need not wait for this one."""
        while len(asked) < (_ASKED_AHEAD if len(self._waiting) > self._settings.workers else 1):
            try:
                asked.append(self._waiting.popleft())
            except IndexError:
                break
            frames.append(encode_frame(_asked(asked[-1])))
        return bool(asked)

    def _is_served(
        self,
        process: StageProcess,
        child: RunningChild,
        frames: Sequence[bytes],
        asked: deque[Sequence[DocumentTask]],
    ) -> bool:
        """Take what a process comes to next; False where it is to be given nothing more."""
        broken: IsolatedStageError | StageLimitError | None = None
        try:
            process.talk(child, frames, until=lambda: bool(process.worked) or self._stopped.is_set())
        except StageLimitError as error:
            broken = error
        if self._stopped.is_set():
            return False
        some = asked.popleft()
        if process.worked:
            worked, content = process.worked.pop(0)
            remember_secrets(worked.revealed)
            self._take(some, worked.documents, content)
            return all(one.is_remembered for one in worked.documents)
        if isinstance(process.end, Failed) and not (
            process.is_ready and process.end.error.is_out_of_memory and len(some) > 1
        ):
            raise child_error(self._work.metadata.stage_type, process.end.error, self._settings.limits)
        ended = broken or process.ended(child)
        if not process.is_ready:
            raise ended
        self._set_aside(some, ended)
        return False

    def _set_aside(self, some: Sequence[DocumentTask], error: Exception) -> None:
        """Find out which document it was; of one alone it is known."""
        if len(some) > 1:
            self._waiting.extendleft([task] for task in reversed(some))
            return
        fault = limit_fault(self._work.ctx.stage, some[0].document_id, str(error))
        self._done.put((some[0], DocumentOutcome(fault=fault, is_remembered=False)))

    def _take(self, some: Sequence[DocumentTask], made: Sequence[MadeDocument], content: bytes) -> None:
        offset = 0
        types = self._work.metadata.state_types
        for task, document in zip(some, made, strict=True):
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
            outcome = DocumentOutcome(
                parts,
                document.count,
                document.fault,
                is_left_out=document.is_left_out,
                is_remembered=document.is_remembered,
            )
            self._done.put((task, outcome))

    def _context(self) -> StageContext:
        """Return the step's surroundings for a thread: the one that asks logs what is said there."""
        log = logging.Logger(self._work.ctx.log.name, logging.DEBUG)
        log.addHandler(_Forward(self._done.put))
        ctx = replace(self._work.ctx, log=log)
        ctx.report_progress = lambda _done, _total, _unit: None
        return ctx


class _Forward(logging.Handler):
    def __init__(self, put: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._put = put

    def emit(self, record: logging.LogRecord) -> None:
        self._put(record)


def _asked(tasks: Sequence[DocumentTask]) -> Work:
    return Work(documents=tuple((task.document_id, _places(task)) for task in tasks))


def _places(task: DocumentTask) -> dict[str, PartPlace | None]:
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
    return places


def _is_stored(task: DocumentTask) -> bool:
    """Say whether another process can read all parts of a document."""
    return not any(isinstance(part, MemoryPart) and part.document_id for part in task.parts.values())


def _headers(task: DocumentTask) -> Mapping[str, Mapping[str, Any]]:
    return {name: part.header for name, part in task.parts.items() if part is not None}
