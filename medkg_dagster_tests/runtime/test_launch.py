"""The process that runs a phase at once."""

from __future__ import annotations

from pathlib import Path

from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster.runtime.launch import launcher


def test_a_process_that_ended_before_it_was_told_what_to_run_shows_as_ended(tmp_path: Path) -> None:
    key = JobKey("plain", "default")
    with JobLedger.open(tmp_path) as ledger:
        ledger.phases.submit(key, "plain", {}, actor="ann")
        (phase,) = ledger.phases.of_job(key)

    with launcher(tmp_path) as launched:
        launched.process.kill()
        launched.process.wait()
        launched.run(phase)

        assert launched.has_ended
