"""The steps that bring a ledger of any older version to the current one.

Tables, columns and indexes are made as the schema says; what a step does besides is written here. A released
step is never edited: it is what made the ledgers that exist. Add a new one at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import Column, Connection, Dialect, Index, Table
from sqlalchemy.schema import CreateColumn, CreateIndex

from medkg_dagster.ledger.schema import METADATA, SCHEMA_VERSIONS, SINCE, WHERE


@dataclass(frozen=True, slots=True)
class Migration:
    """One step forward.

    Attributes:
        version: The version it leads to.
        sqlite: What it does besides on SQLite, in statements.
        postgresql: The same on PostgreSQL.
    """

    version: int
    sqlite: tuple[str, ...] = ()
    postgresql: tuple[str, ...] = ()

    def __call__(self, connection: Connection) -> None:
        """Take the step."""
        for statement in (
            *_structure(connection.dialect, self.version, self.version),
            *self.besides(connection.dialect),
        ):
            connection.exec_driver_sql(statement)

    def besides(self, dialect: Dialect) -> tuple[str, ...]:
        """Return what it does besides on a database."""
        return self.sqlite if dialect.name == "sqlite" else self.postgresql


def make_anew(connection: Connection) -> None:
    """Make in one what all steps make of an empty database: SQLite reads all it has anew at each change."""
    for statement in (
        *_structure(connection.dialect, 1, len(MIGRATIONS)),
        *(statement for step in MIGRATIONS for statement in step.besides(connection.dialect)),
    ):
        connection.exec_driver_sql(statement)


@lru_cache(maxsize=128)
def _structure(dialect: Dialect, first: int, last: int) -> tuple[str, ...]:
    """Return the statements that make what there is since one of some versions."""
    statements: list[str] = []

    def written(column: Column[Any]) -> str:
        return str(CreateColumn(column).compile(dialect=dialect))

    for table in METADATA.sorted_tables:
        since = _since(table)
        if table is SCHEMA_VERSIONS or since > last:
            continue
        if since >= first:
            # As if later ones were added to it.
            in_order = sorted(table.columns, key=partial(_added, table))
            columns = [written(column) for column in in_order if _since(column) <= last]
            key = ", ".join(column.name for column in table.primary_key)
            # A number that SQLite counts up says so itself.
            own = "" if any("PRIMARY KEY" in column for column in columns) else f", PRIMARY KEY ({key})"
            statements.append(f"CREATE TABLE {table.name} ({', '.join(columns)}{own})")
        else:
            added = (column for column in table.columns if first <= _since(column) <= last)
            statements += [f"ALTER TABLE {table.name} ADD COLUMN {written(column)}" for column in added]
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        statements += [
            str(CreateIndex(index).compile(dialect=dialect)) + _condition(index)
            for index in indexes
            if first <= _since(index) <= last
        ]
    return tuple(statements)


def _condition(index: Index) -> str:
    return f" WHERE {index.info[WHERE]}" if WHERE in index.info else ""


def _added(table: Table, column: Column[Any]) -> int:
    return max(_since(table), _since(column))


def _since(part: Table | Column[object] | Index) -> int:
    return int(part.info.get(SINCE, 1))


_APPEND_ONLY = ("ledger_history", "ledger_registration_audit")


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

_RUNS = (
    # The only work there was while a job waits; and what a closed gate made of its job.
    "UPDATE ledger_phases SET is_work = 1 WHERE gate IS NULL AND phase = 'pdf_conversion'",
    """UPDATE ledger_phases SET closed_as = (SELECT status FROM ledger_jobs AS job
        WHERE job.pipeline = ledger_phases.pipeline AND job.job_id = ledger_phases.job_id)
        WHERE status IN ('rejected', 'timed_out')""",
)

CHANNEL = "medkg_ledger"
"""On PostgreSQL: where it is said that a phase has changed, or a field that one waits for."""
_NOTIFY = (
    f"""CREATE FUNCTION ledger_notify() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NOTIFY {CHANNEL}; RETURN NULL; END $$""",
    """CREATE TRIGGER ledger_phases_notify AFTER INSERT OR UPDATE ON ledger_phases
        FOR EACH STATEMENT EXECUTE FUNCTION ledger_notify()""",
)

_NAMES = (
    # What stands behind the last slash: stripped of all that is none, the path ends there.
    "UPDATE ledger_holdings SET file = substr(origin, length(rtrim(origin, replace(origin, '/', ''))) + 1)",
    "UPDATE ledger_documents SET words = lower(id || ' ' || title || ' ' || origin)",
)

# Since then there is the table of changes.
_HORIZON = ("INSERT INTO ledger_changes_begin (at) SELECT applied_at FROM ledger_schema WHERE version = 7",)

# What it was for is done by `ledger_holdings_by_path`.
_PATHS = ("DROP INDEX IF EXISTS ledger_holdings_by_file",)

MIGRATIONS = (
    Migration(1),
    Migration(2, _sqlite_guards(), _postgresql_guards()),
    Migration(3, _SQLITE_OUTSIDERS, _POSTGRESQL_OUTSIDERS),
    Migration(4),
    Migration(5, _RUNS, _RUNS + _NOTIFY),
    Migration(6),
    Migration(7, _NAMES, _NAMES),
    Migration(8),
    Migration(9),
    Migration(10),
    Migration(11, _HORIZON, _HORIZON),
    Migration(12, _PATHS, _PATHS),
    Migration(13),
    Migration(14),
    Migration(15),
    Migration(16),
    Migration(17),
)
