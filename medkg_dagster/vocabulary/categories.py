"""Which Biolink category a concept has, by its source and its place in the tree of MeSH."""

from __future__ import annotations

from collections.abc import Sequence

_OF_PREFIX = {
    "MONDO": "biolink:Disease",
    "DOID": "biolink:Disease",
    "HP": "biolink:PhenotypicFeature",
    "CHEBI": "biolink:ChemicalEntity",
    "DRUGBANK": "biolink:ChemicalEntity",
    "HGNC": "biolink:Gene",
    "NCBIGene": "biolink:Gene",
}

# Branches of the tree (https://meshb.nlm.nih.gov/treeView), the first that fits decides.
_OF_BRANCH = (
    ("C23.888", "biolink:PhenotypicFeature"),
    ("C", "biolink:Disease"),
    ("F03", "biolink:Disease"),
    ("D27", "biolink:ChemicalRole"),
    ("D12.776", "biolink:Protein"),
    ("D08.811", "biolink:Protein"),
    ("D", "biolink:ChemicalEntity"),
    ("A", "biolink:AnatomicalEntity"),
    ("B", "biolink:OrganismTaxon"),
    ("E", "biolink:Procedure"),
)
_ELSE = "biolink:NamedThing"


def category_of(prefix: str) -> str:
    """Return the category of what a source with this prefix is about."""
    return _OF_PREFIX.get(prefix, _ELSE)


def category_of_mesh(tree_numbers: Sequence[str]) -> str:
    """Return the category of what stands at these places of the tree of MeSH.

    Of something at several places the branch that is named first here decides.
    """
    for branch, category in _OF_BRANCH:
        if any(number.startswith(branch) for number in tree_numbers):
            return category
    return _ELSE
