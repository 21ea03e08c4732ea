"""What a backup holds, as its file `manifest.json` says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from medkg_dagster.errors import BackupError

FILE_NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds.

    Attributes:
        made_at: When it was begun, in UTC.
        medkg: The version that made it.
        parts: The parts of a home that it holds: `ledger`, `index` ...
        left_out: The parts that it does not hold, each with why.
        files: By path in the home `bytes` and `crc32` of each file.
        format: The version of this form.
    """

    made_at: str
    medkg: str
    parts: tuple[str, ...]
    left_out: Mapping[str, str]
    files: Mapping[str, Mapping[str, str | int]] = field(repr=False)
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(int(told["bytes"]) for told in self.files.values())

    def written(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode() + b"\n"


def read_manifest(folder: Path) -> Manifest:
    """Read what a backup says of itself.

    Raises:
        BackupError: There is none, it is damaged, or a newer release has made it.
    """
    file = folder / FILE_NAME
    try:
        told: Any = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise BackupError(
            f"{folder} is no backup: it has no {FILE_NAME}; name what `medkg backup` wrote"
        ) from None
    except (OSError, ValueError) as error:
        raise BackupError(f"{file} cannot be read: {error}; take another backup") from error
    if not isinstance(told, dict) or not isinstance(told.get("format"), int):
        raise BackupError(f"{file} is no manifest of a backup; name what `medkg backup` wrote")
    if told["format"] > FORMAT:
        raise BackupError(
            f"{folder} was written by a newer release (medkg-dagster {told.get('medkg')}); "
            "upgrade medkg-dagster"
        )
    try:
        manifest = Manifest(**{**told, "parts": tuple(told["parts"])})
        names = [PurePosixPath(name) for name in manifest.files]
        sizes = [told["crc32"] and int(told["bytes"]) >= 0 for told in manifest.files.values()]
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise BackupError(f"{file} is damaged: {error}; take another backup") from error
    if not all(sizes) or any(name.is_absolute() or ".." in name.parts or not name.parts for name in names):
        raise BackupError(f"{file} names files outside of the backup; it is damaged, or not ours")
    return manifest
