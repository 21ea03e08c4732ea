"""The example of a source and a gate condition, in a pipeline of two phases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medkg_dagster.ledger import JobKey, JobLedger, JobStatus
from medkg_dagster_tests.examples.conftest import GATE_AND_SOURCE_EXAMPLE
from medkg_dagster_tests.examples.environment import Deployment, Environment, run_own_tests

NOTES = """\
id,title,text
1,Visit in spring,"Fever under dabrafenib and trametinib; both were interrupted."
2,Visit in summer,"Colitis under ipilimumab, treated with infliximab."
,Nobody,This note has no id.
3,Visit in autumn,"Thyroiditis under nivolumab, no treatment."
4,Visit in winter,"No complaints, and a response that goes on."
5,Last visit,"Vitiligo under nivolumab, nothing else to report."
"""


@pytest.fixture(scope="module")
def waiting(gate_deployment: Deployment) -> Deployment:
    """The deployment after the first phase, submitted with a path of its own."""
    (gate_deployment.folder / "spring.csv").write_text(NOTES)
    path = gate_deployment.folder / "spring.csv"
    gate_deployment.medkg("submit", "signed-notes", "--job-id", "spring", "--param", f"path={path}")
    gate_deployment.execute("signed_notes", "spring")
    return gate_deployment


def status(deployment: Deployment) -> JobStatus:
    with JobLedger.open(deployment.home) as ledger:
        return ledger.jobs.get(JobKey("signed-notes", "spring")).status


def test_its_own_tests_pass_where_it_is_installed(
    environment: Environment, projects: dict[str, Path]
) -> None:
    assert " passed" in run_own_tests(environment, projects[GATE_AND_SOURCE_EXAMPLE])


def test_its_pipeline_has_no_problems(gate_deployment: Deployment) -> None:
    assert "no problems" in gate_deployment.medkg("check").stdout


def test_a_wrong_parameter_of_the_source_is_refused_when_it_is_submitted(gate_deployment: Deployment) -> None:
    done = gate_deployment.medkg("submit", "signed-notes", "--param", "delimitr=;", check=False)

    assert done.returncode == 1
    assert "did you mean 'delimiter'" in done.stderr


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        ("roles: [clinical, data]", "roles: []", "roles"),
        ("custom: sign-off", "custom: sign-of", "did you mean 'sign-off'"),
    ],
)
def test_a_wrong_condition_is_an_error_of_the_yaml_file(
    gate_deployment: Deployment, tmp_path: Path, written: str, instead: str, said: str
) -> None:
    source = gate_deployment.folder / "config" / "orchestration"
    target = tmp_path / "config" / "orchestration" / "pipelines"
    target.mkdir(parents=True)
    (target.parent / "resilience.yaml").write_bytes((source / "resilience.yaml").read_bytes())
    shipped = (source / "pipelines" / "signed-notes.yaml").read_text()
    (target / "signed-notes.yaml").write_text(shipped.replace(written, instead))

    done = Deployment(gate_deployment.environment, tmp_path).medkg("check", check=False)

    assert done.returncode == 1
    assert "signed-notes.yaml" in done.stdout + done.stderr
    assert said in done.stdout + done.stderr


def test_notes_wait_until_everybody_has_signed_and_are_searchable_then(waiting: Deployment) -> None:
    with JobLedger.open(waiting.home) as ledger:
        refused = ledger.stage_runs.outcomes(JobKey("signed-notes", "spring"))
    assert [item.document_id for item in refused] == ["spring.csv:4"]
    assert status(waiting) is JobStatus.WAITING
    (gate,) = json.loads(waiting.medkg("gate", "list", "--json").stdout)
    assert "sign_off.clinical equals 'approved'" in json.dumps(gate)

    waiting.medkg("ledger", "set", "signed-notes/spring", "sign_off.clinical=approved", "--by", "ann")
    by_hand = waiting.execute("signed_notes__after_signed", "spring", check=False)
    assert by_hand.returncode != 0
    assert status(waiting) is JobStatus.WAITING

    waiting.medkg("ledger", "set", "signed-notes/spring", "sign_off.data=approved", "--by", "bob")
    waiting.execute("signed_notes__after_signed", "spring")

    assert status(waiting) is JobStatus.SUCCEEDED
    found = json.loads(waiting.medkg("search", "colitis infliximab", "--json").stdout)
    assert "Visit in summer" in json.dumps(found)
