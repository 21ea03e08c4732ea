"""The ledger's tables, for queries and for the migrations that make them.

`SINCE` says since which version of the ledger there is a table, column or index; without it, since the first.
What a released version has is never edited: it is what the ledgers that exist were made with.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, Table, Text, TypeDecorator, text
from sqlalchemy.engine import Dialect

METADATA = MetaData()
SINCE = "since"
WHERE = "where"
(
    _GATES,
    _AUDIT,
    _RUNS,
    _DOCUMENTS,
    _WORKS,
    _FORMS,
    _NOTICES,
    _COUNTS,
    _HORIZON,
    _PATHS,
    _TRIGGERS,
    _ITEMS,
    _COUNTERS,
    _REFUSALS,
    _ALERTS,
) = ({SINCE: version} for version in range(3, 18))


class _ReadableText(TypeDecorator[str]):
    """Text, also where somebody has put bytes into it in SQL: SQLite takes anything for a column of text."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Return bytes as text, what is no UTF-8 as escapes."""
        del dialect
        return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _number() -> Column[Any]:
    # SQLite counts up what it calls INTEGER alone.
    return Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True)


def _where(condition: str, since: dict[str, int]) -> dict[str, Any]:
    # SQLAlchemy's own argument for it would load what it has for PostgreSQL, a third of all it has.
    return {"info": {**since, WHERE: condition}}


SCHEMA_VERSIONS = Table(
    "ledger_schema",
    METADATA,
    Column("version", Integer, primary_key=True),
    Column("applied_at", _ReadableText, nullable=False),
)

JOBS = Table(
    "ledger_jobs",
    METADATA,
    Column("pipeline", _ReadableText, primary_key=True),
    Column("job_id", _ReadableText, primary_key=True),
    Column("status", _ReadableText, nullable=False),
    Column("phase", _ReadableText),
    Column("request", _ReadableText, nullable=False),
    Column("fields", _ReadableText, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", _ReadableText),
    Column("created_at", _ReadableText, nullable=False),
    Column("updated_at", _ReadableText, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default=text("0"), info=_GATES),
    Column("pipeline_stages", _ReadableText, info=_RUNS),
    Index("ledger_jobs_by_status", "status", "pipeline"),
    Index("ledger_jobs_by_change", "pipeline", "updated_at", info=_ITEMS),
)

PHASES = Table(
    "ledger_phases",
    METADATA,
    Column("pipeline", _ReadableText, primary_key=True),
    Column("job_id", _ReadableText, primary_key=True),
    Column("phase", _ReadableText, primary_key=True),
    Column("gate", _ReadableText),
    Column("status", _ReadableText, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("since", _ReadableText, nullable=False),
    Column("deadline", _ReadableText),
    Column("timeout_seconds", Float),
    # Outsiders read the column `stirred`, so its name stays.
    Column("stirred", Integer, key="needs_check", nullable=False),
    Column("checked_at", _ReadableText),
    Column("observed", _ReadableText),
    Column("baseline", _ReadableText),
    Column("decision", _ReadableText),
    Column("opened_at", _ReadableText),
    Column("opened_by", _ReadableText),
    Column("reason", _ReadableText),
    Column("starter", _ReadableText),
    Column("lease_until", _ReadableText),
    Column("run_id", _ReadableText),
    Column("closed_as", _ReadableText, info=_RUNS),
    Column("is_work", Integer, nullable=False, server_default=text("0"), info=_RUNS),
    info=_GATES,
)
Index(
    "ledger_phases_stirred",
    *(PHASES.c.pipeline, PHASES.c.phase, PHASES.c.checked_at),
    **_where("status = 'waiting' AND stirred = 1", _GATES),
)
Index(
    "ledger_phases_overdue",
    *(PHASES.c.pipeline, PHASES.c.phase, PHASES.c.deadline),
    **_where("status = 'waiting' AND deadline IS NOT NULL", _GATES),
)
Index(
    "ledger_phases_waiting",
    *(PHASES.c.pipeline, PHASES.c.phase, PHASES.c.since),
    **_where("status = 'waiting'", _GATES),
)
Index(
    "ledger_phases_due",
    *(PHASES.c.phase, PHASES.c.pipeline, PHASES.c.opened_at),
    **_where("status = 'due'", _GATES),
)
Index("ledger_phases_timed_out", PHASES.c.opened_at, **_where("status = 'timed_out'", _ALERTS))

RUNS = Table(
    "ledger_runs",
    METADATA,
    Column("pipeline", _ReadableText, primary_key=True),
    Column("job_id", _ReadableText, primary_key=True),
    Column("run_id", _ReadableText, primary_key=True),
    Column("job_name", _ReadableText, nullable=False),
    Column("is_work", Integer, nullable=False),
    Column("status", _ReadableText, nullable=False),
    Column("error", _ReadableText),
    Column("began_at", _ReadableText, nullable=False),
    Column("ended_at", _ReadableText),
    Index("ledger_runs_by_end", "pipeline", "job_id", "ended_at", info=_RUNS),
    info=_RUNS,
)
Index("ledger_runs_failed", RUNS.c.ended_at, **_where("status = 'failed'", _ALERTS))

FILES = Table(
    "ledger_files",
    METADATA,
    Column("pipeline", _ReadableText, primary_key=True),
    Column("job_id", _ReadableText, primary_key=True),
    Column("document_id", _ReadableText, primary_key=True),
    Column("status", _ReadableText, nullable=False),
    Column("url", _ReadableText, nullable=False),
    Column("path", _ReadableText),
    Column("sha256", _ReadableText),
    Column("size", BigInteger),
    Column("media_type", _ReadableText),
    Column("etag", _ReadableText),
    Column("last_modified", _ReadableText),
    Column("attempts", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("error_class", _ReadableText),
    Column("error", _ReadableText),
    Column("at", _ReadableText, nullable=False),
    Index("ledger_files_by_url", "url", "status", info=_GATES),
    info=_GATES,
)

TURNS = Table(
    "ledger_turns",
    METADATA,
    Column("service", _ReadableText, primary_key=True),
    Column("next_at", Float, nullable=False),
    info=_GATES,
)

HISTORY = Table(
    "ledger_history",
    METADATA,
    _number(),
    Column("pipeline", _ReadableText, nullable=False),
    Column("job_id", _ReadableText, nullable=False),
    Column("field", _ReadableText, nullable=False),
    Column("old", _ReadableText),
    Column("new", _ReadableText),
    Column("actor", _ReadableText, nullable=False),
    Column("at", _ReadableText, nullable=False),
    Column("reason", _ReadableText),
    Index("ledger_history_by_job", "pipeline", "job_id"),
    sqlite_autoincrement=True,
)

DOCUMENT_OUTCOMES = Table(
    "ledger_document_outcomes",
    METADATA,
    _number(),
    Column("pipeline", _ReadableText, nullable=False),
    Column("job_id", _ReadableText, nullable=False),
    Column("stage", _ReadableText, nullable=False),
    Column("document_id", _ReadableText, nullable=False),
    Column("error_class", _ReadableText, nullable=False),
    Column("message", _ReadableText, nullable=False),
    Column("details", _ReadableText, nullable=False),
    Column("at", _ReadableText, nullable=False),
    Column("origin", _ReadableText, nullable=False, server_default="", info=_WORKS),
    Column("document_status", _ReadableText, nullable=False, server_default="quarantined", info=_WORKS),
    Column("asked_by", _ReadableText, info=_WORKS),
    Index("ledger_outcomes_by_job", "pipeline", "job_id", "stage"),
    Index("ledger_outcomes_by_document", "document_id", info=_WORKS),
    Index("ledger_outcomes_by_status", "document_status", "pipeline", "stage", "error_class", info=_COUNTERS),
    sqlite_autoincrement=True,
)

STAGE_RUNS = Table(
    "ledger_stage_runs",
    METADATA,
    Column("pipeline", _ReadableText, primary_key=True),
    Column("job_id", _ReadableText, primary_key=True),
    Column("stage", _ReadableText, primary_key=True),
    Column("status", _ReadableText, nullable=False),
    Column("run_id", _ReadableText, nullable=False),
    Column("output_count", BigInteger),
    Column("counts", _ReadableText, nullable=False),
    Column("succeeded", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("error", _ReadableText),
    Column("started_at", _ReadableText, nullable=False),
    Column("finished_at", _ReadableText),
    Column("stage_type", _ReadableText, info=_COUNTERS),
    Column("origin", _ReadableText, info=_COUNTERS),
    Index("ledger_stage_runs_by_end", "pipeline", "stage", "finished_at", info=_ITEMS),
)

COUNTERS = Table(
    "ledger_counters",
    METADATA,
    Column("name", _ReadableText, primary_key=True),
    Column("labels", _ReadableText, primary_key=True),
    Column("value", Float, nullable=False),
    info=_COUNTERS,
)

REQUESTS = Table(
    "ledger_requests",
    METADATA,
    Column("pipeline", _ReadableText, primary_key=True),
    Column("request", _ReadableText, primary_key=True),
    Column("source", _ReadableText, nullable=False),
    Column("parameters", _ReadableText, nullable=False),
    info=_DOCUMENTS,
)

LISTINGS = Table(
    "ledger_listings",
    METADATA,
    Column("pipeline", _ReadableText, primary_key=True),
    Column("job_id", _ReadableText, primary_key=True),
    Column("stage", _ReadableText, primary_key=True),
    Column("request", _ReadableText, nullable=False),
    Column("is_full", Integer, nullable=False),
    Column("at", _ReadableText, nullable=False),
    info=_DOCUMENTS,
)

HOLDINGS = Table(
    "ledger_holdings",
    METADATA,
    Column("pipeline", _ReadableText, primary_key=True),
    Column("request", _ReadableText, primary_key=True),
    Column("item", _ReadableText, primary_key=True),
    Column("origin", _ReadableText, nullable=False),
    Column("content_hash", _ReadableText, nullable=False),
    Column("document_id", _ReadableText),
    Column("status", _ReadableText, nullable=False),
    Column("stage", _ReadableText),
    Column("reason", _ReadableText),
    Column("unlisted_at", _ReadableText),
    Column("file", _ReadableText, nullable=False, server_default="", info=_WORKS),
    Column("form", _ReadableText, info=_FORMS),
    Index(
        "ledger_holdings_set_aside",
        "pipeline",
        "request",
        "stage",
        **_where("stage IS NOT NULL", _FORMS),
    ),
    Index("ledger_holdings_by_path", "file", "origin", info=_PATHS),
    Index("ledger_holdings_by_document", "document_id", info=_DOCUMENTS),
    Index("ledger_holdings_by_item", "pipeline", "item", info=_DOCUMENTS),
    info=_DOCUMENTS,
)

DOCUMENTS = Table(
    "ledger_documents",
    METADATA,
    Column("id", _ReadableText, primary_key=True),
    Column("title", _ReadableText, nullable=False),
    Column("source", _ReadableText, nullable=False),
    Column("origin", _ReadableText, nullable=False),
    Column("url", _ReadableText),
    Column("content_hash", _ReadableText, nullable=False),
    Column("status", _ReadableText, nullable=False),
    Column("reason", _ReadableText),
    Column("decided_by", _ReadableText),
    Column("since", _ReadableText, nullable=False),
    Column("changed_at", _ReadableText, nullable=False),
    Column("synthetic", Integer, nullable=False, server_default=text("0"), info=_WORKS),
    Column("identifiers", _ReadableText, nullable=False, server_default="{}", info=_WORKS),
    Column("date", _ReadableText, info=_WORKS),
    Column("tier", Integer, nullable=False, server_default=text("0"), info=_WORKS),
    Column("characters", BigInteger, nullable=False, server_default=text("0"), info=_WORKS),
    Column("apart_by", _ReadableText, info=_WORKS),
    Column("words", _ReadableText, nullable=False, server_default="", info=_WORKS),
    Column("used", _ReadableText, info=_FORMS),
    Column("text_kept", _ReadableText, info=_COUNTS),
    Index("ledger_documents_with_status", "status", "id", info=_WORKS),
    Index("ledger_documents_of_source", "source", "id", info=_WORKS),
    Index("ledger_documents_by_status", "status", info=_DOCUMENTS),
    info=_DOCUMENTS,
)
Index("ledger_documents_synthetic", DOCUMENTS.c.id, **_where("synthetic = 1", _WORKS))

IDENTIFIERS = Table(
    "ledger_identifiers",
    METADATA,
    Column("document_id", _ReadableText, primary_key=True),
    Column("scheme", _ReadableText, primary_key=True),
    Column("value", _ReadableText, primary_key=True),
    Column("is_own", Integer, nullable=False),
    Index("ledger_identifiers_by_value", "scheme", "value", info=_WORKS),
    info=_WORKS,
)

RETRACTIONS = Table(
    "ledger_retractions",
    METADATA,
    Column("document_id", _ReadableText, primary_key=True),
    Column("scheme", _ReadableText, primary_key=True),
    Column("value", _ReadableText, primary_key=True),
    Index("ledger_retractions_by_value", "scheme", "value", info=_NOTICES),
    info=_NOTICES,
)

DOCUMENT_CHANGES = Table(
    "ledger_document_changes",
    METADATA,
    _number(),
    Column("document_id", _ReadableText, nullable=False),
    Column("at", _ReadableText, nullable=False),
    Column("change", _ReadableText, nullable=False),
    Column("status", _ReadableText, nullable=False),
    Column("reason", _ReadableText),
    Index("ledger_document_changes_by_time", "at", info=_WORKS),
    Index("ledger_document_changes_by_document", "document_id", info=_WORKS),
    info=_WORKS,
    sqlite_autoincrement=True,
)

# One row: from when on every change of documents is remembered.
CHANGES_BEGIN = Table(
    "ledger_changes_begin",
    METADATA,
    Column("at", _ReadableText, primary_key=True),
    info=_HORIZON,
)

TRIGGERS = Table(
    "ledger_triggers",
    METADATA,
    Column("pipeline", _ReadableText, primary_key=True),
    Column("trigger_name", _ReadableText, primary_key=True),
    Column("kind", _ReadableText, nullable=False),
    Column("handled", _ReadableText),
    Column("at", _ReadableText, nullable=False),
    Column("outcome", _ReadableText, nullable=False),
    Column("reason", _ReadableText, nullable=False),
    Column("job_id", _ReadableText),
    Column("missed", BigInteger, nullable=False),
    info=_TRIGGERS,
)

FIRINGS = Table(
    "ledger_trigger_firings",
    METADATA,
    Column("pipeline", _ReadableText, primary_key=True),
    Column("trigger_name", _ReadableText, primary_key=True),
    Column("occasion", _ReadableText, primary_key=True),
    Column("at", _ReadableText, nullable=False),
    Column("outcome", _ReadableText, nullable=False),
    Column("job_id", _ReadableText, nullable=False),
    Column("reason", _ReadableText, nullable=False),
    Index("ledger_trigger_firings_by_time", "pipeline", "trigger_name", "at", info=_TRIGGERS),
    info=_TRIGGERS,
)

TRIGGER_ITEMS = Table(
    "ledger_trigger_items",
    METADATA,
    Column("pipeline", _ReadableText, primary_key=True),
    Column("trigger_name", _ReadableText, primary_key=True),
    Column("item", _ReadableText, primary_key=True),
    Column("version", _ReadableText, nullable=False),
    Column("mark", _ReadableText, nullable=False),
    info=_ITEMS,
)

ALERTS = Table(
    "ledger_alerts",
    METADATA,
    Column("alert_id", _ReadableText, primary_key=True),
    Column("webhook", _ReadableText, nullable=False),
    Column("event", _ReadableText, nullable=False),
    Column("identity", _ReadableText, nullable=False),
    Column("at", _ReadableText, nullable=False),
    Column("summary", _ReadableText, nullable=False),
    Column("payload", _ReadableText, nullable=False),
    Column("status", _ReadableText, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", _ReadableText),
    Column("error", _ReadableText),
    Column("recorded_at", _ReadableText, nullable=False),
    Column("ended_at", _ReadableText),
    Index("ledger_alerts_by_time", "recorded_at", info=_ALERTS),
    info=_ALERTS,
)
Index(
    "ledger_alerts_waiting",
    *(ALERTS.c.webhook, ALERTS.c.attempts, ALERTS.c.recorded_at),
    **_where("status = 'waiting'", _ALERTS),
)

ALERT_POSITIONS = Table(
    "ledger_alert_positions",
    METADATA,
    Column("webhook", _ReadableText, primary_key=True),
    Column("event", _ReadableText, primary_key=True),
    Column("at", _ReadableText, nullable=False),
    info=_ALERTS,
)

REGISTRATIONS = Table(
    "ledger_registration_audit",
    METADATA,
    _number(),
    Column("at", _ReadableText, nullable=False),
    Column("distribution", _ReadableText, nullable=False),
    Column("version", _ReadableText, nullable=False),
    Column("entry_point", _ReadableText, nullable=False),
    Column("outcome", _ReadableText, nullable=False),
    Column("details", _ReadableText, nullable=False),
    Column("subject", _ReadableText, nullable=False, server_default="", info=_AUDIT),
    Column("configured_by", _ReadableText, nullable=False, server_default="", info=_AUDIT),
    Column("record_hash", _ReadableText, nullable=False, server_default="", info=_AUDIT),
    Column("change", _ReadableText, nullable=False, server_default="", info=_AUDIT),
    Column("refusal", _ReadableText, nullable=False, server_default="", info=_REFUSALS),
    Index("ledger_registrations_by_source", "distribution", "entry_point"),
    sqlite_autoincrement=True,
)
