"""What the ledger knows of one trigger."""

from __future__ import annotations

from dataclasses import dataclass

from medkg_dagster.ledger import Fired, JobLedger, TriggerKey, TriggerState, TriggerStep
from medkg_dagster.resolution.plan import PipelinePlan, PlannedTrigger


@dataclass(frozen=True, slots=True)
class TriggerRecord:
    """Reads and changes what the ledger knows of a trigger.

    Attributes:
        ledger: The open ledger.
        pipeline: The trigger's pipeline.
        trigger: The trigger.
    """

    ledger: JobLedger
    pipeline: PipelinePlan
    trigger: PlannedTrigger

    @property
    def key(self) -> TriggerKey:
        """Which trigger it is."""
        return TriggerKey(self.pipeline.name, self.trigger.name)

    def find(self) -> TriggerState | None:
        """Return how far it has come; None before its first look."""
        return self.ledger.triggers.find(self.key)

    def take(self, step: TriggerStep) -> tuple[Fired, ...]:
        """Let it ask for jobs, and go on to where it has come with them."""
        phase = self.pipeline.phases[0].job_name
        return self.ledger.triggers.take(self.key, self.trigger.kind, phase, step)
