"""What came of documents, in shards: found by the key of the work, kept, and loaded part by part.

The names of a shard's records stand for keys that say what the work was, see `memo`, so the shards of a
folder are also the memory of that work.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.errors import StateError
from medkg_dagster.io.atomic_files import write_atomically
from medkg_dagster.runtime.state.shard_files import (
    DAMAGED,
    NAME_LENGTH,
    SUFFIX,
    OpenShard,
    Record,
    Shard,
    read_names,
    read_records,
)
from medkg_dagster.stage_api import QuarantinedDocument
from medkg_dagster.stage_api._document_loop import DocumentOutcome
from medkg_dagster.stage_api._documents import (
    DocumentPart,
    DocumentValues,
    Header,
    MemoryPart,
    header_of,
    version_of,
)
from medkg_dagster.stage_api._redaction import redacted
from medkg_dagster.stage_api._serialization import compress, encode_value, load_value

SHARD_BYTES = 4 << 20
SHARD_RECORDS = 256
_SHARDS_IN_MEMORY = 8
_MANIFESTS_IN_MEMORY = 4

Places = Sequence[tuple[str, int]]
"""Where some work is remembered: names of shards, each with the number of the record in it."""


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
                self.shard.path.replace(self.shard.path.with_suffix(DAMAGED))
            raise

    def reference(self) -> list[Any]:
        """Return what finds it again, as JSON."""
        place = [self.shard.name, self.offset, self.length]
        return [self.document_id, self.version, self.header, *place]


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


@dataclass(frozen=True, slots=True, eq=False)
class StoredValues(DocumentValues):
    """The value of a state key by document, all of it in shards.

    Attributes:
        manifest_version: SHA-256 (hex) of what finds the parts again; the same for equal values.
        manifest: What was read to find them; None where this process has made them.
    """

    manifest_version: str
    manifest: bytes | None = None


class ShardStore:
    """The shards below one folder.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._shards: dict[str, Shard] = {}
        self._read: dict[tuple[str, str], StoredValues] = {}

    def parts(self, manifest: bytes, key: str, value_type: Any) -> StoredValues:
        """Return the parts that a manifest tells of; stages behind one another often read the same one.

        Args:
            manifest: What `StoredPart.reference` told of each, as JSON, compressed.
            key: The state key.
            value_type: The state key's type.

        Raises:
            ValueError: It is no manifest.
            ZstdError: It is damaged.
        """
        import zstandard

        version = version_of(manifest)
        found = self._read.pop((key, version), None)
        if found is None or found.value_type != value_type:
            references = from_json(zstandard.ZstdDecompressor().decompress(manifest))
            parts = [self.part(key, value_type, one) for one in references]
            found = StoredValues(parts, value_type, version, manifest)
        self.remember(key, found)
        return found

    def remember(self, key: str, values: StoredValues) -> None:
        """Keep the values of a state key for `parts`."""
        self._read[key, values.manifest_version] = values
        if len(self._read) > _MANIFESTS_IN_MEMORY:
            del self._read[next(iter(self._read))]

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
        found = self._shards.get(name)
        if found is None:
            found = self._shards[name] = Shard(self._root, name)
        return found


class Memo:
    """The outcomes in the shards of one folder, found by key, and a shard for more of them.

    Args:
        store: All shards.
        root: Where they are.
        folder: The folder's name.
        types: State key to type.

    Attributes:
        work: Names of the shards that remember what was found or kept.
    """

    def __init__(self, store: ShardStore, root: Path, folder: str, types: Mapping[str, Any]) -> None:
        self._store = store
        self._root = root
        self._folder = f"{folder[:2]}/{folder}"
        self._types = types
        self._known: dict[str, list[tuple[str, int]]] | None = None
        self._records: dict[str, Sequence[Record]] = {}
        self._present: dict[str, bool] = {}
        self.work: set[str] = set()
        self._open = OpenShard(Shard(root))

    def places(self, key: str) -> Places:
        """Return where some work is remembered: what is looked for in this order is read once."""
        if self._known is None:
            self._known = self._read_names()
        return self._known.get(_name_of(key), [])

    def find(self, places: Places) -> DocumentOutcome | None:
        """Return what came of some work; None where it is not remembered, or a part of it is gone."""
        refused = None
        # What was done again because one shard is damaged, or a part of it is gone, is in another; so is what
        # came of a refused document that somebody asked for again.
        for name, number in places:
            records = self._records_of(name)
            if not records:
                continue
            outcome = self._outcome(records[number], name)
            if not self._are_there(name, _stored(outcome)):
                continue
            if outcome.fault is None:
                return outcome
            refused = outcome
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
            shard.records[_name_of(key)] = record
        self._close_if_full()
        return replace(outcome, parts=parts)

    def keep_part(self, part: MemoryPart) -> StoredPart:
        """Write a document's part of a value; one that is in a shard already stays there.

        Raises:
            StateError: It cannot be stored, or the disk is full.
        """
        encoded = encode_value(part.key, part.value, part.value_type)
        version = version_of(encoded)
        known = self.find(self.places(f"{version} {part.key} {part.document_id}"))
        if known is not None:
            return _stored(known)[0]
        about = (part.document_id, version, header_of(part.value))
        content = compress(encoded, part.value_type)
        return self.put_part(EncodedPart(*about, part.key, part.value_type, content))

    def put_part(self, part: EncodedPart) -> StoredPart:
        """Write a document's part of a value, wherever else it is.

        Raises:
            StateError: The disk is full.
        """
        stored, shard = self._add(part), self._open
        record = {"parts": {part.key: _reference(stored, shard.shard)}, "count": 0}
        shard.records[_name_of(f"{part.version} {part.key} {part.document_id}")] = record
        self._close_if_full()
        return stored

    def keep_file(self, key: str, parts: Sequence[StoredPart]) -> None:
        """Remember that some parts, which are kept, are all that is in a file.

        Raises:
            StateError: The disk is full.
        """
        state_key = next((part.key for part in parts), "")
        references = [_reference(part, self._open.shard) for part in parts]
        self._open.records[_name_of(key)] = {"key": state_key, "of_file": references}
        self._close_if_full()

    def recall(self, key: str) -> list[StoredPart] | None:
        """Return the parts that are in a file; None where it is not remembered, or one of them is gone."""
        for name, number in self.places(key):
            records = self._records_of(name)
            if not records:
                continue
            record = records[number]
            parts = [self._part(record["key"], reference, name) for reference in record["of_file"]]
            if self._are_there(name, parts):
                return parts
        return None

    def _close_if_full(self) -> None:
        if len(self._open.records) >= SHARD_RECORDS or self._open.size >= SHARD_BYTES:
            self.close()

    def close(self) -> None:
        """Write the shard that is open.

        Raises:
            StateError: The file system refuses.
        """
        shard, self._open = self._open, OpenShard(Shard(self._root))
        if not shard.size and not shard.records:
            return
        content = shard.content()
        shard.shard.name = f"{self._folder}/{hashlib.sha256(content).hexdigest()[:32]}{SUFFIX}"
        self.work.add(shard.shard.name)
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

    def _outcome(self, record: Record, shard: str) -> DocumentOutcome:
        parts = {name: self._part(name, reference, shard) for name, reference in record["parts"].items()}
        fault = record.get("fault")
        if fault is not None:
            fault = QuarantinedDocument(**{**fault, "status": DocumentStatus(fault["status"])})
        left_out = record.get("left_out", False)
        return DocumentOutcome(parts, record["count"], fault, is_left_out=left_out, is_reused=True)

    def _part(self, key: str, reference: list[Any], shard: str) -> StoredPart:
        reference[3] = reference[3] or shard
        return self._store.part(key, self._types.get(key), reference)

    def _are_there(self, name: str, parts: Sequence[StoredPart]) -> bool:
        """Say whether a shard that remembers some work is there, and all parts that came of the work."""
        shards = {name: self._store.shard(name)}
        for part in parts:
            shards[part.shard.name] = part.shard
        if not all(map(self._is_there, shards.values())):
            return False
        self.work.add(name)
        return True

    def _is_there(self, shard: Shard) -> bool:
        if shard.name not in self._present:
            self._present[shard.name] = shard.use()
        return self._present[shard.name]

    def _read_names(self) -> dict[str, list[tuple[str, int]]]:
        found: dict[str, list[tuple[str, int]]] = {}
        try:
            paths = sorted(self._root.joinpath(self._folder).glob(f"*{SUFFIX}"))
        except OSError:
            return found
        names = {f"{self._folder}/{path.name}": read_names(path) for path in paths}
        # What was gathered is in a greater shard than before, and is looked for there first.
        for shard in sorted(names, key=lambda shard: -len(names[shard])):
            for number, name in enumerate(names[shard]):
                found.setdefault(name, []).append((shard, number))
        return found

    def _records_of(self, name: str) -> Sequence[Record]:
        """Return the records of a shard; none where they cannot be read, which is told."""
        if name not in self._records:
            if len(self._records) >= _SHARDS_IN_MEMORY:
                del self._records[next(iter(self._records))]
            self._records[name] = read_records(self._root / name)
        return self._records[name]


def _name_of(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()[:NAME_LENGTH]


def _reference(part: StoredPart, own: Shard) -> list[Any]:
    # Of a part in the same shard the name is not known yet, and need not be told.
    reference = part.reference()
    if part.shard is own:
        reference[3] = ""
    return reference


def _stored(outcome: DocumentOutcome) -> list[StoredPart]:
    return [part for part in outcome.parts.values() if isinstance(part, StoredPart)]
