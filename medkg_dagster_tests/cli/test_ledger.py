import json
from pathlib import Path

import pytest

from medkg_dagster_tests.cli.conftest import Medkg

pytestmark = pytest.mark.usefixtures("ledger_home")


def test_jobs_are_listed_and_filtered(medkg: Medkg) -> None:
    listed = [line.split()[:2] for line in medkg("ledger", "list").output.splitlines()]
    assert listed == [
        ["JOB", "STATUS"],
        ["clinical-trials/melanoma:2026", "submitted"],
        ["clinical-trials/default", "submitted"],
        ["auto/default", "succeeded"],
    ]
    assert len(json.loads(medkg("ledger", "list", "--pipeline", "auto", "--json").stdout)) == 1
    assert medkg("ledger", "list", "--status", "failed").output == "no such jobs\n"


def test_an_unknown_status_is_refused(medkg: Medkg) -> None:
    result = medkg("ledger", "list", "--status", "faild")
    assert (result.exit_code, "did you mean 'failed'" in result.stderr) == (1, True)


def test_a_job_shows_fields_stages_quarantine_and_history(medkg: Medkg) -> None:
    shown = medkg("ledger", "show", "auto/default").output
    for expected in (
        "auto/default: succeeded, attempts: 1",
        'adapter = "files"',
        "pdf.pages = 3",
        "documents set aside: 1 quarantined",
        "truncated at byte 7",
        "UnreadableDocumentError",
        "counted",
    ):
        assert expected in shown
    described = json.loads(medkg("ledger", "show", "auto/default", "--json").stdout)
    assert [run["stage"] for run in described["stage_runs"]] == ["parse", "chunk"]
    assert [(run["run_id"], run["status"]) for run in described["runs"]] == [("r1", "succeeded")]
    assert described["quarantined"][0]["document_id"] == "PMID:9"


def test_an_id_that_several_pipelines_use_is_ambiguous_until_a_pipeline_is_named(medkg: Medkg) -> None:
    result = medkg("ledger", "show", "default")
    assert result.exit_code == 1
    assert "auto/default" in result.stderr
    assert "clinical-trials/default" in result.stderr
    assert medkg("ledger", "show", "default", "--pipeline", "auto").exit_code == 0


def test_an_id_may_hold_a_slash(medkg: Medkg) -> None:
    for job in ("melanoma:2026", "clinical-trials/melanoma:2026"):
        assert medkg("ledger", "show", job).output.startswith("clinical-trials/melanoma:2026: submitted")


def test_an_unknown_job_names_the_closest_one(medkg: Medkg) -> None:
    result = medkg("ledger", "show", "auto/defualt")
    assert result.exit_code == 1
    assert "did you mean 'auto/default'?" in result.stderr


def test_the_summary_says_what_was_made_and_where(medkg: Medkg, ledger_home: Path) -> None:
    shown = medkg("summary").output
    lines = [line.split() for line in shown.splitlines()]
    assert ["documents", "2"] in lines
    assert ["chunks", "5"] in lines
    assert f"in {ledger_home}" in shown
    assert "ledger.sqlite" in shown
    assert "medkg search" in shown
    described = json.loads(medkg("summary", "--json").stdout)
    assert (described["documents"], described["set_aside"]) == (2, {"quarantined": 1})


def test_the_summary_of_an_unknown_job_names_the_closest_one(medkg: Medkg) -> None:
    assert "did you mean 'default'?" in medkg("summary", "--job", "defalt").stderr
