"""Files that are there whole or not at all, whenever the process is killed."""

import contextlib
import os
from pathlib import Path
from uuid import uuid4


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file through a temporary one in the same folder, flushed to disk and renamed.

    Args:
        path: The file; its folder is made where it does not exist.
        content: The bytes.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Unlike `tempfile`, with the permissions that the process gives to files: others may have to read it.
    partial = path.with_name(f".{path.name}.{uuid4().hex}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        raise
