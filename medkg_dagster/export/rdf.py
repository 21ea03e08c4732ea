"""RDF as N-Triples: nodes, and each statement as an association of the Biolink Model.

`subject predicate object` alone is written of what is asserted and not denied; the association has all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import quote

from pydantic_core import to_json

from medkg_dagster.export.records import NODE_COLUMNS, Columns, GraphRecords, Kind, Record, edge_columns

BIOLINK = "https://w3id.org/biolink/vocab/"
EDGE = "urn:medkg:edge:"
_TYPE = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
_LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"
_BOOLEAN = "^^<http://www.w3.org/2001/XMLSchema#boolean>"
_INTEGER = "^^<http://www.w3.org/2001/XMLSchema#integer>"
_OBO = "http://purl.obolibrary.org/obo/"
_NAMESPACES = {
    "biolink": BIOLINK,
    "cito": "http://purl.org/spar/cito/",
    "infores": "https://w3id.org/biolink/infores/",
    "MESH": "http://id.nlm.nih.gov/mesh/",
    "HGNC": "http://identifiers.org/hgnc/",
    "NCBIGene": "http://identifiers.org/ncbigene/",
    "UniProtKB": "http://purl.uniprot.org/uniprot/",
    "DRUGBANK": "http://identifiers.org/drugbank/",
    "PMID": "http://identifiers.org/pubmed/",
    "PMC": "http://identifiers.org/pmc/",
    "doi": "https://doi.org/",
    "CLINICALTRIALS": "https://clinicaltrials.gov/study/",
    **{name: f"{_OBO}{name}_" for name in ("MONDO", "HP", "CHEBI", "DOID", "GO", "UBERON", "CL", "NCIT")},
}
_OTHERS = "https://bioregistry.io/"
"""Resolves CURIEs of any prefix."""
_CURIES = frozenset(
    {
        *("category", "subject", "predicate", "object", "primary_knowledge_source"),
        *("aggregator_knowledge_source", "publications", "equivalent_identifiers"),
    }
)
_ESCAPED = re.compile('[\\\\"\n\r\t\x00-\x1f]')
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def write_ntriples(stream: BinaryIO, graph: GraphRecords) -> None:
    """Write nodes and edges."""
    for node in graph.nodes():
        stream.writelines(line.encode() for line in _node_lines(node))
    columns = edge_columns(graph.slots())
    for edge in graph.edges():
        stream.writelines(line.encode() for line in _edge_lines(edge, columns))


def iri(curie: str) -> str:
    """Return the IRI of a CURIE, in angle brackets."""
    prefix, colon, local = curie.partition(":")
    space = _NAMESPACES.get(prefix)
    if space is None:
        space, local = _OTHERS, f"{prefix}{colon}{local}"
    return f"<{space}{quote(local, safe='/:@!$&()*+,;=~._-#?')}>"


def _node_lines(node: Record) -> Iterator[str]:
    subject = iri(node["id"])
    for category in node["category"]:
        yield f"{subject} {_TYPE} {iri(category)} .\n"
    yield f"{subject} {_LABEL} {_literal(node['name'])} .\n"
    yield from _slot_lines(subject, node, NODE_COLUMNS, {"id", "category"})


def _edge_lines(edge: Record, columns: Columns) -> Iterator[str]:
    one, predicate, other = iri(edge["subject"]), iri(edge["predicate"]), iri(edge["object"])
    if not edge["negated"] and edge["certainty"] == "asserted":
        yield f"{one} {predicate} {other} .\n"
    subject = f"<{EDGE}{quote(edge['id'], safe='')}>"
    for category in edge["category"]:
        yield f"{subject} {_TYPE} {iri(category)} .\n"
    yield from _slot_lines(subject, edge, columns, {"id", "category"})


def _slot_lines(subject: str, record: Record, columns: Columns, without: set[str]) -> Iterator[str]:
    for name, kind in columns.items():
        if name not in record or name in without:
            continue
        value = record[name]
        for item in value if kind is Kind.LIST else (value,):
            yield f"{subject} {iri(f'biolink:{name}')} {_object(name, kind, item)} .\n"


def _object(name: str, kind: Kind, value: Any) -> str:
    if name in _CURIES and ":" in value:
        return iri(value)
    if kind is Kind.TRUTH:
        return f'"{"true" if value else "false"}"{_BOOLEAN}'
    if kind is Kind.NUMBER:
        return f'"{value}"{_INTEGER}'
    return _literal(to_json(value).decode() if kind is Kind.OBJECT else str(value))


def _literal(text: str) -> str:
    escaped = _ESCAPED.sub(lambda sign: _ESCAPES.get(sign[0], f"\\u{ord(sign[0]):04X}"), text)
    return f'"{escaped}"'
