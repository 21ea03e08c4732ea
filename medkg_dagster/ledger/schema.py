"""The ledger's tables, for queries and for the migrations that make them.

`SINCE` says since which version of the ledger there is a table, column or index; without it, since the first.
What a released version has is never edited: it is what the ledgers that exist were made with.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, Table, Text, text

METADATA = MetaData()
SINCE = "since"
_GATES, _AUDIT, _RUNS, _DOCUMENTS, _WORKS, _FORMS, _NOTICES, _COUNTS, _HORIZON, _PATHS = (
    {SINCE: version} for version in range(3, 13)
)


def _number() -> Column[Any]:
    # SQLite counts up what it calls INTEGER alone.
    return Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True)


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


SCHEMA_VERSIONS = Table(
    "ledger_schema",
    METADATA,
    Column("version", Integer, primary_key=True),
    Column("applied_at", Text, nullable=False),
)

JOBS = Table(
    "ledger_jobs",
    METADATA,
    Column("pipeline", Text, primary_key=True),
    Column("job_id", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("phase", Text),
    Column("request", Text, nullable=False),
    Column("fields", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default=text("0"), info=_GATES),
    Column("pipeline_stages", Text, info=_RUNS),
    Index("ledger_jobs_by_status", "status", "pipeline"),
)

PHASES = Table(
    "ledger_phases",
    METADATA,
    Column("pipeline", Text, primary_key=True),
    Column("job_id", Text, primary_key=True),
    Column("phase", Text, primary_key=True),
    Column("gate", Text),
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("since", Text, nullable=False),
    Column("deadline", Text),
    Column("timeout_seconds", Float),
    # Outsiders read the column `stirred`, so its name stays.
    Column("stirred", Integer, key="needs_check", nullable=False),
    Column("checked_at", Text),
    Column("observed", Text),
    Column("baseline", Text),
    Column("decision", Text),
    Column("opened_at", Text),
    Column("opened_by", Text),
    Column("reason", Text),
    Column("starter", Text),
    Column("lease_until", Text),
    Column("run_id", Text),
    Column("closed_as", Text, info=_RUNS),
    Column("is_work", Integer, nullable=False, server_default=text("0"), info=_RUNS),
    info=_GATES,
)
Index(
    "ledger_phases_stirred",
    *(PHASES.c.pipeline, PHASES.c.phase, PHASES.c.checked_at),
    info=_GATES,
    **_where("status = 'waiting' AND stirred = 1"),
)
Index(
    "ledger_phases_overdue",
    *(PHASES.c.pipeline, PHASES.c.phase, PHASES.c.deadline),
    info=_GATES,
    **_where("status = 'waiting' AND deadline IS NOT NULL"),
)
Index(
    "ledger_phases_waiting",
    *(PHASES.c.pipeline, PHASES.c.phase, PHASES.c.since),
    info=_GATES,
    **_where("status = 'waiting'"),
)
Index(
    "ledger_phases_due",
    *(PHASES.c.phase, PHASES.c.pipeline, PHASES.c.opened_at),
    info=_GATES,
    **_where("status = 'due'"),
)

RUNS = Table(
    "ledger_runs",
    METADATA,
    Column("pipeline", Text, primary_key=True),
    Column("job_id", Text, primary_key=True),
    Column("run_id", Text, primary_key=True),
    Column("job_name", Text, nullable=False),
    Column("is_work", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("error", Text),
    Column("began_at", Text, nullable=False),
    Column("ended_at", Text),
    Index("ledger_runs_by_end", "pipeline", "job_id", "ended_at", info=_RUNS),
    info=_RUNS,
)

FILES = Table(
    "ledger_files",
    METADATA,
    Column("pipeline", Text, primary_key=True),
    Column("job_id", Text, primary_key=True),
    Column("document_id", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("path", Text),
    Column("sha256", Text),
    Column("size", BigInteger),
    Column("media_type", Text),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("attempts", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("error_class", Text),
    Column("error", Text),
    Column("at", Text, nullable=False),
    Index("ledger_files_by_url", "url", "status", info=_GATES),
    info=_GATES,
)

TURNS = Table(
    "ledger_turns",
    METADATA,
    Column("service", Text, primary_key=True),
    Column("next_at", Float, nullable=False),
    info=_GATES,
)

HISTORY = Table(
    "ledger_history",
    METADATA,
    _number(),
    Column("pipeline", Text, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("old", Text),
    Column("new", Text),
    Column("actor", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("reason", Text),
    Index("ledger_history_by_job", "pipeline", "job_id"),
    sqlite_autoincrement=True,
)

DOCUMENT_OUTCOMES = Table(
    "ledger_document_outcomes",
    METADATA,
    _number(),
    Column("pipeline", Text, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("document_id", Text, nullable=False),
    Column("error_class", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("origin", Text, nullable=False, server_default="", info=_WORKS),
    Column("document_status", Text, nullable=False, server_default="quarantined", info=_WORKS),
    Column("asked_by", Text, info=_WORKS),
    Index("ledger_outcomes_by_job", "pipeline", "job_id", "stage"),
    Index("ledger_outcomes_by_document", "document_id", info=_WORKS),
    sqlite_autoincrement=True,
)

STAGE_RUNS = Table(
    "ledger_stage_runs",
    METADATA,
    Column("pipeline", Text, primary_key=True),
    Column("job_id", Text, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("output_count", BigInteger),
    Column("counts", Text, nullable=False),
    Column("succeeded", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("error", Text),
    Column("started_at", Text, nullable=False),
    Column("finished_at", Text),
)

REQUESTS = Table(
    "ledger_requests",
    METADATA,
    Column("pipeline", Text, primary_key=True),
    Column("request", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    info=_DOCUMENTS,
)

LISTINGS = Table(
    "ledger_listings",
    METADATA,
    Column("pipeline", Text, primary_key=True),
    Column("job_id", Text, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("request", Text, nullable=False),
    Column("is_full", Integer, nullable=False),
    Column("at", Text, nullable=False),
    info=_DOCUMENTS,
)

HOLDINGS = Table(
    "ledger_holdings",
    METADATA,
    Column("pipeline", Text, primary_key=True),
    Column("request", Text, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("origin", Text, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("document_id", Text),
    Column("status", Text, nullable=False),
    Column("stage", Text),
    Column("reason", Text),
    Column("unlisted_at", Text),
    Column("file", Text, nullable=False, server_default="", info=_WORKS),
    Column("form", Text, info=_FORMS),
    Index(
        "ledger_holdings_set_aside",
        "pipeline",
        "request",
        "stage",
        info=_FORMS,
        **_where("stage IS NOT NULL"),
    ),
    Index("ledger_holdings_by_path", "file", "origin", info=_PATHS),
    Index("ledger_holdings_by_document", "document_id", info=_DOCUMENTS),
    Index("ledger_holdings_by_item", "pipeline", "item", info=_DOCUMENTS),
    info=_DOCUMENTS,
)

DOCUMENTS = Table(
    "ledger_documents",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("url", Text),
    Column("content_hash", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("decided_by", Text),
    Column("since", Text, nullable=False),
    Column("changed_at", Text, nullable=False),
    Column("synthetic", Integer, nullable=False, server_default=text("0"), info=_WORKS),
    Column("identifiers", Text, nullable=False, server_default="{}", info=_WORKS),
    Column("date", Text, info=_WORKS),
    Column("tier", Integer, nullable=False, server_default=text("0"), info=_WORKS),
    Column("characters", BigInteger, nullable=False, server_default=text("0"), info=_WORKS),
    Column("apart_by", Text, info=_WORKS),
    Column("words", Text, nullable=False, server_default="", info=_WORKS),
    Column("used", Text, info=_FORMS),
    Column("text_kept", Text, info=_COUNTS),
    Index("ledger_documents_with_status", "status", "id", info=_WORKS),
    Index("ledger_documents_of_source", "source", "id", info=_WORKS),
    Index("ledger_documents_by_status", "status", info=_DOCUMENTS),
    info=_DOCUMENTS,
)
Index("ledger_documents_synthetic", DOCUMENTS.c.id, info=_WORKS, **_where("synthetic = 1"))

IDENTIFIERS = Table(
    "ledger_identifiers",
    METADATA,
    Column("document_id", Text, primary_key=True),
    Column("scheme", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("is_own", Integer, nullable=False),
    Index("ledger_identifiers_by_value", "scheme", "value", info=_WORKS),
    info=_WORKS,
)

RETRACTIONS = Table(
    "ledger_retractions",
    METADATA,
    Column("document_id", Text, primary_key=True),
    Column("scheme", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Index("ledger_retractions_by_value", "scheme", "value", info=_NOTICES),
    info=_NOTICES,
)

DOCUMENT_CHANGES = Table(
    "ledger_document_changes",
    METADATA,
    _number(),
    Column("document_id", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("change", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Index("ledger_document_changes_by_time", "at", info=_WORKS),
    Index("ledger_document_changes_by_document", "document_id", info=_WORKS),
    info=_WORKS,
    sqlite_autoincrement=True,
)

# One row: from when on every change of documents is remembered.
CHANGES_BEGIN = Table(
    "ledger_changes_begin",
    METADATA,
    Column("at", Text, primary_key=True),
    info=_HORIZON,
)

REGISTRATIONS = Table(
    "ledger_registration_audit",
    METADATA,
    _number(),
    Column("at", Text, nullable=False),
    Column("distribution", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("entry_point", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("subject", Text, nullable=False, server_default="", info=_AUDIT),
    Column("configured_by", Text, nullable=False, server_default="", info=_AUDIT),
    Column("record_hash", Text, nullable=False, server_default="", info=_AUDIT),
    Column("change", Text, nullable=False, server_default="", info=_AUDIT),
    Index("ledger_registrations_by_source", "distribution", "entry_point"),
    sqlite_autoincrement=True,
)
