"""The tables of the SQL graph store."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects.postgresql import VARCHAR

METADATA = MetaData()

# Identifiers sort by code point in every database, whatever its locale.
ID = String().with_variant(VARCHAR(collation="C"), "postgresql")

VERSION = Table("graph_schema", METADATA, Column("version", Integer, nullable=False))

# Without row numbers the rows stand in the order of their keys: equal graphs are equal files, row by row.
NODES = Table(
    "nodes",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("folded_name", Text, nullable=False),
    Column("folded_id", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("synthetic", Boolean, nullable=False),
    Column("details", Text, nullable=False),
    Index("nodes_by_name", "folded_name"),
    Index("nodes_by_folded_id", "folded_id"),
    sqlite_with_rowid=False,
)

# What else a node is called: synonyms, equivalent identifiers, the id of the document that it is.
ALIASES = Table(
    "node_aliases",
    METADATA,
    Column("folded", ID, primary_key=True),
    Column("node_id", ID, primary_key=True),
    Index("node_aliases_by_node", "node_id"),
    sqlite_with_rowid=False,
)

# Which statement about a node each document makes, so that no trace of an old text stays.
CONTRIBUTIONS = Table(
    "node_contributions",
    METADATA,
    Column("document_id", ID, primary_key=True),
    Column("node_id", ID, primary_key=True),
    Column("statement", String, nullable=False),
    sqlite_with_rowid=False,
)

# What is said about a node, by its hash, and by how many documents; `nodes` is computed from it. A node may
# be in every document, and what is said about it is mostly the same.
STATEMENTS = Table(
    "node_statements",
    METADATA,
    Column("node_id", ID, primary_key=True),
    Column("statement", String, primary_key=True),
    Column("said", Text, nullable=False),
    Column("documents", Integer, nullable=False),
    sqlite_with_rowid=False,
)

EDGES = Table(
    "edges",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("subject", ID, nullable=False),
    Column("predicate", ID, nullable=False),
    Column("object", ID, nullable=False),
    Column("negated", Boolean, nullable=False),
    Column("primary_knowledge_source", String, nullable=False),
    Column("knowledge_level", String, nullable=False),
    Column("agent_type", String, nullable=False),
    Column("publications", Text, nullable=False),
    Column("supporting_text", Text, nullable=False),
    Column("document_id", ID, nullable=False),
    Column("document_hash", String, nullable=False),
    Column("start_offset", Integer, nullable=False),
    Column("end_offset", Integer, nullable=False),
    Column("synthetic", Boolean, nullable=False),
    Column("qualifiers", ID, nullable=False),
    Column("details", Text, nullable=False),
    Index("edges_by_subject", "subject"),
    Index("edges_by_object", "object"),
    Index("edges_by_document", "document_id"),
    sqlite_with_rowid=False,
)

# What the graph holds of which document.
DOCUMENTS = Table(
    "graph_documents",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("input_hash", String, nullable=False),
    sqlite_with_rowid=False,
)

# What came and went, document by document.
CHANGES = Table(
    "graph_changes",
    METADATA,
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("at", ID, nullable=False),
    Column("document_id", ID, nullable=False),
    Column("came", Text, nullable=False),
    Column("gone", Text, nullable=False),
    Index("graph_changes_by_time", "at"),
    Index("graph_changes_by_document", "document_id"),
)

# One row: from when on every change is remembered.
CHANGES_BEGIN = Table("graph_changes_begin", METADATA, Column("at", ID, primary_key=True))
