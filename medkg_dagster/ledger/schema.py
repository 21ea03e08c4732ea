"""The ledger's tables as migrations leave them, for queries."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Integer, MetaData, Table, Text

METADATA = MetaData()

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
    Column("revision", BigInteger, nullable=False),
    Column("pipeline_stages", Text),
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
    Column("closed_as", Text),
    Column("is_work", Integer, nullable=False),
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
)

TURNS = Table(
    "ledger_turns",
    METADATA,
    Column("service", Text, primary_key=True),
    Column("next_at", Float, nullable=False),
)

HISTORY = Table(
    "ledger_history",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("pipeline", Text, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("old", Text),
    Column("new", Text),
    Column("actor", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("reason", Text),
)

DOCUMENT_OUTCOMES = Table(
    "ledger_document_outcomes",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("pipeline", Text, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("document_id", Text, nullable=False),
    Column("error_class", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("at", Text, nullable=False),
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

REGISTRATIONS = Table(
    "ledger_registration_audit",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("at", Text, nullable=False),
    Column("distribution", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("entry_point", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("configured_by", Text, nullable=False),
    Column("record_hash", Text, nullable=False),
    Column("change", Text, nullable=False),
)
