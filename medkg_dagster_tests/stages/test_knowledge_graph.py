from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medkg_dagster.adapters.graph.sql_store import SqlGraph
from medkg_dagster.domain.biolink import categories
from medkg_dagster.domain.graph_selection import EdgeSelection
from medkg_dagster.registry import ExtensionRegistry
from medkg_dagster.stage_api import (
    Claim,
    Document,
    Entity,
    ExtensionKind,
    GraphReceipt,
    GraphStore,
    Neighbour,
    Node,
    Reference,
    StageContext,
)
from medkg_dagster.stages.extract import register as extract
from medkg_dagster.stages.extract.terms import fingerprint
from medkg_dagster.stages.knowledge_graph import KnowledgeGraphConfig, register
from medkg_dagster.stages.knowledge_graph.nodes import merge_nodes
from medkg_dagster.stages.knowledge_graph.stage import KnowledgeGraphStage
from medkg_dagster_tests.stages.extract.test_stage import document
from medkg_dagster_tests.stages.extract.test_study_claims import NIVOLUMAB, arm, event, events, trial
from medkg_dagster_tests.stages.installed import EXTENSIONS, INSTALLED
from medkg_dagster_tests.stages.real_payloads import context
from medkg_dagster_tests.stages.running import run


def named(number: int, *blocks: str) -> Document:
    return document(*blocks).model_copy(
        update={"id": f"PMID:{number}", "title": f"Article {number}", "identifiers": {}}
    )


def write(home: Path, *documents: Document, pass_documents: bool = True) -> GraphReceipt:
    inputs = run(extract, context("extract"), document=documents)
    if pass_documents:
        inputs["document"] = documents
    ctx = replace(context("kg"), home=home, extensions=EXTENSIONS)
    receipt: GraphReceipt = run(register, ctx, **inputs)["graph_receipt"]
    return receipt


def dump(home: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(home / "graph.sqlite")) as connection:
        return {
            table: sorted(connection.execute(f"SELECT * FROM {table}"))
            for table in (
                "nodes",
                "node_aliases",
                "node_contributions",
                "node_statements",
                "edges",
                "graph_schema",
            )
        }


def neighbours(home: Path, curie: str) -> tuple[Neighbour, ...]:
    store: GraphStore = ExtensionRegistry().find(ExtensionKind.GRAPH_STORE, "sql").open({}, home)
    with closing(store):
        return store.neighbours(curie, 100)


def test_claims_and_mentions_become_edges_with_evidence(tmp_path: Path) -> None:
    receipt = write(tmp_path, named(1, "No colitis before.", "Ipilimumab caused colitis."))

    assert (receipt.documents, receipt.nodes_written, receipt.edges_written) == (1, 3, 3)
    assert receipt.location == "graph.sqlite"
    claim, mention = neighbours(tmp_path, "MESH:D003092")
    assert (claim.edge.predicate, claim.node.name, claim.outgoing) == ("biolink:causes", "Ipilimumab", False)
    assert claim.edge.publications == ("PMID:1",)
    assert claim.edge.vocabulary == mention.edge.vocabulary == fingerprint(None)
    assert claim.edge.supporting_text == "Ipilimumab caused colitis."
    assert (mention.edge.predicate, mention.node.name) == ("biolink:mentions", "Article 1")
    assert mention.edge.supporting_text == "Ipilimumab caused colitis."
    assert mention.node.category[0] == "biolink:Publication"


def test_a_document_is_a_node_of_the_model_with_its_other_identifiers_and_its_licence(tmp_path: Path) -> None:
    article = named(1, "Ipilimumab caused colitis.").model_copy(
        update={
            "id": "PMCID:PMC5",
            "identifiers": {"PMCID": "PMC5", "PMID": "77", "DOI": "10.1000/ABC"},
            "licence": "CC BY 4.0",
        }
    )
    write(tmp_path, article)

    with closing(SqlGraph(tmp_path / "graph.sqlite")) as graph:
        (node,) = graph.find("PMID:77")
        assert graph.find("pmcid:pmc5") == graph.find("doi:10.1000/abc") == graph.find("PMC:5") == (node,)
        (claim,) = [
            e.edge for e in graph.neighbours("MESH:D003092", 9) if e.edge.predicate == "biolink:causes"
        ]
    assert node.category == categories("biolink:Publication")
    assert node.equivalents == ("doi:10.1000/abc", "PMC:5")
    assert (node.licence, node.document_id, node.sources) == ("CC BY 4.0", "PMCID:PMC5", ("infores:pubmed",))
    assert (claim.publications, claim.document_id, claim.licence) == (("PMID:77",), "PMCID:PMC5", "CC BY 4.0")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("biolink:NamedThing", "biolink:Disease"),
        ("biolink:DiseaseOrPhenotypicFeature", "biolink:Disease"),
        ("biolink:ChemicalEntity", "biolink:ChemicalEntity"),
    ],
)
def test_a_descriptor_is_what_the_tree_of_mesh_says_where_that_is_more_exact(
    tmp_path: Path, said: str, shown: str
) -> None:
    written(tmp_path, "MESH:D007951", said, "biolink:associated_with")

    assert {e.node.category[0] for e in neighbours(tmp_path, "MESH:D008545") if not e.outgoing} >= {shown}


@pytest.mark.parametrize(
    ("study_type", "category"),
    [
        ("INTERVENTIONAL", "biolink:ClinicalTrial"),
        ("OBSERVATIONAL", "biolink:Study"),
        ("EXPANDED_ACCESS", "biolink:Study"),
        (None, "biolink:Study"),
    ],
)
def test_only_an_interventional_study_is_a_trial(
    tmp_path: Path, study_type: str | None, category: str
) -> None:
    study = {"id": "clinicaltrials:NCT00000001", "study_type": study_type}
    write(tmp_path, named(1, "Ipilimumab caused colitis.").model_copy(update=study))

    with closing(SqlGraph(tmp_path / "graph.sqlite")) as graph:
        assert graph.find("CLINICALTRIALS:NCT00000001")[0].category[0] == category


def written(tmp_path: Path, subject: str, category: str, predicate: str) -> tuple[GraphReceipt, StageContext]:
    """Write one claim about melanoma, and return what came of it."""
    source = document("It is so.")
    said = {"document_id": source.id, "surface": "", "method": "dictionary", "start": 0, "end": 2}
    entities = tuple(
        Entity(curie=curie, name=curie, category=kind, **said)
        for curie, kind in ((subject, category), ("MESH:D008545", "biolink:Disease"))
    )
    claim = Claim(
        id="c",
        document_id=source.id,
        document_hash=source.content_hash,
        subject=subject,
        predicate=predicate,
        object="MESH:D008545",
        sentence="It is so.",
        start=0,
        end=9,
        method="rule",
        primary_knowledge_source="infores:medkg",
        knowledge_level="not_provided",
        agent_type="text_mining_agent",
    )
    ctx = replace(context("kg"), home=tmp_path, extensions=EXTENSIONS)
    found = run(register, ctx, entities=entities, claims=(claim,), document=(source,))
    return found["graph_receipt"], ctx


def test_what_is_done_to_patients_is_a_treatment_where_it_is_said_to_treat(tmp_path: Path) -> None:
    written(tmp_path, "MESH:D011878", "biolink:Procedure", "biolink:treats")

    (found,) = [e for e in neighbours(tmp_path, "MESH:D008545") if e.edge.predicate == "biolink:treats"]
    assert found.node.category[0] == "biolink:Treatment"
    assert found.edge.category.endswith("TreatmentToDiseaseOrPhenotypicFeatureAssociation")


def test_a_claim_that_the_model_cannot_have_is_left_out_and_counted(tmp_path: Path) -> None:
    receipt, ctx = written(tmp_path, "HGNC:1097", "biolink:Gene", "biolink:treats")

    assert receipt.edges_written == 2
    assert ctx.described["claims_against_the_model"] == 1
    assert {e.edge.predicate for e in neighbours(tmp_path, "MESH:D008545")} == {"biolink:mentions"}


def test_numbers_of_a_claim_stand_on_its_edge_and_divide_no_statement(tmp_path: Path) -> None:
    arms = [arm(label, "EXPERIMENTAL", "Drug: Nivolumab") for label in ("Low", "High")]
    write(tmp_path, trial(NIVOLUMAB, arms=arms, results=events("Low", "High", other=[event("Nausea", 2, 3)])))

    with closing(SqlGraph(tmp_path / "graph.sqlite")) as graph:
        with graph.reading() as reader:
            of_event = EdgeSelection(node="MESH:D009325", predicate="biolink:has_adverse_event")
            ((together,), _) = reader.groups(of_event, 9, 1)
        _, edges, _ = graph.export_kgx(tmp_path)
    records = [json.loads(line) for line in edges.read_text(encoding="utf-8").splitlines()]
    alone = [record for record in records if record["predicate"] == "biolink:has_adverse_event"]

    assert together.edges == 2
    assert together.best[0].qualifiers == {}
    assert sorted((record["has_count"], record["record_field"][-8:]) for record in alone) == [
        (2, "stats[0]"),
        (3, "stats[1]"),
    ]
    assert {record["knowledge_level"] for record in alone} == {"observation"}
    assert all(
        "record_field" not in record for record in records if record["predicate"] == "biolink:mentions"
    )


def test_a_document_cites_the_works_of_its_references_that_have_an_identifier(tmp_path: Path) -> None:
    references = (
        Reference(identifiers={"PMID": "2", "DOI": "10.1000/Two"}, title="Two", text="A. Two. 2020."),
        Reference(identifiers={"DOI": "10.1000/TWO"}, text="The same once more."),
        Reference(identifiers={"DOI": "10.1000/three"}, text="B. Three. 2021."),
        Reference(identifiers={"PMID": "1"}, text="Itself."),
        Reference(text="A book."),
    )
    article = named(1, "Nothing of note.").model_copy(update={"references": references})
    write(tmp_path, article)

    found = neighbours(tmp_path, "PMID:1")
    assert [(e.node.id, e.node.name, e.node.category[0]) for e in found] == [
        ("PMID:2", "Two", "biolink:Publication"),
        ("doi:10.1000/three", "B. Three. 2021.", "biolink:Publication"),
    ]
    assert {(e.edge.predicate, e.edge.original_predicate, e.outgoing) for e in found} == {
        ("biolink:mentions", "cito:cites", True)
    }
    assert [e.edge.supporting_text for e in found] == ["A. Two. 2020.", "B. Three. 2021."]

    write(tmp_path, named(2, "Nothing of note."))
    assert neighbours(tmp_path, "PMID:1")[0].node.name == "Article 2"

    write(tmp_path, named(1, "Nothing of note."))
    assert neighbours(tmp_path, "PMID:1") == ()


def test_without_documents_claims_still_become_edges(tmp_path: Path) -> None:
    receipt = write(tmp_path, named(1, "Ipilimumab caused colitis."), pass_documents=False)

    assert (receipt.documents, receipt.nodes_written, receipt.edges_written) == (1, 3, 1)


def test_a_new_version_of_a_document_replaces_what_the_old_one_said(tmp_path: Path) -> None:
    write(tmp_path, named(1, "Ipilimumab caused colitis."), named(2, "Nivolumab in melanoma."))

    receipt = write(tmp_path, named(1, "Nivolumab caused hepatitis."))
    write(tmp_path / "clean", named(2, "Nivolumab in melanoma."), named(1, "Nivolumab caused hepatitis."))

    assert receipt.edges_removed == 3
    assert dump(tmp_path) == dump(tmp_path / "clean")
    assert neighbours(tmp_path, "MESH:D003092") == ()


def test_a_document_that_says_nothing_any_more_leaves_only_itself(tmp_path: Path) -> None:
    write(tmp_path, named(1, "Ipilimumab caused colitis."))

    receipt = write(tmp_path, named(1, "Nothing of note."))

    assert (receipt.nodes_written, receipt.edges_written, receipt.edges_removed) == (1, 0, 3)
    assert [row[0] for row in dump(tmp_path)["nodes"]] == ["PMID:1"]


SENTENCES = (
    "Ipilimumab caused colitis.",
    "Nivolumab did not cause hypophysitis.",
    "Vemurafenib inhibits BRAF.",
    "Prednisone improved hepatitis.",
    "Nothing of note.",
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_the_graph_depends_on_its_documents_and_not_on_their_order(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    texts = data.draw(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=5))
    cited = st.lists(st.integers(0, 6), max_size=3).map(
        lambda works: tuple(
            Reference(identifiers={"PMID": f"{work}"}, text=f"Work {work}.") for work in works
        )
    )
    documents = [
        named(number, text).model_copy(update={"references": data.draw(cited)})
        for number, text in enumerate(texts)
    ]
    order = data.draw(st.permutations(documents))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(order)), max_size=3)))
    repeated = data.draw(st.sampled_from(documents))
    clean, batches = tmp_path_factory.mktemp("clean"), tmp_path_factory.mktemp("batches")

    write(clean, *documents)
    write(batches, named(0, "Imatinib caused fatigue."))
    for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True):
        write(batches, *order[start:end])
    write(batches, repeated)

    assert dump(batches) == dump(clean)


@given(
    st.lists(
        st.builds(
            Node,
            id=st.sampled_from(["X:1", "X:2"]),
            name=st.sampled_from("abc"),
            category=st.sampled_from(["biolink:Drug", "biolink:Disease", "biolink:NamedThing"]).map(
                categories
            ),
        )
    ),
    st.randoms(),
)
def test_merging_nodes_does_not_depend_on_order_or_grouping(nodes: list[Node], random: object) -> None:
    merged = merge_nodes(nodes)
    shuffled = sorted(nodes, key=lambda _: random.random())  # type: ignore[attr-defined] # hypothesis types it as object
    half = len(nodes) // 2

    assert merge_nodes(shuffled) == merged
    assert merge_nodes((*merge_nodes(shuffled[:half]), *merge_nodes(shuffled[half:]))) == merged
    assert [node.id for node in merged] == sorted({node.id for node in nodes})


def test_the_most_specific_category_comes_first() -> None:
    assert categories("biolink:Drug")[0] == "biolink:Drug"
    assert categories("biolink:Drug")[-1] == "biolink:NamedThing"
    assert categories("biolink:NamedThing") == ("biolink:NamedThing",)
    vague = Node(id="X:1", name="a", category=categories("biolink:NamedThing"))
    exact = Node(id="X:1", name="b", category=categories("biolink:Disease"))
    assert merge_nodes((vague, exact)) == (exact,)


def test_an_unknown_store_or_parameter_is_an_error_of_the_configuration() -> None:
    with pytest.raises(ValidationError, match="unknown graph store 'sq'; did you mean 'sql'"):
        KnowledgeGraphConfig.model_validate({"store": "sq"}, context=INSTALLED)
    with pytest.raises(ValidationError, match="unknown parameter 'urls'"):
        KnowledgeGraphConfig.model_validate({"params": {"urls": "x"}}, context=INSTALLED)


def test_the_stage_is_built_from_its_registration() -> None:
    registration = register()

    class Definition:
        name = "kg"
        type = "knowledge-graph"
        config: dict[str, object] = {}  # noqa: RUF012 - a definition is made once for this test

    assert isinstance(registration.builder(Definition()), KnowledgeGraphStage)
    assert registration.metadata.state_key == "graph_receipt"
    assert registration.metadata.optional_dependencies == ("parse",)


def test_what_only_invented_documents_say_is_marked_in_graph_and_export(tmp_path: Path) -> None:
    said = "Nivolumab treats melanoma."
    invented = named(1, said, "Vemurafenib treats melanoma.").model_copy(update={"synthetic": True})
    write(tmp_path, invented, named(2, said))

    with closing(SqlGraph(tmp_path / "graph.sqlite")) as graph:
        nodes, edges, _ = graph.export_kgx(tmp_path)

    def marked(file: Path, key: str) -> dict[str, set[bool]]:
        found: dict[str, set[bool]] = {}
        for item in map(json.loads, file.read_text().splitlines()):
            found.setdefault("".join(item[key]), set()).add(item.get("synthetic", False))
        return found

    assert {name for name, marks in marked(nodes, "name").items() if True in marks} == {
        "Article 1",
        "Vemurafenib",
    }
    assert marked(edges, "supporting_text")[said] == {True, False}
    assert marked(edges, "supporting_text")["Vemurafenib treats melanoma."] == {True}
