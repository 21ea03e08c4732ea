"""Tables: CSV, the TSV of KGX, and what `neo4j-admin database import` reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO

from pydantic_core import to_json

from medkg_dagster.export.records import (
    NODE_COLUMNS,
    Columns,
    GraphRecords,
    Kind,
    Record,
    Tally,
    edge_columns,
)

Cell = Callable[[Any], str]
_FLUSH_CHARACTERS = 1 << 16


def write_csv_nodes(stream: BinaryIO, graph: GraphRecords) -> None:
    """Write nodes as CSV; lists are JSON."""
    _write_csv(stream, graph.nodes(), NODE_COLUMNS, NODE_COLUMNS, _json_cells(NODE_COLUMNS))


def write_csv_edges(stream: BinaryIO, graph: GraphRecords) -> None:
    """Write edges as CSV; lists are JSON."""
    columns = edge_columns(graph.slots())
    _write_csv(stream, graph.edges(), columns, columns, _json_cells(columns))


def write_tsv_nodes(stream: BinaryIO, graph: GraphRecords) -> None:
    """Write nodes as the TSV of KGX, which knows no quotes: lists are joined by `|`."""
    _write_tsv(stream, graph.nodes(), NODE_COLUMNS, graph.tally)


def write_tsv_edges(stream: BinaryIO, graph: GraphRecords) -> None:
    """Write edges as the TSV of KGX."""
    _write_tsv(stream, graph.edges(), edge_columns(graph.slots()), graph.tally)


def write_neo4j_nodes(stream: BinaryIO, graph: GraphRecords) -> None:
    """Write nodes with a header for `neo4j-admin database import`: categories are labels."""
    header = ["id:ID", ":LABEL", *(_neo4j_name(name, kind) for name, kind in list(NODE_COLUMNS.items())[2:])]
    _write_csv(stream, graph.nodes(), NODE_COLUMNS, header, _neo4j_cells(NODE_COLUMNS, graph.tally))


def write_neo4j_edges(stream: BinaryIO, graph: GraphRecords) -> None:
    """Write edges with a header for `neo4j-admin database import`: predicates are types."""
    columns = edge_columns(graph.slots())
    special = {"subject": ":START_ID", "predicate": ":TYPE", "object": ":END_ID"}
    header = [special.get(name, _neo4j_name(name, kind)) for name, kind in columns.items()]
    _write_csv(stream, graph.edges(), columns, header, _neo4j_cells(columns, graph.tally))


def _write_csv(
    stream: BinaryIO,
    records: Iterable[Record],
    columns: Columns,
    header: Iterable[str],
    cells: Mapping[str, Cell],
) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    named = [(name, cells[name]) for name in columns]
    for record in records:
        writer.writerow([cell(record[name]) if name in record else "" for name, cell in named])
        if buffer.tell() > _FLUSH_CHARACTERS:
            _flush(buffer, stream)
    _flush(buffer, stream)


def _write_tsv(stream: BinaryIO, records: Iterable[Record], columns: Columns, tally: Tally) -> None:
    def plain(value: Any) -> str:
        text = str(value)
        for sign in ("\t", "\n", "\r"):
            if sign in text:
                tally.replaced["tab or line break by a space"] += text.count(sign)
                text = text.replace(sign, " ")
        return text

    joined = _joiner("|", "¦", plain, tally)
    cells = {Kind.LIST: joined, Kind.TRUTH: _truth, Kind.OBJECT: _as_json}
    named = [(name, cells.get(kind, plain)) for name, kind in columns.items()]
    stream.write(("\t".join(columns) + "\n").encode())
    for record in records:
        line = "\t".join([cell(record[name]) if name in record else "" for name, cell in named])
        stream.write(line.encode() + b"\n")


def _json_cells(columns: Columns) -> dict[str, Cell]:
    cells: dict[Kind, Cell] = {Kind.LIST: _as_json, Kind.TRUTH: _truth, Kind.OBJECT: _as_json}
    return {name: cells.get(kind, str) for name, kind in columns.items()}


def _neo4j_cells(columns: Columns, tally: Tally) -> dict[str, Cell]:
    def plain(value: Any) -> str:
        text = str(value)
        if "\n" in text or "\r" in text:
            tally.replaced["line break by a space"] += text.count("\n") + text.count("\r")
            text = text.replace("\n", " ").replace("\r", " ")
        return text

    joined = _joiner(";", ",", plain, tally)
    cells: dict[Kind, Cell] = {Kind.LIST: joined, Kind.TRUTH: _truth, Kind.OBJECT: _as_json}
    return {name: cells.get(kind, plain) for name, kind in columns.items()}


def _joiner(sign: str, instead: str, plain: Cell, tally: Tally) -> Cell:
    """Return what joins lists; the sign within an item is replaced and counted."""

    def joined(values: Any) -> str:
        items = [plain(value) for value in values]
        if found := sum([item.count(sign) for item in items]):
            tally.replaced[f"{sign} in lists by {instead}"] += found
            items = [item.replace(sign, instead) for item in items]
        return sign.join(items)

    return joined


def _neo4j_name(name: str, kind: Kind) -> str:
    types = {Kind.LIST: "string[]", Kind.TRUTH: "boolean", Kind.NUMBER: "long"}
    return f"{name}:{types.get(kind, 'string')}"


def _as_json(value: Any) -> str:
    return to_json(value).decode()


def _truth(value: Any) -> str:
    return "true" if value else "false"


def _flush(buffer: io.StringIO, stream: BinaryIO) -> None:
    stream.write(buffer.getvalue().encode())
    buffer.seek(0)
    buffer.truncate()
