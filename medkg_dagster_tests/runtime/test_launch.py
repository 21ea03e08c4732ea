"""The process that runs a phase at once."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from medkg_dagster.errors import ConfigError
from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster.runtime.launch import dagster_home, launcher


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


def test_a_home_that_cannot_be_made_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    home = tmp_path / ("h" * 300)

    with pytest.raises(ConfigError, match=r"MEDKG_HOME names .* cannot be written to: File name too long"):
        ExitStack().enter_context(launcher(home))
    with pytest.raises(ConfigError, match=r"MEDKG_HOME names .* cannot be written to: File name too long"):
        dagster_home(home)


def test_processes_that_begin_at_once_in_a_new_home_make_its_databases_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with ExitStack() as stack:
        launched = [stack.enter_context(launcher(tmp_path)) for _ in range(3)]

        said = [one.process.stdout.readline() for one in launched if one.process.stdout]
    for one in launched:
        one.process.wait()

    assert said == [b"no daemon\n"] * 3, "".join(one.log.read_text() for one in launched if one.log.exists())
