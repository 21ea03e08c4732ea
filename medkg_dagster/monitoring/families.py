"""The metrics that there are: name, kind, meaning, labels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """A metric.

    Attributes:
        name: Its name; a counter's without `_total`.
        kind: `counter`, for what only grows, or `gauge`.
        help: What it counts, and in which unit.
        labels: The names of its labels.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """Its name as it is asked for."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


_STAGE = ("pipeline", "stage", "type", "origin")

STAGE_RUNS = Family(
    "medkg_stage_runs",
    "counter",
    "Runs of stages that ended, by how; origin is built-in or the distribution of the stage type.",
    (*_STAGE, "outcome"),
)
STAGE_SECONDS = Family("medkg_stage_seconds", "counter", "Seconds that runs of stages took.", _STAGE)
STAGE_DOCUMENTS = Family(
    "medkg_stage_documents",
    "counter",
    "Documents that runs of stages were done with, succeeded or quarantined.",
    (*_STAGE, "outcome"),
)
STAGE_MEMO = Family(
    "medkg_stage_memo",
    "counter",
    "Documents whose work was reused from memory, or computed.",
    (*_STAGE, "outcome"),
)
STAGE_SUCCESS = Family(
    "medkg_stage_last_success_timestamp_seconds",
    "gauge",
    "When a run of the stage finished last, in seconds since 1970.",
    _STAGE,
)
GATE_OUTCOMES = Family(
    "medkg_gate_outcomes",
    "counter",
    "How waits at gates ended: opened by fields, approved, rejected, timed_out, cancelled.",
    ("pipeline", "gate", "outcome"),
)
GATE_WAIT_SECONDS = Family(
    "medkg_gate_wait_seconds",
    "counter",
    "Seconds that jobs waited at gates, by how the wait ended.",
    ("pipeline", "gate", "outcome"),
)
GATE_WAITING = Family("medkg_gate_waiting", "gauge", "Jobs that wait at a gate.", ("pipeline", "phase"))
GATE_OLDEST = Family(
    "medkg_gate_oldest_waiting_seconds",
    "gauge",
    "For how long the first of the jobs waits at the gate in front of a phase.",
    ("pipeline", "phase"),
)
DUE = Family("medkg_phases_due", "gauge", "Phases of jobs that wait to be started.", ("pipeline", "phase"))
DUE_OLDEST = Family(
    "medkg_phases_due_oldest_seconds",
    "gauge",
    "For how long the first of them waits to be started.",
    ("pipeline", "phase"),
)
DOWNLOADS = Family(
    "medkg_downloads",
    "counter",
    "Files that were asked for: stored, deferred or failed, by class of error.",
    ("pipeline", "outcome", "error_class"),
)
JOBS = Family("medkg_jobs", "gauge", "Ledger jobs by status.", ("pipeline", "status"))
DOCUMENTS = Family("medkg_documents", "gauge", "Documents that the ledger knows, by status.", ("status",))
QUARANTINED = Family(
    "medkg_quarantined_documents",
    "gauge",
    "Documents that the latest run of a stage quarantined.",
    ("pipeline", "stage", "error_class"),
)
PLUGINS = Family(
    "medkg_plugins",
    "gauge",
    "What became of plugins at the last load, by whose: discovered, registered, rejected, blocked ...; "
    "reason says why one is not used.",
    ("origin", "outcome", "reason"),
)
DISCOVERY = Family(
    "medkg_plugin_discovery_seconds",
    "gauge",
    "How long importing the plugins of a distribution took at the last load.",
    ("origin",),
)
RESOLUTION = Family(
    "medkg_plugin_resolution_seconds",
    "gauge",
    "How long resolving the stages of a distribution's types took at the last load.",
    ("origin",),
)
STAGE_RESOLUTION = Family(
    "medkg_stage_resolution_seconds",
    "gauge",
    "How long resolving the stage took at the last load.",
    _STAGE,
)
HEARTBEAT = Family(
    "medkg_daemon_heartbeat_timestamp_seconds",
    "gauge",
    "When Dagster's daemon said last that it is there, in seconds since 1970; of a Dagster in SQLite.",
)
BUILD = Family("medkg_build_info", "gauge", "1, with the version that answers.", ("version",))

FAMILIES = (
    BUILD,
    JOBS,
    DUE,
    DUE_OLDEST,
    GATE_WAITING,
    GATE_OLDEST,
    GATE_OUTCOMES,
    GATE_WAIT_SECONDS,
    STAGE_RUNS,
    STAGE_SECONDS,
    STAGE_DOCUMENTS,
    STAGE_MEMO,
    STAGE_SUCCESS,
    DOWNLOADS,
    DOCUMENTS,
    QUARANTINED,
    PLUGINS,
    DISCOVERY,
    RESOLUTION,
    STAGE_RESOLUTION,
    HEARTBEAT,
)
"""All metrics, in the order they are shown."""
