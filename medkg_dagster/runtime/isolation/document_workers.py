"""Work on documents in several processes at once: the step's, and others with limits for each document."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from medkg_dagster.runtime.isolation.document_process import DocumentProcess
from medkg_dagster.runtime.isolation.document_queue import DocumentQueue, Unit, units
from medkg_dagster.runtime.isolation.document_service import DocumentService, Done
from medkg_dagster.runtime.isolation.kept_processes import KeptProcesses
from medkg_dagster.runtime.isolation.messages import Input, Start, encode_frame
from medkg_dagster.stage_api import DocumentPart, MemoryPart, StageContext, SubprocessIsolation
from medkg_dagster.stage_api._document_loop import DocumentOutcome, DocumentTask, DocumentWork, InOrder
from medkg_dagster.stage_api._documents import EndOfFile
from medkg_dagster.stage_api._serialization import dump_value

WORTH_SECONDS = 2.0
"""Work for each process there is for which another is started, which takes a good half second; seconds."""
KEPT_WORTH_SECONDS = 0.3
"""The same for one that another stage has left, which only makes itself ready."""
TRIED_SECONDS = 0.2
"""How long documents are worked on before it is judged how long the others will take; seconds."""
KEPT_TRIED_SECONDS = 0.02
"""The same where a process is there already."""
_DONE_AHEAD = 64
_TICK_SECONDS = 0.5

Results = Iterator[tuple[DocumentTask, DocumentOutcome]]


@dataclass(frozen=True, slots=True, eq=False)
class DocumentWorkers:
    """Works on documents in processes of their own too, where that pays or is safer.

    Attributes:
        workers: How many processes at most, the step's own among them.
        limits: What the work on one document may take in another process.
        is_demanded: Whether the stage asks for its limits, so that all documents are worked on apart.
        start: Returns the message that a process begins with, given the stage's context and its inputs.
        kept: Processes that other stages have left, and this one leaves.
    """

    workers: int
    limits: SubprocessIsolation
    is_demanded: bool
    start: Callable[[StageContext, Sequence[str]], Start]
    kept: KeptProcesses

    def run(self, work: DocumentWork, tasks: Sequence[DocumentTask]) -> Results:
        """Yield what comes of each document, in the order in which they are done."""
        if all(map(_is_stored, tasks)):
            yield from _Sharing(self, work, tasks).results()
        else:
            # What an earlier release stored as one unit is in this process alone.
            yield from InOrder().run(work, tasks)

    def keep(self, parts: Iterator[DocumentPart | EndOfFile]) -> list[DocumentPart]:
        """Return the parts."""
        return InOrder().keep(parts)

    def units(self, work: DocumentWork, tasks: Sequence[DocumentTask]) -> list[Unit]:
        """Return the documents in units, and where each may be worked on."""
        is_hostile = getattr(work.stage, "is_hostile", lambda _given: False)
        divided: tuple[list[DocumentTask], list[DocumentTask]] = ([], [])
        for task in tasks:
            divided[self.is_demanded or bool(is_hostile(_headers(task)))].append(task)
        size = work.metadata.batch
        return [unit for apart in (0, 1) for unit in units(divided[apart], size, is_apart=bool(apart))]


class _Sharing:
    """The documents of one stage, shared by the step's process and others, each served by a thread.

    It begins with the step's process, or where nothing may be done there with one other; another is started
    where what is left would take those that there are long.
    """

    def __init__(self, settings: DocumentWorkers, work: DocumentWork, tasks: Sequence[DocumentTask]) -> None:
        self._settings = settings
        self._work = work
        self._left = len(tasks)
        self._parts = tasks[0].parts if tasks else {}
        self._waiting = DocumentQueue(settings.units(work, tasks))
        # Bounded: while the step is at a long document, others do not fill its memory.
        self._done: queue.Queue[Done] = queue.Queue(_DONE_AHEAD)
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._ended = 0
        self._pace = _Pace(1)

    def results(self) -> Results:
        """Yield what comes of the documents."""
        try:
            if self._waiting.must_go_apart and self._may_start:
                self._start()
            while self._left:
                if unit := self._waiting.take_here():
                    yield from self._counted(zip(unit.tasks, self._work.compute(unit.tasks), strict=True))
                    while not self._done.empty():
                        yield from self._arrived(self._done.get())
                    self._start_others()
                else:
                    yield from self._awaited()
        finally:
            self._stopped.set()
            for thread in self._threads:
                thread.join()

    def _awaited(self) -> Results:
        """Yield what others come to next."""
        if self._waiting and not self._running:
            self._start()
        try:
            done = self._done.get(timeout=WORTH_SECONDS if self._may_start else None)
        except queue.Empty:
            self._start()
        else:
            yield from self._arrived(done)
            self._start_others()

    def _arrived(self, done: Done) -> Results:
        if isinstance(done, BaseException):
            raise done
        if isinstance(done, logging.LogRecord):
            self._work.ctx.log.log(done.levelno, "%s", done.getMessage())
        elif done is None:
            self._ended += 1
        else:
            yield from self._counted(done)

    def _counted(self, results: Iterable[tuple[DocumentTask, DocumentOutcome]]) -> Results:
        for result in results:
            self._left -= 1
            self._pace.count()
            yield result

    @property
    def _running(self) -> int:
        return len(self._threads) - self._ended

    @property
    def _at_work(self) -> int:
        """How many processes there are, the step's among them while it has something to do."""
        return self._running + self._waiting.may_work_here

    @property
    def _may_start(self) -> bool:
        return self._at_work < self._settings.workers and bool(self._waiting)

    def _start_others(self) -> None:
        """Start what pays."""
        pace, left = self._pace, self._left
        while self._may_start:
            is_there = self._settings.kept.has_one
            seconds = pace.seconds_for(left, KEPT_TRIED_SECONDS if is_there else TRIED_SECONDS)
            if seconds <= (KEPT_WORTH_SECONDS if is_there else WORTH_SECONDS) * self._at_work:
                break
            self._start()

    def _start(self) -> None:
        self._pace = _Pace(max(1, self._at_work))
        name = f"medkg-documents-{len(self._threads)}"
        self._threads.append(threading.Thread(target=self._serve, name=name, daemon=True))
        self._threads[-1].start()

    def _serve(self) -> None:
        """Serve one process after the other, until nothing is waiting."""
        try:
            ctx = self._context()
            while self._waiting and not self._stopped.is_set():
                self._serve_one(ctx)
        except BaseException as error:  # noqa: BLE001 - the thread that asks raises it
            self._put(error)
        finally:
            self._put(None)

    def _serve_one(self, ctx: StageContext) -> None:
        """Serve a process until nothing is waiting, or a document breaks it."""
        settings = self._settings
        process = None if settings.is_demanded else settings.kept.take()
        process = process or DocumentProcess.start(ctx.log, settings.limits)
        is_whole = False
        try:
            process.child.log_to(ctx.log)
            about = (self._work, ctx, settings.limits, self._waiting, settings.workers)
            service = DocumentService(process, *about, self._put, self._stopped.is_set)
            is_whole = service.serve(self._opening)
        finally:
            if is_whole and not (process.is_spent or settings.is_demanded):
                process.is_used = True
                settings.kept.leave(process)
            else:
                process.close()

    @cached_property
    def _opening(self) -> Sequence[bytes]:
        """The frames that tell a process the stage, with those of its inputs that are one unit."""
        parts, settings = self._parts, self._settings
        start = settings.start(self._work.ctx, list(parts))
        frames = [encode_frame(start.model_copy(update={"for_good": settings.is_demanded}))]
        for name, part in parts.items():
            content = b""
            if isinstance(part, MemoryPart):
                content = dump_value(name, part.value, part.value_type)
            frames.append(encode_frame(Input(key=name), content))
        return frames

    def _put(self, done: Done) -> None:
        while not self._stopped.is_set():
            try:
                self._done.put(done, timeout=_TICK_SECONDS)
            except queue.Full:
                continue
            return

    def _context(self) -> StageContext:
        """Return the step's surroundings for a thread: the one that asks logs what is said there."""
        log = logging.Logger(self._work.ctx.log.name, logging.DEBUG)
        log.addHandler(_Forward(self._put))
        ctx = replace(self._work.ctx, log=log)
        ctx.report_progress = lambda _done, _total, _unit: None
        return ctx


class _Forward(logging.Handler):
    def __init__(self, put: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._put = put

    def emit(self, record: logging.LogRecord) -> None:
        self._put(record)


class _Pace:
    """How fast documents are done, from the first one on.

    Args:
        processes: How many work on them.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._begun: float | None = None
        self._done = 0

    def count(self) -> None:
        """Take note that a document is done."""
        if self._begun is None:
            self._begun = time.monotonic()
        else:
            self._done += 1

    def seconds_for(self, left: int, tried: float) -> float:
        """Return how long the others would take one process; 0 where less than `tried` seconds were spent."""
        spent = 0.0 if self._begun is None else time.monotonic() - self._begun
        if not self._done or spent <= tried:
            return 0.0
        return spent / self._done * left * self._processes


def _is_stored(task: DocumentTask) -> bool:
    """Say whether another process can read all parts of a document."""
    return not any(isinstance(part, MemoryPart) and part.document_id for part in task.parts.values())


def _headers(task: DocumentTask) -> Mapping[str, Mapping[str, Any]]:
    return {name: part.header for name, part in task.parts.items() if part is not None}
