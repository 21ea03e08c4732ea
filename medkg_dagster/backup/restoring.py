"""Putting a backup back: into a home that holds nothing yet, whole or not at all."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from medkg_dagster.backup.copy_process import copy_file
from medkg_dagster.backup.making import ARCHIVE
from medkg_dagster.backup.manifest import FILE_NAME, Manifest, read_manifest
from medkg_dagster.errors import BackupError


def restore(source: Path, home: Path, check: Callable[[Path], None]) -> Manifest:
    """Put a backup back as a home.

    Every file is held against its checksum, and everything is opened, before the home is there.

    Args:
        source: What `medkg backup` wrote.
        home: A folder that does not exist or is empty.
        check: Opens what is in a folder, brings it forward to this release, and raises where it cannot.

    Raises:
        BackupError: There is something in the home, the backup is damaged or of a newer release, or a file
            cannot be read or written.
        MedkgError: What `check` raises.
    """
    if home.exists() and any(home.iterdir()):
        raise BackupError(
            f"{home} is not empty, and nothing is overwritten; move it away, or name another folder in "
            "MEDKG_HOME"
        )
    staged = home.with_name(f".{home.name}.{uuid4().hex}.partial")
    unpacked = staged.with_name(f"{staged.name}.unpacked")
    try:
        staged.mkdir(parents=True)
        folder = _unpacked(source, unpacked) if source.is_file() else source
        manifest = read_manifest(folder)
        for name, told in manifest.files.items():
            _put_back(folder / name, staged / name, told)
        check(staged)
        if home.exists():
            home.rmdir()
        staged.rename(home)
    except OSError as error:
        raise BackupError(
            f"{error.filename or source}: {error.strerror or error}; nothing was restored"
        ) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        shutil.rmtree(unpacked, ignore_errors=True)
    return manifest


def _put_back(source: Path, target: Path, told: object) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        copied = copy_file(source, target, flush=True)
    except FileNotFoundError:
        raise BackupError(f"{source} is missing; nothing was restored, take another backup") from None
    if copied != told:
        raise BackupError(
            f"{source} is not what was backed up: its checksum differs; nothing was restored, take another "
            "backup"
        )


def _unpacked(archive: Path, folder: Path) -> Path:
    try:
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise BackupError(
            f"{archive} is no backup or is damaged: {error}; name a {ARCHIVE} file or folder with "
            f"a {FILE_NAME}"
        ) from error
    return folder
