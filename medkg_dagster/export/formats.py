"""The formats of an export: which files each has, and what writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from pydantic_core import to_json

from medkg_dagster.export import graphml, parquet, rdf, tables
from medkg_dagster.export.records import GraphRecords, Record

Writer = Callable[[BinaryIO, GraphRecords], None]


@dataclass(frozen=True, slots=True)
class Format:
    """A format.

    Attributes:
        description: What it is, for people.
        files: What writes each file, by its name.
    """

    description: str
    files: Mapping[str, Writer]


def _lines(stream: BinaryIO, records: Iterator[Record]) -> None:
    for record in records:
        stream.write(to_json(record) + b"\n")


FORMATS: Mapping[str, Format] = {
    "kgx": Format(
        "KGX, a line of JSON for each node and edge",
        {
            "nodes.jsonl": lambda stream, graph: _lines(stream, graph.nodes()),
            "edges.jsonl": lambda stream, graph: _lines(stream, graph.edges()),
        },
    ),
    "kgx-aggregated": Format(
        "KGX, a line for all edges that say the same",
        {
            "nodes.jsonl": lambda stream, graph: _lines(stream, graph.nodes()),
            "aggregated_edges.jsonl": lambda stream, graph: _lines(stream, graph.aggregated()),
        },
    ),
    "kgx-tsv": Format(
        "KGX as tables", {"nodes.tsv": tables.write_tsv_nodes, "edges.tsv": tables.write_tsv_edges}
    ),
    "neo4j": Format(
        "CSV for neo4j-admin database import",
        {"nodes.csv": tables.write_neo4j_nodes, "edges.csv": tables.write_neo4j_edges},
    ),
    "graphml": Format("GraphML", {"graph.graphml": graphml.write_graphml}),
    "rdf": Format("RDF as N-Triples", {"graph.nt": rdf.write_ntriples}),
    "csv": Format("CSV", {"nodes.csv": tables.write_csv_nodes, "edges.csv": tables.write_csv_edges}),
    "parquet": Format(
        "Apache Parquet, with the extra `parquet`",
        {"nodes.parquet": parquet.write_parquet_nodes, "edges.parquet": parquet.write_parquet_edges},
    ),
}
