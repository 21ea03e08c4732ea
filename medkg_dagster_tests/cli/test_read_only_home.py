"""A home that may only be read still answers; what would write says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from medkg_dagster_tests.query.made_home import make_home

# Whoever is root may write into every folder: only a file system that is mounted so is read-only for all.
MOUNTED = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
ANSWERS = {
    "check": "no problems",
    "ledger list": "auto",
    "search dabrafenib": "by words",
    "graph Dabrafenib": "edge",
    "documents list": "",
    "metrics --once": "medkg_documents",
}
ASK = """
import sys
from click.testing import CliRunner
from medkg_dagster.cli import main
for line in sys.argv[1:]:
    done = CliRunner().invoke(main, line.split())
    print(f"{line}|{done.exit_code}|{done.output!r}")
"""


def read_only(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command where the home is mounted for reading only."""
    unshare = shutil.which("unshare")
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    if unshare is None or subprocess.run([unshare, *user, "--mount", "true"], check=False).returncode:
        pytest.skip("no namespace of mounts can be made here")
    environment = {**os.environ, "MEDKG_HOME": str(home)}
    return subprocess.run(
        [unshare, *user, "--mount", "sh", "-c", MOUNTED, str(home), *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_home_on_a_file_system_that_is_mounted_for_reading_answers(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    before = sorted(path.name for path in home.rglob("*"))

    asked = read_only(home, sys.executable, "-c", ASK, *ANSWERS, "submit auto --job-id x")

    lines = [line.split("|", 2) for line in asked.stdout.splitlines()]
    answers = {line: (code, output) for line, code, output in lines}
    assert {line: code for line, (code, _) in answers.items() if line in ANSWERS} == dict.fromkeys(
        ANSWERS, "0"
    )
    assert all(word in answers[line][1] for line, word in ANSWERS.items())
    code, output = answers["submit auto --job-id x"]
    assert code == "1", asked.stderr
    assert "Traceback" not in output
    assert "read" in output or "written" in output
    assert sorted(path.name for path in home.rglob("*")) == before
