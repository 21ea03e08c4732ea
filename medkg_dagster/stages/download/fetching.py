"""Fetching many files at once: one thread decides, others transfer."""

from __future__ import annotations

import heapq
import itertools
import logging
import queue
import threading
import time
from collections.abc import Iterable

from medkg_dagster.domain.payloads import FileRecord, FileStatus
from medkg_dagster.errors import (
    CircuitOpenError,
    PermanentDownloadError,
    StoreError,
    TransientDownloadError,
    counted,
    list_names,
)
from medkg_dagster.io.faults import may_pass
from medkg_dagster.io.http import user_agent
from medkg_dagster.stage_api import ExternalCalls
from medkg_dagster.stages.download import DownloadConfig
from medkg_dagster.stages.download.addresses import AddressGuard, read_address, show
from medkg_dagster.stages.download.connections import GuardedBackend, open_pool
from medkg_dagster.stages.download.file_store import FileStore
from medkg_dagster.stages.download.host_queues import HostQueues
from medkg_dagster.stages.download.responses import BudgetSpentError, BusyServerError
from medkg_dagster.stages.download.tasks import Bookkeeping, Ending, Task
from medkg_dagster.stages.download.transfers import (
    Fetched,
    Redirected,
    Reply,
    Request,
    Transfers,
    Unchanged,
)

_LONGEST_NAP = 0.5
_GOODBYE_SECONDS = 10.0

Work = tuple[str, Task, Request]
Result = tuple[str, Task, Reply | Exception, float]
Key = tuple[str, str | None]


class Fetcher:
    """Fetches the files of tasks; threads transfer, and all else happens in the caller's thread.

    Args:
        config: Limits and patience.
        store: Where files go.
        book: Records what became of each task.
        calls: The stage's guard over calls to services: its pace and circuits hold here too.
        log: Where notable things are said.
    """

    def __init__(
        self,
        config: DownloadConfig,
        store: FileStore,
        book: Bookkeeping,
        *,
        calls: ExternalCalls,
        log: logging.Logger,
    ) -> None:
        self._config = config
        self._store = store
        self._calls = calls
        self._book = book
        self._log = log
        self._max_attempts = calls.attempts(config.max_attempts)
        self._end = time.monotonic() + config.budget_seconds
        self._queues: HostQueues[Task] = HostQueues(config.max_per_host)
        self._paced: list[tuple[float, int, str, Task]] = []
        self._number = itertools.count()
        self._followers: dict[Key, list[Task]] = {}
        self._fetched: dict[Key, Fetched] = {}
        self._busy: dict[str, TransientDownloadError] = {}
        self._active = 0
        self._open = 0
        self._inbox: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._backend = GuardedBackend(AddressGuard.allowing(config.allow_private_hosts))
        self._pool = open_pool(self._backend, config.max_connections)
        read_timeout = min(config.read_timeout_seconds, calls.timeout_seconds or config.read_timeout_seconds)
        self._transfers = Transfers(
            config,
            store,
            self._backend,
            self._pool,
            read_timeout=read_timeout,
            user_agent=config.user_agent or user_agent(),
        )

    @property
    def received(self) -> int:
        """Bytes received."""
        return self._transfers.received

    def run(self, tasks: Iterable[Task]) -> None:
        """Work on tasks until each is stored, refused or left for later.

        Raises:
            StoreError: Files cannot be written.
        """
        try:
            for task in tasks:
                self._open += 1
                self._begin(task)
            while self._open:
                self._dispatch()
                self._collect()
                self._book.tick(self.received)
        finally:
            self._close()

    def _begin(self, task: Task) -> None:
        """Try a task's current address, or share in another task's attempt at the same one."""
        key = (task.address, task.expected)
        if key in self._fetched:
            self._store_task(task, self._fetched[key], is_reused=True)
        elif key in self._followers:
            self._followers[key].append(task)
        else:
            self._followers[key] = []
            self._enqueue(task)

    def _enqueue(self, task: Task, when: float | None = None) -> None:
        try:
            host = read_address(task.url).host
        except PermanentDownloadError as error:
            self._fail_address(task, error)
        else:
            self._queues.add(host, task, when=when)

    def _dispatch(self) -> None:
        now = time.monotonic()
        if now >= self._end:
            self._defer_waiting()
        while self._active < self._config.max_connections:
            taken = self._take(now)
            if taken is None:
                break
            host, task = taken
            if task.admitted or self._admit(host, task, now):
                self._start(host, task, now)

    def _take(self, now: float) -> tuple[str, Task] | None:
        if self._paced and self._paced[0][0] <= now:
            _, _, host, task = heapq.heappop(self._paced)
            return host, task
        return self._queues.take(now)

    def _admit(self, host: str, task: Task, now: float) -> bool:
        """Ask whether the host may be called, and when; say whether that is now."""
        try:
            if host in self._busy:
                raise self._busy[host]
            wait = self._calls.admit(host)
        except (CircuitOpenError, TransientDownloadError) as error:
            self._queues.release(host)
            task.attempts += 1  # or a host that is gone for good would put the batch off for ever
            self._fail_address(task, error)
            return False
        task.admitted = True
        if wait > 0:
            heapq.heappush(self._paced, (now + wait, next(self._number), host, task))
        return wait <= 0

    def _start(self, host: str, task: Task, now: float) -> None:
        if task.hops == 0:
            task.attempts += 1
            task.tries += 1
        stored = task.stored
        request = Request(
            candidate=task.address,
            url=task.url,
            address=read_address(task.url),
            deadline=min(now + self._config.max_seconds_per_file, self._end),
            expected=task.expected,
            etag=stored.etag if stored else None,
            last_modified=stored.last_modified if stored else None,
        )
        self._active += 1
        if self._active > len(self._threads):
            # A daemon: a transfer that does not notice `stop` must not keep the process alive.
            thread = threading.Thread(target=self._work, name=f"download-{self._active}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._inbox.put((host, task, request))

    def _work(self) -> None:
        while (work := self._inbox.get()) is not None:
            host, task, request = work
            start = time.perf_counter()
            outcome: Reply | Exception
            try:
                outcome = self._transfers.fetch(request)
            except Exception as error:  # noqa: BLE001 - the deciding thread judges it; this one must live on
                outcome = error
            self._results.put((host, task, outcome, time.perf_counter() - start))

    def _collect(self) -> None:
        """Wait for something to happen, and take in all that has."""
        if not self._open:
            return
        try:
            result = self._results.get(timeout=self._nap())
            while True:
                self._handle_outcome(*result)
                result = self._results.get_nowait()
        except queue.Empty:
            return

    def _nap(self) -> float:
        """Return how long to wait for a result before something else may be done."""
        now = time.monotonic()
        moments = [self._end] if now < self._end else []
        if self._active < self._config.max_connections:
            moments += [moment for moment, *_ in self._paced[:1]]
            moments += [moment for moment in (self._queues.next_moment(),) if moment is not None]
        return min(max(min(moments, default=now + _LONGEST_NAP) - now, 0.0), _LONGEST_NAP)

    def _handle_outcome(self, host: str, task: Task, outcome: Reply | Exception, seconds: float) -> None:
        self._active -= 1
        self._queues.release(host)
        task.seconds += seconds
        task.admitted = False
        is_fault = isinstance(outcome, TransientDownloadError) and not isinstance(outcome, BusyServerError)
        cause = outcome if isinstance(outcome, Exception) else None
        self._calls.record_outcome(host, failed=is_fault, cause=cause)
        if isinstance(outcome, Fetched):
            self._succeed(task, outcome)
        elif isinstance(outcome, Unchanged):
            self._confirm(task)
        elif isinstance(outcome, Redirected):
            self._redirect(task, outcome)
        elif isinstance(outcome, TransientDownloadError):
            self._retry(host, task, outcome)
        elif isinstance(outcome, StoreError):
            raise StoreError(f"{self._documents(task)}: {outcome}") from outcome
        elif isinstance(outcome, OSError):
            raise StoreError(
                f"{self._documents(task)}: its file cannot be written: {outcome}; check disk and permissions"
            ) from outcome
        else:
            self._fail_address(task, outcome)

    def _redirect(self, task: Task, outcome: Redirected) -> None:
        task.hops += 1
        if task.hops > self._config.max_redirects:
            self._fail_address(
                task,
                PermanentDownloadError(
                    f"{show(task.address)}: more than {self._config.max_redirects} redirects, the last to "
                    f"{show(outcome.url)}; check the address"
                ),
            )
            return
        task.url = outcome.url
        self._enqueue(task)

    def _retry(self, host: str, task: Task, error: TransientDownloadError) -> None:
        """Try an address again after a while, or go on to the next one."""
        now = time.monotonic()
        wait = error.retry_after or 0.0
        if wait > self._config.max_retry_after:
            self._busy[host] = error
            self._fail_address(task, error)
            return
        if wait:
            self._queues.pause(host, now + wait)
        delay = max(wait, self._calls.backoff.wait(task.tries))
        if task.tries >= self._max_attempts or now + delay >= self._end:
            self._fail_address(task, error)
            return
        self._log.info("%s: %s; attempt %d after %.1f s", self._documents(task), error, task.tries + 1, delay)
        task.restart()
        self._enqueue(task, now + delay)

    def _documents(self, task: Task) -> str:
        """Return the documents that an attempt is made for."""
        return list_names(
            [one.document_id for one in (task, *self._followers.get((task.address, task.expected), ()))]
        )

    def _fail_address(self, task: Task, error: Exception) -> None:
        """Let a task, and those that share its attempt, go on without an address."""
        for one in (task, *self._followers.pop((task.address, task.expected), [])):
            self._go_on(one, error)

    def _go_on(self, task: Task, error: Exception) -> None:
        task.failure = error
        if may_pass(error):
            task.passing = error
        if task.stored is not None:
            self._log.warning(
                "%s: kept as it is, whether it has changed is not known: %s", task.document_id, error
            )
            self._keep_stored(task)
        elif task.position + 1 < len(task.addresses) and time.monotonic() >= self._end:
            self._defer(task)
        elif task.advance():
            self._log.info("%s: %s; its next address is %s", task.document_id, error, show(task.address))
            self._begin(task)
        elif task.passing is not None and task.attempts < self._config.give_up_after:
            self._defer(task)
        else:
            self._refuse(task)

    def _defer(self, task: Task) -> None:
        error = task.passing or BudgetSpentError(
            f"{show(task.address)}: not fetched within budget_seconds ({self._config.budget_seconds:g}); "
            "the next attempt goes on"
        )
        self._log.info("%s: left for a later attempt: %s", task.document_id, error)
        self._finish(Ending(task.unstored_record(FileStatus.DEFERRED, error), error))

    def _refuse(self, task: Task) -> None:
        error = task.passing or task.failure
        assert error is not None
        if isinstance(error, PermanentDownloadError) or task.passing is not None:
            said = str(error) or type(error).__name__
            if task.passing is not None:
                said += f"; given up after {counted(task.attempts, 'attempt')} (give_up_after)"
            if len(task.addresses) > 1:
                said += f"; {counted(len(task.addresses) - 1, 'other address', 'other addresses')} failed too"
            error = PermanentDownloadError(said)
        self._finish(Ending(task.unstored_record(FileStatus.FAILED, error), error))

    def _succeed(self, task: Task, fetched: Fetched) -> None:
        key = (task.address, task.expected)
        self._fetched[key] = fetched
        self._store_task(task, fetched)
        for follower in self._followers.pop(key, []):
            self._store_task(follower, fetched, is_reused=True)

    def _store_task(self, task: Task, fetched: Fetched, *, is_reused: bool = False) -> None:
        self._finish(Ending(task.stored_record(self._store, fetched), is_reused=is_reused))

    def _confirm(self, task: Task) -> None:
        """The file that is there is the server's, for all that share in the question."""
        followers = self._followers.pop((task.address, task.expected), [])
        self._keep_stored(task)
        for follower in followers:
            if follower.stored is None:
                self._begin(follower)
            else:
                self._keep_stored(follower)

    def _keep_stored(self, task: Task) -> None:
        assert task.stored is not None
        record: FileRecord = task.stored.model_copy(
            update={"attempts": task.attempts, "seconds": round(task.seconds, 3)}
        )
        self._finish(Ending(record, is_reused=True))

    def _finish(self, ending: Ending) -> None:
        self._open -= 1
        self._book.end(ending)

    def _defer_waiting(self) -> None:
        """The time is up: what waits is left for a later attempt, with those that wait for it."""
        waiting = [*self._queues.take_all(), *(task for _, _, _, task in self._paced)]
        self._paced.clear()
        for task in waiting:
            for one in (task, *self._followers.pop((task.address, task.expected), [])):
                if one.stored is None:
                    self._defer(one)
                else:
                    self._keep_stored(one)

    def _close(self) -> None:
        """End the threads; transfers that are still under way are cut."""
        if self._active:
            self._backend.stop()
        for _ in self._threads:
            self._inbox.put(None)
        end = time.monotonic() + _GOODBYE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._pool.close()
