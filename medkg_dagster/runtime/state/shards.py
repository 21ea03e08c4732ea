"""Shards: what came of some documents in one file, written once, named by its content, and read by parts.

A shard is a run of records behind one another, each with its parts before it; at the end stand an index from
key to record, and where that begins. Keys say what the work was, see `memo`, so the shards of a folder are
also the memory of that work. Shards are there whole or not at all, and are never changed: whoever writes the
same again writes the same file.
"""

import hashlib
import json
import logging
import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.errors import StateError
from medkg_dagster.io.atomic_files import write_atomically
from medkg_dagster.stage_api import QuarantinedDocument
from medkg_dagster.stage_api._document_loop import DocumentOutcome
from medkg_dagster.stage_api._documents import DocumentPart, Header, MemoryPart, header_of, version_of
from medkg_dagster.stage_api._redaction import redacted
from medkg_dagster.stage_api._serialization import compress, encode_value, load_value

SUFFIX = ".shard"
_FOOT = struct.Struct("!QI8s")
_MARK = b"MKGSHRD1"
SHARD_BYTES = 16 << 20
SHARD_RECORDS = 256

_log = logging.getLogger("medkg.state")


@dataclass(slots=True, eq=False)
class Shard:
    """A shard, or one that is being written.

    Attributes:
        root: The folder of all shards.
        name: Its path below that; empty until it is written.
    """

    root: Path
    name: str = ""

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.root / self.name

    def read(self, offset: int, length: int) -> bytes:
        """Return some of its bytes.

        Raises:
            OSError: It cannot be read.
        """
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(length)


@dataclass(frozen=True, slots=True, eq=False)
class StoredPart:
    """A document's part of a state key, in a shard.

    Attributes:
        document_id: The document's id.
        version: SHA-256 (hex) of its content.
        header: What is known of it without loading it.
        key: The state key, for messages.
        value_type: The state key's type.
        shard: Where it is.
        offset: Where it begins there.
        length: How many bytes it has.
    """

    document_id: str
    version: str
    header: Header
    key: str
    value_type: Any
    shard: Shard
    offset: int
    length: int

    def load(self) -> Any:
        """Return the part.

        Raises:
            StateError: It is gone or damaged; a damaged shard is set aside, so that its work is done again.
        """
        try:
            return load_value(self.key, self.shard.read(self.offset, self.length), self.value_type)
        except OSError as error:
            said = "is gone" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
            raise StateError(
                f"state key {self.key!r}: {self.shard.path} {said}; run the stage that writes it again"
            ) from error
        except StateError:
            with suppress(OSError):
                self.shard.path.replace(self.shard.path.with_suffix(".damaged"))
            raise

    def reference(self) -> list[Any]:
        """Return what finds it again, as JSON."""
        place = [self.shard.name, self.offset, self.length]
        return [self.document_id, self.version, dict(self.header), *place]


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPart:
    """A document's part of a state key, as it is stored, on its way from another process.

    Attributes:
        document_id: The document's id.
        version: SHA-256 (hex) of its content.
        header: What is known of it without loading it.
        key: The state key.
        value_type: The state key's type.
        content: The bytes to store.
    """

    document_id: str
    version: str
    header: Header
    key: str
    value_type: Any
    content: bytes

    def load(self) -> Any:
        """Return the part."""
        return load_value(self.key, self.content, self.value_type)


class ShardStore:
    """The shards below one folder.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._shards: dict[str, Shard] = {}

    def part(self, key: str, value_type: Any, reference: list[Any]) -> StoredPart:
        """Return the part that `StoredPart.reference` told of."""
        document_id, version, header, name, offset, length = reference
        return StoredPart(document_id, version, header, key, value_type, self.shard(name), offset, length)

    def memo(self, folder: str, types: Mapping[str, Any]) -> "Memo":
        """Return what the shards of a folder remember.

        Args:
            folder: The folder's name.
            types: State key to type of what is remembered there.
        """
        return Memo(self, self._root, folder, types)

    def shard(self, name: str) -> Shard:
        """Return the shard of that name."""
        return self._shards.setdefault(name, Shard(self._root, name))


class Memo:
    """The outcomes in the shards of one folder, found by key, and a shard for more of them.

    Args:
        store: All shards.
        root: Where they are.
        folder: The folder's name.
        types: State key to type.
    """

    def __init__(self, store: ShardStore, root: Path, folder: str, types: Mapping[str, Any]) -> None:
        self._store = store
        self._root = root
        self._folder = f"{folder[:2]}/{folder}"
        self._types = types
        self._known: dict[str, list[tuple[str, int, int]]] | None = None
        self._present: dict[str, bool] = {}
        self._open = _OpenShard(Shard(root))

    def find(self, key: str) -> DocumentOutcome | None:
        """Return what came of some work; None where it is not remembered, or a part of it is gone."""
        if self._known is None:
            self._known = self._indexes()
        refused = None
        # What was done again because one shard is damaged, or a part of it is gone, is in another; so is what
        # came of a refused document that somebody asked for again.
        for name, offset, length in self._known.get(key, ()):
            try:
                record = json.loads(self._store.shard(name).read(offset, length))
            except (OSError, ValueError) as error:
                _log.warning("%s is not used: %s; what it remembers is done again", self._root / name, error)
                continue
            outcome = self._outcome(record, name)
            if outcome.fault is not None:
                refused = outcome
            elif all(self._is_there(part.shard) for part in _stored(outcome)):
                return outcome
        return refused

    def keep(self, key: str, outcome: DocumentOutcome) -> DocumentOutcome:
        """Write what came of some work; parts that are in a shard already stay there.

        Raises:
            StateError: A part cannot be stored, or the disk is full.
        """
        shard = self._open
        parts = {name: self._kept(name, part) for name, part in outcome.parts.items()}
        record: dict[str, Any] = {
            "parts": {name: _reference(part, shard.shard) for name, part in parts.items()},
            "count": outcome.count,
        }
        if outcome.fault is not None:
            record["fault"] = asdict(redacted(outcome.fault))
        if outcome.is_left_out:
            record["left_out"] = True
        if outcome.is_remembered:
            shard.index[key] = shard.add(json.dumps(record).encode())
        self._close_if_full()
        return DocumentOutcome(parts, outcome.count, outcome.fault, is_left_out=outcome.is_left_out)

    def keep_part(self, part: MemoryPart) -> StoredPart:
        """Write a document's part of a value; one that is in a shard already stays there.

        Raises:
            StateError: It cannot be stored, or the disk is full.
        """
        encoded = encode_value(part.key, part.value, part.value_type)
        version = version_of(encoded)
        key = f"{version} {part.key} {part.document_id}"
        known = self.find(key)
        if known is not None:
            return _stored(known)[0]
        about = (part.document_id, version, header_of(part.value))
        content = compress(encoded, part.value_type)
        stored = self._add(EncodedPart(*about, part.key, part.value_type, content))
        shard = self._open
        record = {"parts": {part.key: _reference(stored, shard.shard)}, "count": 0}
        shard.index[key] = shard.add(json.dumps(record).encode())
        self._close_if_full()
        return stored

    def _close_if_full(self) -> None:
        if len(self._open.index) >= SHARD_RECORDS or self._open.size >= SHARD_BYTES:
            self.close()

    def close(self) -> None:
        """Write the shard that is open.

        Raises:
            StateError: The file system refuses.
        """
        shard, self._open = self._open, _OpenShard(Shard(self._root))
        if not shard.size:
            return
        content = shard.content()
        shard.shard.name = f"{self._folder}/{hashlib.sha256(content).hexdigest()[:32]}{SUFFIX}"
        try:
            shard.shard.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(shard.shard.path, content)
        except OSError as error:
            raise StateError(
                f"the state cannot be stored: {error.strerror or error}: {shard.shard.path}; make room, or "
                "see to the permissions, and run the stage again"
            ) from error

    def _kept(self, name: str, part: DocumentPart) -> StoredPart:
        if isinstance(part, StoredPart):
            return part
        if not isinstance(part, EncodedPart):
            value, value_type = part.load(), self._types[name]
            encoded = encode_value(name, value, value_type)
            about = (part.document_id, version_of(encoded), header_of(value))
            part = EncodedPart(*about, name, value_type, compress(encoded, value_type))
        return self._add(part)

    def _add(self, part: EncodedPart) -> StoredPart:
        place = (self._open.shard, *self._open.add(part.content))
        return StoredPart(part.document_id, part.version, part.header, part.key, part.value_type, *place)

    def _outcome(self, record: Mapping[str, Any], shard: str) -> DocumentOutcome:
        parts = {}
        for name, reference in record["parts"].items():
            reference[3] = reference[3] or shard
            parts[name] = self._store.part(name, self._types[name], reference)
        fault = record.get("fault")
        if fault is not None:
            fault = QuarantinedDocument(**{**fault, "status": DocumentStatus(fault["status"])})
        left_out = record.get("left_out", False)
        return DocumentOutcome(parts, record["count"], fault, is_left_out=left_out, is_reused=True)

    def _is_there(self, shard: Shard) -> bool:
        if shard.name not in self._present:
            self._present[shard.name] = shard.path.exists()
            with suppress(OSError):
                # What is in use is not old; see `medkg state prune`.
                os.utime(shard.path)
        return self._present[shard.name]

    def _indexes(self) -> dict[str, list[tuple[str, int, int]]]:
        found: dict[str, list[tuple[str, int, int]]] = {}
        try:
            paths = sorted(self._root.joinpath(self._folder).glob(f"*{SUFFIX}"))
        except OSError:
            return found
        for path in paths:
            name = f"{self._folder}/{path.name}"
            for key, (offset, length) in _read_index(path).items():
                found.setdefault(key, []).append((name, offset, length))
        return found


@dataclass(slots=True, eq=False)
class _OpenShard:
    """A shard in memory.

    Attributes:
        shard: What its parts point at; it has no name yet.
        index: Key to where its record is.
        size: How many bytes it has.
    """

    shard: Shard
    index: dict[str, tuple[int, int]] = field(default_factory=dict)
    size: int = 0
    _pieces: list[bytes] = field(default_factory=list)

    def add(self, piece: bytes) -> tuple[int, int]:
        """Add some bytes; return where they are."""
        place = (self.size, len(piece))
        self._pieces.append(piece)
        self.size += len(piece)
        return place

    def content(self) -> bytes:
        """Return all of it, index included."""
        import zstandard

        index = zstandard.ZstdCompressor(write_checksum=True).compress(json.dumps(self.index).encode())
        return b"".join([*self._pieces, index, _FOOT.pack(self.size, len(index), _MARK)])


def _read_index(path: Path) -> Mapping[str, tuple[int, int]]:
    """Return where a shard's records are; none where it is not one, which is told."""
    import zstandard

    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - _FOOT.size))
            begin, length, mark = _FOOT.unpack(file.read(_FOOT.size))
            if mark != _MARK:
                raise ValueError("it does not end as a shard does")
            file.seek(begin)
            found: Mapping[str, tuple[int, int]] = json.loads(
                zstandard.ZstdDecompressor().decompress(file.read(length))
            )
            return found
    except (OSError, ValueError, struct.error, zstandard.ZstdError) as error:
        _log.warning("%s is not used: %s; what it remembers is done again", path, error)
        return {}


def _reference(part: StoredPart, own: Shard) -> list[Any]:
    # Of a part in the same shard the name is not known yet, and need not be told.
    reference = part.reference()
    if part.shard is own:
        reference[3] = ""
    return reference


def _stored(outcome: DocumentOutcome) -> list[StoredPart]:
    return [part for part in outcome.parts.values() if isinstance(part, StoredPart)]
