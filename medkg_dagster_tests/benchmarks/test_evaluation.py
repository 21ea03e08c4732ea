"""The figures of `make eval-parse` that a small fixed sample has to keep."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Bound, Figure
from evaluation import jats_text, page_text, pdf_text, study_text

ARTICLES = (
    "10.1155_2016_1396568.xml",
    "10.1371_journal.pcbi.1004156.xml",
    "10.1371_journal.pntd.0002913.xml",
    "10.1371_journal.pone.0117949.xml",
    "10.3390_v7102877.xml",
    "10.7554_elife.00666.xml",
)
EVERY = 12
TODAY = {
    "JATS words in order": 99.975,
    "JATS words in order, the worst file": 99.91,
    "ordered recall of body words, median": 99.62,
    "ordered recall of body words, worst": 98.5,
    "authors": 92.3,
    "section headings": 96.77,
    "headings that are none of the article's": 7,
    "table cells": 95.57,
    "titles of references": 92.1,
}
"""What the figures of the samples come to that are not all of it; raise what gets better."""


def worse_than_today(figures: Sequence[Figure]) -> list[str]:
    """Return the figures with a target that are not what they were: all, or nothing of what is lost."""
    held = [figure for figure in figures if figure.target is not None]
    return [
        figure.row()
        for figure in held
        if (
            figure.measured < TODAY.get(figure.name, 100.0)
            if figure.bound is Bound.AT_LEAST
            else figure.measured > TODAY.get(figure.name, 0)
        )
    ]


def test_articles_of_a_sample_are_read_whole_and_in_order(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "jats").mkdir()
    for name in ARTICLES:
        (tmp_path / "jats" / name).symlink_to((shared_data / "jats" / name).resolve())

    figures = list(jats_text.measure(tmp_path, made=20))

    assert len(figures) == 10
    assert worse_than_today(figures) == []


def test_pdfs_are_read_as_their_articles_are(shared_data: Path) -> None:
    figures = list(pdf_text.against_twins(shared_data))

    assert len(figures) == 9
    assert worse_than_today(figures) == []


def test_articles_are_the_same_as_pages_books_and_word_documents(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "jats").mkdir()
    name = ARTICLES[-1]
    (tmp_path / "jats" / name).symlink_to((shared_data / "jats" / name).resolve())

    figures = list(page_text.measure(tmp_path))

    assert len(figures) == 15
    assert worse_than_today(figures) == []


def test_studies_of_a_sample_are_read_whole(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "clinicaltrials").mkdir()
    for path in sorted((shared_data / "clinicaltrials").glob("*.json")):
        loaded = json.loads(path.read_bytes())
        with_results = [item for item in loaded if "resultsSection" in item]
        sample = json.dumps([*loaded[::EVERY], *with_results])
        (tmp_path / "clinicaltrials" / path.name).write_text(sample, encoding="utf-8")

    figures = list(study_text.measure(tmp_path))

    assert len(figures) == 4
    assert worse_than_today(figures) == []
