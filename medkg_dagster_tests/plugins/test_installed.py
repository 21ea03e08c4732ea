"""The entry points of really installed distributions, read without importing anything."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from medkg_dagster.plugins import OWN_DISTRIBUTION, InstalledEntryPoints
from medkg_dagster_tests.deployments.installed import STAGES, Site, site

__all__ = ["site"]


def damage(site: Site, content: bytes, name: str = "lab_plugin-1.0") -> Path:
    file = site.packages / f"{name}.dist-info" / "entry_points.txt"
    file.write_bytes(content)
    importlib.invalidate_caches()
    return file


def names(found: InstalledEntryPoints, group: str = STAGES) -> list[str]:
    points = found.of(group)
    return sorted(origin.entry_point for origin, _ in points if origin.distribution.startswith("lab-"))


def test_entry_points_come_with_their_origins_and_nothing_is_imported(site: Site) -> None:
    site.install("lab", "raise RuntimeError")

    found = {str(origin): point.value for origin, point in InstalledEntryPoints().of(STAGES)}

    assert found["entry point 'lab = lab:register' of lab-plugin 1.0"] == "lab:register"
    assert any(f"of {OWN_DISTRIBUTION} " in origin for origin in found)
    assert "lab" not in sys.modules


def test_another_group_has_nothing(site: Site) -> None:
    site.install("lab", "raise RuntimeError")

    assert InstalledEntryPoints().of("medical_kg.orchestration.nothing") == []


@pytest.mark.parametrize("content", [f"[{STAGES}]\nlab\n".encode(), b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_hides_its_own_entry_points_only(site: Site, content: bytes) -> None:
    site.install("lab", "")
    site.install("lab_other", "", distribution="lab-other")
    damage(site, content)

    found = InstalledEntryPoints()

    assert names(found) == ["lab"]
    (problem,) = found.problems()
    assert problem.message.startswith("its entry_points.txt cannot be read: ")
    assert str(site.packages) in str(problem.subject)
    assert "distribution lab-plugin 1.0 in " in str(problem.subject)
    assert problem.hint == "reinstall or uninstall it"
    assert found.problems() == (problem,)


def test_a_damaged_file_that_is_of_no_plugin_is_told_as_dagster_reads_it_too(site: Site) -> None:
    site.install("lab", "")
    site.install("lab_other", "", distribution="lab-other")
    damage(site, b"[console_scripts]\nlab\n", "lab_other-1.0")

    found = InstalledEntryPoints()

    assert names(found) == ["lab"]
    (problem,) = found.problems()
    assert "line 2 is 'lab', not a [group] or name = value below one" in problem.message
    assert "lab-other 1.0" in str(problem.subject)


@pytest.mark.parametrize("folder", ["first", "site"])
def test_a_folder_that_is_left_over_of_another_version_hides_nothing(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    site.install("lab", "")
    (tmp_path / folder / "lab_plugin-0.9.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path / folder))

    found = InstalledEntryPoints()

    assert names(found) == ["lab"]
    assert found.problems() == ()


def test_of_two_versions_in_one_folder_one_counts_and_the_other_is_told(site: Site) -> None:
    site.install("lab", "")
    site.install("lab", "", version="2.0")

    found = InstalledEntryPoints()

    assert names(found) == ["lab"]
    (problem,) = found.problems()
    assert "of it is in the same folder, and counts" in problem.message
    assert {"1.0", "2.0"} <= set(f"{problem.message} {problem.subject}".split())


def test_of_two_copies_of_a_distribution_the_first_on_the_path_counts(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install("lab", "")
    first = tmp_path / "first" / "lab_plugin-2.0.dist-info"
    first.mkdir(parents=True)
    (first / "METADATA").write_text("Name: lab-plugin\nVersion: 2.0\n")
    (first / "entry_points.txt").write_text(f"[{STAGES}]\nnewer = lab:register\n")
    monkeypatch.syspath_prepend(str(tmp_path / "first"))

    assert names(InstalledEntryPoints()) == ["newer"]
    site.install("lab_other", "", distribution="lab-other")
    damage(site, b"\xff\xfe\x00", "lab_other-1.0")
    assert names(InstalledEntryPoints()) == ["newer"]
