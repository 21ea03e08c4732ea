"""OBO Graphs: nodes with their meta data, and edges between them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.vocabulary.concepts import Concept
from medkg_dagster_tests.vocabulary.readers.reading import (
    NAMES,
    check_cost,
    check_hostile_inputs,
    left_out,
    read,
    refusal,
)

OBO = "http://purl.obolibrary.org/obo/"
OIO = "http://www.geneontology.org/formats/oboInOwl#"


def node(identifier: str, name: str | None = None, **meta: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"id": OBO + identifier, "type": "CLASS", "meta": meta}
    return found if name is None else {**found, "lbl": name}


def graph(*nodes: dict[str, Any], edges: tuple[tuple[str, str, str], ...] = ()) -> str:
    written = [{"sub": OBO + sub, "pred": pred, "obj": OBO + obj} for sub, pred, obj in edges]
    whole = {"id": f"{OBO}chebi.owl", "nodes": nodes, "edges": written}
    return json.dumps({"graphs": [whole]}, indent=1)


GRAPH = graph(
    node(
        "CHEBI_1",
        "curine",
        synonyms=[
            {"pred": "hasExactSynonym", "val": "curic acid"},
            {"pred": "hasRelatedSynonym", "val": "curinum"},
            {"pred": "hasBroadSynonym", "val": "acid"},
            {"pred": "hasNarrowSynonym", "val": "D-curine"},
        ],
        xrefs=[{"val": "CAS:50-00-0"}, {"val": "MSH:D1"}, {"val": "http://example.org/1"}],
        basicPropertyValues=[
            {"pred": f"{OIO}hasAlternativeId", "val": "CHEBI:11"},
            {
                "pred": "http://www.w3.org/2004/02/skos/core#exactMatch",
                "val": "http://identifiers.org/mesh/D2",
            },
        ],
    ),
    node("CHEBI_2", "substance"),
    node("CHEBI_3", "a role"),
    node(
        "CHEBI_4",
        deprecated=True,
        basicPropertyValues=[{"pred": f"{OBO}IAO_0100001", "val": f"{OBO}CHEBI_2"}],
    ),
    node("CHEBI_5", "obsolete thing", deprecated=True),
    node("CHEBI_6"),
    node("GO_1", "process"),
    {"id": "http://example.org/things", "lbl": "thing"},
    {"id": f"{OBO}RO_0000087", "type": "PROPERTY", "lbl": "has role"},
    edges=(
        ("CHEBI_1", "is_a", "CHEBI_2"),
        ("CHEBI_1", f"{OBO}RO_0000087", "CHEBI_3"),
        ("CHEBI_1", f"{OBO}RO_0018034", "CHEBI_4"),
        ("CHEBI_1", f"{OBO}BFO_0000050", "CHEBI_2"),
    ),
)


def test_nodes_are_read_with_names_references_parents_and_roles(tmp_path: Path) -> None:
    curine, substance, role = read(tmp_path, "obograph", GRAPH)

    assert curine == Concept(
        "CHEBI:1",
        "curine",
        "biolink:ChemicalEntity",
        synonyms=("curic acid", "curinum"),
        same_as=("CAS:50-00-0", "MESH:D1", "MESH:D2"),
        parents=("CHEBI:2",),
        roles=("CHEBI:3",),
        close=("CHEBI:4",),
        former=("CHEBI:11",),
    )
    assert substance.former == ("CHEBI:4",)
    assert role.name == "a role"


def test_what_is_left_out_is_counted_by_its_reason(tmp_path: Path) -> None:
    assert left_out(tmp_path, "obograph", GRAPH) == {
        "broad synonyms": 1,
        "narrow synonyms": 1,
        "references that are no CURIE": 1,
        "obsolete terms": 2,
        "ids of obsolete terms that nothing replaced": 1,
        "nodes without a CURIE": 1,
        "nodes without a name": 1,
        "terms of other ontologies": 1,
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"graphs": [\n{"nodes": }]}', "2: not JSON"),
        ('{"nodes": []}', "1: there is no list `graphs`"),
        ("[]", "1: there is no list `graphs`"),
        ('{"graphs": {}}', "1: `graphs` is not a list of objects"),
        ('{"graphs": [{"nodes": [1]}]}', "1: `nodes` is not a list of objects"),
        ('{"graphs": []}', "1: the file names no term"),
        ('{"graphs": [\n{"nodes": [\n{"id": "",\n"lbl": "a"}]}]}', "3: the node 'a' has no id"),
        ('{"graphs": [\n{"nodes": [\n{"id": "chebi",\n"lbl": "a"}]}]}', "3: 'chebi' is not a CURIE"),
        (graph(node("X_1", "a"), node("X_1", "b")), "13: X:1 is already on line 7"),
        ("[" * 100_000, "1: not JSON"),
        (b'{"graphs": "\xff"}', "1: not JSON"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(content: str | bytes, said: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, "obograph", content).startswith(said)


def test_a_cycle_is_named(tmp_path: Path) -> None:
    edges = (("X_1", "is_a", "X_2"), ("X_2", "is_a", "X_1"))
    said = refusal(tmp_path, "obograph", graph(node("X_1", "a"), node("X_2", "b"), edges=edges))
    assert said.startswith("7: a cycle, X:1 is_a X:2 is_a X:1;")


def test_what_may_befall_any_file_is_told(tmp_path: Path) -> None:
    check_hostile_inputs(tmp_path, "obograph", GRAPH)


@given(st.lists(st.lists(NAMES, unique=True, min_size=1, max_size=4), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read_back(tmp_path_factory: Any, names: list[list[str]]) -> None:
    nodes = [
        node(f"X_{i}", first, synonyms=[{"pred": "hasExactSynonym", "val": one} for one in others])
        for i, (first, *others) in enumerate(names)
    ]
    found = read(tmp_path_factory.mktemp("graph"), "obograph", graph(*nodes))

    assert [list(one.names) for one in found] == names


def chain(size: int) -> str:
    edges = tuple((f"X_{i}", "is_a", f"X_{i + 1}") for i in range(size - 1))
    return graph(*(node(f"X_{i}", "name") for i in range(size)), edges=edges)


def test_the_cost_grows_with_the_file(tmp_path: Path) -> None:
    check_cost(tmp_path, "obograph", chain)
