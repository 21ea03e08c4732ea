"""Genes are found by symbols and names, as far as the document bears them out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.stages.extract.genes import GeneFinder, with_genes
from medkg_dagster.stages.extract.mentions import Mention
from medkg_dagster.vocabulary.artefact import VocabularyArtefact, write_artefact
from medkg_dagster.vocabulary.concepts import Concept
from medkg_dagster.vocabulary.unify import Thing

GENE = "biolink:Gene"
THINGS = (
    Thing("A:1", "TNF", GENE, ("tumor necrosis factor", "TNFA", "DIF")),
    Thing("A:2", "KRAS", GENE, ("KRAS proto-oncogene, GTPase",)),
    Thing("A:3", "STAT3", GENE, ("APRF",)),
    Thing("A:4", "CAT", GENE, ("catalase", "spatial")),
    Thing("A:5", "AKT1", GENE, ("AKT", "RAC")),
    Thing("A:6", "RAC1", GENE, ("RAC", "hinge")),
    Thing("A:7", "HFE", GENE, ("haemochromatosis",)),
    Thing("A:8", "CA2", GENE, ()),
    Thing("A:9", "FIG4", GENE, ()),
    Thing("B:1", "haemochromatosis", "biolink:Disease"),
    Thing("B:2", "cats", "biolink:OrganismTaxon", ("CAT",)),
)


@pytest.fixture(scope="module")
def finder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GeneFinder]:
    with VocabularyArtefact(write_artefact(tmp_path_factory.mktemp("built"), THINGS, [], {})) as artefact:
        yield GeneFinder(artefact, 3)


def found(finder: GeneFinder, *sentences: str) -> list[tuple[str, str]]:
    genes = finder.find(sentences)
    return [
        (text[one.start : one.end], one.concept.name)
        for text, mentions in zip(sentences, genes, strict=True)
        for one in mentions
    ]


@pytest.mark.parametrize(
    ("text", "surface", "name"),
    [
        ("Levels of TNF-α rose.", "TNF-α", "TNF"),
        ("Levels of TNF-alpha rose.", "TNF-alpha", "TNF"),
        ("Much Tumor Necrosis Factor was seen.", "Tumor Necrosis Factor", "TNF"),
        ("then stat3 rose", "stat3", "STAT3"),
        ("we saw that Kras was active", "Kras", "KRAS"),
        ("much catalase was seen", "catalase", "CAT"),
    ],
)
def test_a_gene_is_found_however_it_is_written(
    finder: GeneFinder, text: str, surface: str, name: str
) -> None:
    assert found(finder, text) == [(surface, name)]


@pytest.mark.parametrize(
    "text",
    [
        "Kras Begins A Title",
        "the dif is small",
        "Ca2+ flows in",
        "a hinge joint",
        "as Fig 4 shows",
        "the spatial expression",
        "in hereditary haemochromatosis",
        "TN,F and C AT and S/TAT3",
    ],
)
def test_what_is_something_else_is_no_gene(finder: GeneFinder, text: str) -> None:
    assert found(finder, text) == []


def test_what_may_be_something_else_needs_another_name_or_a_word_said_of_genes(finder: GeneFinder) -> None:
    assert found(finder, "DIF was seen.", "CAT was seen.") == []
    assert found(finder, "DIF was seen.", "Tumor necrosis factor is high.") == [
        ("DIF", "TNF"),
        ("Tumor necrosis factor", "TNF"),
    ]
    assert found(finder, "CAT was seen.", "The CAT gene is short.") == [("CAT", "CAT"), ("CAT", "CAT")]


def test_of_several_genes_with_one_name_it_is_the_one_with_support(finder: GeneFinder) -> None:
    assert found(finder, "RAC protein was seen.") == []
    assert found(finder, "RAC was seen.", "AKT1 rose.") == [("RAC", "AKT1"), ("AKT1", "AKT1")]
    assert ("RAC", "AKT1") not in found(finder, "RAC was seen.", "AKT1 and RAC1 rose.")


def test_genes_are_those_of_man_unless_another_species_prevails(finder: GeneFinder) -> None:
    assert found(finder, "STAT3 rose.") == [("STAT3", "STAT3")]
    assert found(finder, "STAT3 rose in patients and in mice.") == [("STAT3", "STAT3")]
    assert found(finder, "STAT3 rose.", "Mice were used.") == []


def test_the_longer_one_of_two_that_overlap_stays_and_of_two_as_long_the_gene() -> None:
    gene, other = Concept("A:1", "TNF", GENE), Concept("B:1", "flu", "biolink:Disease")

    assert with_genes([Mention(0, 8, other)], [Mention(4, 8, gene)]) == (Mention(0, 8, other),)
    assert with_genes([Mention(0, 4, other)], [Mention(0, 8, gene)]) == (Mention(0, 8, gene),)
    assert with_genes([Mention(0, 4, other)], [Mention(0, 4, gene)]) == (Mention(0, 4, gene),)
    apart = (Mention(0, 4, other), Mention(5, 8, gene))
    assert with_genes(apart[:1], apart[1:]) == apart


@given(st.lists(st.text(st.sampled_from("STATKRa3α-/ .,(\u200b\u200fﬁ"), max_size=40), max_size=4))
def test_genes_are_in_order_and_without_overlap_in_any_text(finder: GeneFinder, sentences: list[str]) -> None:
    for text, mentions in zip(sentences, finder.find(sentences), strict=True):
        places = [place for one in mentions for place in (one.start, one.end)]
        assert places == sorted(places)
        assert not places or (places[0] >= 0 and places[-1] <= len(text))
        assert all(one.start < one.end for one in mentions)
