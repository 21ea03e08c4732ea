"""The steps that bring a ledger of any older version to the current one.

A released step is never edited: it is what made the ledgers that exist. Add a new one at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Statements:
    """One step forward.

    Attributes:
        sqlite: Its statements on SQLite.
        postgresql: Its statements on PostgreSQL.
    """

    sqlite: tuple[str, ...]
    postgresql: tuple[str, ...]

    def __call__(self, connection: Connection) -> None:
        """Take the step."""
        for statement in self.sqlite if connection.dialect.name == "sqlite" else self.postgresql:
            connection.exec_driver_sql(statement)


_TABLES = (
    """CREATE TABLE ledger_jobs (
        pipeline TEXT NOT NULL, job_id TEXT NOT NULL, status TEXT NOT NULL, phase TEXT,
        request TEXT NOT NULL, fields TEXT NOT NULL, attempts INTEGER NOT NULL, error TEXT,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
        PRIMARY KEY (pipeline, job_id))""",
    "CREATE INDEX ledger_jobs_by_status ON ledger_jobs (status, pipeline)",
    """CREATE TABLE ledger_history (
        id {serial}, pipeline TEXT NOT NULL, job_id TEXT NOT NULL, field TEXT NOT NULL,
        old TEXT, new TEXT, actor TEXT NOT NULL, at TEXT NOT NULL, reason TEXT)""",
    "CREATE INDEX ledger_history_by_job ON ledger_history (pipeline, job_id)",
    """CREATE TABLE ledger_document_outcomes (
        id {serial}, pipeline TEXT NOT NULL, job_id TEXT NOT NULL, stage TEXT NOT NULL,
        document_id TEXT NOT NULL, error_class TEXT NOT NULL, message TEXT NOT NULL,
        details TEXT NOT NULL, at TEXT NOT NULL)""",
    "CREATE INDEX ledger_outcomes_by_job ON ledger_document_outcomes (pipeline, job_id, stage)",
    """CREATE TABLE ledger_stage_runs (
        pipeline TEXT NOT NULL, job_id TEXT NOT NULL, stage TEXT NOT NULL, status TEXT NOT NULL,
        run_id TEXT NOT NULL, output_count BIGINT, counts TEXT NOT NULL, succeeded BIGINT NOT NULL,
        quarantined BIGINT NOT NULL, error TEXT, started_at TEXT NOT NULL, finished_at TEXT,
        PRIMARY KEY (pipeline, job_id, stage))""",
    """CREATE TABLE ledger_registration_audit (
        id {serial}, at TEXT NOT NULL, distribution TEXT NOT NULL, version TEXT NOT NULL,
        entry_point TEXT NOT NULL, outcome TEXT NOT NULL, details TEXT NOT NULL)""",
    "CREATE INDEX ledger_registrations_by_source ON ledger_registration_audit (distribution, entry_point)",
)
_APPEND_ONLY = ("ledger_history", "ledger_registration_audit")


def _tables(serial: str) -> tuple[str, ...]:
    return tuple(statement.replace("{serial}", serial) for statement in _TABLES)


def _sqlite_guards() -> tuple[str, ...]:
    return tuple(
        f"CREATE TRIGGER {table}_refuses_{verb} BEFORE {verb.upper()} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for table in _APPEND_ONLY
        for verb in ("update", "delete")
    )


def _postgresql_guards() -> tuple[str, ...]:
    refuse = (
        "CREATE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$"
    )
    return (
        refuse,
        *(
            f"CREATE TRIGGER {table}_refuses_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change()"
            for table in _APPEND_ONLY
        ),
    )


_PHASES = (
    "ALTER TABLE ledger_jobs ADD COLUMN revision BIGINT NOT NULL DEFAULT 0",
    """CREATE TABLE ledger_phases (
        pipeline TEXT NOT NULL, job_id TEXT NOT NULL, phase TEXT NOT NULL, gate TEXT,
        status TEXT NOT NULL, attempt INTEGER NOT NULL, since TEXT NOT NULL, deadline TEXT,
        timeout_seconds DOUBLE PRECISION, stirred INTEGER NOT NULL, checked_at TEXT, observed TEXT,
        baseline TEXT, decision TEXT, opened_at TEXT, opened_by TEXT, reason TEXT, starter TEXT,
        lease_until TEXT, run_id TEXT,
        PRIMARY KEY (pipeline, job_id, phase))""",
    """CREATE INDEX ledger_phases_stirred ON ledger_phases (pipeline, phase, checked_at)
        WHERE status = 'waiting' AND stirred = 1""",
    """CREATE INDEX ledger_phases_overdue ON ledger_phases (pipeline, phase, deadline)
        WHERE status = 'waiting' AND deadline IS NOT NULL""",
    "CREATE INDEX ledger_phases_waiting ON ledger_phases (pipeline, phase, since) WHERE status = 'waiting'",
    "CREATE INDEX ledger_phases_due ON ledger_phases (phase, pipeline, opened_at) WHERE status = 'due'",
    """CREATE TABLE ledger_files (
        pipeline TEXT NOT NULL, job_id TEXT NOT NULL, document_id TEXT NOT NULL, status TEXT NOT NULL,
        url TEXT NOT NULL, path TEXT, sha256 TEXT, size BIGINT, media_type TEXT, etag TEXT,
        last_modified TEXT, attempts INTEGER NOT NULL, seconds DOUBLE PRECISION NOT NULL,
        error_class TEXT, error TEXT, at TEXT NOT NULL,
        PRIMARY KEY (pipeline, job_id, document_id))""",
    "CREATE INDEX ledger_files_by_url ON ledger_files (url, status)",
    "CREATE TABLE ledger_turns (service TEXT NOT NULL PRIMARY KEY, next_at DOUBLE PRECISION NOT NULL)",
)
# Whoever changes fields, through this package or in SQL, marks the phases that wait, so that their gates are
# checked again. A change that leaves the revision as it is was made in SQL by an outsider: recorded here.
_SQLITE_OUTSIDERS = (
    """CREATE TRIGGER ledger_jobs_check_fields BEFORE UPDATE OF fields ON ledger_jobs
        WHEN CASE WHEN json_valid(NEW.fields) THEN json_type(NEW.fields) <> 'object' ELSE 1 END
        BEGIN SELECT RAISE(ABORT, 'fields must be a JSON object'); END""",
    """CREATE TRIGGER ledger_jobs_record_sql AFTER UPDATE OF fields ON ledger_jobs
        WHEN NEW.fields <> OLD.fields AND NEW.revision = OLD.revision
        BEGIN
            INSERT INTO ledger_history (pipeline, job_id, field, old, new, actor, at)
            VALUES (NEW.pipeline, NEW.job_id, 'fields', OLD.fields, NEW.fields, 'sql',
                strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z');
            UPDATE ledger_jobs SET updated_at = strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'
            WHERE pipeline = NEW.pipeline AND job_id = NEW.job_id;
        END""",
    """CREATE TRIGGER ledger_jobs_stir AFTER UPDATE OF fields ON ledger_jobs WHEN NEW.fields <> OLD.fields
        BEGIN
            UPDATE ledger_phases SET stirred = 1
            WHERE pipeline = NEW.pipeline AND job_id = NEW.job_id AND status = 'waiting';
        END""",
)
_POSTGRESQL_OUTSIDERS = (
    """CREATE FUNCTION ledger_take_fields() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            stamp TEXT := to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
        BEGIN
            IF NEW.fields = OLD.fields THEN RETURN NEW; END IF;
            IF json_typeof(NEW.fields::json) <> 'object' THEN
                RAISE EXCEPTION 'fields must be a JSON object';
            END IF;
            IF NEW.revision = OLD.revision THEN
                INSERT INTO ledger_history (pipeline, job_id, field, old, new, actor, at)
                VALUES (NEW.pipeline, NEW.job_id, 'fields', OLD.fields, NEW.fields,
                    'sql ' || current_user, stamp);
                NEW.updated_at := stamp;
            END IF;
            UPDATE ledger_phases SET stirred = 1
            WHERE pipeline = NEW.pipeline AND job_id = NEW.job_id AND status = 'waiting';
            RETURN NEW;
        END $$""",
    """CREATE TRIGGER ledger_jobs_take_fields BEFORE UPDATE OF fields ON ledger_jobs
        FOR EACH ROW EXECUTE FUNCTION ledger_take_fields()""",
)

_AUDIT = tuple(
    f"ALTER TABLE ledger_registration_audit ADD COLUMN {column} TEXT NOT NULL DEFAULT ''"
    for column in ("subject", "configured_by", "record_hash", "change")
)

_RUNS = (
    "ALTER TABLE ledger_jobs ADD COLUMN pipeline_stages TEXT",
    "ALTER TABLE ledger_phases ADD COLUMN closed_as TEXT",
    "ALTER TABLE ledger_phases ADD COLUMN is_work INTEGER NOT NULL DEFAULT 0",
    # The only work there was while a job waits; and what a closed gate made of its job.
    "UPDATE ledger_phases SET is_work = 1 WHERE gate IS NULL AND phase = 'pdf_conversion'",
    """UPDATE ledger_phases SET closed_as = (SELECT status FROM ledger_jobs AS job
        WHERE job.pipeline = ledger_phases.pipeline AND job.job_id = ledger_phases.job_id)
        WHERE status IN ('rejected', 'timed_out')""",
    """CREATE TABLE ledger_runs (
        pipeline TEXT NOT NULL, job_id TEXT NOT NULL, run_id TEXT NOT NULL, job_name TEXT NOT NULL,
        is_work INTEGER NOT NULL, status TEXT NOT NULL, error TEXT, began_at TEXT NOT NULL, ended_at TEXT,
        PRIMARY KEY (pipeline, job_id, run_id))""",
    "CREATE INDEX ledger_runs_by_end ON ledger_runs (pipeline, job_id, ended_at)",
)

CHANNEL = "medkg_ledger"
"""On PostgreSQL: where it is said that a phase has changed, or a field that one waits for."""
_NOTIFY = (
    f"""CREATE FUNCTION ledger_notify() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NOTIFY {CHANNEL}; RETURN NULL; END $$""",
    """CREATE TRIGGER ledger_phases_notify AFTER INSERT OR UPDATE ON ledger_phases
        FOR EACH STATEMENT EXECUTE FUNCTION ledger_notify()""",
)

MIGRATIONS = (
    Statements(
        sqlite=_tables("INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT"),
        postgresql=_tables("BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"),
    ),
    Statements(sqlite=_sqlite_guards(), postgresql=_postgresql_guards()),
    Statements(sqlite=_PHASES + _SQLITE_OUTSIDERS, postgresql=_PHASES + _POSTGRESQL_OUTSIDERS),
    Statements(sqlite=_AUDIT, postgresql=_AUDIT),
    Statements(sqlite=_RUNS, postgresql=_RUNS + _NOTIFY),
)
