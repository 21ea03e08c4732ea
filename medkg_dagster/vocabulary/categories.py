"""Which Biolink category a concept has, by its source and its place in the tree of MeSH."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

GENE = "biolink:Gene"
"""Of genes, and of their products where a source says which gene makes them: texts do not tell them apart."""

PROTEIN = "biolink:Protein"
"""Of all other proteins, families and complexes among them."""

_OF_PREFIX = {
    "MONDO": "biolink:Disease",
    "DOID": "biolink:Disease",
    "HP": "biolink:PhenotypicFeature",
    "CHEBI": "biolink:ChemicalEntity",
    "DRUGBANK": "biolink:ChemicalEntity",
    "HGNC": GENE,
    "NCBIGene": GENE,
}

# Branches of the tree (https://meshb.nlm.nih.gov/treeView), the first that fits decides.
_OF_BRANCH = (
    ("C23.888", "biolink:PhenotypicFeature"),
    ("C", "biolink:Disease"),
    ("F03", "biolink:Disease"),
    # Behavioral symptoms, such as depression, and anxiety.
    ("F01.145.126", "biolink:PhenotypicFeature"),
    ("F01.470.132", "biolink:PhenotypicFeature"),
    ("D27", "biolink:ChemicalRole"),
    # Oligopeptides such as angiotensin are chemicals; peptide hormones and other proteins are none.
    ("D12.644.456", "biolink:ChemicalEntity"),
    ("D12.644.548", PROTEIN),
    ("D12.776", PROTEIN),
    ("D08.811", PROTEIN),
    ("D", "biolink:ChemicalEntity"),
    ("A", "biolink:AnatomicalEntity"),
    ("B", "biolink:OrganismTaxon"),
    ("E", "biolink:Procedure"),
)
DISEASES = frozenset({"biolink:Disease", "biolink:PhenotypicFeature", "biolink:DiseaseOrPhenotypicFeature"})
"""Categories of what ails somebody."""

CHEMICALS = frozenset(
    {
        "biolink:ChemicalEntity",
        "biolink:Drug",
        "biolink:MolecularMixture",
        "biolink:SmallMolecule",
    }
)
"""Categories of what is given to somebody."""

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


# An ontology's own root of what its prefix stands for; what is not below it is something else.
_ROOTS = {"HP": "HP:0000118"}

# Classes below which all is of another category than the prefix says.
_BELOW = {"CHEBI:50906": "biolink:ChemicalRole", "CHEBI:36342": _ELSE, "MONDO:0021125": _ELSE}


def categories_by_place(parents: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the category of each concept that by its place in an ontology is not what its prefix says.

    That are modifiers, courses and frequencies of HPO and characteristics of MONDO ("rare"), which are no
    diseases, and roles and particles of ChEBI, which are no chemicals.

    Args:
        parents: By CURIE what it is a kind of.
    """
    children: dict[str, list[str]] = {}
    for curie, above in parents.items():
        for one in above:
            children.setdefault(one, []).append(curie)
    found: dict[str, str] = {}
    for prefix, root in _ROOTS.items():
        if root in parents:
            below = _below(root, children)
            found |= {
                curie: _ELSE for curie in parents if curie.startswith(f"{prefix}:") and curie not in below
            }
    for root, category in _BELOW.items():
        found |= dict.fromkeys(_below(root, children), category)
    return found


def _below(root: str, children: Mapping[str, Iterable[str]]) -> set[str]:
    found, pending = {root}, [root]
    while pending:
        new = set(children.get(pending.pop(), ())) - found
        found |= new
        pending += new
    return found
