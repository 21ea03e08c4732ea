"""The example of a stage type, installed and run as a third party's package."""

from __future__ import annotations

import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from medkg_dagster.ledger import JobKey, JobLedger, JobStatus
from medkg_dagster.stage_api._serialization import load_value
from medkg_dagster_tests.examples.conftest import STAGE_EXAMPLE
from medkg_dagster_tests.examples.environment import Deployment, Environment, run_own_tests

LETTER = """\
Discharge letter of 12 March 2016

A 93-year-old woman (MRN 00482913, file HD-48291, SSN 219-09-9999) with melanoma was admitted on 2016-03-01.
Dabrafenib was started in 2015. Fever on March 3rd, 2016; treated with prednisone 10 mg. Her daughter can be
reached at (617) 555-0132 or under daughter@example.org. See NCT02576665 and PMID 26492265.
"""
IDENTIFIERS = (
    *("12 March", "93-year-old", "00482913", "HD-48291", "219-09-9999", "2016-03-01", "March 3rd"),
    *("555-0132", "daughter@example.org", "January 2015", "June 2020"),
)
KEPT = ("2015", "10 mg", "NCT02576665", "PMID 26492265", "[DATE] 2016", "[RECORD_NUMBER]", "[AGE]", "[EMAIL]")


@pytest.fixture(scope="module")
def ran(stage_deployment: Deployment, repository: Path) -> Deployment:
    """The deployment after the example's pipeline worked on an article, a trial and a letter."""
    documents = stage_deployment.folder / "documents"
    documents.mkdir()
    corpus = repository / "medkg_dagster" / "corpus" / "documents"
    for name in ("articles/nivolumab_ipilimumab_cohort.xml", "trials/NCT99990005.json"):
        shutil.copy(corpus / name, documents)
    (documents / "letter.txt").write_text(LETTER)
    stage_deployment.medkg("submit", "deidentified", "--job-id", "letters", "--param", f"path={documents}")
    stage_deployment.execute("deidentified", "letters")
    return stage_deployment


def stored_texts(database: Path) -> Iterator[str]:
    """Yield every text in every table."""
    with closing(sqlite3.connect(database)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                yield from (value for value in row if isinstance(value, str))


def test_its_own_tests_pass_where_it_is_installed(
    environment: Environment, projects: dict[str, Path]
) -> None:
    assert " passed" in run_own_tests(environment, projects[STAGE_EXAMPLE])


def test_the_stage_type_is_listed_with_its_distribution(stage_deployment: Deployment) -> None:
    listed = stage_deployment.medkg("stages").stdout

    (line,) = (line for line in listed.splitlines() if line.startswith("deidentify "))
    assert "medkg-stage-example 0.1.0" in line


def test_its_configuration_is_shown_with_its_meaning(stage_deployment: Deployment) -> None:
    shown = stage_deployment.medkg("stages", "deidentify").stdout

    assert "Keep the year of a date" in shown


def test_its_pipeline_has_no_problems(stage_deployment: Deployment) -> None:
    assert "no problems" in stage_deployment.medkg("check").stdout


def test_a_pattern_that_could_run_away_is_an_error_of_the_yaml_file(
    stage_deployment: Deployment, tmp_path: Path
) -> None:
    copied = shutil.copytree(stage_deployment.folder / "config", tmp_path / "config")
    pipeline = copied / "orchestration" / "pipelines" / "deidentified.yaml"
    pipeline.write_text(pipeline.read_text().replace(r"\bHD-\d{4,6}\b", "(a+)+"))

    done = Deployment(stage_deployment.environment, tmp_path).medkg("check", check=False)

    assert done.returncode == 1
    assert "deidentified.yaml" in done.stdout + done.stderr
    assert "repeats must have an upper bound" in done.stdout + done.stderr


def test_no_identifier_reaches_the_index_or_the_graph(ran: Deployment) -> None:
    with JobLedger.open(ran.home) as ledger:
        assert ledger.jobs.get(JobKey("deidentified", "letters")).status is JobStatus.SUCCEEDED

    for store in ("index.sqlite", "graph.sqlite"):
        everything = "\n".join(stored_texts(ran.home / store))
        assert everything
        assert [text for text in IDENTIFIERS if text in everything] == []


def test_what_is_no_identifier_can_still_be_searched(ran: Deployment) -> None:
    everything = "\n".join(stored_texts(ran.home / "index.sqlite"))

    assert [text for text in KEPT if text not in everything] == []
    assert "PMID" in ran.medkg("search", "dabrafenib fever prednisone", "--json").stdout


def test_the_report_is_stored_beside_the_documents_and_quotes_nothing(ran: Deployment) -> None:
    with JobLedger.open(ran.home) as ledger:
        runs = {run.stage: run for run in ledger.stage_runs.of_job(JobKey("deidentified", "letters"))}
    assert runs["deidentify"].output_count == runs["parse"].output_count == 3

    stored = ran.home / "state" / "deidentified" / "deidentify" / "letters.state.zip"
    with zipfile.ZipFile(stored) as archive:
        (name,) = (name for name in archive.namelist() if name.startswith("deidentification_report."))
        report = load_value("deidentification_report", archive.read(name), dict[str, Any])

    counts = [item["replaced"] for item in report["documents"] if set(item["replaced"]) > {"date"}]
    expected = {"email": 1, "phone": 1, "date": 4, "record_number": 2, "national_id": 1, "age": 1}
    assert counts == [expected]
    assert [text for text in IDENTIFIERS if text in str(report)] == []
