import stat
from pathlib import Path

import pytest

from medkg_dagster_tests.cli.conftest import Medkg

EARLIER = """\
name: small
version: "2026-01-01"
stages:
  - {name: fetch, type: ingest}
  - {name: gate_ok, type: gate, depends_on: [fetch]}
gates:
  - name: ok
    timeout_seconds: 60  # a minute
    condition:
      field: ok
      equals: true
"""
TODAY = """\
name: small
version: "2026-01-01"
stages:
  - {name: fetch, type: ingest}
  - {name: gate_ok, type: gate, depends_on: [fetch]}
gates:
  - name: ok
    condition:
      field: ok
      equals: true
      timeout_seconds: 60 # a minute
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(EARLIER)
    return path


def test_migrate_writes_today_s_form_in_place(medkg: Medkg, file: Path) -> None:
    file.chmod(0o640)
    result = medkg("migrate", str(file))
    assert result.exit_code == 0, result.output
    assert result.output == f"{file}: 1 earlier form rewritten\n"
    assert file.read_text() == TODAY
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert list(file.parent.glob(".*")) == []


def test_migrate_again_changes_nothing(medkg: Medkg, file: Path) -> None:
    medkg("migrate", str(file))
    result = medkg("migrate", str(file))
    assert result.exit_code == 0, result.output
    assert result.output == f"{file}: nothing to migrate\n"
    assert file.read_text() == TODAY


def test_a_link_stays_a_link(medkg: Medkg, file: Path) -> None:
    link = file.with_name("link.yaml")
    link.symlink_to(file)
    assert medkg("migrate", str(link)).exit_code == 0
    assert link.is_symlink()
    assert file.read_text() == TODAY


def test_check_tells_each_form_and_writes_nothing(medkg: Medkg, file: Path) -> None:
    result = medkg("migrate", "--check", str(file))
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{file}:8: an earlier form, accepted until ")
    assert file.read_text() == EARLIER
    file.write_text(TODAY)
    assert medkg("migrate", "--check", str(file)).exit_code == 0


def test_diff_prints_what_would_change_and_writes_nothing(medkg: Medkg, file: Path) -> None:
    result = medkg("migrate", "--diff", str(file))
    assert result.exit_code == 0, result.output
    assert "-    timeout_seconds: 60  # a minute\n" in result.stdout
    assert "+      timeout_seconds: 60 # a minute\n" in result.stdout
    assert file.read_text() == EARLIER


def test_one_file_that_cannot_be_read_keeps_all_from_being_written(medkg: Medkg, file: Path) -> None:
    bad = file.with_name("bad.yaml")
    bad.write_text("name: [\n")
    result = medkg("migrate", str(file), str(bad))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"medkg: {bad}:2: not valid YAML")
    assert file.read_text() == EARLIER


def test_a_folder_that_cannot_be_written_is_an_error_on_one_line(
    medkg: Medkg, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tests may run as root, to whom every folder is open.
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    result = medkg("migrate", str(file))
    assert result.exit_code == 1
    assert result.stderr == f"medkg: {file} cannot be written: Permission denied; check permissions\n"
    assert file.read_text() == EARLIER
