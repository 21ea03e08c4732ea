"""The documents of a ledger: where they came from, who holds them, whether they are shown and why not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from medkg_dagster.domain.holdings import (
    DocumentChange,
    DocumentExplanation,
    DocumentStatus,
    HeldForm,
    Holding,
    KnownDocument,
    Listing,
    ListingOutcome,
    ParsedDocument,
    UsedForm,
)
from medkg_dagster.domain.identity import Form, by_rank
from medkg_dagster.errors import LedgerError
from medkg_dagster.io.sql import Database
from medkg_dagster.io.times import Clock, stamp
from medkg_dagster.ledger.encoding import storable
from medkg_dagster.ledger.models import JobKey, JobStatus
from medkg_dagster.ledger.statements import (
    change_rows,
    document_rows,
    explanation_rows,
    form_rows,
    holding_rows,
    job_rows,
    work_rows,
)

_AT_ONCE = 5000


class DocumentLedger:
    """The documents of a ledger, and the requests that hold them.

    A request is a source of a pipeline with its parameters, whichever job asks: a later listing of the same
    request takes the place of the earlier. Every method is one transaction and may raise `LedgerError`.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def record_listing(self, key: JobKey, listing: Listing) -> ListingOutcome:
        """Let a request hold what was listed.

        After a full listing it holds no more what is not listed. Where that were more than one item and more
        than a fifth of what it holds, all of it is held on until somebody accepts it, or it is listed again.

        Args:
            key: The job that asks.
            listing: What was listed.
        """
        with self._database.writing() as connection:
            return holding_rows.record_listing(connection, key, listing, stamp(self._clock))

    def record_documents(self, pipeline: str, documents: Iterable[ParsedDocument]) -> None:
        """Remember which documents the payloads of a pipeline were found to be."""
        with self._database.writing() as connection:
            holding_rows.record_documents(connection, pipeline, documents, stamp(self._clock))

    def standing(self, names: Sequence[str]) -> dict[str, DocumentStatus]:
        """Return the status of those of the documents that the ledger knows."""
        with self._database.reading() as connection:
            return document_rows.standing(connection, names)

    def used_forms(self, key: JobKey, names: Sequence[str]) -> dict[str, UsedForm]:
        """Return of those of the documents that the ledger knows the status, and which form is used."""
        with self._database.reading() as connection:
            return form_rows.used_forms(connection, holding_rows.requests_of(connection, key), names)

    def forms(self, key: JobKey, names: Sequence[str]) -> dict[str, tuple[HeldForm, ...]]:
        """Return the forms of the documents that are current, the best first, whichever job holds them."""
        with self._database.reading() as connection:
            return form_rows.current_forms(connection, holding_rows.requests_of(connection, key), names)

    def list(
        self,
        *,
        status: str | None = None,
        source: str | None = None,
        text: str | None = None,
        pipeline: str | None = None,
        job_id: str | None = None,
        synthetic: bool = False,
        after: str | None = None,
        limit: int | None = 100,
    ) -> tuple[KnownDocument, ...]:
        """Return documents by id.

        Args:
            status: Only of this status.
            source: Only of this infores CURIE.
            text: Only those with this text in id, title or origin, in any case.
            pipeline: Only those that a request of this pipeline holds.
            job_id: Only those that hold what a job of this id asked for last.
            synthetic: Only those that are invented.
            after: Only those behind this id.
            limit: At most so many; None for all.
        """
        with self._database.reading() as connection:
            return document_rows.list_documents(
                connection,
                status=status,
                source=source,
                text=text,
                pipeline=pipeline,
                job_id=job_id,
                synthetic=synthetic,
                after=after,
                limit=limit,
            )

    def known(self, names: Sequence[str]) -> dict[str, KnownDocument]:
        """Return those of the documents that the ledger knows, by id."""
        with self._database.reading() as connection:
            return {item.id: item for item in document_rows.find_documents(connection, names)}

    def named(self, wanted: str) -> tuple[str, ...]:
        """Return the ids of the documents with an identifier, which may be without its scheme."""
        with self._database.reading() as connection:
            return explanation_rows.find_named(connection, storable(wanted))

    def of_job(self, key: JobKey) -> frozenset[str]:
        """Return the ids of the documents that hold what a job asked for last."""
        with self._database.reading() as connection:
            return document_rows.of_job(connection, key.pipeline, key.job_id)

    def not_current(self) -> frozenset[str]:
        """Return the ids of all documents that are not to be shown."""
        with self._database.reading() as connection:
            return document_rows.not_current(connection)

    def count(self) -> dict[DocumentStatus, int]:
        """Return how many documents there are by status."""
        with self._database.reading() as connection:
            return document_rows.count_by_status(connection)

    def count_unparsed(self, *, pipeline: str | None = None, job_id: str | None = None) -> int:
        """Return how many files or records were set aside before they were found to be a document.

        Args:
            pipeline: Only those that a request of this pipeline holds.
            job_id: Only those that hold what a job of this id asked for last.
        """
        with self._database.reading() as connection:
            return document_rows.count_unparsed(connection, pipeline, job_id)

    def get(self, name: str) -> KnownDocument:
        """Return a document.

        Raises:
            LedgerError: The ledger knows none of that id.
        """
        return self._find([name])[0]

    def holdings(self, name: str) -> tuple[Holding, ...]:
        """Return the items that are a document, and who holds them."""
        with self._database.reading() as connection:
            return holding_rows.list_holdings(connection, name)

    def withdraw(
        self, names: Sequence[str], *, actor: str, reason: str, stored: Collection[str] = ()
    ) -> tuple[KnownDocument, ...]:
        """Let documents be withdrawn, whatever sources list, until somebody restores them.

        Args:
            names: Their ids.
            actor: Who withdraws them.
            reason: Why.
            stored: Those that a store is known to hold; the ledger need not know them.

        Raises:
            LedgerError: One of them is known to nobody; then none is withdrawn.
        """
        self._find([name for name in names if name not in stored])
        with self._database.writing() as connection:
            document_rows.withdraw(connection, names, actor, reason, stamp(self._clock))
        return self._find(names)

    def accept_unlisted(self, pipeline: str) -> tuple[str, ...]:
        """Withdraw what the sources of a pipeline list no more and what waits for somebody's word.

        Returns:
            The documents that were let go; another source may hold them still.
        """
        with self._database.writing() as connection:
            return tuple(holding_rows.accept_unlisted(connection, pipeline, stamp(self._clock)))

    def unlisted(self, pipeline: str) -> tuple[KnownDocument, ...]:
        """Return the documents that `accept_unlisted` would leave to nobody."""
        with self._database.reading() as connection:
            return document_rows.find_documents(connection, holding_rows.find_waiting(connection, pipeline))

    def showable(self, names: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return what stores may hold of documents, and of the other forms of the same works.

        Returns:
            Document to the content hashes of its forms that are current; none where it is not to be shown.
            What is current though no form of it is known, as an earlier release left it, is left out.
        """
        with self._database.reading() as connection:
            return form_rows.showable(connection, [*names, *work_rows.find_joined(connection, names)])

    def only_of_job(self, key: JobKey) -> tuple[KnownDocument, ...]:
        """Return the documents that only a job holds: those that go with it."""
        with self._database.reading() as connection:
            job_rows.get_job(connection, key)
            return document_rows.find_documents(connection, holding_rows.find_sole(connection, key)[1])

    def remove_job(self, key: JobKey, *, actor: str, reason: str | None = None) -> tuple[KnownDocument, ...]:
        """Withdraw all that only a job holds; the job and its history stay.

        Args:
            key: The job.
            actor: Who removes it.
            reason: Why.

        Returns:
            The documents that only it held, as they stand then.

        Raises:
            LedgerError: It is running.
        """
        with self._database.writing() as connection:
            job = job_rows.get_job(connection, key, lock=True)
            if job.status is JobStatus.RUNNING:
                raise LedgerError(f"job '{key}' is running; stop its run in the Dagster UI first")
            requests, names = holding_rows.find_sole(connection, key)
            now = stamp(self._clock)
            holding_rows.remove_holdings(connection, key, requests, now)
            by = job_rows.Attribution(actor, now, reason)
            job_rows.record(connection, key, {"documents": (len(names), 0)}, by)
            return document_rows.find_documents(connection, names)

    def restore(self, names: Sequence[str]) -> tuple[KnownDocument, ...]:
        """Take back that documents were withdrawn or set aside; the next run judges them again.

        Returns:
            The documents as they stand then: one that no source lists stays withdrawn.

        Raises:
            LedgerError: One of them is not known; then none is restored.
        """
        self._find(names)
        with self._database.writing() as connection:
            document_rows.restore(connection, names, stamp(self._clock))
        return self._find(names)

    def split(self, names: Sequence[str], *, actor: str) -> tuple[KnownDocument, ...]:
        """Let documents be works of their own from now on, whatever identifiers they share with others.

        Args:
            names: Their ids.
            actor: Who says so.

        Raises:
            LedgerError: One of them is not known; then none is split.
        """
        self._find(names)
        with self._database.writing() as connection:
            document_rows.split(connection, names, actor, stamp(self._clock))
        return self._find(names)

    def work(self, name: str) -> tuple[Form, ...]:
        """Return all forms of the work that a document is one of, itself included, the best first."""
        with self._database.reading() as connection:
            return by_rank(work_rows.work_of(connection, name))

    def explain(self, wanted: str) -> tuple[DocumentExplanation, ...]:
        """Return why documents stand as they do.

        Args:
            wanted: The id of a document, another identifier of it, the name or the end of the path of its
                file, or the name under which a stage refused something.

        Raises:
            LedgerError: Nothing is known of it.
        """
        with self._database.reading() as connection:
            found = explanation_rows.find_subjects(connection, storable(wanted))
            if not found:
                looks = "`medkg documents list --text WORDS` looks for it"
                raise LedgerError(f"the ledger knows nothing of {wanted!r}; {looks}")
            return tuple(explanation_rows.explain(connection, name) for name in found)

    def changes(self, since: str, *, limit: int) -> tuple[DocumentChange, ...]:
        """Return changes of documents, the latest first.

        Args:
            since: From this time on; UTC, ISO 8601 with microseconds.
            limit: At most so many.
        """
        with self._database.reading() as connection:
            return change_rows.list_changes(connection, since=since, limit=limit)

    def changes_of(self, names: Sequence[str]) -> tuple[DocumentChange, ...]:
        """Return every change of documents, the oldest first."""
        with self._database.reading() as connection:
            return change_rows.list_changes(connection, documents=names)[::-1]

    def left_to_others(self, key: JobKey, since: str) -> dict[JobKey, int]:
        """Return how many documents came to be current that the run of another job is to write to the stores.

        Where what a job held of a document is gone, the form that another job holds is used from then on, and
        only that job's run makes something of it.

        Args:
            key: The job that took something out.
            since: From this time on; UTC, ISO 8601 with microseconds.
        """
        with self._database.reading() as connection:
            return explanation_rows.left_to_others(connection, key, since)

    def changes_begin(self) -> str:
        """Return from when on every change is remembered; before, at most the latest of each document."""
        with self._database.reading() as connection:
            return change_rows.changes_begin(connection)

    def forget_changes(self, before: str, *, is_dry: bool = False) -> int:
        """Forget changes from before a time; the latest of each document stays.

        Args:
            before: UTC, ISO 8601 with microseconds.
            is_dry: Whether to count only.

        Returns:
            How many.
        """
        if is_dry:
            with self._database.reading() as connection:
                return change_rows.count_forgettable(connection, before)
        count, last = 0, 0
        while True:  # a transaction for some at a time, so that runs go on meanwhile
            with self._database.writing() as connection:
                numbers = change_rows.forget_changes(connection, before, last, _AT_ONCE)
            if not numbers:
                return count
            count, last = count + len(numbers), numbers[-1]

    def origins(self, key: JobKey, names: Collection[str]) -> dict[str, str]:
        """Return the file or address of those of the documents and items that a job holds."""
        with self._database.reading() as connection:
            return holding_rows.find_origins(connection, key, names)

    def _find(self, names: Sequence[str]) -> tuple[KnownDocument, ...]:
        with self._database.reading() as connection:
            found = {item.id: item for item in document_rows.find_documents(connection, names)}
        for name in names:
            if name not in found:
                raise LedgerError(
                    f"the ledger knows no document {name!r}; `medkg documents list --text WORDS` looks for it"
                )
        return tuple(found[name] for name in names)
