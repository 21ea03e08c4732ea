"""Plugins that attack the loading itself, really installed; the pipelines of others load all the same."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from medkg_dagster_tests.deployments.installed import Site
from medkg_dagster_tests.hostile.plugins_that_break_loading import (
    DAMAGED,
    ENDLESS,
    LATE_ENDINGS,
    POINT,
    ROWS,
    Damage,
    Row,
)

IN_ORDER = "def register():\n    return one()\n"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_what_a_plugin_does_to_the_loading_is_told_and_the_rest_loads(site: Site, row: Row) -> None:
    site.install("lab", row.source)

    deployment = site.load()

    problems = deployment.plan.problems
    assert len(problems) == len(row.expected), problems
    for problem, expected in zip(problems, row.expected, strict=True):
        assert expected in problem.message
        assert problem.subject == POINT
        assert row.hint in str(problem.hint)
    assert [pipeline.name for pipeline in deployment.plan.pipelines] == ["good"]
    assert set(row.usable) <= set(deployment.factory.registry.stage_types)
    assert ("lab-type" in deployment.factory.registry) is ("lab-type" in row.usable)


@pytest.mark.parametrize("row", ENDLESS, ids=lambda row: row.title)
def test_check_ends_and_never_succeeds_whatever_a_plugin_does_to_its_process(site: Site, row: Row) -> None:
    site.install("lab", row.source)

    done = checked(site)

    assert done.returncode == 1, done.stderr
    assert all(expected in done.stdout for expected in row.expected), done.stdout


@pytest.mark.parametrize("is_broken", [False, True])
@pytest.mark.parametrize(("_how", "source"), LATE_ENDINGS, ids=[how for how, _ in LATE_ENDINGS])
def test_check_gives_its_own_exit_code_and_output_however_a_plugin_ends_its_process(
    site: Site, _how: str, source: str, is_broken: bool
) -> None:
    site.install("lab", source + IN_ORDER)
    if is_broken:
        site.pipeline("cut", "name: cut\nstages: [")

    done = checked(site)

    assert done.returncode == is_broken, done.stderr
    assert ("cut.yaml:3: not valid YAML" if is_broken else "no problems") in done.stdout


@pytest.mark.parametrize("wait", ["threading.Event().wait()", "exec('while True: pass')"])
def test_check_ends_where_what_a_plugin_left_to_atexit_does_not(site: Site, wait: str) -> None:
    site.install(
        "lab", f"import atexit, threading\n\n@atexit.register\ndef close():\n    {wait}\n" + IN_ORDER
    )

    impatient = (
        "from medkg_dagster.cli import exit_code, main; exit_code.PATIENCE_SECONDS = 1.0; main(['check'])"
    )
    done = checked(site, "-c", impatient)

    assert done.returncode == 0, done.stderr
    assert "no problems" in done.stdout
    assert "lab.py:" in done.stderr
    assert "keeps the process from ending" in done.stderr


def test_check_names_a_damaged_distribution_that_dagster_and_pydantic_do_not_get_past(site: Site) -> None:
    site.install("lab", IN_ORDER, entry_points={"pydantic": {"lab": "lab:register"}})
    (site.packages / "lab_plugin-1.0.dist-info" / "entry_points.txt").write_text("[pydantic]\nlab\n")

    done = checked(site)

    assert done.returncode == 1, done.stderr
    assert "distribution lab-plugin 1.0 in" in done.stdout
    assert "its entry_points.txt cannot be read" in done.stdout


def checked(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    changes = {"MEDKG_HOME": str(site.home), "MEDKG_CONFIG": str(site.config), "MEDKG_STRICT": "1"}
    return subprocess.run(
        [sys.executable, *(arguments or ("-m", "medkg_dagster.cli", "check"))],
        env=os.environ | changes | {"PYTHONPATH": str(site.packages)},
        check=False,
        capture_output=True,
        text=True,
        timeout=480,
    )


@pytest.mark.parametrize("damage", DAMAGED, ids=lambda damage: damage.title)
def test_a_damaged_distribution_keeps_no_other_from_loading(site: Site, damage: Damage) -> None:
    site.install("lab", IN_ORDER)
    site.install("lab_other", IN_ORDER.replace("one()", "one(stage_type='other')"), distribution="lab-other")
    (site.packages / "lab_plugin-1.0.dist-info" / damage.file).write_bytes(damage.content)
    importlib.invalidate_caches()

    deployment = site.load()

    told = [problem for problem in deployment.plan.problems if damage.expected in problem.message]
    assert bool(told) is bool(damage.expected), deployment.plan.problems
    assert len(deployment.plan.problems) == len(told)
    assert all("lab-plugin 1.0" in str(problem.subject) and problem.hint for problem in told)
    assert "other" in deployment.factory.registry
    assert [pipeline.name for pipeline in deployment.plan.pipelines] == ["good"]


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("gone"), os.mkfifo])
def test_entry_points_that_are_no_file_hide_no_plugin_without_a_word(
    site: Site, make: Callable[[Path], None]
) -> None:
    site.install("lab", IN_ORDER)
    points = site.packages / "lab_plugin-1.0.dist-info" / "entry_points.txt"
    points.unlink()
    make(points)
    importlib.invalidate_caches()

    deployment = site.load()

    (problem,) = deployment.plan.problems
    assert "its entry_points.txt cannot be read: ValueError: it is no file" in problem.message
    assert "lab-plugin 1.0" in str(problem.subject)
    assert [pipeline.name for pipeline in deployment.plan.pipelines] == ["good"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_entry_points_that_may_not_be_read_hide_no_plugin_without_a_word(site: Site) -> None:
    site.install("lab", IN_ORDER)
    (site.packages / "lab_plugin-1.0.dist-info" / "entry_points.txt").chmod(0)
    importlib.invalidate_caches()

    (problem,) = site.load().plan.problems

    assert "it may not be read" in problem.message


def test_a_distribution_without_a_name_does_not_slip_past_a_block(site: Site) -> None:
    site.install("lab", IN_ORDER)
    (site.packages / "lab_plugin-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\n")
    site.policy("block: [lab-plugin]\n")

    deployment = site.load()

    assert "lab-type" not in deployment.factory.registry
    assert "lab" not in sys.modules
    details = [event.details for event in deployment.plan.report.events if event.outcome == "blocked"]
    assert any("of a distribution without a name" in text for text in details)


def test_an_import_path_that_is_allowed_needs_no_place_among_the_distributions(site: Site) -> None:
    (site.packages / "lab_paths.py").write_text("from lab_prelude import *\n" + IN_ORDER)
    site.install("lab_prelude", "", distribution="lab-prelude", entry_points={"some.group": {"x": "lab:y"}})
    site.policy("allow: [lab-other]\nimport_prefixes: [lab_paths]\n")
    site.pipeline(
        "paths",
        'name: paths\nversion: "2026-01-01"\n'
        "plugins: {stages: [{type: lab-type, from: 'lab_paths:register'}]}\n"
        "stages: [{name: a, type: lab-type}]\n",
    )

    deployment = site.load()

    assert deployment.plan.problems == ()
    assert [pipeline.name for pipeline in deployment.plan.pipelines] == ["good", "paths"]


def test_what_a_plugin_prints_is_no_problem(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.install("lab", "print('welcome')\n" + IN_ORDER)

    assert site.load().plan.problems == ()
    assert capsys.readouterr().out == "welcome\n"


@pytest.mark.parametrize("name", ["medkg-dagster", "medkg_dagster", "Medkg.Dagster"])
def test_a_distribution_that_takes_this_projects_name_is_refused_and_not_imported(
    site: Site, name: str
) -> None:
    ran = site.home.parent / "ran"
    source = f"import pathlib\npathlib.Path({str(ran)!r}).touch()\ndef register():\n    return one()\n"
    site.install("taken", source, distribution=name, version="99.0")

    deployment = site.load()

    assert not ran.exists()
    (refused,) = (event for event in deployment.plan.report.events if "taken" in event.origin.target)
    assert not refused.origin.is_own
    assert "calls itself medkg-dagster, but names code that is not in that package" in refused.details
    assert "good" in {pipeline.name for pipeline in deployment.plan.pipelines}
