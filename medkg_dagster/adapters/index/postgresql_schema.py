"""The tables of the index in PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Column, Connection, Integer, MetaData, Table

from medkg_dagster.errors import StoreError
from medkg_dagster.io.sql import DatabaseKind, VersionTable

_VERSION = Table("index_schema", MetaData(), Column("version", Integer, nullable=False))

# Ids sort as SQLite sorts them. `number` is small, as searches keep an array by it; the terms at place 0
# are of the title. Terms and vectors have tables of their own, since a search reads many of them and of the
# texts few: terms in line with their rows, as to fetch them from elsewhere takes longer than to count them.
_VERSION_1 = (
    """
    CREATE TABLE index_documents (
        number integer PRIMARY KEY,
        id text COLLATE "C" NOT NULL UNIQUE,
        input_hash text NOT NULL,
        title text NOT NULL,
        source text NOT NULL,
        date text,
        url text,
        language text,
        phases text NOT NULL,
        synthetic boolean NOT NULL,
        passages integer NOT NULL,
        length bigint NOT NULL,
        model text NOT NULL,
        dimension integer NOT NULL
    )
    """,
    """
    CREATE TABLE index_passages (
        document integer NOT NULL REFERENCES index_documents ON DELETE CASCADE,
        place integer NOT NULL,
        id text COLLATE "C" NOT NULL,
        document_hash text NOT NULL,
        title text NOT NULL,
        section text NOT NULL,
        ordinal bigint NOT NULL,
        start_offset bigint NOT NULL,
        end_offset bigint NOT NULL,
        text text NOT NULL,
        synthetic boolean NOT NULL,
        PRIMARY KEY (document, place)
    )
    """,
    """
    CREATE TABLE index_terms (
        document integer NOT NULL REFERENCES index_documents ON DELETE CASCADE,
        place integer NOT NULL,
        terms tsvector NOT NULL,
        PRIMARY KEY (document, place)
    ) WITH (toast_tuple_target = 8160)
    """,
    "CREATE INDEX index_terms_by_term ON index_terms USING gin (terms)",
    """
    CREATE TABLE index_vectors (
        document integer NOT NULL REFERENCES index_documents ON DELETE CASCADE,
        place integer NOT NULL,
        id text COLLATE "C" NOT NULL,
        scale real NOT NULL,
        signs bit varying NOT NULL,
        codes bytea NOT NULL,
        PRIMARY KEY (document, place)
    )
    """,
    "CREATE INDEX index_vectors_by_id ON index_vectors (id)",
)


def _make_tables(connection: Connection) -> None:
    for statement in _VERSION_1:
        connection.exec_driver_sql(statement)


POSTGRESQL_INDEX_TABLES = DatabaseKind(
    name="index",
    error=StoreError,
    version=VersionTable(_VERSION),
    migrations=(_make_tables,),
    tables=("index_documents", "index_passages", "index_terms", "index_vectors"),
    lock=0x6D6B6769,
    restore="drop the tables whose names begin with index_ and run the index stage again, which makes them",
    elsewhere="choose another database",
)
