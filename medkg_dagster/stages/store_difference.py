"""What a store of documents lacks of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from medkg_dagster.stage_api import StageContext


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

    Args:
        ctx: The stage's surroundings; the counts are described there.
        held: What the store holds: document to the hash of its input.
        given: The same of the batch.
    """
    changed = {name: digest for name, digest in given.items() if held.get(name) != digest}
    new = len(changed.keys() - held.keys())
    ctx.describe("documents_new", new)
    ctx.describe("documents_changed", len(changed) - new)
    return StoreDifference(changed, frozenset(), given.keys())
