"""A pipeline file of the format's original form, run as it is."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from medkg_dagster.ledger import JobKey, JobStatus
from medkg_dagster_tests.end_to_end.running import Running
from medkg_dagster_tests.end_to_end.test_kills import PIPELINE, Starter, complete, records

__all__ = ["records"]  # a fixture


@pytest.mark.filterwarnings("ignore:an earlier form:DeprecationWarning")
def test_pdfs_are_converted_and_parsed_behind_the_gate_of_the_original_form(
    tmp_path: Path, records: Path, shared_data: Path
) -> None:
    original = shared_data / "legacy_pipelines"
    deployment = Running(tmp_path / "deployment")
    deployment.prepare({"pdf-two-phase.yaml": (original / "pdf-two-phase.yaml").read_text()})
    shutil.copyfile(
        original / "resilience.yaml", deployment.folder / "config" / "orchestration" / "resilience.yaml"
    )
    starter = Starter(deployment)
    starter.submit("original", records)

    job, points = complete(starter, "original")

    assert job.status is JobStatus.SUCCEEDED, job.error
    assert list(points) == ["pdf_two_phase", "pdf_conversion", "pdf_two_phase__after_pdf_ir_ready"]
    with closing(deployment.ledger()) as ledger:
        made = {
            run.stage: run.output_count or 0 for run in ledger.stage_runs.of_job(JobKey(PIPELINE, "original"))
        }
    assert made["parse"] == 2
    assert made["index"] == made["chunk"] > 2
    assert made["kg"] > 0
