"""A process that copies files and tells the checksums of their bytes; run by its path, it imports little.

SQLite's locks are those of POSIX: a process that opens and closes the file of a database loses all it holds
on it. So whoever may have it open lets another process copy.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

_PART_BYTES = 8 << 20


def copy_file(source: Path, target: Path, *, flush: bool = False) -> dict[str, str | int]:
    """Copy a file; the checksum of each part is taken while the next one is copied.

    It tells of damage, and not of malice: who can write to a backup can write its checksums too.

    Args:
        source: The file; what is appended meanwhile may be copied too.
        target: A file that is not there yet.
        flush: Whether to wait until the disk has it, which takes as long again.

    Returns:
        `bytes` and `crc32` of what was copied.

    Raises:
        OSError: It cannot be read or written.
    """
    size = 0
    with source.open("rb", buffering=0) as reading, target.open("xb+", buffering=0) as writing:
        with ThreadPoolExecutor(1) as pool:
            checked: Future[int] | None = None
            while got := _copy_part(reading.fileno(), writing.fileno(), size):
                checksum = checked.result() if checked else 0
                checked = pool.submit(_checksum, checksum, writing.fileno(), size, got)
                size += got
            checksum = checked.result() if checked else 0
        if flush:
            os.fsync(writing.fileno())
    return {"bytes": size, "crc32": f"{checksum:08x}"}


def _copy_part(source: int, target: int, offset: int) -> int:
    """Copy the bytes from an offset on, some at once; return how many, 0 at the end."""
    if sys.platform == "linux":
        return os.sendfile(target, source, offset, _PART_BYTES)
    part = os.pread(source, _PART_BYTES, offset)
    written = 0
    while written < len(part):
        written += os.write(target, part[written:])
    return written


def _checksum(of_before: int, file: int, offset: int, size: int) -> int:
    before = offset % mmap.ALLOCATIONGRANULARITY
    with (
        mmap.mmap(file, before + size, access=mmap.ACCESS_READ, offset=offset - before) as mapped,
        memoryview(mapped) as whole,
        whole[before:] as part,
    ):
        return zlib.crc32(part, of_before)


def main() -> None:
    """Copy pairs of source and target; print a line of JSON for each, null where there is no source."""
    paths = [Path(name) for name in sys.argv[1:]]
    for source, target in zip(paths[::2], paths[1::2], strict=True):
        try:
            print(json.dumps(copy_file(source, target)))
        except FileNotFoundError:
            if source.exists():
                raise
            print("null")


if __name__ == "__main__":
    main()
