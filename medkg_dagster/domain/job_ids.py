"""What the id of a ledger job may be: it is a partition key, a tag, part of run keys and a name of files."""

from __future__ import annotations

import hashlib
import re

from medkg_dagster.errors import ConfigError

MAX_JOB_ID = 200
"""Characters of an id as the name of a file; with what stands around it, far below what file systems take."""
_KEPT, _TOLD_APART_BY = 100, 10
_REFUSED = re.compile(r"[^A-Za-z0-9._@+=-]+", re.ASCII)
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+=-]*", re.ASCII)


def check_job_id(job_id: str) -> str:
    """Return an id that every way in takes: the command line, a tag, the launchpad, Python.

    Raises:
        ConfigError: It cannot be a partition key, or the name of a file.
    """
    if not _JOB_ID.fullmatch(job_id) or "..." in job_id or len(file_name(job_id)) > MAX_JOB_ID:
        shown = job_id if len(job_id) <= MAX_JOB_ID else f"{job_id[:MAX_JOB_ID]}…"
        raise ConfigError(
            f"job id {shown!r} cannot be used; write letters, digits and . _ : @ + = -, beginning with a "
            f"letter or digit, without three dots in a row, at most {MAX_JOB_ID} characters, where a colon "
            "counts as three"
        )
    return job_id


def fitting_job_id(text: str) -> str:
    """Return text as an id that every way in takes; a part that tells it apart stands for what cannot stay.

    Args:
        text: What the job would be called.
    """
    try:
        return check_job_id(text)
    except ConfigError:
        known = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:_TOLD_APART_BY]
        kept = _REFUSED.sub("-", text).lstrip("._:@+=-")[:_KEPT].replace("...", "-") or "job"
        return check_job_id(f"{kept}-{known}")


def file_name(job_id: str) -> str:
    """Return an id with whatever a file system could read as more than a name percent-encoded."""
    safe = "".join(
        char if char.isalnum() or char in "-_=+@," or (char == "." and index > 0) else f"%{ord(char):02X}"
        for index, char in enumerate(job_id)
    )
    return safe or "%"
