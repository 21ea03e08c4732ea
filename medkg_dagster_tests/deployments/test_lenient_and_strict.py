"""Several broken things at once: every other pipeline loads and runs, or one error lists them all."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from dagster import DagsterInstance

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.ledger import JobLedger
from medkg_dagster.settings import Settings
from medkg_dagster_tests.deployments.installed import Site

WORKS = "def register():\n    return one(stage_type='works')\n"
USES = """\
name: uses-a-plugin
version: "2026-01-01"
stages: [{name: work, type: works}]
"""


@pytest.fixture
def broken(site: Site) -> Site:
    """A deployment with one good plugin and several broken things."""
    site.install("lab_good", WORKS, distribution="lab-good")
    site.install("lab_raises", "raise RuntimeError('no model')", distribution="lab-raises")
    site.install("lab_exits", "sys.exit(2)", distribution="lab-exits")
    site.install("lab_hangs", "late()\ntime.sleep(60)", distribution="lab-hangs")
    site.install(
        "lab_takes", "def register():\n    return one(stage_type='chunk')\n", distribution="lab-takes"
    )
    site.pipeline("uses", USES)
    site.pipeline("typo", USES.replace("uses-a-plugin", "typo").replace("works", "wroks"))
    site.pipeline("cut", "name: cut\nstages: [")
    return site


def test_in_lenient_mode_every_other_pipeline_loads_and_runs(broken: Site) -> None:
    deployment = broken.load()
    settings = Settings(broken.home, broken.config)
    definitions = compile_plan(deployment.plan, deployment.factory, settings)

    assert [pipeline.name for pipeline in deployment.plan.pipelines] == ["good", "uses-a-plugin"]
    with DagsterInstance.ephemeral() as instance:
        for job in ("good", "uses_a_plugin"):
            assert definitions.resolve_job_def(job).execute_in_process(instance=instance).success
    with JobLedger.of(settings) as ledger:
        outcomes = {(entry.distribution, entry.outcome) for entry in ledger.registrations.list()}
    assert {
        ("lab-good", "registered"),
        ("lab-raises", "rejected"),
        ("lab-exits", "rejected"),
        ("lab-hangs", "rejected"),
        ("lab-takes", "rejected"),
    } <= outcomes


def test_in_strict_mode_one_error_lists_them_all(broken: Site) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(broken.packages),
        "MEDKG_CONFIG": str(broken.config),
        "MEDKG_HOME": str(broken.home),
        "MEDKG_STRICT": "1",
    }

    load = [sys.executable, "-c", "import medkg_dagster.definitions"]
    loaded = subprocess.run(load, env=environment, capture_output=True, text=True, check=False)

    assert loaded.returncode == 1
    assert "Traceback" not in loaded.stderr
    error = "\n".join(line for line in loaded.stderr.splitlines() if line.startswith("medkg: "))
    for expected in (
        "of lab-raises 1.0: cannot be loaded: RuntimeError: no model",
        "of lab-exits 1.0: cannot be loaded: SystemExit: 2",
        "of lab-hangs 1.0: took longer than 60 s to load and was interrupted",
        "of lab-takes 1.0: stage type 'chunk' is registered already by entry point 'chunk = ",
        "typo.yaml:3: stage 'work' has the unknown type 'wroks' (did you mean 'works'?",
        "cut.yaml:3: not valid YAML",
    ):
        assert expected in error
