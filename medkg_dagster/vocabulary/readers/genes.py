"""Genes of man: one concept of HGNC, one of NCBI Gene, and the names of their proteins.

Texts seldom tell a gene from its product: a protein of which a source says which gene makes it is that gene.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from medkg_dagster.vocabulary.categories import GENE
from medkg_dagster.vocabulary.concepts import Concept, curie_of

NO_GENES = frozenset({"fragile site", "region", "virus integration site", "phenotype only"})
"""Kinds of locus under which HGNC lists what is no gene."""

_OF_MAN = re.compile(r",? human$")
_PROTEIN = re.compile(r"(?:\S*[A-Z\d]\S*|(?:in|ase|gen|kine|or))(?P<protein> protein)$")
"""Where the word need not be said: keratin 19 is a protein, "hemochromatosis" is none but a disease."""


def gene_concepts(hgnc: str, symbol: str, others: Iterable[str], ncbi: str) -> Iterator[Concept]:
    """Yield the concepts of a gene.

    Args:
        hgnc: Its CURIE at HGNC.
        symbol: Its symbol.
        others: Its other names; empty ones and repeated ones are left out.
        ncbi: Its number at NCBI Gene; empty where it has none.
    """
    curies = (curie_of("NCBIGene", ncbi),) if ncbi else ()
    synonyms = tuple(one for one in dict.fromkeys(others) if one and one != symbol)
    yield Concept(hgnc, symbol, GENE, synonyms=synonyms, same_as=curies)
    for curie in curies:
        yield Concept(curie, symbol, GENE, same_as=(hgnc,))


def names_in_text(name: str) -> Iterator[str]:
    """Yield what a text calls a protein that MeSH names "TP53 protein, human"."""
    bare = _OF_MAN.sub("", name)
    yield bare
    if protein := _PROTEIN.search(bare):
        yield bare[: protein.start("protein")]
