import json
from pathlib import Path

import pytest

from medkg_dagster_tests.cli.conftest import Medkg

pytestmark = pytest.mark.usefixtures("graph_home")


def test_a_node_shows_its_edges_with_sentence_document_and_negation(medkg: Medkg) -> None:
    shown = medkg("graph", "Dabrafenib").output
    assert shown.startswith("dabrafenib (MESH:C561627)  biolink:Drug")
    assert "--treats--> Melanoma (MESH:D008545)" in shown
    assert '"Dabrafenib improved survival in melanoma."' in shown
    assert "--treats (negated)--> melanoma (MONDO:0005105)" in shown
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
    assert len(found["edges"]) == 1
    assert found["nodes"][0]["id"] == "MESH:C561627"
    assert "limit 1 reached" in medkg("graph", "dabrafenib", "--limit", "1").output


def test_an_unknown_name_says_what_to_do(medkg: Medkg) -> None:
    result = medkg("graph", "dabrafenb")
    assert result.exit_code == 1
    assert result.stderr.startswith("medkg: the graph has no node 'dabrafenb'; ")


def test_the_graph_is_exported_as_kgx(medkg: Medkg, tmp_path: Path) -> None:
    result = medkg("export", str(tmp_path / "kgx" / "deep"))
    assert result.exit_code == 0, result.output
    files = [Path(line) for line in result.output.splitlines()]
    assert [file.name for file in files] == ["nodes.jsonl", "edges.jsonl"]
    assert [json.loads(line)["id"] for line in files[0].read_text().splitlines()] == [
        "MESH:C561627",
        "MESH:D008545",
        "MONDO:0005105",
    ]


def test_a_folder_that_cannot_be_made_is_named(medkg: Medkg, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = medkg("export", str(tmp_path / "file" / "folder"))
    assert result.exit_code == 1
    assert "cannot write to" in result.stderr
