"""The tables of the SQL graph store."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import VARCHAR

from medkg_dagster.errors import StoreError
from medkg_dagster.io.sql import DatabaseKind, VersionTable
from medkg_dagster.io.times import stamp, utc_now

METADATA = MetaData()

# Identifiers sort by code point in every database, whatever its locale.
_ID = String().with_variant(VARCHAR(collation="C"), "postgresql")

VERSION = Table("graph_schema", METADATA, Column("version", Integer, nullable=False))


def _synthetic() -> Column[bool]:
    # A step of its own adds it: what SQLAlchemy calls a system column is left out where a table is made.
    return Column("synthetic", Boolean, nullable=False, system=True)


# Without row numbers the rows stand in the order of their keys: equal graphs are equal files, row by row.
NODES = Table(
    "nodes",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("folded_name", Text, nullable=False),
    Column("folded_id", Text, nullable=False),
    Column("category", Text, nullable=False),
    _synthetic(),
    Index("nodes_by_name", "folded_name"),
    Index("nodes_by_folded_id", "folded_id"),
    sqlite_with_rowid=False,
)

# What each document says about a node, so that no trace of an old text stays.
CONTRIBUTIONS = Table(
    "node_contributions",
    METADATA,
    Column("document_id", _ID, primary_key=True),
    Column("node_id", _ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("category", Text, nullable=False),
    _synthetic(),
    sqlite_with_rowid=False,
)

# What is said about a node, and by how many documents; `nodes` is computed from it. A node may be in every
# document, and what is said about it is mostly the same.
STATEMENTS = Table(
    "node_statements",
    METADATA,
    Column("node_id", _ID, primary_key=True),
    Column("name", _ID, primary_key=True),
    Column("category", _ID, primary_key=True),
    Column("synthetic", Boolean, primary_key=True),
    Column("documents", Integer, nullable=False),
    sqlite_with_rowid=False,
)

EDGES = Table(
    "edges",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("subject", _ID, nullable=False),
    Column("predicate", _ID, nullable=False),
    Column("object", _ID, nullable=False),
    Column("negated", Boolean, nullable=False),
    Column("primary_knowledge_source", String, nullable=False),
    Column("knowledge_level", String, nullable=False),
    Column("agent_type", String, nullable=False),
    Column("publications", Text, nullable=False),
    Column("supporting_text", Text, nullable=False),
    Column("document_id", _ID, nullable=False),
    Column("document_hash", String, nullable=False),
    Column("start_offset", Integer, nullable=False),
    Column("end_offset", Integer, nullable=False),
    _synthetic(),
    Index("edges_by_subject", "subject"),
    Index("edges_by_object", "object"),
    Index("edges_by_document", "document_id"),
    sqlite_with_rowid=False,
)

# What the graph holds of which document.
DOCUMENTS = Table(
    "graph_documents",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("input_hash", String, nullable=False),
    sqlite_with_rowid=False,
)


# What came and went, document by document.
CHANGES = Table(
    "graph_changes",
    METADATA,
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("at", _ID, nullable=False),
    Column("document_id", _ID, nullable=False),
    Column("came", Text, nullable=False),
    Column("gone", Text, nullable=False),
    Index("graph_changes_by_time", "at"),
    Index("graph_changes_by_document", "document_id"),
)

# One row: from when on every change is remembered.
CHANGES_BEGIN = Table("graph_changes_begin", METADATA, Column("at", _ID, primary_key=True))


def _make_tables(connection: Connection) -> None:
    METADATA.create_all(connection, [NODES, CONTRIBUTIONS, EDGES])


def _know_documents(connection: Connection) -> None:
    DOCUMENTS.create(connection)
    # No input has the empty hash, so the next run writes anew what an earlier release wrote.
    known = select(CONTRIBUTIONS.c.document_id, literal("")).distinct()
    connection.execute(DOCUMENTS.insert().from_select(["id", "input_hash"], known))


def _mark_synthetic(connection: Connection) -> None:
    for table in (NODES, CONTRIBUTIONS, EDGES):
        added = "synthetic BOOLEAN NOT NULL DEFAULT false"
        connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {added}")


def _remember_changes(connection: Connection) -> None:
    CHANGES.create(connection)


def _count_statements(connection: Connection) -> None:
    STATEMENTS.create(connection)
    said = [CONTRIBUTIONS.c[name] for name in ("node_id", "name", "category", "synthetic")]
    counted = select(*said, func.count()).group_by(*said)
    connection.execute(STATEMENTS.insert().from_select([*STATEMENTS.c.keys()], counted))
    connection.exec_driver_sql("DROP INDEX IF EXISTS contributions_by_node")


def _begin_changes(connection: Connection) -> None:
    CHANGES_BEGIN.create(connection)
    first = connection.scalar(select(func.min(CHANGES.c.at)))
    connection.execute(CHANGES_BEGIN.insert().values(at=first or stamp(utc_now)))


GRAPH = DatabaseKind(
    name="graph",
    error=StoreError,
    version=VersionTable(VERSION),
    migrations=(
        _make_tables,
        _know_documents,
        _mark_synthetic,
        _remember_changes,
        _count_statements,
        _begin_changes,
    ),
    tables=METADATA.tables.keys(),
    lock=0x6D6B6767,
    restore="move the file away together with its -wal and -shm files and run the knowledge-graph stage "
    "again, which builds it anew",
    elsewhere="choose another MEDKG_HOME or url",
)
