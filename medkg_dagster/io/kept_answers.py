"""Answers of services to requests, kept in files, so that the same question is asked, and paid for, once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from medkg_dagster.errors import StateError
from medkg_dagster.io.atomic_files import write_atomically

ANSWERS = "answers"
"""The folder below the one for all data."""
SUFFIX = ".json"


class KeptAnswers:
    """Answers by request, each in a file of its own that is there whole or not at all.

    Args:
        home: The folder for all data.
    """

    def __init__(self, home: Path) -> None:
        self._folder = home / ANSWERS

    def find(self, url: str, body: Mapping[str, Any]) -> bytes | None:
        """Return what was kept of a request; None where nothing is, or it cannot be read."""
        path = self._path(url, body)
        with suppress(OSError):
            content = path.read_bytes()
            # What was used longest ago is removed first.
            os.utime(path)
            return content
        return None

    def keep(self, url: str, body: Mapping[str, Any], content: bytes) -> None:
        """Keep what was answered to a request.

        Args:
            url: Where it was asked.
            body: The request.
            content: What is to be kept of the answer.

        Raises:
            StateError: The file system refuses.
        """
        path = self._path(url, body)
        try:
            write_atomically(path, content)
        except OSError as error:
            raise StateError(
                f"an answer cannot be kept: {error.strerror or error}: {path}; make room, or see to the "
                "permissions, and run the stage again"
            ) from error

    def _path(self, url: str, body: Mapping[str, Any]) -> Path:
        asked = json.dumps([url, body], sort_keys=True, separators=(",", ":"))
        key = hashlib.sha256(asked.encode("utf-8", "backslashreplace")).hexdigest()
        return self._folder / key[:2] / f"{key}{SUFFIX}"
