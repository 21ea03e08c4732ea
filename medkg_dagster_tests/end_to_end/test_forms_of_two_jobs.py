"""Of a document that two jobs hold in two forms the better is shown, whatever the order of their runs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.io.times import stamp, utc_now
from medkg_dagster.ledger import JobKey
from medkg_dagster_tests.end_to_end.shipped_pipeline import (
    Home,
    Rows,
    rows_of,
    write_article,
    write_full_text,
)

JOBS = ("articles", "records")
BOTH = "PMID:1"
"""What the job `articles` holds as full text in JATS, and the job `records` as PubMed record."""


class TwoJobs:
    """Two folders, a job each, that hold one document in two forms, and another each."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.home = Home(place / "home")
        self.version = 0
        write_article(place / "articles", 8)
        write_article(place / "records", 9)
        self.add_full_text()
        self.change_record()

    def add_full_text(self) -> None:
        write_full_text(self.place / "articles", "10.5555/both", pmid=1)

    def drop_full_text(self) -> None:
        (self.place / "articles" / "full_text.xml").unlink(missing_ok=True)

    def change_record(self) -> None:
        self.version += 1
        write_article(self.place / "records", 1, self.version)

    def drop_record(self) -> None:
        (self.place / "records" / "1.xml").unlink(missing_ok=True)

    def run(self, *jobs: str) -> None:
        for job in jobs:
            self.home.run(self.place / job, job)

    def shown(self) -> str | None:
        """Return the title under which the document is shown."""
        query = "SELECT DISTINCT title FROM chunks WHERE document_id = 'PMID:1'"
        return next((title for (title,) in rows_of(self.home.folder / "index.sqlite", query)), None)

    def clean(self, jobs: Sequence[str]) -> Rows:
        """Return what a clean build of all jobs gives."""
        clean = Home(self.place / "clean")
        with closing(clean.ledger):
            for job in jobs:
                clean.run(self.place / job, job)
            rows = clean.rows()
        shutil.rmtree(clean.folder)
        return rows


@contextmanager
def two_jobs() -> Iterator[TwoJobs]:
    with tempfile.TemporaryDirectory() as place:
        jobs = TwoJobs(Path(place))
        with closing(jobs.home.ledger):
            yield jobs


@pytest.fixture
def jobs() -> Iterator[TwoJobs]:
    with two_jobs() as found:
        yield found


@pytest.mark.parametrize("order", [JOBS, JOBS[::-1], (*JOBS, *JOBS)])
def test_the_better_form_is_shown_and_the_other_is_told_to_be_superseded(
    jobs: TwoJobs, order: Sequence[str]
) -> None:
    jobs.run(*order)

    assert jobs.shown() == "The whole article"
    known = jobs.home.ledger.documents.get(BOTH)
    assert (known.title, known.identifiers) == ("The whole article", {"DOI": "10.5555/both", "PMID": "1"})
    full_text, record = jobs.home.ledger.documents.holdings(BOTH)
    if full_text.job_id == "records":
        full_text, record = record, full_text
    assert (full_text.status, full_text.job_id) == (DocumentStatus.CURRENT, "articles")
    assert (record.status, record.job_id) == (DocumentStatus.SUPERSEDED, "records")
    assert record.reason == f"a better form of it is used ({full_text.origin})"


def test_where_the_better_form_goes_the_other_comes_with_the_next_run_of_its_job(jobs: TwoJobs) -> None:
    jobs.run(*JOBS)
    jobs.drop_full_text()
    jobs.run("articles")

    assert jobs.shown() is None
    known = jobs.home.ledger.documents.get(BOTH)
    assert (known.status, known.title) == (DocumentStatus.CURRENT, "Article 1, version 1")
    jobs.run("records")
    assert jobs.shown() == "Article 1, version 1"
    jobs.add_full_text()
    jobs.run("articles")
    assert jobs.shown() == "The whole article"


def test_a_job_whose_better_form_goes_says_which_other_job_brings_the_worse(jobs: TwoJobs) -> None:
    jobs.run(*JOBS)
    began = stamp(utc_now)
    articles, records = (JobKey("auto", name) for name in JOBS)
    documents = jobs.home.ledger.documents
    assert documents.left_to_others(articles, began) == {}
    jobs.change_record()
    jobs.drop_full_text()
    jobs.run("articles")

    assert documents.left_to_others(articles, began) == {records: 1}
    assert documents.left_to_others(records, began) == {}


@pytest.mark.parametrize("is_broken", [True, False], ids=["unreadable", "of no use"])
def test_where_the_better_of_two_forms_of_one_job_is_refused_the_other_is_used_and_described(
    jobs: TwoJobs, is_broken: bool
) -> None:
    papers = jobs.place / "articles"
    record = write_article(papers, 1, version=5)
    full_text = papers / "full_text.xml"
    jobs.run("articles")
    text = full_text.read_text()
    assert jobs.shown() == "The whole article"
    full_text.write_text(text[:200] if is_broken else text.replace("</p>", " [text truncated]</p>"))
    for _ in range(2):
        jobs.run("articles")

        known = jobs.home.ledger.documents.get(BOTH)
        assert jobs.shown() == known.title == "Article 1, version 5"
        assert (known.status, known.origin) == (DocumentStatus.CURRENT, str(record))
        held = {one.origin: one for one in jobs.home.ledger.documents.holdings(BOTH)}
        assert held[str(record)].status is DocumentStatus.CURRENT
        assert held[str(full_text)].status is DocumentStatus.QUARANTINED
        assert held[str(full_text)].reason
        assert jobs.home.rows() == jobs.clean(["articles"])
    full_text.write_text(text)
    jobs.run("articles")
    assert jobs.shown() == jobs.home.ledger.documents.get(BOTH).title == "The whole article"


def test_a_copy_that_another_job_holds_is_shown_on_where_the_first_goes(jobs: TwoJobs) -> None:
    jobs.drop_record()
    write_full_text(jobs.place / "records", "10.5555/both", pmid=1)
    jobs.run(*JOBS)
    for job in JOBS:
        (jobs.place / job / "full_text.xml").unlink()
        jobs.run(job)
        assert (jobs.shown() is None) == (job == JOBS[-1])


CHANGES: dict[str, Callable[[TwoJobs], Any]] = {
    "add the full text": TwoJobs.add_full_text,
    "drop the full text": TwoJobs.drop_full_text,
    "change the record": TwoJobs.change_record,
    "drop the record": TwoJobs.drop_record,
    "run articles": lambda jobs: jobs.run("articles"),
    "run records": lambda jobs: jobs.run("records"),
}


# `make soak` draws more.
@settings(max_examples=4 if settings().derandomize else 60)
@given(
    st.lists(st.sampled_from(sorted(CHANGES)), max_size=8),
    st.permutations(JOBS),
    st.permutations(JOBS),
)
def test_the_stores_are_those_of_a_clean_build_whatever_the_order_of_runs(
    history: list[str], last: Sequence[str], clean: Sequence[str]
) -> None:
    with two_jobs() as jobs:
        for name in history:
            CHANGES[name](jobs)
        jobs.run(*last, *last)

        assert jobs.home.rows() == jobs.clean(clean)
