"""The ledger job of a run as its stages see it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medkg_dagster.domain.gate_conditions import GateCondition
from medkg_dagster.domain.holdings import (
    DocumentStatus,
    HeldForm,
    Listing,
    ListingOutcome,
    ParsedDocument,
    UsedForm,
)
from medkg_dagster.domain.payloads import FileRecord
from medkg_dagster.errors import ConfigError, did_you_mean
from medkg_dagster.ledger import GateRule, JobKey, JobLedger, RunIdentity
from medkg_dagster.resolution.plan import PipelinePlan, PlannedGate
from medkg_dagster.stage_api import GatePassage


def gate_rule(gate: PlannedGate) -> GateRule:
    """Return a planned gate as the ledger needs it."""
    return GateRule(gate.job_name, gate.name, gate.condition, gate.fields)


@dataclass(frozen=True, slots=True)
class LedgerJobRecord:
    """Reads and changes one job of the ledger in the name of a run.

    Attributes:
        ledger: The open ledger.
        pipeline: The pipeline's plan.
        job_id: The job's id.
        run: The run that acts.
    """

    ledger: JobLedger
    pipeline: PipelinePlan
    job_id: str
    run: RunIdentity

    def fields(self) -> Mapping[str, Any]:
        """Return the job's fields as they are now."""
        return self.ledger.jobs.get(JobKey(self.pipeline.name, self.job_id)).fields

    def set_fields(self, changes: Mapping[str, Any], reason: str | None = None) -> None:
        """Set fields by dotted path."""
        self.ledger.jobs.set_fields(
            JobKey(self.pipeline.name, self.job_id), changes, actor=self.run.actor, reason=reason
        )

    def pass_gate(self, gate: str, condition: GateCondition) -> GatePassage:
        """Check a gate now and record that the job went through.

        Raises:
            ConfigError: The pipeline has no such gate.
            GateConditionError: It is closed.
        """
        planned = self.pipeline.find_gate(gate)
        if planned is None:
            known = did_you_mean(gate, [item.name for item in self.pipeline.gates])
            raise ConfigError(f"pipeline '{self.pipeline.name}' has no gate '{gate}'; {known}")
        rule = GateRule(planned.job_name, gate, condition)
        return self.ledger.gates.pass_gate(JobKey(self.pipeline.name, self.job_id), rule, self.run)

    def files(self) -> Mapping[str, FileRecord]:
        """Return what is remembered of this job's files, by document id."""
        records = self.ledger.files.of_job(JobKey(self.pipeline.name, self.job_id))
        return {record.document_id: record for record in records}

    def stored_files(self, urls: Sequence[str]) -> Mapping[str, FileRecord]:
        """Return the latest stored file of each address, whichever job fetched it."""
        return self.ledger.files.stored(urls)

    def record_files(self, records: Iterable[FileRecord]) -> None:
        """Remember what became of files."""
        self.ledger.files.put(JobKey(self.pipeline.name, self.job_id), records)

    def record_listing(self, listing: Listing) -> ListingOutcome:
        """Let the pipeline hold what a source listed, in place of what it held for the same parameters."""
        return self.ledger.documents.record_listing(JobKey(self.pipeline.name, self.job_id), listing)

    def record_documents(self, documents: Sequence[ParsedDocument]) -> None:
        """Remember which documents the listed payloads were found to be."""
        self.ledger.documents.record_documents(self.pipeline.name, documents)

    def standing(self, document_ids: Sequence[str]) -> Mapping[str, DocumentStatus]:
        """Return the status of those of the documents that the ledger knows."""
        return self.ledger.documents.standing(document_ids)

    def used_forms(self, document_ids: Sequence[str]) -> Mapping[str, UsedForm]:
        """Return of those of the documents that the ledger knows the status, and which form is used."""
        return self.ledger.documents.used_forms(JobKey(self.pipeline.name, self.job_id), document_ids)

    def forms(self, document_ids: Sequence[str]) -> Mapping[str, Sequence[HeldForm]]:
        """Return the forms of the documents that are current, the best first, whichever job holds them."""
        return self.ledger.documents.forms(JobKey(self.pipeline.name, self.job_id), document_ids)

    def origins(self, document_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the file or address of those of the documents and payloads that the job holds."""
        return self.ledger.documents.origins(JobKey(self.pipeline.name, self.job_id), document_ids)

    def reserve_call(self, service: str, interval: float) -> float:
        """Take the next free turn to call a service, among all who share the ledger."""
        return self.ledger.files.reserve_turn(service, interval)
