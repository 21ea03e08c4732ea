"""Apache Parquet, with the extra `parquet`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, BinaryIO

from pydantic_core import to_json

from medkg_dagster.errors import ConfigError
from medkg_dagster.export.records import NODE_COLUMNS, Columns, GraphRecords, Kind, Record, edge_columns

_AT_ONCE = 2_000


def write_parquet_nodes(stream: BinaryIO, graph: GraphRecords) -> None:
    """Write nodes."""
    _write(stream, graph.nodes(), NODE_COLUMNS)


def write_parquet_edges(stream: BinaryIO, graph: GraphRecords) -> None:
    """Write edges."""
    _write(stream, graph.edges(), edge_columns(graph.slots()))


def _write(stream: BinaryIO, records: Iterable[Record], columns: Columns) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ConfigError(
            f"parquet needs pyarrow ({error}); install it with `pip install 'medkg-dagster[parquet]'`"
        ) from error
    types = {Kind.LIST: pa.list_(pa.string()), Kind.TRUTH: pa.bool_(), Kind.NUMBER: pa.int64()}
    schema = pa.schema([(name, types.get(kind, pa.string())) for name, kind in columns.items()])
    remaining = iter(records)
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        while some := list(islice(remaining, _AT_ONCE)):
            arrays = {
                name: [_cell(record.get(name), kind) for record in some] for name, kind in columns.items()
            }
            writer.write_table(pa.table(arrays, schema=schema))


def _cell(value: Any, kind: Kind) -> Any:
    if value is None or kind in {Kind.LIST, Kind.TRUTH, Kind.NUMBER}:
        return value
    return to_json(value).decode() if kind is Kind.OBJECT else str(value)
