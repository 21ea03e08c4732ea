"""Reading files of others: never a pipe, a device, too much, or what a link leads to outside."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from medkg_dagster.io.regular_files import RefusedFileError, read_regular


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (os.mkfifo, "it is a pipe, not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a regular file"),
        (Path.mkdir, "it is a folder, not a regular file"),
        (_socket, "it is a socket, not a regular file"),
        (lambda path: path.symlink_to("nowhere"), "it is a link to what is not there"),
        (lambda path: path.write_bytes(b"x" * 11), "it has more than 10 bytes; raise max_bytes or split"),
    ],
)
def test_what_is_no_small_regular_file_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    make(Path("x"))
    with pytest.raises(RefusedFileError, match=reason):
        read_regular(Path("x"), 10, option="max_bytes")


def test_links_in_a_circle_are_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        read_regular(tmp_path / "a", 10)


def test_a_link_may_lead_anywhere_inside_the_folder_and_nowhere_else(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "home-2"
    for folder in (home / "sub", other):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"content")
    (home / "inside").symlink_to("sub/file")
    (home / "outside").symlink_to(other / "file")
    (home / "folder").symlink_to(other)
    (tmp_path / "link").symlink_to(home)
    for within in (home, tmp_path / "link"):
        assert read_regular(within / "inside", 10, within=within) == b"content"
        for name in ("outside", "folder/file"):
            with pytest.raises(RefusedFileError, match=rf"leads out of {within}, to {other}/file"):
                read_regular(within / name, 10, within=within)
    assert read_regular(home / "outside", 10) == b"content"


def test_a_file_that_hides_its_size_is_read_to_the_limit() -> None:
    hiding = Path("/proc/self/status")
    if not hiding.exists() or hiding.stat().st_size:
        pytest.skip("there is no file of unstated size")
    assert read_regular(hiding, 1_000_000).startswith(b"Name:")
    with pytest.raises(RefusedFileError, match="more than 10 bytes"):
        read_regular(hiding, 10)
