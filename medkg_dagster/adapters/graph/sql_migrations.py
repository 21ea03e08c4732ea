"""How the tables of the SQL graph store are made, and those of earlier releases brought up to date."""

from __future__ import annotations

import json

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    func,
    insert,
    literal,
    select,
    update,
)

from medkg_dagster.adapters.graph.sql_nodes import said_of
from medkg_dagster.adapters.graph.sql_schema import (
    ALIASES,
    CHANGES,
    CHANGES_BEGIN,
    CONTRIBUTIONS,
    DOCUMENTS,
    ID,
    METADATA,
    STATEMENTS,
    VERSION,
)
from medkg_dagster.domain.knowledge import Node
from medkg_dagster.errors import StoreError
from medkg_dagster.io.sql import DatabaseKind, VersionTable
from medkg_dagster.io.times import stamp, utc_now

_EARLIER = MetaData()

_NODES = Table(
    "nodes",
    _EARLIER,
    Column("id", ID, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("name", "folded_name", "folded_id", "category")),
    Index("nodes_by_name", "folded_name"),
    Index("nodes_by_folded_id", "folded_id"),
    sqlite_with_rowid=False,
)
_CONTRIBUTIONS = Table(
    "node_contributions",
    _EARLIER,
    *(Column(name, ID, primary_key=True) for name in ("document_id", "node_id")),
    *(Column(name, Text, nullable=False) for name in ("name", "category")),
    # A step of its own adds it: what SQLAlchemy calls a system column is left out where a table is made.
    Column("synthetic", Boolean, nullable=False, system=True),
    sqlite_with_rowid=False,
)
_STATEMENTS = Table(
    "node_statements",
    _EARLIER,
    *(Column(name, ID, primary_key=True) for name in ("node_id", "name", "category")),
    Column("synthetic", Boolean, primary_key=True),
    Column("documents", Integer, nullable=False),
    sqlite_with_rowid=False,
)
_EDGES = Table(
    "edges",
    _EARLIER,
    Column("id", ID, primary_key=True),
    *(Column(name, ID, nullable=False) for name in ("subject", "predicate", "object")),
    Column("negated", Boolean, nullable=False),
    *(
        Column(name, String, nullable=False)
        for name in ("primary_knowledge_source", "knowledge_level", "agent_type")
    ),
    *(Column(name, Text, nullable=False) for name in ("publications", "supporting_text")),
    Column("document_id", ID, nullable=False),
    Column("document_hash", String, nullable=False),
    *(Column(name, Integer, nullable=False) for name in ("start_offset", "end_offset")),
    Index("edges_by_subject", "subject"),
    Index("edges_by_object", "object"),
    Index("edges_by_document", "document_id"),
    sqlite_with_rowid=False,
)
_SAID = ("node_id", "name", "category", "synthetic")


def _make_tables(connection: Connection) -> None:
    _EARLIER.create_all(connection, [_NODES, _CONTRIBUTIONS, _EDGES])


def _know_documents(connection: Connection) -> None:
    DOCUMENTS.create(connection)
    # No input has the empty hash, so the next run writes anew what an earlier release wrote.
    known = select(_CONTRIBUTIONS.c.document_id, literal("")).distinct()
    connection.execute(DOCUMENTS.insert().from_select(["id", "input_hash"], known))


def _mark_synthetic(connection: Connection) -> None:
    for table in (_NODES, _CONTRIBUTIONS, _EDGES):
        _add(connection, table, "synthetic BOOLEAN NOT NULL DEFAULT false")


def _remember_changes(connection: Connection) -> None:
    CHANGES.create(connection)


def _count_statements(connection: Connection) -> None:
    _STATEMENTS.create(connection)
    said = [_CONTRIBUTIONS.c[name] for name in _SAID]
    counted = select(*said, func.count()).group_by(*said)
    connection.execute(_STATEMENTS.insert().from_select([*_STATEMENTS.c.keys()], counted))
    connection.exec_driver_sql("DROP INDEX IF EXISTS contributions_by_node")


def _begin_changes(connection: Connection) -> None:
    CHANGES_BEGIN.create(connection)
    first = connection.scalar(select(func.min(CHANGES.c.at)))
    connection.execute(CHANGES_BEGIN.insert().values(at=first or stamp(utc_now)))


def _describe_nodes_and_edges(connection: Connection) -> None:
    """Keep what is said about a node once, by its hash, and of an edge all that the model asks for."""
    _add(connection, _NODES, "details TEXT NOT NULL DEFAULT '{}'")
    _add(connection, _EDGES, "qualifiers TEXT NOT NULL DEFAULT '{}'")
    _add(connection, _EDGES, "details TEXT NOT NULL DEFAULT '{}'")
    ALIASES.create(connection)
    given, counted = (_put_aside(connection, table) for table in (_CONTRIBUTIONS, _STATEMENTS))
    METADATA.create_all(connection, [CONTRIBUTIONS, STATEMENTS])
    _add(connection, counted, "statement VARCHAR")
    counted.append_column(Column("statement", String))
    for row in connection.execute(select(counted)).all():
        node = Node(
            id=row.node_id, name=row.name, category=tuple(json.loads(row.category)), synthetic=row.synthetic
        )
        statement, said = said_of(node)
        values = {"node_id": row.node_id, "statement": statement, "said": said, "documents": row.documents}
        connection.execute(insert(STATEMENTS), [values])
        of_row = [counted.c[name] == getattr(row, name) for name in _SAID]
        connection.execute(update(counted).where(*of_row).values(statement=statement))
    same = [given.c[name] == counted.c[name] for name in _SAID]
    found = select(given.c.document_id, given.c.node_id, counted.c.statement).join(counted, and_(*same))
    connection.execute(CONTRIBUTIONS.insert().from_select([*CONTRIBUTIONS.c.keys()], found))
    for table in (given, counted):
        table.drop(connection)


def _put_aside(connection: Connection, table: Table) -> Table:
    aside = table.to_metadata(MetaData(), name=f"earlier_{table.name}")
    connection.exec_driver_sql(f"ALTER TABLE {table.name} RENAME TO {aside.name}")
    return aside


def _add(connection: Connection, table: Table, column: str) -> None:
    connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column}")


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
        _describe_nodes_and_edges,
    ),
    tables=METADATA.tables.keys(),
    lock=0x6D6B6767,
    restore="move the file away together with its -wal and -shm files and run the knowledge-graph stage "
    "again, which builds it anew",
    elsewhere="choose another MEDKG_HOME or url",
)
