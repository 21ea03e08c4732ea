"""What a stage's work on its documents was: under which key each is remembered, and whether it was done now.

An archive tells it of the last run, for `medkg why`: of all documents in members of some thousand, so that
one is found at once among however many.
"""

import contextlib
import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

ACCOUNT = "work.account.json"
_DOCUMENTS = "work.{}.json.zst"
_OF_DOCUMENTS = re.compile(r"work\.[0-9]+\.json\.zst")
_IN_A_MEMBER = 4096
_KEY_LENGTH = 32


class Because(StrEnum):
    """Why the work on a document was done, or not."""

    REUSED = "r"
    NEW = "n"
    INPUTS = "i"
    STAGE = "s"
    AGAIN = "a"


@dataclass(frozen=True, slots=True)
class WorkOnDocument:
    """What the last run of a stage did about a document.

    Attributes:
        key: Under which it is remembered: of the stage, then of the document's inputs.
        is_reused: Whether it was used as it was made before.
        because: Why it was done now, where it was.
    """

    key: str
    is_reused: bool
    because: str


@dataclass(slots=True)
class WorkAccount:
    """What a run of a stage does about its documents.

    Attributes:
        shards: Names of the shards that remember it.
        stage_key: The hash of all that it depends on beside the documents.
        depends_on: The same by what it is: the hash of each.
        documents: By document the hash of its inputs, and whether what was made before is used.
        batch: The hash of all that the whole of the work depends on, where something came of every document.
        is_open: Whether the next run has to do work on a document again.
        count: What the stage's counter says of the whole.
        stored: What an earlier run has written, where all of its work is used.
    """

    shards: set[str] = field(default_factory=set)
    stage_key: str = ""
    depends_on: dict[str, str] = field(default_factory=dict)
    documents: dict[str, tuple[str, bool]] = field(default_factory=dict)
    batch: str = ""
    is_open: bool = False
    count: int = 0
    stored: Sequence[tuple[str, bytes]] = ()

    def members(self, before: Any) -> Iterator[tuple[str, bytes]]:
        """Yield the members of the archive that tell it, by name.

        Args:
            before: The path of the archive that an earlier run has written; there need be none.
        """
        import zstandard

        if self.stored:
            yield from self.stored
            return
        with StoredAccount.opened(before) as earlier:
            changed = earlier.changed(self.depends_on)
            members: dict[int, dict[str, str]] = defaultdict(dict)
            number = -(-len(self.documents) // _IN_A_MEMBER)
            for name, (whole, is_reused) in self.documents.items():
                key = whole[:_KEY_LENGTH]
                because = Because.REUSED
                if not is_reused:
                    because = earlier.because(name, key, is_changed=bool(changed))
                members[_member_of(name, number)][name] = because + key
        told = {
            "shards": sorted(self.shards),
            "stage_key": self.stage_key[:_KEY_LENGTH],
            "depends_on": self.depends_on,
            "changed": changed,
            "members": number,
            "batch": self.batch,
            "count": self.count,
        }
        yield ACCOUNT, to_json(told)
        for member, documents in sorted(members.items()):
            yield _DOCUMENTS.format(member), zstandard.ZstdCompressor().compress(to_json(documents))


class StoredAccount:
    """What an archive tells of the work.

    Args:
        archive: The archive; None where there is none.
    """

    def __init__(self, archive: zipfile.ZipFile | None) -> None:
        self._archive = archive
        self._told: Mapping[str, Any] = {}
        self._members: dict[int, Mapping[str, str]] = {}
        if archive is not None and ACCOUNT in archive.namelist():
            self._told = from_json(archive.read(ACCOUNT))

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: Any) -> "Iterator[StoredAccount]":
        """Open an archive, as far as it is one; of another nothing is told.

        Args:
            path: Its path; None for none.
        """
        with contextlib.ExitStack() as stack:
            archive = None
            with contextlib.suppress(OSError, zipfile.BadZipFile):
                if path is not None:
                    file = stack.enter_context(path.open("rb"))
                    archive = stack.enter_context(zipfile.ZipFile(file))
            yield cls(archive)

    @property
    def shards(self) -> list[str]:
        """Names of the shards that remember the work."""
        return list(self._told.get("shards", ()))

    @property
    def batch(self) -> tuple[str, int]:
        """The hash of all that the whole of the work depends on, empty where that is not known; its count."""
        return self._told.get("batch", ""), self._told.get("count", 0)

    def stored(self) -> Sequence[tuple[str, bytes]]:
        """Return the members for a run that uses all of the work, by name.

        Raises:
            BadZipFile: The archive is damaged.
        """
        assert self._archive is not None
        told = to_json({**self._told, "changed": [], "is_reused": True})
        names = [name for name in self._archive.namelist() if _OF_DOCUMENTS.fullmatch(name)]
        return [(ACCOUNT, told), *((name, self._archive.read(name)) for name in names)]

    def find(self, document_id: str) -> WorkOnDocument | None:
        """Return what was done about a document; None where it was not among those that are remembered."""
        found = self._entry(document_id)
        if found is None:
            return None
        because = Because.REUSED if self._told.get("is_reused") else Because(found[0])
        reasons = {
            Because.REUSED: "",
            Because.NEW: "it is new here",
            Because.INPUTS: "what it is made of changed",
            Because.STAGE: f"{', '.join(self._told['changed'])} changed",
            Because.AGAIN: "it was asked for again, or not remembered any more",
        }
        key = f"{self._told['stage_key']}/{found[1:]}"
        return WorkOnDocument(key, because is Because.REUSED, reasons[because])

    def changed(self, depends_on: Mapping[str, str]) -> list[str]:
        """Return what differs from what the work depends on now; nothing where there was none before."""
        before = self._told.get("depends_on", depends_on)
        return sorted(name for name in {*before, *depends_on} if before.get(name) != depends_on.get(name))

    def because(self, document_id: str, key: str, *, is_changed: bool) -> Because:
        """Say why a document is worked on now."""
        if is_changed:
            return Because.STAGE
        before = self._entry(document_id)
        if before is None:
            return Because.NEW
        return Because.AGAIN if before[1:] == key else Because.INPUTS

    def _entry(self, document_id: str) -> str | None:
        import zstandard

        number = self._told.get("members", 0)
        if not number or self._archive is None:
            return None
        member = _member_of(document_id, number)
        if member not in self._members:
            self._members[member] = {}
            with contextlib.suppress(KeyError, ValueError, zstandard.ZstdError):
                content = self._archive.read(_DOCUMENTS.format(member))
                self._members[member] = from_json(zstandard.ZstdDecompressor().decompress(content))
        return self._members[member].get(document_id)


def work_on(path: Path, names: Iterable[str]) -> WorkOnDocument | None:
    """Return what a stage did about a document, from the stage's archive.

    Args:
        path: The archive.
        names: The document's ids, whichever of them the stage knew.
    """
    with StoredAccount.opened(path) as account:
        return next((found for name in names if (found := account.find(name)) is not None), None)


def _member_of(document_id: str, number: int) -> int:
    return zlib.crc32(document_id.encode("utf-8", "backslashreplace")) % number
