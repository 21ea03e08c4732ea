"""GraphML (http://graphml.graphdrawing.org/): a directed graph with an edge for each statement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO
from xml.sax.saxutils import escape, quoteattr

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

_HEAD = b"""<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
"""
_TYPES = {Kind.TRUTH: "boolean", Kind.NUMBER: "int"}
_ENDS = ("id", "subject", "object")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def write_graphml(stream: BinaryIO, graph: GraphRecords) -> None:
    """Write nodes and edges; lists are JSON."""
    columns = edge_columns(graph.slots())
    stream.write(_HEAD)
    for element, kinds in (("node", NODE_COLUMNS), ("edge", columns)):
        for name, kind in kinds.items():
            if name not in _ENDS:
                key = f'id={quoteattr(f"{element}_{name}")} for="{element}" attr.name={quoteattr(name)}'
                kind_of = _TYPES.get(kind, "string")
                stream.write(f'<key {key} attr.type="{kind_of}"/>\n'.encode())
    stream.write(b'<graph edgedefault="directed">\n')
    for node in graph.nodes():
        data = "".join(_data("node", node, NODE_COLUMNS, graph.tally))
        stream.write(f"<node id={_attribute(node['id'], graph.tally)}>{data}</node>\n".encode())
    for edge in graph.edges():
        ends = " ".join(
            f"{name}={_attribute(edge[field], graph.tally)}"
            for name, field in (("id", "id"), ("source", "subject"), ("target", "object"))
        )
        data = "".join(_data("edge", edge, columns, graph.tally))
        stream.write(f"<edge {ends}>{data}</edge>\n".encode())
    stream.write(b"</graph>\n</graphml>\n")


def _data(element: str, record: Record, columns: Columns, tally: Tally) -> Iterator[str]:
    for name, kind in columns.items():
        if name in record and name not in _ENDS:
            key = quoteattr(f"{element}_{name}")
            yield f"<data key={key}>{escape(_clean(_text(record[name], kind), tally))}</data>"


def _text(value: Any, kind: Kind) -> str:
    if kind is Kind.TRUTH:
        return "true" if value else "false"
    return to_json(value).decode() if kind in {Kind.LIST, Kind.OBJECT} else str(value)


def _attribute(text: str, tally: Tally) -> str:
    return quoteattr(_clean(text, tally))


def _clean(text: str, tally: Tally) -> str:
    """Return a text without what XML cannot hold."""
    cleaned, number = _NOT_XML.subn("�", text)
    if number:
        tally.replaced["control character by �"] += number
    return cleaned
