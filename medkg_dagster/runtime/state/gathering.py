"""What many small changes have scattered over many small shards, gathered into few.

Each change of one document leaves a shard of its own in each stage. Where the work of a run is remembered in
too many of those, the run copies what it uses of them into a new shard. The old ones are as before; once no
archive needs them, they go as all others do.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from medkg_dagster.runtime.state.shards import EncodedPart, Memo, StoredPart
from medkg_dagster.stage_api import DocumentPart
from medkg_dagster.stage_api._document_loop import DocumentOutcome, DocumentTask

FEW = 32
"""A shard with fewer records or parts that a run uses is a small one."""

MOST = 16
"""So many small shards are let be."""


def scattered(shards: Iterable[str]) -> set[str]:
    """Return the small ones of some shards, named once for each use of them, where they are too many."""
    small = {name for name, count in Counter(shards).items() if name and count < FEW}
    return small if len(small) > MOST else set()


class GatheredWork:
    """Takes what is remembered of documents out of small shards.

    Args:
        memo: What is remembered.
        keys: Of all documents the key of the work.

    Attributes:
        places: Key to where the work is remembered: what is looked for in this order is read once.
    """

    def __init__(self, memo: Memo, keys: Iterable[str]) -> None:
        self._memo = memo
        self.places = {key: memo.places(key) for key in keys}
        self._small = scattered(found[0][0] for found in self.places.values() if found)
        self._left: set[str] = set()

    def gather(self, task: DocumentTask, key: str, known: DocumentOutcome) -> DocumentOutcome:
        """Return what came of a document, kept anew where that is in a small shard."""
        shard = self.places[key][0][0]
        if shard not in self._small:
            return known
        # What was passed on unchanged may have been gathered by the stage that made it.
        given = {part.version: part for part in task.parts.values() if isinstance(part, StoredPart)}
        with suppress(OSError):
            folder = shard.rpartition("/")[0]
            parts = {
                name: _copied(part, folder) if isinstance(part, StoredPart) else part
                for name, part in known.parts.items()
            }
            parts = {name: given.get(part.version, part) for name, part in parts.items()}
            return replace(self._memo.keep(key, replace(known, parts=parts)), is_reused=True)
        self._left.add(shard)
        return known

    def close(self) -> None:
        """Say that the small shards are not needed any more, but for those that something is left in."""
        self._memo.work -= self._small - self._left


def gather_parts(
    memo: Memo, kept: Sequence[DocumentPart], of_files: dict[str, Sequence[StoredPart]]
) -> list[DocumentPart]:
    """Return the parts of a value, kept anew where they are in small shards.

    Args:
        memo: What is remembered.
        kept: The parts.
        of_files: By key of a file those parts that were recalled as all that is in it.
    """
    stored = [part for part in kept if isinstance(part, StoredPart)]
    small = scattered(part.shard.name for part in stored)
    moved: dict[int, StoredPart] = {}
    left = set()
    for part in stored:
        if part.shard.name in small:
            try:
                moved[id(part)] = memo.put_part(_encoded(part))
            except OSError:
                left.add(part.shard.name)
    for key, parts in of_files.items():
        if any(id(part) in moved for part in parts):
            memo.keep_file(key, [moved.get(id(part), part) for part in parts])
    memo.work -= small - left
    return [moved.get(id(part), part) for part in kept]


def _copied(part: StoredPart, folder: str) -> StoredPart | EncodedPart:
    return _encoded(part) if part.shard.name.startswith(f"{folder}/") else part


def _encoded(part: StoredPart) -> EncodedPart:
    content = part.shard.read(part.offset, part.length)
    return EncodedPart(part.document_id, part.version, part.header, part.key, part.value_type, content)
