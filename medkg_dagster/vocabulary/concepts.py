"""What sources say: concepts with their names, and which concepts of other sources are the same."""

from __future__ import annotations

import re
from dataclasses import dataclass

CURIE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*:[^\s|]+")
CATEGORY = re.compile(r"biolink:[A-Z][A-Za-z]+")

_PREFIXES = {
    "chebi": "CHEBI",
    "doid": "DOID",
    "drugbank": "DRUGBANK",
    "efo": "EFO",
    "entrez": "NCBIGene",
    "hgnc": "HGNC",
    "hp": "HP",
    "mesh": "MESH",
    "mondo": "MONDO",
    "msh": "MESH",
    "ncbigene": "NCBIGene",
    "ncit": "NCIT",
    "nci": "NCIT",
    "omim": "OMIM",
    "ordo": "ORPHANET",
    "orphanet": "ORPHANET",
    "orpha": "ORPHANET",
    "umls": "UMLS",
    "umls_cui": "UMLS",
    "unii": "UNII",
    "uniprot": "UniProtKB",
    "up": "UniProtKB",
    "cas": "CAS",
}


@dataclass(frozen=True, slots=True)
class Concept:
    """A thing, as one source describes it.

    Attributes:
        curie: Its identifier in the source.
        name: Its preferred name.
        category: Its Biolink category.
        synonyms: Its other names, as the source gives them.
        same_as: CURIEs that the source calls the same thing.
        parents: CURIEs of what it is a kind of.
        tree_numbers: Its places in the tree of MeSH.
        roles: CURIEs of what it does or is used for.
        former: CURIEs that it had before.
        close: CURIEs of what is nearly the same, as the salt of an acid is.
    """

    curie: str
    name: str
    category: str
    synonyms: tuple[str, ...] = ()
    same_as: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    tree_numbers: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
    close: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All names, the preferred one first."""
        return (self.name, *self.synonyms)


@dataclass(frozen=True, slots=True)
class Equivalence:
    """That two concepts of different sources are the same thing.

    Attributes:
        one: The CURIE of one.
        other: The CURIE of the other.
        is_curated: Whether a person said so, or both sources do.
    """

    one: str
    other: str
    is_curated: bool = False


def curie_of(prefix: str, identifier: str) -> str:
    """Return a CURIE with the prefix as the Biolink Model writes it.

    Args:
        prefix: The prefix in any case or of another time: `MSH`, `UMLS_CUI`.
        identifier: What stands behind it; the prefix once more is taken off.
    """
    known = _PREFIXES.get(prefix.strip().lower(), prefix.strip())
    bare = identifier.strip()
    return bare if bare.startswith(f"{known}:") else f"{known}:{bare}"


def prefix_of(curie: str) -> str:
    """Return what stands before the colon."""
    return curie.partition(":")[0]
