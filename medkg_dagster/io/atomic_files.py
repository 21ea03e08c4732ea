"""Files that are there whole or not at all, whenever the process is killed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file through a temporary one in the same folder, flushed to disk and renamed.

    Args:
        path: The file; its folder is made where it does not exist.

    Yields:
        What to write to; the file is replaced when the block ends, and stays as it was where it fails.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Unlike `tempfile`, with the permissions that the process gives to files: others may have to read it.
    partial = path.with_name(f".{path.name}.{uuid4().hex}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        # What is told is why it failed; where no file can be made, none can be removed either.
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, see `replacing`.

    Args:
        path: The file.
        content: The bytes.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    with replacing(path) as stream:
        stream.write(content)
