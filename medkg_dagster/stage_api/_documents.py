"""A value of a batch taken apart by document, and what the work on one document is given."""

from __future__ import annotations

import functools
import hashlib
import logging
import typing
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import GenericAlias
from typing import Any, Protocol, Self, TypeVar

from pydantic_core import from_json, to_json

from medkg_dagster.domain.documents import Document
from medkg_dagster.domain.payloads import DownloadedFile, Payload
from medkg_dagster.stage_api._calls import ExternalCalls
from medkg_dagster.stage_api._serialization import encode_value

Item = TypeVar("Item")

Header = Mapping[str, Any]
"""What is known of a document's part without loading it: plain JSON."""

_NO_HEADER: Header = {}


class DocumentPart(Protocol):
    """What one state key holds of one document; it is loaded when asked for."""

    @property
    def document_id(self) -> str:
        """The document's or payload's id."""

    @property
    def version(self) -> str:
        """SHA-256 (hex) of the part's content: equal parts have equal versions."""

    @property
    def header(self) -> Header:
        """What is known of it without loading it: of a document its title, identifiers and hash, ..."""

    def load(self) -> Any:
        """Return the part, a value of the state key's type with the items of this document only."""


@dataclass(frozen=True, slots=True)
class DocumentValues:
    """The value of a state key by document, in order; a document's part is loaded when it is asked for.

    Attributes:
        parts: A part for each document.
        value_type: The state key's type, which each part is a value of too.
    """

    parts: Sequence[DocumentPart]
    value_type: Any

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[DocumentPart]:
        return iter(self.parts)

    @property
    def items(self) -> int:
        """How many items there are, where the value is a tuple of them; else how many documents."""
        return sum(part.header.get("items", 1) for part in self.parts)

    @property
    def counts(self) -> dict[str, int]:
        """What `CountedItems` of all documents count, added up; the greatest first."""
        counted: Counter[str] = Counter()
        for part in self.parts:
            counted.update(part.header.get("counts", {}))
        return dict(sorted(counted.items(), key=lambda entry: (-entry[1], entry[0])))

    def by_id(self) -> dict[str, DocumentPart]:
        """Return the parts by document; of several of one id the first."""
        found: dict[str, DocumentPart] = {}
        for part in self.parts:
            found.setdefault(part.document_id, part)
        return found

    def whole(self) -> Any:
        """Load everything into one value."""
        return join_parts(self.value_type, [part.load() for part in self.parts])


@dataclass(slots=True)
class DocumentAccount:
    """What a stage tells of the work on a document, beside its output.

    Attributes:
        spent: By name, what the work took.
        is_open: Whether the work is to be done again in the next run.
    """

    spent: dict[str, float] = field(default_factory=dict)
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class DocumentContext:
    """The surroundings of the work on one document: nothing that could change its result unseen.

    Attributes:
        log: Where the stage logs.
        calls: Makes calls to other services as the stage's resilience policy allows.
        home: The folder for all data, for `file` alone.
        account: What `spend` and `leave_open` were told of this document.
    """

    log: logging.Logger = field(default_factory=lambda: logging.getLogger("medkg.stage"))
    calls: ExternalCalls = field(default_factory=ExternalCalls)
    home: Path = field(default=Path(), repr=False)
    account: DocumentAccount = field(default_factory=DocumentAccount, repr=False)

    def file(self, downloaded: DownloadedFile) -> Path:
        """Return where a downloaded file lies; what a converter left beside it counts as an input too."""
        return self.home / downloaded.path

    def spend(self, name: str, amount: float) -> None:
        """Count what the work takes; the sum over what was worked on in this run is shown.

        What came of the document is counted by `CountedItems`.

        Args:
            name: What is spent, for example `tokens`.
            amount: How much.
        """
        self.account.spent[name] = self.account.spent.get(name, 0) + amount

    def leave_open(self) -> None:
        """Say that the next run is to do the work again, because a part of it could not be done now."""
        self.account.is_open = True


@dataclass(frozen=True, slots=True)
class DocumentResult:
    """What came of one document, as `conclude` sees it.

    Attributes:
        document_id: The document's id as the stage's input has it.
        given: By argument: the header of its input.
        made: By state key: the header of its output.
        is_reused: Whether it was made by an earlier run.
    """

    document_id: str
    given: Mapping[str, Header]
    made: Mapping[str, Header]
    is_reused: bool


@dataclass(frozen=True, slots=True)
class MemoryPart:
    """A part that is in memory.

    Attributes:
        document_id: The document's id.
        key: The state key.
        value: The part.
        value_type: The state key's type.
    """

    document_id: str
    key: str
    value: Any
    value_type: Any

    @property
    def version(self) -> str:
        """SHA-256 (hex) of its content."""
        return version_of(encode_value(self.key, self.value, self.value_type))

    @property
    def header(self) -> Header:
        """What is known of it without loading it."""
        return header_of(self.value)

    def load(self) -> Any:
        """Return it."""
        return self.value


@dataclass(frozen=True, slots=True)
class EndOfFile:
    """Among what a stage gives item by item: what came since the last one is all that is in a file.

    Attributes:
        version: Names the file and its content, for `StageContext.recall`; None where it is not to be
            remembered.
    """

    version: str | None


@dataclass(frozen=True, slots=True)
class EmptyPart:
    """The part of a document of which an input says nothing.

    Attributes:
        document_id: The document's id.
        version: Empty: there is no content.
        header: That it has no items.
    """

    document_id: str = ""
    version: str = ""
    header: Header = field(default_factory=lambda: {"items": 0})

    def load(self) -> Any:
        """Return it."""
        return ()


class CountedItems(tuple[Item, ...]):
    """Items of one document, and how many other things of what kinds there were, such as what was left out.

    A stage that returns its items so has the counts of all documents added up on its materialization, also
    where earlier runs made them. Equal to the plain tuple of its items, and loaded as that.

    Attributes:
        counts: How many by kind.
    """

    counts: Mapping[str, int]

    def __new__(cls, items: Iterable[Item], counts: Mapping[str, int]) -> Self:
        """Return items with their counts."""
        made = super().__new__(cls, items)
        made.counts = dict(counts)
        return made

    def header(self) -> Header:
        """Return what is to be known of them without loading them."""
        return {"items": len(self), "counts": self.counts} if self.counts else _items_header(len(self))


def version_of(content: bytes) -> str:
    """Return the version of a part from its content as it is stored, not yet compressed."""
    return hashlib.sha256(content).hexdigest()


def header_of(part: Any) -> Header:
    """Return what is to be known of a part without loading it."""
    if isinstance(part, CountedItems):
        return part.header()
    is_tuple = isinstance(part, tuple | list)
    told = part[0] if is_tuple and len(part) == 1 else part
    # A plugin's items may well have a field of that name.
    if callable(make := getattr(told, "header", None)):
        # What it is today is what it is when it is read again.
        plain: Header = from_json(to_json(dict(make())))
        return plain
    return _items_header(len(part)) if is_tuple else _NO_HEADER


@functools.cache
def _items_header(items: int) -> Header:
    """Return the header of so many items: many documents have as many, and share one."""
    return {"items": items}


def content_hash_of(part: DocumentPart) -> str | None:
    """Return the hash that a document or payload says it has, however broken it is; None for none."""
    if not isinstance(part, MemoryPart):
        return part.header.get("content_hash")
    value = part.value
    return getattr(
        value[0] if isinstance(value, tuple | list) and len(value) == 1 else value, "content_hash", None
    )


@functools.lru_cache(maxsize=256)
def item_type(value_type: Any) -> type | None:
    """Return `T` of a type `tuple[T, ...]`; None for any other."""
    arguments = typing.get_args(value_type)
    if typing.get_origin(value_type) is not tuple or len(arguments) != 2 or arguments[1] is not Ellipsis:
        return None
    return arguments[0] if isinstance(arguments[0], type) else None


def is_one_per_document(value_type: Any) -> bool:
    """Say whether the items of a type are the documents themselves, so that a part is a single item."""
    item = item_type(value_type)
    return item is not None and issubclass(item, Document | Payload)


def is_kept_by_document(value_type: Any) -> bool:
    """Say whether a batch stage's value of this type is kept by document: its items know theirs."""
    item = item_type(value_type)
    if item is None:
        return False
    return is_one_per_document(value_type) or "document_id" in getattr(
        item, "model_fields", getattr(item, "__dataclass_fields__", ())
    )


def join_parts(value_type: Any, parts: Sequence[Any]) -> Any:
    """Return one value of the parts of several documents."""
    if hasattr(value_type, "joined"):
        return value_type.joined(parts)
    return tuple(item for part in parts for item in part)


def split_items(key: str, items: Any, value_type: Any) -> Iterator[DocumentPart | EndOfFile]:
    """Yield the parts of a batch stage's value, documents in the order of their first item.

    Items that are the documents themselves are parts as they come, so that nothing else has to be kept; among
    them may be parts that were recalled, and the ends of files.
    """
    if is_one_per_document(value_type):
        for item in items:
            is_kept = not isinstance(item, Document | Payload)
            yield item if is_kept else MemoryPart(item.id, key, (item,), value_type)
        return
    by_document: dict[str, list[Any]] = {}
    for item in items:
        by_document.setdefault(item.document_id, []).append(item)
    for name, found in by_document.items():
        yield MemoryPart(name, key, tuple(found), value_type)


def split_value(key: str, value: Any, value_type: Any) -> DocumentValues | None:
    """Return a value by document; None where it is one unit."""
    if isinstance(value, DocumentValues):
        return value
    if not is_kept_by_document(value_type) or not isinstance(value, tuple | list):
        return None
    return DocumentValues(parts_of(split_items(key, value, value_type)), value_type)


def parts_of(items: Iterator[DocumentPart | EndOfFile]) -> list[DocumentPart]:
    """Return the parts among what `split_items` yields."""
    return [item for item in items if not isinstance(item, EndOfFile)]


def by_document(name: str, value: Any) -> Any:
    """Return a value by document, where it is of a type that is kept so; else as it is."""
    if isinstance(value, MemoryPart):
        return value.value
    if not isinstance(value, tuple | list):
        return value
    if not value:
        return DocumentValues((), Any)
    found = split_value(name, tuple(value), GenericAlias(tuple, (type(value[0]), ...)))
    return value if found is None else found


def whole_value(value: Any) -> Any:
    """Return a value as a stage that works on batches reads it: loaded whole."""
    if isinstance(value, MemoryPart):
        return value.value
    return value.whole() if isinstance(value, DocumentValues) else value
