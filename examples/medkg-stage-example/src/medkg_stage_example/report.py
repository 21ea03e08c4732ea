"""What the stage says of its work: numbers only, never what was replaced."""

from __future__ import annotations

from collections import Counter

from medkg_dagster.stage_api import Value
from medkg_stage_example.config import IdentifierKind
from medkg_stage_example.rewriting import Tally


class DocumentReport(Value):
    """What was replaced in one document.

    Attributes:
        document_id: The document.
        replaced: Identifiers by kind; kinds that did not occur are left out.
        dropped_annotations: Concepts that were dropped because their names held an identifier.
        dropped_blocks: Blocks that were dropped because nothing was left of them.
    """

    document_id: str
    replaced: dict[IdentifierKind, int]
    dropped_annotations: int = 0
    dropped_blocks: int = 0


class DeidentificationReport(Value):
    """What was replaced in a batch.

    Attributes:
        documents: One report for each document, in order.
    """

    documents: tuple[DocumentReport, ...]

    @property
    def replaced(self) -> Counter[IdentifierKind]:
        """Identifiers by kind, of all documents."""
        total: Counter[IdentifierKind] = Counter()
        for document in self.documents:
            total.update(document.replaced)
        return total

    @property
    def changed(self) -> int:
        """Documents in which something was replaced."""
        return sum(bool(document.replaced) for document in self.documents)


def report_of(document_id: str, tally: Tally) -> DocumentReport:
    """Return the report of one document.

    Args:
        document_id: The document.
        tally: What was done to it.
    """
    return DocumentReport(
        document_id=document_id,
        replaced={kind: tally.replaced[kind] for kind in IdentifierKind if tally.replaced[kind]},
        dropped_annotations=tally.dropped_annotations,
        dropped_blocks=tally.dropped_blocks,
    )
