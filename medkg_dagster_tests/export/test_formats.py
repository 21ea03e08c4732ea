"""Each format is read back by a program that knows nothing of ours."""

import csv
import hashlib
import importlib.util
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import rdflib
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from medkg_dagster.errors import ConfigError, QueryError, StoreError
from medkg_dagster.export import FORMATS, export_graph
from medkg_dagster.query import ClaimFilter
from medkg_dagster.registry import ExtensionRegistry
from medkg_dagster.settings import Settings
from medkg_dagster.stage_api import Edge, ExtensionKind, Node
from medkg_dagster_tests.query.made_home import BLOCKS, DENIES, FIRST, SECOND, THIRD

ALL = ClaimFilter(mentions=True)
CLAIMS = ClaimFilter()
Triple = tuple[str, str, str]
EDGES = {edge.id: edge for one in (FIRST, SECOND, THIRD) for edge in one.edges}
TRIPLES = Counter((edge.subject, edge.predicate, edge.object) for edge in EDGES.values())
NODES = {"DRUGBANK:1", "MESH:1", "HGNC:1", "HP:1", "PMID:1", "PMID:2", "PMID:3"}
needs_pyarrow = pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="pyarrow, the extra `parquet`, is not installed"
)
BIOLINK = rdflib.Namespace("https://w3id.org/biolink/vocab/")


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def rows(file: Path, **dialect: Any) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream, **dialect))


def triples(found: Iterator[Any] | list[Any], *names: str) -> Counter[Triple]:
    return Counter((one[names[0]], one[names[1]], one[names[2]]) for one in found)


def test_kgx_lines_hold_every_node_and_edge(settings: Settings, tmp_path: Path) -> None:
    files = export_graph(settings, "kgx", tmp_path / "out", ALL)

    assert [(file.path.name, dict(file.records)) for file in files] == [
        ("nodes.jsonl", {"nodes": 7}),
        ("edges.jsonl", {"edges": 12}),
    ]
    assert {node["id"] for node in lines(tmp_path / "out" / "nodes.jsonl")} == NODES
    found = lines(tmp_path / "out" / "edges.jsonl")
    assert triples(found, "subject", "predicate", "object") == TRIPLES
    assert [edge["id"] for edge in found] == sorted(EDGES)
    for edge in found:
        assert edge["supporting_text"] == [EDGES[edge["id"]].supporting_text]
        assert edge.get("synthetic", False) is (edge["document"] == "PMID:3")


def test_what_is_said_alike_is_a_line_with_all_its_evidence(settings: Settings, tmp_path: Path) -> None:
    export_graph(settings, "kgx-aggregated", tmp_path, CLAIMS)

    found = lines(tmp_path / "aggregated_edges.jsonl")
    treats = next(edge for edge in found if edge["evidence_count"] == 2)
    assert treats["has_evidence"] == ["PMID:1#0", "PMID:2#0"]
    assert treats["publications"] == ["PMID:1", "PMID:2"]
    manifest = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    assert manifest["licences"] == {"CC0": len(found)}


def test_the_tables_of_kgx_have_a_line_for_each_without_quotes(settings: Settings, tmp_path: Path) -> None:
    export_graph(settings, "kgx-tsv", tmp_path, ALL)
    plain = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}

    nodes = {node["id"]: node for node in rows(tmp_path / "nodes.tsv", **plain)}
    assert nodes.keys() == NODES
    assert nodes["HGNC:1"]["synonym"].split("|") == ["PD-1"]
    edges = rows(tmp_path / "edges.tsv", **plain)
    assert triples(edges, "subject", "predicate", "object") == TRIPLES
    assert {edge["negated"] for edge in edges} == {"true", "false"}
    assert json.loads(edges[0]["sources"])[0]["resource_role"] == "primary_knowledge_source"


def test_what_neo4j_imports_has_labels_types_and_ends_that_are_there(
    settings: Settings, tmp_path: Path
) -> None:
    export_graph(settings, "neo4j", tmp_path, ALL)

    nodes = rows(tmp_path / "nodes.csv")
    assert {node["id:ID"] for node in nodes} == NODES
    assert {node[":LABEL"].split(";")[0] for node in nodes} >= {"biolink:Drug", "biolink:Publication"}
    edges = rows(tmp_path / "edges.csv")
    assert triples(edges, ":START_ID", ":TYPE", ":END_ID") == TRIPLES
    assert {end for edge in edges for end in (edge[":START_ID"], edge[":END_ID"])} <= NODES
    assert all(int(edge["start:long"]) < int(edge["end:long"]) for edge in edges)


def test_graphml_is_a_directed_multigraph_to_networkx(settings: Settings, tmp_path: Path) -> None:
    export_graph(settings, "graphml", tmp_path, ALL)
    found = nx.read_graphml(tmp_path / "graph.graphml", force_multigraph=True)

    assert found.is_directed()
    assert set(found.nodes) == NODES
    assert found.nodes["HGNC:1"]["name"] == "Programmed Cell Death 1"
    read = {
        key: (one, data["predicate"], other) for one, other, key, data in found.edges(keys=True, data=True)
    }
    assert read == {key: (edge.subject, edge.predicate, edge.object) for key, edge in EDGES.items()}
    denied = [data for *_, data in found.edges(data=True) if data["negated"]]
    assert [json.loads(data["supporting_text"]) for data in denied] == [[DENIES.sentence]]


def test_rdf_has_an_association_for_each_edge_and_what_is_affirmed_itself(
    settings: Settings, tmp_path: Path
) -> None:
    export_graph(settings, "rdf", tmp_path, CLAIMS)
    graph = rdflib.Graph().parse(tmp_path / "graph.nt", format="nt")

    sentences = {str(value) for value in graph.objects(None, BIOLINK.supporting_text)}
    claims = {key: edge for key, edge in EDGES.items() if edge.predicate != "biolink:mentions"}
    assert sentences == {edge.supporting_text for edge in claims.values()}
    associations = set(graph.subjects(BIOLINK.predicate, None))
    assert len(associations) == len(claims)
    (denied,) = graph.subjects(BIOLINK.negated, rdflib.Literal(True))
    assert (denied, BIOLINK.predicate, BIOLINK.treats) in graph
    melanoma = rdflib.URIRef("http://id.nlm.nih.gov/mesh/1")
    colitis = rdflib.URIRef("http://purl.obolibrary.org/obo/HP_1")
    assert len(set(graph.subject_predicates(melanoma))) > 2
    assert (None, BIOLINK.treats, melanoma) in graph
    assert (None, BIOLINK.causes, colitis) not in graph  # it is only held possible
    assert (melanoma, rdflib.RDFS.label, rdflib.Literal("Melanoma")) in graph


def test_csv_keeps_lists_as_json(settings: Settings, tmp_path: Path) -> None:
    export_graph(settings, "csv", tmp_path, ALL)

    nodes = {node["id"]: node for node in rows(tmp_path / "nodes.csv")}
    assert nodes.keys() == NODES
    assert json.loads(nodes["HGNC:1"]["synonym"]) == ["PD-1"]
    assert triples(rows(tmp_path / "edges.csv"), "subject", "predicate", "object") == TRIPLES


@needs_pyarrow
def test_parquet_has_typed_columns(settings: Settings, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    export_graph(settings, "parquet", tmp_path, ALL)

    nodes = pq.read_table(tmp_path / "nodes.parquet").to_pylist()
    assert {node["id"] for node in nodes} == NODES
    edges = pq.read_table(tmp_path / "edges.parquet").to_pylist()
    assert triples(edges, "subject", "predicate", "object") == TRIPLES
    assert {type(edge["start"]) for edge in edges} == {int}
    assert {edge["id"]: edge["supporting_text"] for edge in edges} == {
        key: [edge.supporting_text] for key, edge in EDGES.items()
    }


@pytest.mark.parametrize(
    ("which", "ids"),
    [
        (CLAIMS, {"PMID:1#0", "PMID:1#1", "PMID:2#0", "PMID:2#1", "PMID:3#0"}),
        (ClaimFilter(predicate="causes"), {"PMID:1#1"}),
        (ClaimFilter(category="Gene"), {"PMID:3#0"}),
        (ClaimFilter(job="other", polarity="affirmed"), {"PMID:2#0"}),
        (ClaimFilter(status="background", source="pubmed"), {"PMID:3#0"}),
        (ClaimFilter(predicate="mentions", job="other"), {"PMID:2#2", "PMID:2#3"}),
        (ClaimFilter(source="infores:none"), set()),
    ],
)
def test_an_export_has_the_edges_that_are_selected_and_the_nodes_at_their_ends(
    settings: Settings, tmp_path: Path, which: ClaimFilter, ids: set[str]
) -> None:
    for name in ("kgx", "kgx-aggregated"):
        export_graph(settings, name, tmp_path, which)

    assert {edge["id"] for edge in lines(tmp_path / "edges.jsonl")} == ids
    ends = {end for key in ids for end in (EDGES[key].subject, EDGES[key].object)}
    assert {node["id"] for node in lines(tmp_path / "nodes.jsonl")} == ends
    evidence = [key for edge in lines(tmp_path / "aggregated_edges.jsonl") for key in edge["has_evidence"]]
    assert sorted(evidence) == sorted(ids)


def test_the_manifest_says_what_the_files_are_and_where_their_edges_are_from(
    settings: Settings, tmp_path: Path
) -> None:
    export_graph(settings, "kgx", tmp_path, ClaimFilter(job="default", mentions=True))
    manifest = json.loads((tmp_path / "manifest.json").read_text("utf-8"))

    assert manifest["format"] == "kgx"
    assert manifest["filters"] == {"job": "default", "mentions": True}
    assert manifest["licences"] == {"CC0": 8}
    assert manifest["sources"] == {"infores:medkg": 8, "infores:pubmed": 8}
    assert manifest["vocabularies"] == [{"version": "not stated", "edges": 8, "sources": None}]
    for file in manifest["files"]:
        content = (tmp_path / file["file"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert manifest["files"][1]["synthetic"] == {"edges": 3}


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "parquet"])
def test_the_same_graph_gives_the_same_files(settings: Settings, tmp_path: Path, name: str) -> None:
    for folder in ("one", "two"):
        export_graph(settings, name, tmp_path / folder, ALL)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


HOSTILE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=10 if hypothesis_settings().derandomize else 100,  # `make soak` draws more
)
@given(name=HOSTILE, other=HOSTILE, sentence=HOSTILE, key=HOSTILE)
def test_whatever_stands_in_a_text_every_format_stays_readable(
    tmp_path_factory: pytest.TempPathFactory, repository: Path, name: str, other: str, sentence: str, key: str
) -> None:
    home = tmp_path_factory.mktemp("hostile")
    node, end = f"X:{key.replace(chr(0), '')}1", "X:2"
    edge = Edge(
        **EDGES["PMID:1#0"].model_dump()
        | {"id": "e", "subject": node, "object": end, "supporting_text": sentence.replace("\x00", "")}
        | {"qualifiers": {"a_qualifier": other.replace("\x00", "")}, "properties": {"has_count": 3}}
    )
    kinds = ("biolink:NamedThing",)
    nodes = [
        Node(id=node, name=name.replace("\x00", ""), category=kinds, synonyms=(other.replace("\x00", ""),)),
        Node(id=end, name="two", category=kinds),
    ]
    with closing(ExtensionRegistry().find(ExtensionKind.GRAPH_STORE, "sql").open({}, home)) as store:
        store.upsert(["PMID:1"], {"PMID:1": nodes}, [edge])
    settings = Settings(home=home, config=repository / "config")
    for format_name in ("kgx", "kgx-tsv", "neo4j", "csv", "graphml", "rdf"):
        export_graph(settings, format_name, home / format_name, ALL)

    (found,) = rows(home / "csv" / "edges.csv")
    assert (found["subject"], json.loads(found["supporting_text"])) == (node, [edge.supporting_text])
    assert (found["a_qualifier"], found["has_count"]) == (edge.qualifiers["a_qualifier"], "3")
    (found,) = [json.loads(line) for line in (home / "kgx" / "edges.jsonl").read_bytes().split(b"\n")[:-1]]
    assert (found["subject"], found["a_qualifier"]) == (node, edge.qualifiers["a_qualifier"])
    assert len((home / "kgx-tsv" / "edges.tsv").read_bytes().split(b"\n")) == 3
    assert len(rows(home / "neo4j" / "edges.csv")) == 1
    read = nx.read_graphml(home / "graphml" / "graph.graphml", force_multigraph=True)
    assert read.number_of_edges() == 1
    graph = rdflib.Graph().parse(home / "rdf" / "graph.nt", format="nt")
    assert str(next(graph.objects(None, BIOLINK.supporting_text))) == edge.supporting_text


def test_what_a_format_cannot_hold_is_replaced_and_counted(
    settings: Settings, home: Path, tmp_path: Path
) -> None:
    odd = {"id": "odd", "supporting_text": "one\ttwo|three"}
    edge = EDGES["PMID:3#0"].model_copy(update=odd)
    kinds = ("biolink:NamedThing",)
    nodes = [Node(id=end, name=f"{end}\x0b", category=kinds) for end in (edge.subject, edge.object)]
    with closing(ExtensionRegistry().find(ExtensionKind.GRAPH_STORE, "sql").open({}, home)) as store:
        store.upsert(["PMID:3"], {"PMID:3": nodes}, [edge])
    replaced = {}
    for name in ("kgx-tsv", "graphml", "csv"):
        export_graph(settings, name, tmp_path / name, CLAIMS)
        replaced[name] = json.loads((tmp_path / name / "manifest.json").read_text("utf-8"))["replaced"]

    assert replaced == {
        "kgx-tsv": {"tab or line break by a space": 1, "| in lists by ¦": 1},
        "graphml": {"control character by �": 1},
        "csv": {},
    }


def test_what_is_withdrawn_is_in_no_export(settings: Settings, home: Path, tmp_path: Path) -> None:
    from medkg_dagster.ledger import JobLedger

    with JobLedger.open(home) as ledger:
        ledger.documents.withdraw(["PMID:3"], actor="ann", reason="not ours")
    for name in ("kgx", "rdf", "graphml"):
        export_graph(settings, name, tmp_path / name, ALL)
        for file in (tmp_path / name).iterdir():
            text = file.read_text("utf-8")
            assert "PMID:3" not in text
            assert BLOCKS.sentence not in text
            assert "HGNC:1" not in text
    manifest = json.loads((tmp_path / "kgx" / "manifest.json").read_text("utf-8"))
    assert manifest["left_out_documents"] == 1


def test_a_failed_export_leaves_the_old_file_and_no_other(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    export_graph(settings, "csv", folder, ALL)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(QueryError, match="no node 'nobody'"):
        export_graph(settings, "csv", folder, ClaimFilter(node="nobody"))
    with pytest.raises(QueryError, match=r"format 'cvs' is not known; did you mean 'csv'\?"):
        export_graph(settings, "cvs", folder, ALL)
    (folder / "taken").write_text("a file")
    with pytest.raises(StoreError, match="cannot write to"):
        export_graph(settings, "csv", folder / "taken", ALL)
    (folder / "taken").unlink()
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_parquet_without_its_extra_says_what_to_install(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"medkg-dagster\[parquet\]"):
        export_graph(settings, "parquet", tmp_path, ALL)
    assert list(tmp_path.glob("*.parquet")) == []
