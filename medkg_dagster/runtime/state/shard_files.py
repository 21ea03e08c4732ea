"""Files of shards: what came of some documents, written once, named by its content, read by parts.

A shard is a run of parts behind one another, then the records that say what they came of, then the names of
the records, and where all that begins. Shards are there whole or not at all, and are never changed: whoever
writes the same again writes the same file. When one was used last is the time of its file.
"""

import logging
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from medkg_dagster.errors import counted
from medkg_dagster.runtime.state.removal import bring_back

SUFFIX = ".shard"
DAMAGED = ".damaged"
NAME_LENGTH = 32
_FOOT = struct.Struct("!QII8s")
_MARK = b"MKGSHRD2"
_TAIL_BYTES = 16 << 10
_NOT_USED = "%s is not used: %s; what it remembers is done again"

Record = dict[str, Any]
"""What came of some work, as JSON."""

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
        try:
            return self._read(offset, length)
        except FileNotFoundError:
            if not bring_back(self.path):
                raise
            return self._read(offset, length)

    def use(self) -> bool:
        """Say that it is in use: it stays as long as the step's lease; False where it is gone."""
        while True:
            try:
                os.utime(self.path)
            except FileNotFoundError:
                if bring_back(self.path):
                    continue
                return False
            except OSError:
                # Who may not say when it was used last may read it all the same.
                return self.path.exists()
            return True

    def _read(self, offset: int, length: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(length)


@dataclass(slots=True, eq=False)
class OpenShard:
    """A shard in memory.

    Attributes:
        shard: What its parts point at; it has no name yet.
        records: Name to record.
        size: How many bytes its parts have.
    """

    shard: Shard
    records: dict[str, Record] = field(default_factory=dict)
    size: int = 0
    _pieces: list[bytes] = field(default_factory=list)

    def add(self, piece: bytes) -> tuple[int, int]:
        """Add some bytes; return where they are."""
        place = (self.size, len(piece))
        self._pieces.append(piece)
        self.size += len(piece)
        return place

    def content(self) -> bytes:
        """Return all of it, records and their names included."""
        import zstandard

        records = to_json(list(self.records.values()))
        records = zstandard.ZstdCompressor(write_checksum=True).compress(records)
        foot = _FOOT.pack(self.size, len(records), len(self.records), _MARK)
        return b"".join([*self._pieces, records, "".join(self.records).encode(), foot])


def read_names(path: Path) -> Sequence[str]:
    """Return the names of a shard's records; none where it is not a shard, which is told."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - _TAIL_BYTES))
            tail = file.read()
            *_, number, mark = _FOOT.unpack(tail[-_FOOT.size :])
            if mark != _MARK:
                raise ValueError("it does not end as a shard does")
            length = number * NAME_LENGTH
            if length + _FOOT.size > len(tail):
                file.seek(max(0, end - length - _FOOT.size))
                tail = file.read()
            names = tail[-_FOOT.size - length : -_FOOT.size].decode("ascii")
    except (OSError, ValueError, struct.error) as error:
        _log.warning(_NOT_USED, path, error)
        return ()
    return [names[start : start + NAME_LENGTH] for start in range(0, length, NAME_LENGTH)]


def read_records(path: Path) -> Sequence[Record]:
    """Return a shard's records; none where they cannot be read, which is told."""
    import zstandard

    try:
        with path.open("rb") as file:
            file.seek(-_FOOT.size, os.SEEK_END)
            begin, length, number, _ = _FOOT.unpack(file.read())
            file.seek(begin)
            records: list[Record] = from_json(zstandard.ZstdDecompressor().decompress(file.read(length)))
            if len(records) != number:
                raise ValueError(f"it has {counted(len(records), 'record')} and {counted(number, 'name')}")
    except (OSError, ValueError, struct.error, zstandard.ZstdError) as error:
        _log.warning(_NOT_USED, path, error)
        return ()
    return records
