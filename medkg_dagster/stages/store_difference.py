"""What a store of documents lacks of a batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import islice

from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.stage_api import DocumentPart, StageContext

DOCUMENTS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class StoreDifference:
    """What is to be done to a store.

    Attributes:
        changed: Documents to write, each with the hash of its input.
        removed: Documents to take out.
        current: The documents of the batch that the store holds afterwards.
    """

    changed: Mapping[str, str]
    removed: Set[str]
    current: Set[str]


def compare_store(ctx: StageContext, held: Mapping[str, str], given: Mapping[str, str]) -> StoreDifference:
    """Compare a batch with the store itself, whatever earlier runs were to have done.

    What the ledger knows as not current is not written, and taken out where the store has it, of whichever
    batch it is. What the ledger does not know stays: nobody said that it is gone.

    Args:
        ctx: The stage's surroundings; the counts are described there.
        held: What the store holds: document to the hash of its input.
        given: The same of the batch.
    """
    standing = ctx.job.standing(sorted(held.keys() | given.keys()))
    gone = _not_current(standing)
    current = given.keys() - gone
    changed = {name: given[name] for name in sorted(current) if held.get(name) != given[name]}
    removed = gone & held.keys()
    new = len(changed.keys() - held.keys())
    unknown = sorted(held.keys() - standing.keys() - given.keys())
    counts = {
        "current": len((held.keys() | current) - gone),
        "new": new,
        "changed": len(changed) - new,
        "withdrawn": len(removed),
        "held_by_nobody": len(unknown),
    }
    for name, count in counts.items():
        ctx.describe(f"documents_{name}", count)
    ctx.log.info("%d current, %d new, %d changed, %d withdrawn", *list(counts.values())[:4])
    if unknown and standing:
        ctx.log.warning(
            "the store holds %d documents that no source is known to hold, the first is %s: run the job that "
            "brought them once more, or take them out with `medkg documents withdraw`",
            *(len(unknown), unknown[0]),
        )
    return StoreDifference(changed, removed, current)


def gone_meanwhile(ctx: StageContext, written: Iterable[str]) -> set[str]:
    """Return those of the documents written just now that are not current any more.

    Who takes a document out tells the ledger first and the store afterwards. So what is current still is to
    stay, or is yet to be taken out by whoever tells the ledger next.
    """
    return _not_current(ctx.job.standing(sorted(written)))


def input_hash(*parts: DocumentPart | None, rules: str = "") -> str:
    """Return the hash of all that a store is given of a document.

    Args:
        parts: The document's parts; None where there is none.
        rules: The version of what is made of them on the way.
    """
    versions = [part and part.version for part in parts]
    return hashlib.sha256(repr((rules, versions)).encode()).hexdigest()


def portions(changed: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield some documents at a time, so that no more have to be in memory; each is one transaction."""
    names = iter(changed.items())
    while some := dict(islice(names, DOCUMENTS_AT_ONCE)):
        yield some


def _not_current(standing: Mapping[str, DocumentStatus]) -> set[str]:
    return {name for name, status in standing.items() if status is not DocumentStatus.CURRENT}
