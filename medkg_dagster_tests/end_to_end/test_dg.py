"""Dagster's newer command `dg`, from the checkout; `dg dev` serves the jobs of `test_gated_jobs.py`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from medkg_dagster.ledger import JobKey
from medkg_dagster_tests.end_to_end.running import BIN, PATIENCE, REPOSITORY, Running


@pytest.fixture
def deployment(tmp_path: Path) -> Running:
    """A home for what the shipped pipelines write."""
    running = Running(tmp_path)
    running.prepare({})
    return running


def dg(deployment: Running, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = deployment.environment | {"MEDKG_CONFIG": str(REPOSITORY / "config")}
    return subprocess.run(
        [str(BIN / "dg"), *arguments],
        env=environment,
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_dg_lists_the_definitions_of_the_checkout(deployment: Running) -> None:
    listed = dg(deployment, "list", "defs", "--json")

    assert listed.returncode == 0, listed.stderr
    found = json.loads(listed.stdout)
    assert "auto/kg" in {asset["asset_key"] for asset in found["assets"]}
    assert {"auto", "pdf_two_phase__after_pdf_ir_ready"} <= {job["name"] for job in found["jobs"]}


def test_dg_checks_the_definitions_of_the_checkout(deployment: Running) -> None:
    checked = dg(deployment, "check", "defs")

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_dg_launches_a_job_of_the_checkout(deployment: Running) -> None:
    launched = dg(deployment, "launch", "--job", "auto")

    assert launched.returncode == 0, launched.stdout + launched.stderr
    with deployment.ledger() as ledger:
        assert ledger.jobs.get(JobKey("auto", "default")).status == "succeeded"
