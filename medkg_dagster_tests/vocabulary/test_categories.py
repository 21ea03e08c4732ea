"""The category of a concept follows from its source, and within MeSH from its places in the tree."""

from __future__ import annotations

import pytest

from medkg_dagster.vocabulary.categories import categories_by_place, category_of, category_of_mesh


@pytest.mark.parametrize(
    ("tree_numbers", "category"),
    [
        (("C14.280",), "biolink:Disease"),
        (("F03.600",), "biolink:Disease"),
        (("C23.888.592",), "biolink:PhenotypicFeature"),
        (("D12.776.543",), "biolink:Protein"),
        (("D08.811.277",), "biolink:Protein"),
        (("D02.241",), "biolink:ChemicalEntity"),
        (("A07.541",), "biolink:AnatomicalEntity"),
        (("B01.050",), "biolink:OrganismTaxon"),
        (("E04.100",), "biolink:Procedure"),
        (("F01.145",), "biolink:NamedThing"),
        ((), "biolink:NamedThing"),
        (("E05.100", "D03.383"), "biolink:ChemicalEntity"),
        (("C10.228", "C23.888.592"), "biolink:PhenotypicFeature"),
    ],
)
def test_the_branch_of_the_tree_decides(tree_numbers: tuple[str, ...], category: str) -> None:
    assert category_of_mesh(tree_numbers) == category


@pytest.mark.parametrize(
    ("prefix", "category"),
    [("MONDO", "Disease"), ("HP", "PhenotypicFeature"), ("CHEBI", "ChemicalEntity"), ("HGNC", "Gene")],
)
def test_the_prefix_of_a_source_decides(prefix: str, category: str) -> None:
    assert category_of(prefix) == f"biolink:{category}"


def test_what_is_not_known_is_a_named_thing() -> None:
    assert category_of("XYZ") == "biolink:NamedThing"


def test_what_is_not_where_its_prefix_belongs_is_something_else() -> None:
    parents = {
        "HP:0000001": (),
        "HP:0000118": ("HP:0000001",),
        "HP:0001": ("HP:0000118",),
        "HP:0002": ("HP:0001",),
        "HP:0012823": ("HP:0000001",),
        "HP:0003": ("HP:0012823",),
        "CHEBI:50906": (),
        "CHEBI:1": ("CHEBI:50906",),
        "CHEBI:2": ("CHEBI:24431",),
        "MONDO:0021125": (),
        "MONDO:1": ("MONDO:0021125",),
        "MONDO:2": (),
    }

    assert categories_by_place(parents) == {
        **dict.fromkeys(("HP:0000001", "HP:0012823", "HP:0003"), "biolink:NamedThing"),
        **dict.fromkeys(("CHEBI:50906", "CHEBI:1"), "biolink:ChemicalRole"),
        "CHEBI:36342": "biolink:NamedThing",
        **dict.fromkeys(("MONDO:0021125", "MONDO:1"), "biolink:NamedThing"),
    }


def test_of_an_ontology_without_its_root_nothing_is_known_by_place() -> None:
    found = categories_by_place({"HP:1": (), "HP:2": ("HP:1",)})
    assert not [curie for curie in found if curie.startswith("HP:")]
