"""The category of a concept follows from its source, and within MeSH from its places in the tree."""

from __future__ import annotations

import pytest

from medkg_dagster.vocabulary.categories import category_of, category_of_mesh


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
