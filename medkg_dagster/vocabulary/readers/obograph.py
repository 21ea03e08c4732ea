"""Ontologies as OBO Graphs, https://github.com/geneontology/obographs: graphs of nodes and edges."""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from medkg_dagster.vocabulary.concepts import Concept
from medkg_dagster.vocabulary.readers.source_file import SourceFile
from medkg_dagster.vocabulary.readers.terms import (
    CLOSE,
    Term,
    add_reference,
    concepts_of,
    written_curie,
)

_MAX_BYTES = 1 << 30
_KEPT = frozenset({"hasExactSynonym", "hasRelatedSynonym"})
_LEFT_OUT = {"hasBroadSynonym": "broad synonyms", "hasNarrowSynonym": "narrow synonyms"}
_ALTERNATIVE = "hasAlternativeId"
_REPLACED_BY = "IAO_0100001"
_EXACT = "exactMatch"
_ROLE = "RO_0000087"
_CLOSE = frozenset(relation.replace("RO:", "RO_") for relation in CLOSE)
_ID = re.compile(rb'"id"\s*:\s*("(?:[^"\\]|\\.)*")')
_LINE_OF_ERROR = re.compile(r"at line (\d+)")


def read(path: Path, left_out: Counter[str] | None = None) -> Iterator[Concept]:
    """Read the terms of a file of OBO Graphs.

    Args:
        path: The file.
        left_out: Counts what is left out, by its reason.

    Raises:
        VocabularyError: The file is no OBO Graph or says what cannot be; the message names the line.
    """
    source = SourceFile(path, left_out, limit=_MAX_BYTES)
    with source.opened() as stream:
        content = stream.read()
    graphs = _graphs(content, source)
    lines = _lines_of_ids(content)
    terms: list[Term] = []
    ontology, edges = "", []
    for graph in graphs:
        ontology = ontology or _ontology(str(graph.get("id", "")))
        for node in _list(graph, "nodes", source):
            terms.extend(_terms(node, lines, source))
        edges += _list(graph, "edges", source)
    _add_edges({term.curie: term for term in terms}, edges)
    yield from concepts_of(terms, source, ontology)


def _graphs(content: bytes, source: SourceFile) -> list[Any]:
    try:
        document = from_json(content)
    except ValueError as error:
        found = _LINE_OF_ERROR.search(str(error))
        line = int(found[1]) if found else 1
        raise source.error(f"not JSON: {error}; the file is damaged, fetch it again", line) from error
    if not isinstance(document, dict) or "graphs" not in document:
        raise source.error("there is no list `graphs`; this is not a file of OBO Graphs", 1)
    return _list(document, "graphs", source)


def _list(of: Mapping[str, Any], key: str, source: SourceFile) -> list[Any]:
    found = of.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise source.error(f"`{key}` is not a list of objects; this is not a file of OBO Graphs", 1)
    return found


def _lines_of_ids(content: bytes) -> Mapping[str, deque[int]]:
    """Return the lines that each id stands on, in order: the parsed JSON has forgotten them."""
    lines: defaultdict[str, deque[int]] = defaultdict(deque)
    line, at = 1, 0
    for found in _ID.finditer(content):
        line += content.count(b"\n", at, found.start())
        at = found.start()
        lines[str(from_json(found[1]))].append(line)
    return lines


def _terms(node: Mapping[str, Any], lines: Mapping[str, deque[int]], source: SourceFile) -> Iterator[Term]:
    """Yield the term that a node is, where it is one with a name."""
    written, name = str(node.get("id") or ""), str(node.get("lbl") or "").strip()
    line = lines[written].popleft() if lines[written] else 1
    if node.get("type", "CLASS") != "CLASS":
        return
    if not written:
        raise source.error(f"the node {name!r} has no id; add one, or take it out", line)
    meta = _object(node.get("meta"))
    term = Term(_curie(written), name, is_obsolete=meta.get("deprecated") is True, line=line)
    if "://" in term.curie:
        source.left_out["nodes without a CURIE"] += 1
    elif not name and not term.is_obsolete:
        # An ontology names what it refers to, and leaves it to others to say what that is.
        source.left_out["nodes without a name"] += 1
    else:
        _read_meta(term, meta, source)
        yield term


def _read_meta(term: Term, meta: Mapping[str, Any], source: SourceFile) -> None:
    for synonym in _list(meta, "synonyms", source):
        predicate = _tail(synonym.get("pred"))
        if predicate in _KEPT:
            term.synonyms.append(str(synonym.get("val") or "").strip())
        else:
            source.left_out[_LEFT_OUT.get(predicate, "synonyms of an unknown scope")] += 1
    for reference in _list(meta, "xrefs", source):
        add_reference(term, str(reference.get("val") or ""), source)
    for said in _list(meta, "basicPropertyValues", source):
        predicate, value = _tail(said.get("pred")), _curie(str(said.get("val") or ""))
        if predicate == _ALTERNATIVE:
            term.alternatives.append(value)
        elif predicate == _REPLACED_BY:
            term.replaced_by = term.replaced_by or value
        elif predicate == _EXACT:
            add_reference(term, value, source)


def _add_edges(terms: Mapping[str, Term], edges: Sequence[Mapping[str, Any]]) -> None:
    for edge in edges:
        term = terms.get(_curie(str(edge.get("sub"))))
        predicate = _tail(edge.get("pred"))
        if term is not None and predicate == "is_a":
            term.parents.append(_curie(str(edge.get("obj"))))
        elif term is not None and predicate == _ROLE:
            term.roles.append(_curie(str(edge.get("obj"))))
        elif term is not None and predicate in _CLOSE:
            term.close.append(_curie(str(edge.get("obj"))))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _tail(iri: object) -> str:
    return re.split(r"[/#:]", str(iri or ""))[-1]


def _curie(iri: str) -> str:
    """Return the CURIE that an IRI stands for; of an unknown shape it stays as it is."""
    if "://" not in iri:
        return written_curie(iri)
    *_, before, last = re.split(r"[/#]", iri)
    prefix, underscore, identifier = last.partition("_")
    if underscore:
        return written_curie(f"{prefix}:{identifier}")
    if "identifiers.org/" in iri and last:
        return written_curie(last if ":" in last else f"{before}:{last}")
    return iri


def _ontology(iri: str) -> str:
    """Return the name of an ontology: `mondo` of `http://purl.obolibrary.org/obo/mondo/mondo-base.owl`."""
    _, obo, path = iri.partition("/obo/")
    return re.split(r"[/.]", path)[0] if obo else ""
