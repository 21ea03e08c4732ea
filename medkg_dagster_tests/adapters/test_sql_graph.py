from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from medkg_dagster.adapters.graph.sql import SQL_GRAPH
from medkg_dagster.adapters.graph.sql_store import SqlGraph
from medkg_dagster.domain.graph_selection import EdgeSelection
from medkg_dagster.errors import ConfigError, StoreError
from medkg_dagster.stage_api import Edge, Node

DRUG = Node(id="DRUGBANK:DB09035", name="Nivolumab", category=("biolink:Drug", "biolink:NamedThing"))
DISEASE = Node(id="MESH:D008545", name="Melanoma", category=("biolink:Disease", "biolink:NamedThing"))
OTHER = Node(id="MESH:D003092", name="Colitis", category=("biolink:Disease", "biolink:NamedThing"))
ARTICLE = Node(id="PMID:1", name="Straße über Melanoma", category=("biolink:Article", "biolink:NamedThing"))
NODES = (DRUG, DISEASE, OTHER, ARTICLE)
BOTH = ("PMID:1", "PMID:2")


def edge(key: str, subject: Node, object_: Node, document: str = "PMID:1", predicate: str = "treats") -> Edge:
    return Edge(
        id=key,
        subject=subject.id,
        predicate=f"biolink:{predicate}",
        object=object_.id,
        negated=False,
        primary_knowledge_source="infores:medkg",
        knowledge_level="not_provided",
        agent_type="text_mining_agent",
        publications=(document,),
        supporting_text=f"Evidence {key}, with “quotes” and a\u2028separator.",
        document_id=document,
        document_hash="h",
        start=3,
        end=30,
    )


def said(documents: Sequence[str], nodes: Sequence[Node] = NODES) -> dict[str, Sequence[Node]]:
    """Every document says the same about every node."""
    return dict.fromkeys(documents, nodes)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlGraph]:
    with closing(SqlGraph(tmp_path / "graph.sqlite")) as opened:
        yield opened


def test_what_was_written_is_found_by_curie_and_name_in_any_case(store: SqlGraph) -> None:
    receipt = store.upsert(["PMID:1"], said(["PMID:1"]), [edge("e1", DRUG, DISEASE)])

    assert (receipt.nodes_written, receipt.edges_written, receipt.edges_removed) == (3, 1, 0)
    assert store.find("mesh:d008545") == store.find(" MELANOMA ") == (DISEASE,)
    assert store.find("STRASSE ÜBER melanoma") == (ARTICLE,)
    assert store.find("Colitis") == ()
    assert store.find("") == ()
    with store.reading() as graph:
        assert graph.similar("melanomma", 5, frozenset()) == (DISEASE,)
        assert graph.similar("über", 5, frozenset()) == (ARTICLE,)


def test_neighbours_come_with_their_evidence_statements_first(store: SqlGraph) -> None:
    mention = edge("a", ARTICLE, DISEASE, predicate="mentions")
    claim = edge("b", DRUG, DISEASE)
    loop = edge("c", DISEASE, DISEASE, predicate="zeta")
    store.upsert(["PMID:1"], said(["PMID:1"]), [mention, claim, loop])

    found = store.neighbours(DISEASE.id, 10)

    assert [(item.edge, item.node, item.outgoing) for item in found] == [
        (claim, DRUG, False),
        (loop, DISEASE, True),
        (mention, ARTICLE, False),
    ]
    assert store.neighbours(DISEASE.id, 1) == found[:1]
    assert store.neighbours(DISEASE.id, 0) == store.neighbours("MESH:D0", 5) == ()


def test_older_edges_of_the_batch_go_and_take_their_nodes_along(store: SqlGraph) -> None:
    store.upsert(BOTH, said(BOTH), [edge("e1", DRUG, DISEASE), edge("e2", DRUG, OTHER, "PMID:2")])

    receipt = store.upsert(["PMID:1"], said(["PMID:1"]), [])

    assert (receipt.edges_removed, receipt.nodes_written) == (1, 1)
    assert store.find("Melanoma") == ()
    assert store.find("Nivolumab") == (DRUG,)
    assert [item.edge.id for item in store.neighbours(DRUG.id, 9)] == ["e2"]


def test_a_node_is_what_its_remaining_documents_say(store: SqlGraph) -> None:
    vague = Node(id=DISEASE.id, name="A tumour", category=("biolink:NamedThing",))
    store.upsert(["PMID:1"], said(["PMID:1"], [DRUG, vague]), [edge("e1", DRUG, vague)])
    store.upsert(["PMID:2"], said(["PMID:2"]), [edge("e2", DRUG, DISEASE, "PMID:2")])
    assert store.find(DISEASE.id) == (DISEASE,)

    store.upsert(["PMID:2"], {}, [])

    assert store.find(DISEASE.id) == (vague,)


def test_a_batch_of_many_documents_and_edges_is_written_and_removed(store: SqlGraph) -> None:
    documents = [f"PMID:{number}" for number in range(1200)]
    edges = [edge(f"e{number}", DRUG, DISEASE, document) for number, document in enumerate(documents)]

    assert store.upsert(documents, said(documents), edges).edges_written == 1200
    assert store.upsert(documents, said(documents), []).edges_removed == 1200
    assert store.find("Nivolumab") == ()


@pytest.mark.parametrize(
    ("documents", "nodes", "message"),
    [
        (["PMID:1"], [DRUG], "ends at MESH:D008545, which is no node"),
        (["PMID:2"], NODES, "is of PMID:1, which is not in the batch"),
    ],
)
def test_an_edge_that_hangs_in_the_air_is_refused_and_nothing_is_written(
    store: SqlGraph, documents: list[str], nodes: list[Node], message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        store.upsert(documents, said(documents, nodes), [edge("e1", DRUG, DISEASE)])

    assert store.find("Nivolumab") == ()


def test_the_kgx_export_is_sorted_and_the_same_each_time(store: SqlGraph, tmp_path: Path) -> None:
    store.upsert(["PMID:1"], said(["PMID:1"]), [edge("e2", DRUG, DISEASE), edge("e1", DRUG, OTHER)])

    nodes, edges, _ = store.export_kgx(tmp_path / "kgx")
    first = nodes.read_bytes(), edges.read_bytes()
    store.export_kgx(tmp_path / "kgx")

    assert (nodes.read_bytes(), edges.read_bytes()) == first
    assert sorted(path.name for path in nodes.parent.iterdir()) == [
        "aggregated_edges.jsonl",
        "edges.jsonl",
        "nodes.jsonl",
    ]
    records = [json.loads(line) for line in first[1].decode().split("\n")[:-1]]
    assert [record["id"] for record in records] == ["e1", "e2"]
    assert {
        "subject",
        "predicate",
        "object",
        "primary_knowledge_source",
        "knowledge_level",
        "agent_type",
        "publications",
        "negated",
        "supporting_text",
    } <= records[0].keys()
    assert json.loads(first[0].decode().split("\n")[0]) == {
        "id": "DRUGBANK:DB09035",
        "category": ["biolink:Drug", "biolink:NamedThing"],
        "name": "Nivolumab",
    }


def test_what_is_said_alike_is_one_aggregated_edge_with_all_its_evidence(
    store: SqlGraph, tmp_path: Path
) -> None:
    said_thrice = [edge("e1", DRUG, DISEASE), edge("e2", DRUG, DISEASE), edge("e3", DRUG, DISEASE, "PMID:2")]
    licensed = said_thrice[2].model_copy(update={"licence": "CC0", "certainty": "possible"})
    apart = [
        edge("e4", DRUG, DISEASE).model_copy(update=update)
        for update in (
            {"negated": True},
            {"id": "e5", "qualifiers": {"object_direction_qualifier": "decreased"}},
        )
    ]
    store.upsert(BOTH, said(BOTH), [*said_thrice[:2], licensed, *apart])

    *_, file = store.export_kgx(tmp_path)
    lines = file.read_text(encoding="utf-8").split("\n")[:-1]
    records = sorted(map(json.loads, lines), key=lambda record: -record["evidence_count"])

    assert [record["evidence_count"] for record in records] == [3, 1, 1]
    assert (records[0]["has_evidence"], records[0]["publications"]) == (
        ["e1", "e2", "e3"],
        ["PMID:1", "PMID:2"],
    )
    assert (records[0]["license"], records[0]["possible_count"]) == (["CC0"], 1)
    assert len(records[0]["supporting_text"]) == 3
    assert records[1]["object_direction_qualifier"] == "decreased"
    assert [record["negated"] for record in records] == [False, False, True]
    assert len({record["id"] for record in records}) == 3
    with store.reading() as graph:
        groups, total = graph.groups(EdgeSelection(node=DISEASE.id), 2, 2)
    assert total == 3
    assert [(len(group.best), group.edges, group.possible, group.documents) for group in groups] == [
        (2, 3, 1, 2),
        (1, 1, 0, 1),
    ]


def test_a_node_is_found_by_its_other_names_and_identifiers_where_none_has_them_as_its_own(
    store: SqlGraph,
) -> None:
    known = DRUG.model_copy(update={"synonyms": ("BMS-936558", "Melanoma"), "equivalents": ("CHEMBL:1",)})
    store.upsert(["PMID:1"], said(["PMID:1"], [known, DISEASE]), [edge("e1", DRUG, DISEASE)])

    assert store.find("bms-936558") == store.find("chembl:1") == (known,)
    assert store.find("Melanoma") == (DISEASE,)

    store.upsert(["PMID:1"], said(["PMID:1"], [DRUG, DISEASE]), [edge("e1", DRUG, DISEASE)])

    assert store.find("bms-936558") == ()


def test_an_exported_edge_says_who_read_it_where_or_whom_it_is_taken_from(
    store: SqlGraph, tmp_path: Path
) -> None:
    origin = {"data_source": "infores:pmc"}
    asserted = origin | {"primary_knowledge_source": "infores:clinicaltrials"}
    edges = [
        edge("e1", DRUG, DISEASE).model_copy(update=origin),
        edge("e2", DRUG, OTHER).model_copy(update=asserted),
    ]
    store.upsert(["PMID:1"], said(["PMID:1"]), edges)

    for file in store.export_kgx(tmp_path)[1:]:
        records = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n")[:-1]]
        mined, taken = sorted(records, key=lambda record: record["object"] != DISEASE.id)
        assert [(each["resource_id"], each["resource_role"]) for each in mined["sources"]] == [
            ("infores:medkg", "primary_knowledge_source"),
            ("infores:pmc", "supporting_data_source"),
        ]
        assert mined["sources"][0]["upstream_resource_ids"] == ["infores:pmc"]
        assert [(each["resource_id"], each["resource_role"]) for each in taken["sources"]] == [
            ("infores:clinicaltrials", "primary_knowledge_source"),
            ("infores:medkg", "aggregator_knowledge_source"),
        ]
        assert taken["aggregator_knowledge_source"] == ["infores:medkg"]
        assert "aggregator_knowledge_source" not in mined


def test_a_failed_export_leaves_the_old_file_and_no_other(store: SqlGraph, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(StoreError, match="taken"):
        store.export_kgx(tmp_path / "taken")


def test_a_graph_is_opened_again_with_what_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPH_URL", f"sqlite:///{tmp_path}/graph.sqlite")
    with closing(SQL_GRAPH.open({}, tmp_path)) as store:
        store.upsert(["PMID:1"], said(["PMID:1"]), [edge("e1", DRUG, DISEASE)])
    with closing(SQL_GRAPH.open({"url": {"env": "GRAPH_URL"}}, tmp_path / "elsewhere")) as store:
        assert store.find("Melanoma") == (DISEASE,)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a database at all" * 100, "damaged"),
        (b"SQLite format 3\x00" + b"\xff" * 4000, "damaged|malformed"),
    ],
)
def test_a_damaged_file_is_one_error_that_says_what_to_do(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "graph.sqlite").write_bytes(content)

    with pytest.raises(StoreError, match=message) as caught:
        SqlGraph(tmp_path / "graph.sqlite")

    assert str(tmp_path / "graph.sqlite") in str(caught.value)
    assert (tmp_path / "graph.sqlite").read_bytes() == content


def test_a_newer_or_foreign_database_is_left_alone(tmp_path: Path) -> None:
    SqlGraph(tmp_path / "graph.sqlite").close()
    with closing(sqlite3.connect(tmp_path / "graph.sqlite")) as connection, connection:
        connection.execute("UPDATE graph_schema SET version = 99")
    with pytest.raises(StoreError, match="newer release"):
        SqlGraph(tmp_path / "graph.sqlite")

    with closing(sqlite3.connect(tmp_path / "foreign.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(StoreError, match="another program"):
        SqlGraph(tmp_path / "foreign.sqlite")


def test_an_unwritable_place_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StoreError, match=str(tmp_path)):
        SqlGraph(tmp_path / "file" / "graph.sqlite")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://alice:s3cret@127.0.0.1:1/graph?connect_timeout=2",
        "mysql://alice:s3cret@host/graph",
        "no url s3cret",
        "postgresql+nothing://alice:s3cret@host/graph",
    ],
)
def test_a_url_that_does_not_work_is_an_error_without_the_password(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPH_URL", url)
    with pytest.raises((StoreError, ConfigError)) as caught:
        SQL_GRAPH.open({"url": {"env": "GRAPH_URL"}}, tmp_path)

    assert "s3cret" not in str(caught.value)


def test_a_url_written_in_yaml_is_refused_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"write `\{env: NAME\}`") as caught:
        SQL_GRAPH.open({"url": "postgresql+psycopg://alice:s3cret@host/graph"}, tmp_path)

    assert "s3cret" not in str(caught.value)


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from medkg_dagster_tests.adapters.test_sql_graph import DISEASE, DRUG, SqlGraph, edge, said
store = SqlGraph(Path(sys.argv[1]))
for number in range(25):
    document = f"PMID:{sys.argv[2]}{number}"
    store.upsert([document], said([document]), [edge(f"{sys.argv[2]}-{number}", DRUG, DISEASE, document)])
store.close()
"""


def test_two_processes_write_at_once_and_both_succeed(tmp_path: Path, repository: Path) -> None:
    file = tmp_path / "graph.sqlite"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(file), name, str(repository)]) for name in "12"
    ]

    assert [writer.wait(timeout=480) for writer in writers] == [0, 0]
    with closing(SqlGraph(file)) as store:
        assert len(store.neighbours(DRUG.id, 100)) == 50
