"""Files that somebody else put somewhere, read with bounds: no pipe hangs a read, no device fills memory."""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO
from pathlib import Path

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

# What is said to be empty, as in /proc, may hold anything.
_UNSTATED = 65_536


class RefusedFileError(OSError):
    """A file that is not read whatever its permissions; `strerror` is the sentence that says why."""


def read_regular(
    path: Path,
    limit: int,
    *,
    within: Path | None = None,
    option: str = "",
    is_folder_resolved: bool = False,
) -> bytes:
    """Read a regular file that is no larger than a limit.

    Args:
        path: The file, or a link to it.
        limit: The most bytes it may have.
        within: A folder that links must not lead out of; None lets them lead anywhere.
        option: What the limit is called where it can be raised.
        is_folder_resolved: Whether `resolve_link` was asked of the folder that it is in.

    Raises:
        RefusedFileError: It is no regular file, too large, or outside the folder.
        OSError: It is missing or cannot be read.
    """
    with open_regular(path, within=within, is_folder_resolved=is_folder_resolved) as stream:
        found = os.fstat(stream.fileno())
        content = stream.read(min(found.st_size, limit) + 1) or b""
        if len(content) != found.st_size:
            content += _rest(stream, limit + 1 - len(content))
    if len(content) > limit:
        remedy = f"; raise {option} or split the file" if option else ""
        raise RefusedFileError(errno.EFBIG, f"it has more than {limit:,} bytes{remedy}", str(path))
    return content


def open_regular(path: Path, *, within: Path | None = None, is_folder_resolved: bool = False) -> FileIO:
    """Open a regular file to read it piece by piece; the caller holds the bounds.

    Args:
        path: The file, or a link to it.
        within: A folder that links must not lead out of; None lets them lead anywhere.
        is_folder_resolved: Whether `resolve_link` was asked of the folder that it is in.

    Raises:
        RefusedFileError: It is no regular file, or outside the folder.
        OSError: It is missing or cannot be read.
    """
    target = path
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode) or not is_folder_resolved:
        target = resolve_link(path, within)
        found = os.lstat(target)
    _refuse_special(path, found)
    stream = open(target, "rb", buffering=0, opener=_open_at_once)  # noqa: SIM115 - the caller closes it
    try:
        _refuse_special(path, os.fstat(stream.fileno()))
    except RefusedFileError:
        stream.close()
        raise
    return stream


def _rest(stream: FileIO, limit: int) -> bytes:
    """Read what a file has beyond what it said, or what one call did not give."""
    pieces = []
    while limit > 0 and (piece := stream.read(min(limit, _UNSTATED))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)


def resolve_link(path: Path, within: Path | None = None) -> Path:
    """Return what a path comes to after all links.

    Args:
        path: A file or folder, or a link to one.
        within: The folder it must not lead out of; None lets it lead anywhere.

    Raises:
        RefusedFileError: It leads nowhere, or out of the folder.
        OSError: It cannot be followed, for example because links lead in a circle.
    """
    try:
        target = Path(os.path.realpath(path, strict=True))
    except FileNotFoundError as error:
        if path.is_symlink():
            raise RefusedFileError(errno.ENOENT, "it is a link to what is not there", str(path)) from error
        raise
    if within is not None and not target.is_relative_to(os.path.realpath(within)):
        reason = f"it is a link that leads out of {within}, to {target}; put a copy in its place"
        raise RefusedFileError(errno.EXDEV, reason, str(path))
    return target


def _open_at_once(target: str, flags: int) -> int:
    # A pipe, which is opened when somebody writes, or a link may have come in the file's place.
    return os.open(target, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def _refuse_special(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise RefusedFileError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
