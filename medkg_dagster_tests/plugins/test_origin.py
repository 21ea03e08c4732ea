"""What is known of a plugin before anything of it is imported."""

from __future__ import annotations

import hashlib
from importlib.metadata import Distribution, EntryPoint, PathDistribution, distribution
from pathlib import Path

import pytest

from medkg_dagster.plugins import Distributions, Origin, PluginPolicy
from medkg_dagster.plugins.origin import OWN_DISTRIBUTION, UNKNOWN, counted_origin

METADATA = "Metadata-Version: 2.1\nName: Lab_OCR\nVersion: 1.2\n"
RECORD = "lab/__init__.py,sha256=abc,12\n"


def installed(folder: Path, **files: str | bytes) -> Distribution:
    info = folder / "lab_ocr-1.2.dist-info"
    info.mkdir()
    for name, content in files.items():
        (info / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return PathDistribution(info)


def origin(folder: Path, **files: str | bytes) -> Origin:
    point = EntryPoint("ocr", "lab.ocr:register", "group")
    # What the standard library does when it reads the entry points of a distribution.
    vars(point).update(dist=installed(folder, **files))
    return Distributions().origin(point)


def test_an_origin_names_entry_point_target_distribution_and_version(tmp_path: Path) -> None:
    found = origin(tmp_path, METADATA=METADATA, RECORD=RECORD)

    assert found == Origin("ocr", "lab.ocr:register", "Lab_OCR", "1.2")
    assert str(found) == "entry point 'ocr = lab.ocr:register' of Lab_OCR 1.2"
    assert found.record_hash == hashlib.sha256(RECORD.encode()).hexdigest()


def test_any_other_installed_file_gives_another_hash_and_the_same_origin(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    first = origin(tmp_path / "a", METADATA=METADATA, RECORD=RECORD)
    second = origin(tmp_path / "b", METADATA=METADATA, RECORD=RECORD.replace("abc", "abd"))

    assert first == second
    assert first.record_hash != second.record_hash


@pytest.mark.parametrize(
    ("metadata", "known"),
    [
        ("", (UNKNOWN, UNKNOWN)),
        ("Metadata-Version: 2.1\n", (UNKNOWN, UNKNOWN)),
        ("Name: lab\n", ("lab", UNKNOWN)),
        ("Name:\nVersion:   \n", (UNKNOWN, UNKNOWN)),
        ("VERSION: 2\nNAME: lab\n", ("lab", "2")),
        ("Summary: x\n\nName: in-the-description\n", (UNKNOWN, UNKNOWN)),
        ("Name: lab\nName: other\nVersion: 1\n", ("other", "1")),
        (b"\xff\xfe\x00", (UNKNOWN, UNKNOWN)),
    ],
)
def test_metadata_may_be_damaged(tmp_path: Path, metadata: str | bytes, known: tuple[str, str]) -> None:
    found = origin(tmp_path, METADATA=metadata)

    assert (found.distribution, found.version) == known
    assert found.record_hash == ""


def test_a_record_that_is_no_text_counts_as_none(tmp_path: Path) -> None:
    assert origin(tmp_path, METADATA=METADATA, RECORD=b"\xff\xfe").record_hash == ""


def test_an_old_kind_of_installation_is_read_too(tmp_path: Path) -> None:
    info = tmp_path / "lab.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text(METADATA)

    assert Distributions().describe(PathDistribution(info))[:2] == ("Lab_OCR", "1.2")


def test_a_distribution_is_read_once(tmp_path: Path) -> None:
    distribution = installed(tmp_path, METADATA=METADATA)
    distributions = Distributions()
    first = distributions.describe(distribution)
    (tmp_path / "lab_ocr-1.2.dist-info" / "METADATA").unlink()

    assert distributions.describe(distribution) == first


def test_an_entry_point_of_nowhere_has_an_unknown_origin() -> None:
    found = Distributions().origin(EntryPoint("ocr", "lab.ocr:register", "group"))

    assert (found.distribution, found.version) == (UNKNOWN, UNKNOWN)
    assert not found.is_import_path


def test_an_import_path_is_shown_as_one() -> None:
    path = Origin("", "lab.ocr:register", UNKNOWN, UNKNOWN)

    assert path.is_import_path
    assert str(path) == "import path 'lab.ocr:register'"


def test_an_entry_point_without_a_name_is_no_import_path() -> None:
    assert not Origin("", "lab.ocr:register", "lab", "1").is_import_path


def test_only_this_project_is_its_own() -> None:
    assert Origin("parse", "x:y", OWN_DISTRIBUTION, "1").is_own
    assert not Origin("parse", "x:y", "medkg-dagster-lab", "1").is_own


@pytest.mark.parametrize("name", [OWN_DISTRIBUTION, "medkg_dagster", "Medkg.Dagster", "MEDKG--dagster"])
def test_what_calls_itself_this_project_and_is_not_passes_for_nobody(tmp_path: Path, name: str) -> None:
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 99\n"
    found = origin(tmp_path, METADATA=metadata, RECORD=RECORD)

    assert not found.is_own
    assert counted_origin(found.distribution) != "built-in"
    # Not even by the name that it has taken.
    policy = PluginPolicy(allow=(OWN_DISTRIBUTION, name))
    assert policy.refusal(found) == (
        "calls itself medkg-dagster, but names code that is not in that package; uninstall it"
    )


@pytest.mark.parametrize(
    "target", ["medkg_dagster_evil:register", "medkg_dagster:x", " medkg_daster.stages:x"]
)
def test_a_package_that_is_called_nearly_like_ours_is_not_ours(tmp_path: Path, target: str) -> None:
    point = EntryPoint("parse", target, "group")
    metadata = f"Metadata-Version: 2.1\nName: {OWN_DISTRIBUTION}\nVersion: 99\n"
    vars(point).update(dist=installed(tmp_path, METADATA=metadata))

    assert not Distributions().origin(point).is_own


def test_every_entry_point_that_this_project_declares_is_its_own() -> None:
    declared = [
        point for point in distribution(OWN_DISTRIBUTION).entry_points if point.group.startswith("medical_kg")
    ]

    assert len(declared) > 20
    assert all(Distributions().origin(point).is_own for point in declared)
