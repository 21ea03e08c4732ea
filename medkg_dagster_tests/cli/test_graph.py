import json
from contextlib import closing
from pathlib import Path

import pytest

from medkg_dagster.cli.export import EXPORT_FORMATS
from medkg_dagster.export import FORMATS
from medkg_dagster.registry import ExtensionRegistry
from medkg_dagster.stage_api import ExtensionKind
from medkg_dagster_tests.cli.conftest import Medkg

pytestmark = pytest.mark.usefixtures("graph_home")


def test_a_node_shows_its_edges_with_sentence_document_negation_and_certainty(medkg: Medkg) -> None:
    shown = medkg("graph", "Dabrafenib").output
    assert shown.startswith("dabrafenib (MESH:C561627)  biolink:Drug")
    assert "--treats--> Melanoma (MESH:D008545)" in shown
    assert '"Dabrafenib improved survival in melanoma."' in shown
    assert "--treats (negated) (possible)--> melanoma (MONDO:0005105)" in shown
    assert "PMID:1, characters 0-41, infores:pubmed" in shown
    assert shown.endswith("2 edges\n")


def test_an_edge_points_at_the_node_from_the_other_side(medkg: Medkg) -> None:
    assert "<--treats-- dabrafenib (MESH:C561627)" in medkg("graph", "MESH:D008545").output


def test_several_nodes_of_one_name_are_listed(medkg: Medkg) -> None:
    shown = medkg("graph", "melanoma").output
    assert shown.startswith("2 nodes are called 'melanoma'")
    assert "MESH:D008545" in shown
    assert "MONDO:0005105" in shown


def test_edges_are_limited_and_come_as_json(medkg: Medkg) -> None:
    found = json.loads(medkg("graph", "dabrafenib", "--limit", "1", "--json").stdout)
    assert len(found["neighbours"]) == 1
    assert found["total"] == 2
    assert found["nodes"][0]["id"] == "MESH:C561627"
    assert "limit 1 reached, there are more" in medkg("graph", "dabrafenib", "--limit", "1").output


def test_what_two_documents_say_is_one_edge_and_each_of_them_where_asked_for(
    medkg: Medkg, graph_home: Path
) -> None:
    with closing(ExtensionRegistry().find(ExtensionKind.GRAPH_STORE, "sql").open({}, graph_home)) as store:
        edge = store.neighbours("MESH:D008545", 1)[0].edge
        nodes = [*store.find("MESH:C561627"), *store.find("MESH:D008545")]
        said = {"id": "other", "document_id": "PMID:2", "publications": ("PMID:2",)}
        store.upsert(["PMID:2"], {"PMID:2": nodes}, [edge.model_copy(update=said)])

    shown = medkg("graph", "MESH:D008545").output
    assert "said 2 times, in 2 documents: PMID:1, PMID:2" in shown
    assert shown.endswith("1 edge\n")
    (found,) = json.loads(medkg("graph", "MESH:D008545", "--json").stdout)["neighbours"]
    assert (found["evidence_count"], found["document_count"]) == (2, 2)
    assert [one["document"]["id"] for one in found["evidence"]] == ["PMID:1", "PMID:2"]
    assert medkg("graph", "MESH:D008545", "--each").output.endswith("2 edges\n")
    each = json.loads(medkg("graph", "MESH:D008545", "--each", "--json").stdout)["claims"]
    assert [one["evidence"]["document"]["id"] for one in each] == ["PMID:1", "PMID:2"]


def test_a_page_is_one_file(medkg: Medkg, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    assert medkg("graph", "dabrafenib", "--html", str(file)).output == f"wrote 2 statements to {file}\n"
    assert "Dabrafenib improved survival in melanoma." in file.read_text("utf-8")
    refused = medkg("graph", "dabrafenib", "--html", str(file / "page.html"))
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert "cannot write" in refused.stderr


def test_an_unknown_name_says_what_to_do(medkg: Medkg) -> None:
    result = medkg("graph", "dabrafenb")
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "medkg: the graph has no node 'dabrafenb'; did you mean dabrafenib (MESH:C561627)?"
    )


def test_edges_are_filtered(medkg: Medkg) -> None:
    shown = medkg("graph", "dabrafenib", "--polarity", "denied", "--status", "possible").output
    assert shown.endswith("1 edge\n")
    assert "--treats (negated) (possible)-->" in shown
    refused = medkg("graph", "dabrafenib", "--predicate", "treat")
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert "did you mean 'treats'?" in refused.stderr


def test_a_path_shows_each_step_with_a_sentence_that_supports_it(medkg: Medkg) -> None:
    shown = medkg("path", "MESH:D008545", "Dabrafenib").output
    assert shown.startswith("1. Melanoma - dabrafenib\n\nMelanoma <--treats-- dabrafenib (MESH:C561627)\n")
    assert '"Dabrafenib improved survival in melanoma."' in shown
    assert shown.endswith("\n1 path\n")
    (path,) = json.loads(medkg("path", "MESH:D008545", "MESH:C561627", "--json").stdout)["paths"]
    assert path["steps"][0]["statements"][0]["predicate"] == "biolink:treats"


def test_what_is_only_denied_is_no_path_and_a_name_of_several_is_refused(medkg: Medkg) -> None:
    assert medkg("path", "MONDO:0005105", "dabrafenib").output.startswith(
        "nothing connects melanoma and dabrafenib within 3 steps"
    )
    refused = medkg("path", "melanoma", "dabrafenib")
    assert refused.exit_code == 1
    assert "MESH:D008545 (Melanoma), MONDO:0005105 (melanoma); ask again with a CURIE" in refused.stderr


def test_an_export_names_its_files_and_counts_what_is_in_them(medkg: Medkg, tmp_path: Path) -> None:
    folder = tmp_path / "kgx" / "deep"
    result = medkg("export", "kgx", str(folder))
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        f"wrote 3 nodes to {folder}/nodes.jsonl",
        f"wrote 2 edges to {folder}/edges.jsonl",
    ]
    assert [json.loads(line)["id"] for line in (folder / "nodes.jsonl").read_text().splitlines()] == [
        "MESH:C561627",
        "MESH:D008545",
        "MONDO:0005105",
    ]


def test_every_format_can_be_named() -> None:
    assert tuple(FORMATS) == EXPORT_FORMATS


def test_an_export_without_a_folder_is_named_for_its_format(
    medkg: Medkg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f" {tmp_path}/kgx/edges.jsonl" in medkg("export", "kgx").output
    assert (tmp_path / "kgx" / "edges.jsonl").is_file()


def test_a_folder_that_cannot_be_made_is_named(medkg: Medkg, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = medkg("export", "kgx", str(tmp_path / "file" / "folder"))
    assert result.exit_code == 1
    assert "cannot write to" in result.stderr
