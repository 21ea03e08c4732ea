"""The work of the `download` stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from medkg_dagster.errors import DocumentError, DownloadsDeferredError, counted, list_names
from medkg_dagster.stage_api import DownloadedFile, FileRecord, FileStatus, Payload, StageContext
from medkg_dagster.stages.download import DownloadConfig
from medkg_dagster.stages.download.addresses import show
from medkg_dagster.stages.download.fetching import Fetcher
from medkg_dagster.stages.download.file_store import FileStore
from medkg_dagster.stages.download.responses import BudgetSpentError
from medkg_dagster.stages.download.tasks import Bookkeeping, Ending, Task, downloaded
from medkg_dagster.stages.download.url_paths import find_addresses, parse_extractor

FIELD = "pdf_downloaded"
_HASHING_THREADS = 4


class DownloadStage:
    """Fetches the file of each document that has an address and none yet."""

    def __init__(self, config: DownloadConfig) -> None:
        self._config = config
        self._paths = tuple(map(parse_extractor, config.url_extractors))

    def execute(self, ctx: StageContext, *, payloads: tuple[Payload, ...]) -> tuple[DownloadedFile, ...]:
        """Fetch a batch; what was fetched before is not fetched again.

        Returns:
            The files, one for each document that has one, in the documents' order.

        Raises:
            DownloadsDeferredError: Some files are left for a later attempt.
            StoreError: Files cannot be written.
        """
        fields = (FIELD, *self._config.resets)
        ctx.job.set_fields(dict.fromkeys(fields, False), reason="downloads begin")
        store = FileStore(ctx.home)
        if removed := store.sweep(self._config.keep_partial_days):
            ctx.log.info("removed %d broken transfers nobody goes on with", removed)
        addresses = self._addresses(ctx, payloads)
        book = Bookkeeping(ctx, store, len(addresses), self._config.progress_seconds)
        tasks = self._plan(ctx, store, book, addresses)
        received = self._fetch(ctx, store, book, tasks)
        book.describe(list(addresses), received)
        files = self._conclude(ctx, book, list(addresses))
        ctx.job.set_fields({FIELD: True}, reason=counted(len(files), "file"))
        return files

    def _addresses(self, ctx: StageContext, payloads: Iterable[Payload]) -> dict[str, tuple[str, ...]]:
        """Return the addresses of each document that has any, and set unreadable documents aside."""
        found: dict[str, tuple[str, ...]] = {}
        without: list[str] = []
        for payload in payloads:
            given = self._config.urls.get(payload.id, ())
            skipped = payload.format in self._config.skip_formats
            if skipped and not given:
                continue
            try:
                addresses = find_addresses(payload, () if skipped else self._paths, given)
            except DocumentError as error:
                ctx.quarantine(payload.id, error)
                continue
            if addresses:
                found[payload.id] = addresses
            else:
                without.append(payload.id)
        ctx.describe("without_url", len(without))
        if without:
            ctx.log.info(
                "%s no address to fetch from: %s",
                *(counted(len(without), "document has", "documents have"), list_names(without)),
            )
        if unknown := set(self._config.urls) - {payload.id for payload in payloads}:
            ctx.log.warning("urls names documents that are not in the batch: %s", list_names(sorted(unknown)))
        return found

    def _plan(
        self,
        ctx: StageContext,
        store: FileStore,
        book: Bookkeeping,
        addresses: Mapping[str, tuple[str, ...]],
    ) -> list[Task]:
        """Return what there is to fetch; what is there already is booked."""
        earlier = ctx.job.files()
        known = self._known(ctx, addresses, earlier)
        present = self._present(store, known)
        tasks: list[Task] = []
        for document_id, candidates in addresses.items():
            before = earlier.get(document_id)
            record = known[document_id] if document_id in present else None
            if record is not None and not self._config.revalidate:
                book.end(Ending(record, is_reused=True), is_known=record == before)
                continue
            chosen = candidates
            if record is not None:
                chosen = tuple(url for url in candidates if show(url) == record.url)[:1] or candidates[:1]
            tasks.append(
                Task(
                    document_id,
                    chosen,
                    expected=self._config.sha256.get(document_id),
                    stored=record,
                    attempts=before.attempts if before else 0,
                    seconds=before.seconds if before else 0.0,
                )
            )
        return tasks

    def _known(
        self, ctx: StageContext, addresses: Mapping[str, tuple[str, ...]], earlier: Mapping[str, FileRecord]
    ) -> dict[str, FileRecord]:
        """Return the record of a stored file of each document: its own, else another job's."""
        known: dict[str, FileRecord] = {}
        for document_id, candidates in addresses.items():
            record = earlier.get(document_id)
            if record and record.status is FileStatus.STORED and record.url in map(show, candidates):
                known[document_id] = record
        # Two addresses that differ in a secret look the same in the ledger and may be different files.
        wanted = {
            document_id: [url for url in candidates if show(url) == url]
            for document_id, candidates in addresses.items()
            if document_id not in known
        }
        by_url = ctx.job.stored_files(sorted({url for urls in wanted.values() for url in urls}))
        for document_id, urls in wanted.items():
            before = earlier.get(document_id)
            if record := next((by_url[url] for url in urls if url in by_url), None):
                attempts = before.attempts if before else 0
                known[document_id] = record.model_copy(
                    update={"document_id": document_id, "attempts": attempts, "seconds": 0.0}
                )
        return known

    def _present(self, store: FileStore, known: Mapping[str, FileRecord]) -> set[str]:
        """Return the documents whose recorded file is there and right."""
        config = self._config

        def is_present(record: FileRecord) -> bool:
            if not record.sha256 or record.size is None or record.media_type not in config.accept:
                return False
            if config.sha256.get(record.document_id, record.sha256) != record.sha256:
                return False
            return store.holds(record.sha256, record.media_type, record.size, verify=config.verify_stored)

        if not config.verify_stored:
            return {document_id for document_id, record in known.items() if is_present(record)}
        with ThreadPoolExecutor(_HASHING_THREADS) as threads:
            verdicts = threads.map(is_present, known.values())
            return {document_id for document_id, verdict in zip(known, verdicts, strict=True) if verdict}

    def _fetch(self, ctx: StageContext, store: FileStore, book: Bookkeeping, tasks: Sequence[Task]) -> int:
        """Fetch, tell the ledger whatever happens, and return the bytes received."""
        if not tasks:
            book.flush()
            return 0
        fetcher = Fetcher(self._config, store, book, calls=ctx.calls, log=ctx.log)
        try:
            fetcher.run(tasks)
        finally:
            book.flush()
        return fetcher.received

    def _conclude(
        self, ctx: StageContext, book: Bookkeeping, document_ids: Sequence[str]
    ) -> tuple[DownloadedFile, ...]:
        files: list[DownloadedFile] = []
        deferred: dict[str, Exception] = {}
        for document_id in document_ids:
            ending = book.endings[document_id]
            if ending.error is None:
                files.append(downloaded(ending.record))
            elif ending.record.status is FileStatus.DEFERRED:
                deferred[document_id] = ending.error
            else:
                ctx.quarantine(document_id, ending.error)
        ctx.succeeded += len(files)
        if deferred:
            failure = DownloadsDeferredError(
                f"of {counted(len(document_ids), 'file')} {counted(len(deferred), 'is', 'are')} left for a "
                f"later attempt, {counted(len(files), 'is', 'are')} there; run the job again to go on. "
                f"Left: {list_names(list(deferred))}. The first: {next(iter(deferred.values()))}"
            )
            # What was asked for as often as the policy allows is left to another run.
            failure.was_retried = not any(isinstance(one, BudgetSpentError) for one in deferred.values())
            raise failure
        return tuple(files)
