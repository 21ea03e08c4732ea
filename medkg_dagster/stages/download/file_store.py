"""Files under their hash, and transfers on the way there."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medkg_dagster.errors import StoreError

FILES = "files"
_SUFFIXES = {"application/pdf": "pdf", "application/xml": "xml"}
_PARTIAL = ".partial"
_READ_BYTES = 1024 * 1024
_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the bytes of a broken transfer came from; kept in a file next to them.

    Attributes:
        url: The address, without secrets.
        validator: A strong ETag or Last-Modified: what `If-Range` needs. Empty where there is none.
        total: Size of the whole file; None where the server did not say.
        boot: Names the start of the machine: bytes written before another one may not be on the disk.
    """

    url: str
    validator: str
    total: int | None
    boot: str


@dataclass(slots=True)
class Partial:
    """A file on its way, locked for this process.

    Attributes:
        path: Where it is.
        descriptor: Open for reading and writing.
        size: Bytes written.
        hash: SHA-256 of them.
        origin: Where they came from; None at the start.
    """

    path: Path
    descriptor: int
    size: int = 0
    hash: Any = field(default_factory=hashlib.sha256)
    origin: Origin | None = None
    _has_note: bool = False

    def write(self, data: bytes) -> None:
        """Append and hash."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.descriptor, view) :]
        self.hash.update(data)
        self.size += len(data)

    def restart(self) -> None:
        """Drop what was written."""
        os.ftruncate(self.descriptor, 0)
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        self.size, self.hash, self.origin = 0, hashlib.sha256(), None
        self._forget_note()

    def head(self, length: int) -> bytes:
        """Return the first bytes written."""
        return os.pread(self.descriptor, length, 0)

    def tail(self, length: int) -> bytes:
        """Return the last bytes written."""
        return os.pread(self.descriptor, length, max(0, self.size - length))

    def note(self) -> None:
        """Write down where the bytes come from, so that another attempt can go on."""
        if self.origin is None or self._has_note:
            return
        # Not forced to the disk: what another boot wrote is not gone on with anyway.
        temporary = self.path.with_suffix(".new")
        temporary.write_text(json.dumps(vars_of(self.origin)))
        temporary.replace(_note_of(self.path))
        self._has_note = True

    def load_note(self, boot: str) -> bool:
        """Go on with what an earlier attempt left, where it says enough; say whether that is so."""
        try:
            origin = Origin(**json.loads(_note_of(self.path).read_bytes()))
        except (OSError, ValueError, TypeError):
            return False
        size = os.fstat(self.descriptor).st_size
        if not (origin.validator and origin.boot == boot and size):
            return False
        if origin.total is not None and size >= origin.total:
            return False
        self.origin, self._has_note = origin, True
        while part := os.read(self.descriptor, _READ_BYTES):
            self.hash.update(part)
            self.size += len(part)
        return True

    def keep(self) -> None:
        """Leave the bytes for a later attempt, where it could go on with them."""
        if self.size and self.origin is not None and self.origin.validator:
            self.note()
            os.close(self.descriptor)
        else:
            self.discard()

    def discard(self) -> None:
        """Remove the bytes."""
        self.path.unlink(missing_ok=True)
        self._forget_note()
        os.close(self.descriptor)

    def move_to(self, final: Path) -> None:
        """Make the bytes last, then visible under their final name."""
        # In this order: after a power cut a name may last and the bytes behind it not.
        os.fsync(self.descriptor)
        self.path.replace(final)
        self._forget_note()
        os.close(self.descriptor)

    def _forget_note(self) -> None:
        if self._has_note:
            _note_of(self.path).unlink(missing_ok=True)
            self._has_note = False


def vars_of(origin: Origin) -> dict[str, Any]:
    """Return an origin's fields for its note."""
    return {name: getattr(origin, name) for name in Origin.__slots__}


class FileStore:
    """The folder `files` of the folder for all data."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._files = home / FILES
        self._partial = self._files / _PARTIAL
        self._lock = threading.Lock()
        self._folders: set[Path] = set()
        self._changed: set[Path] = set()
        self._number = itertools.count()
        self.boot = _boot()
        try:
            self._partial.mkdir(parents=True, exist_ok=True)
            self._left = set(os.listdir(self._partial))  # noqa: PTH208 - names, of thousands of files
        except OSError as error:
            raise StoreError(f"{self._partial}: {error.strerror}; check disk and permissions") from error

    def locate(self, sha256: str, media_type: str) -> str:
        """Return where a file belongs, relative to the folder for all data."""
        return f"{FILES}/{sha256[:2]}/{sha256}.{_SUFFIXES[media_type]}"

    def holds(self, sha256: str, media_type: str, size: int, *, verify: bool) -> bool:
        """Say whether a file is there with the right size and, where `verify` is set, the right bytes."""
        path = self._home / self.locate(sha256, media_type)
        try:
            if path.stat().st_size != size:
                return False
            if not verify:
                return True
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except OSError:
            return False

    def resume(self, key: str) -> Partial | None:
        """Return what an earlier attempt at an address left, None where there is nothing to go on with."""
        name = _name(key)
        with self._lock:
            if name not in self._left:
                return None
            self._left.discard(name)
        partial = self._open(self._partial / name)
        if partial is None:
            return None
        if not partial.load_note(self.boot):
            partial.discard()
            _note_of(partial.path).unlink(missing_ok=True)
            return None
        return partial

    def begin(self, key: str) -> Partial:
        """Return an empty file for an address; under a name of its own where another process fetches it."""
        partial = self._open(self._partial / _name(key))
        if partial is None:
            name = f"{_name(key).removesuffix('.part')}.{os.getpid()}-{next(self._number)}.part"
            partial = self._open(self._partial / name)
        if partial is None:
            raise StoreError(f"{self._partial}: a file of this process is locked by another; try again")
        if os.fstat(partial.descriptor).st_size:
            _note_of(partial.path).unlink(missing_ok=True)  # first: it must never speak of other bytes
            os.ftruncate(partial.descriptor, 0)
        return partial

    def keep(self, key: str, partial: Partial) -> None:
        """Leave a broken transfer for a later attempt."""
        name = _name(key)
        if partial.path.name != name:  # nobody would look for it there
            partial.discard()
            return
        partial.keep()
        with self._lock:
            self._left.add(name)

    def commit(self, partial: Partial, media_type: str) -> str:
        """Move a complete file to its place and return its SHA-256."""
        sha256: str = partial.hash.hexdigest()
        final = self._home / self.locate(sha256, media_type)
        folder = final.parent
        if folder not in self._folders:
            folder.mkdir(exist_ok=True)
            with self._lock:
                self._folders.add(folder)
                self._changed.add(self._files)
        partial.move_to(final)
        with self._lock:
            self._changed.add(folder)
        return sha256

    def flush(self) -> None:
        """Make the names of the files committed so far last."""
        with self._lock:
            changed, self._changed = self._changed, set()
        for folder in sorted(changed):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def sweep(self, keep_days: float) -> int:
        """Remove what nobody will go on with: old transfers and those under names of dead processes."""
        removed = 0
        oldest = time.time() - keep_days * _DAY
        for name in sorted(self._left):
            path = self._partial / name
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime >= oldest and name.count(".") == 1:
                    continue
                if not name.endswith(".part"):
                    path.unlink()
                elif partial := self._open(path):
                    partial.discard()
                    removed += 1
        return removed

    def _open(self, path: Path) -> Partial | None:
        """Open and lock; None where another process holds the lock."""
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            # Its last owner may have moved or removed it between opening and locking.
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == os.fstat(descriptor).st_ino:
                    return Partial(path, descriptor)
            os.close(descriptor)


def _name(key: str) -> str:
    return f"{hashlib.sha256(key.encode()).hexdigest()}.part"


def _note_of(path: Path) -> Path:
    return path.with_suffix(".json")


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
