"""Listing a folder: all of it or an error, here and at an address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from upath import UPath

from medkg_dagster.errors import PermanentSourceError, SourceError
from medkg_dagster.io.file_listing import list_files


@pytest.fixture(params=["disk", "address"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder with two files, one of them in a folder."""
    name = f"memory://{tmp_path.name}" if request.param == "address" else str(tmp_path / "inbox")
    (UPath(name) / "more").mkdir(parents=True)
    write(name, "a.json", b"1")
    write(name, "more/b.json", b"22")
    yield name
    UPath(name).fs.rm(UPath(name).path, recursive=True)


def write(place: str, file: str, content: bytes) -> None:
    (UPath(place) / file).write_bytes(content)


@pytest.mark.parametrize(("recursive", "names"), [(True, {"a.json", "more/b.json"}), (False, {"a.json"})])
def test_files_are_listed_by_relative_path(place: str, recursive: bool, names: set[str]) -> None:
    assert set(list_files(place, recursive=recursive, limit=10)) == names


def test_what_is_written_anew_has_another_version_and_the_rest_has_not(place: str) -> None:
    before = list_files(place, recursive=True, limit=10)
    write(place, "more/b.json", b"333")
    after = list_files(place, recursive=True, limit=10)

    assert {name for name in before if before[name] != after[name]} == {"more/b.json"}


def test_a_folder_that_is_not_there_is_an_error(place: str) -> None:
    with pytest.raises(SourceError, match="cannot be listed"):
        list_files(f"{place}/none", recursive=True, limit=10)


def test_more_files_than_allowed_are_refused(place: str) -> None:
    with pytest.raises(PermanentSourceError, match="holds more than 1 file; look at a part"):
        list_files(place, recursive=True, limit=1)


def test_a_listing_that_takes_too_long_is_given_up(place: str) -> None:
    with pytest.raises(SourceError, match="takes longer than"):
        list_files(place, recursive=True, limit=10, seconds=-1)


def test_an_address_that_nothing_can_list_is_an_error() -> None:
    with pytest.raises(PermanentSourceError, match="nothing can list nowhere://x"):
        list_files("nowhere://x", recursive=True, limit=10)


def test_links_to_nothing_and_to_folders_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "inbox" / "broken").symlink_to(tmp_path / "none")
    (tmp_path / "inbox" / "loop").symlink_to(tmp_path / "inbox")
    (tmp_path / "inbox" / "linked").symlink_to(tmp_path / "file")

    assert set(list_files(str(tmp_path / "inbox"), recursive=True, limit=10)) == {"linked"}
