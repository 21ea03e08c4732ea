"""What is in a folder, on this machine or at an address of fsspec: names and versions, and no content."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medkg_dagster.errors import PermanentSourceError, SourceError, counted

LISTING_SECONDS = 30.0
_MARKS = ("ETag", "etag", "md5Hash", "content_md5", "mtime", "LastModified", "last_modified", "updated")


def list_files(
    place: str, *, recursive: bool, limit: int, seconds: float = LISTING_SECONDS
) -> dict[str, str]:
    """Return the files of a folder by relative path, each with a text that changes when the file does.

    Args:
        place: A folder, or an address such as `s3://bucket/folder`.
        recursive: Whether to look into its folders too.
        limit: With more files than this it is refused.
        seconds: It is refused where listing takes longer.

    Raises:
        SourceError: It cannot be listed as a whole; nothing is known of what is there then.
        PermanentSourceError: It holds too many files, or nothing can list such an address.
    """
    until = time.monotonic() + seconds
    found: dict[str, str] = {}
    try:
        listed = _at_address(place, recursive) if "://" in place else _on_disk(place, recursive)
        for relative, version in listed:
            found[relative] = version
            if len(found) > limit:
                raise PermanentSourceError(
                    f"{place} holds more than {counted(limit, 'file')}; look at a part, or raise max_files"
                )
            if time.monotonic() > until:
                raise SourceError(
                    f"listing {place} takes longer than {seconds:g} s; look at a part, or not recursive"
                )
    except OSError as error:
        raise SourceError(
            f"{place} cannot be listed: {error.strerror or error}; check that it is there and may be read"
        ) from error
    return found


def _on_disk(place: str, recursive: bool) -> Iterator[tuple[str, str]]:
    root = Path(place).expanduser()
    folders = [""]
    while folders:
        inside = folders.pop()
        with os.scandir(root / inside) as entries:
            for entry in entries:
                relative = f"{inside}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    if recursive:
                        folders.append(f"{relative}/")
                    continue
                try:
                    if not entry.is_file():
                        continue  # a socket, a link to a folder or to nothing
                    stat = entry.stat()
                except FileNotFoundError:
                    continue  # it went while the folder was listed
                yield relative, f"{stat.st_size}:{stat.st_mtime_ns}"


def _at_address(place: str, recursive: bool) -> Iterator[tuple[str, str]]:
    from upath import UPath

    try:
        path = UPath(place)
        filesystem, root = path.fs, path.path
    except (ImportError, ValueError) as error:
        raise PermanentSourceError(f"nothing can list {place}: {error}") from error
    filesystem.invalidate_cache()  # it may remember what it listed before
    if not filesystem.isdir(root):
        raise SourceError(f"{place} cannot be listed: there is no such folder, or nothing in it yet")
    root = root.rstrip("/")
    for _, _, files in filesystem.walk(
        root, maxdepth=None if recursive else 1, on_error="raise", detail=True
    ):
        for info in files.values():
            relative = str(info["name"])[len(root) :].lstrip("/")
            yield relative, _version(info)


def _version(info: dict[str, Any]) -> str:
    mark = next((info[key] for key in _MARKS if info.get(key) is not None), info.get("created", ""))
    return f"{info.get('size')}:{mark}"
