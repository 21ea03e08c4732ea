"""What authors of plugins write is typed: a second type checker beside mypy says so.

mypy checks `plugin_author.py` together with the whole project.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from medkg_dagster import pytest_plugin

pytest_plugins = ["pytester"]

HERE = Path(__file__).parent
AUTHOR = HERE / "plugin_author.py"
MISTAKES = HERE / "mistakes.txt"


def run_ty(file: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Check one file with this very environment, without any project's settings."""
    command = [sys.executable, "-m", "ty", "check", "--python", sys.prefix, "--error-on-warning"]
    options = ["--output-format", "concise", "--color", "never", "--no-progress"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TY_")}
    return subprocess.run(
        [*command, *options, "--project", str(folder), str(file)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_whole_plugin_is_accepted_by_ty(tmp_path: Path) -> None:
    checked = run_ty(AUTHOR, tmp_path)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_whole_plugin_needs_nothing_but_the_stage_api_and_asks_for_no_exception() -> None:
    text = AUTHOR.read_text()

    modules = set(re.findall(r"^(?:from|import) (\S+)", text, re.MULTILINE))
    ours = {module for module in modules if module.startswith("medkg_dagster")}
    assert ours == {"medkg_dagster.stage_api", "medkg_dagster.stage_api.testing"}
    assert not re.search(r"(type|ty|pyright): ignore|\bcast\(|noqa", text)


def test_the_tests_of_a_whole_plugin_pass(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    author = pytester.makepyfile(plugin_author=AUTHOR.read_text())

    result = pytester.runpytest_inprocess("-p", pytest_plugin.__name__, "-p", "no:cacheprovider", author)

    result.assert_outcomes(passed=4)


def test_ty_tells_every_mistake_of_an_author_and_nothing_else(tmp_path: Path) -> None:
    mistakes = tmp_path / "mistakes.py"
    mistakes.write_text(MISTAKES.read_text())
    lines = MISTAKES.read_text().splitlines()
    expected = {number for number, line in enumerate(lines, start=1) if line.endswith("# wrong")}

    checked = run_ty(mistakes, tmp_path)

    told = {int(number) for number in re.findall(r"mistakes\.py:(\d+):\d+: ", checked.stdout)}
    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert len(expected) > 25
    assert told == expected, checked.stdout
