"""What a stage may know and say of the ledger job it works on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from medkg_dagster.domain.gate_conditions import GateCondition
from medkg_dagster.domain.holdings import (
    DocumentStatus,
    HeldForm,
    Listing,
    ListingOutcome,
    ParsedDocument,
    UsedForm,
)
from medkg_dagster.domain.payloads import FileRecord, FileStatus
from medkg_dagster.errors import StateError
from medkg_dagster.stage_api._redaction import holds_secret, redacted


@dataclass(frozen=True, slots=True)
class GatePassage:
    """How a gate came to let a job through.

    Attributes:
        opened_by: Who set the field or approved.
        opened_at: When; UTC, ISO 8601.
        waited_seconds: How long the job waited; 0 where it never did.
        because: The condition that held with what was observed, or the approval with its reason.
    """

    opened_by: str
    opened_at: str
    waited_seconds: float
    because: str


class JobRecord(Protocol):
    """The ledger job of a run, as a stage sees it. Every change is recorded with the run as its actor."""

    def fields(self) -> Mapping[str, Any]:
        """Return the job's fields as they are now, nested objects."""

    def set_fields(self, changes: Mapping[str, Any], reason: str | None = None) -> None:
        """Set fields by dotted path; JSON values."""

    def pass_gate(self, gate: str, condition: GateCondition) -> GatePassage:
        """Check a gate now and record that the job went through.

        Raises:
            GateConditionError: It is closed: its condition does not hold, it was rejected or timed out.
        """

    def files(self) -> Mapping[str, FileRecord]:
        """Return what is remembered of this job's files, by document id."""

    def stored_files(self, urls: Sequence[str]) -> Mapping[str, FileRecord]:
        """Return the latest stored file of each address, whichever job fetched it."""

    def record_files(self, records: Iterable[FileRecord]) -> None:
        """Remember what became of files; a later record of a document takes the place of the earlier."""

    def record_listing(self, listing: Listing) -> ListingOutcome:
        """Let the pipeline hold what a source listed, in place of what it held for the same parameters."""

    def record_documents(self, documents: Sequence[ParsedDocument]) -> None:
        """Remember which documents the listed payloads were found to be."""

    def standing(self, document_ids: Sequence[str]) -> Mapping[str, DocumentStatus]:
        """Return the status of those of the documents that the ledger knows."""

    def used_forms(self, document_ids: Sequence[str]) -> Mapping[str, UsedForm]:
        """Return of those of the documents that the ledger knows the status, and which form is used."""

    def forms(self, document_ids: Sequence[str]) -> Mapping[str, Sequence[HeldForm]]:
        """Return the forms of the documents that are current, the best first, whichever job holds them."""

    def origins(self, document_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the file or address of those of the documents and payloads that the job holds."""

    def reserve_call(self, service: str, interval: float) -> float:
        """Take the next free turn to call a service, among all who share the ledger.

        Args:
            service: What is called, for example a host name.
            interval: Seconds between two turns.

        Returns:
            Seconds to wait until the turn comes.
        """


@dataclass(slots=True)
class InMemoryJobRecord:
    """A job record without a ledger, for running a stage by itself.

    Attributes:
        values: The job's fields; dotted paths are kept as they are given.
        records: What is remembered of files, by document id.
    """

    values: dict[str, Any] = field(default_factory=dict)
    records: dict[str, FileRecord] = field(default_factory=dict)

    def fields(self) -> Mapping[str, Any]:
        """Return the job's fields."""
        return self.values

    def set_fields(self, changes: Mapping[str, Any], reason: str | None = None) -> None:
        """Set fields by dotted path."""
        del reason
        for path, value in changes.items():
            target = self.values
            *parents, last = path.split(".")
            for part in parents:
                target = target.setdefault(part, {})
            target[last] = value

    def pass_gate(self, gate: str, condition: GateCondition) -> GatePassage:
        """Check a gate against the fields."""
        from medkg_dagster.domain.gate_conditions import describe_condition, judge
        from medkg_dagster.errors import GateConditionError

        verdict = judge(condition, self.values, None)
        if not verdict.held:
            raise GateConditionError(gate, "not_met", describe_condition(condition), str(verdict))
        return GatePassage("nobody", "", 0.0, str(verdict))

    def files(self) -> Mapping[str, FileRecord]:
        """Return what is remembered of files."""
        return self.records

    def stored_files(self, urls: Sequence[str]) -> Mapping[str, FileRecord]:
        """Return the stored file of each address."""
        stored = (record for record in self.records.values() if record.status is FileStatus.STORED)
        return {record.url: record for record in stored if record.url in urls}

    def record_files(self, records: Iterable[FileRecord]) -> None:
        """Remember what became of files."""
        self.records |= {record.document_id: record for record in records}

    def record_listing(self, listing: Listing) -> ListingOutcome:
        """Return that all is new: nothing is remembered."""
        count = len(listing.items)
        return ListingOutcome(current=count, new=count, changed=0, withdrawn=0, waiting=0)

    def record_documents(self, documents: Sequence[ParsedDocument]) -> None:
        """Remember nothing."""

    def standing(self, document_ids: Sequence[str]) -> Mapping[str, DocumentStatus]:
        """Return nothing: no document is known."""
        del document_ids
        return {}

    def used_forms(self, document_ids: Sequence[str]) -> Mapping[str, UsedForm]:
        """Return nothing: no document is known."""
        del document_ids
        return {}

    def forms(self, document_ids: Sequence[str]) -> Mapping[str, Sequence[HeldForm]]:
        """Return nothing: no document is known."""
        del document_ids
        return {}

    def origins(self, document_ids: Sequence[str]) -> Mapping[str, str]:
        """Return nothing: no document is known."""
        del document_ids
        return {}

    def reserve_call(self, service: str, interval: float) -> float:
        """Return 0: nobody else calls."""
        del service, interval
        return 0.0


def refuse_secrets(fields: Mapping[str, Any]) -> None:
    """Refuse fields of a job that hold a revealed secret.

    Raises:
        StateError: One does; a field without it would be false.
    """
    name = holds_secret(json.dumps(fields, default=str))
    if name is not None:
        raise StateError(
            f"fields {', '.join(map(repr, fields))} hold the secret {name}; the ledger keeps no secrets"
        )


@dataclass(frozen=True, slots=True)
class RedactedJobRecord:
    """A job record that no revealed secret passes; every stage gets its job through one.

    Attributes:
        record: The job record behind it.
    """

    record: JobRecord

    def fields(self) -> Mapping[str, Any]:
        """Return the job's fields."""
        return self.record.fields()

    def set_fields(self, changes: Mapping[str, Any], reason: str | None = None) -> None:
        """Set fields by dotted path.

        Raises:
            StateError: A value holds a secret that the stage revealed.
        """
        refuse_secrets(changes)
        self.record.set_fields(changes, redacted(reason))

    def pass_gate(self, gate: str, condition: GateCondition) -> GatePassage:
        """Check a gate now and record that the job went through."""
        return self.record.pass_gate(redacted(gate), redacted(condition))

    def files(self) -> Mapping[str, FileRecord]:
        """Return what is remembered of files."""
        return self.record.files()

    def stored_files(self, urls: Sequence[str]) -> Mapping[str, FileRecord]:
        """Return the stored file of each address, under the address that is asked for."""
        stored = self.record.stored_files(redacted(tuple(urls)))
        return {url: stored[redacted(url)] for url in urls if redacted(url) in stored}

    def record_files(self, records: Iterable[FileRecord]) -> None:
        """Remember what became of files."""
        self.record.record_files(redacted(tuple(records)))

    def record_listing(self, listing: Listing) -> ListingOutcome:
        """Let the pipeline hold what a source listed."""
        return self.record.record_listing(redacted(listing))

    def record_documents(self, documents: Sequence[ParsedDocument]) -> None:
        """Remember which documents the listed payloads were found to be."""
        self.record.record_documents(redacted(tuple(documents)))

    def standing(self, document_ids: Sequence[str]) -> Mapping[str, DocumentStatus]:
        """Return the status of those of the documents that the ledger knows."""
        return self.record.standing(redacted(tuple(document_ids)))

    def used_forms(self, document_ids: Sequence[str]) -> Mapping[str, UsedForm]:
        """Return of those of the documents that the ledger knows the status, and which form is used."""
        return self.record.used_forms(redacted(tuple(document_ids)))

    def forms(self, document_ids: Sequence[str]) -> Mapping[str, Sequence[HeldForm]]:
        """Return the forms of the documents that are current, the best first."""
        return self.record.forms(redacted(tuple(document_ids)))

    def origins(self, document_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the file or address of those of the documents and payloads that the job holds."""
        return self.record.origins(redacted(tuple(document_ids)))

    def reserve_call(self, service: str, interval: float) -> float:
        """Take the next free turn to call a service."""
        return self.record.reserve_call(redacted(service), interval)
