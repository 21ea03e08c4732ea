"""The text of a document and the mentions in it, as stages have stored them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkg_dagster.domain.documents import Document
from medkg_dagster.domain.holdings import KnownDocument
from medkg_dagster.domain.knowledge import Entity
from medkg_dagster.errors import StateError

if TYPE_CHECKING:
    from medkg_dagster.query.opened import OpenedStores
    from medkg_dagster.stage_api import DocumentPart


@dataclass(frozen=True, slots=True)
class KeptText:
    """A document, and what was found in it.

    Attributes:
        document: The document, of the content that the ledger knows.
        entities: The mentions in it.
        misplaced: How many mentions are not where they say, being of an earlier text.
    """

    document: Document
    entities: tuple[Entity, ...]
    misplaced: int


def read_text(stores: OpenedStores, known: KnownDocument) -> KeptText | str:
    """Return a document and the mentions in it; where its text is not kept, a sentence that says so."""
    archives = list(_archives(stores, known.id))
    try:
        document = _document(stores, archives, known)
        if document is None:
            return "its text is not kept in the state of this home any more; run its pipeline again"
        entities: dict[Entity, None] = {}
        for part in _parts(stores, archives, "entities", tuple[Entity, ...], known.id):
            entities |= dict.fromkeys(part.load())
    except StateError as error:
        return f"its text cannot be read: {error}"
    placed = [one for one in entities if one.start is None or _stands(one, document.text)]
    return KeptText(document, tuple(placed), len(entities) - len(placed))


def _stands(entity: Entity, text: str) -> bool:
    return text[entity.start : entity.end] == entity.surface


def _document(stores: OpenedStores, archives: list[Path], known: KnownDocument) -> Document | None:
    for part in _parts(stores, archives, "document", tuple[Document, ...], known.id):
        if part.header.get("content_hash") == known.content_hash:
            found: tuple[Document, ...] = part.load()
            return found[0]
    return None


def _archives(stores: OpenedStores, document: str) -> Iterator[Path]:
    """Yield what the stages of those jobs have stored that asked for a document last."""
    from medkg_dagster.runtime.state.archives import find_archives

    assert stores.ledger is not None
    jobs = {(one.pipeline, one.job_id) for one in stores.ledger.documents.holdings(document) if one.job_id}
    for pipeline, job_id in sorted(jobs):
        yield from sorted(find_archives(stores.home, pipeline, str(job_id)))


def _parts(
    stores: OpenedStores, archives: list[Path], key: str, value_type: Any, document: str
) -> Iterator[DocumentPart]:
    """Yield what the stages have stored of a document under a state key, if they keep that by document."""
    from medkg_dagster.runtime.state.archives import read_parts

    for path in archives:
        try:
            values = read_parts(path, key, value_type, stores.shards)
        except (OSError, ValueError):
            continue  # damaged, or gone meanwhile: the run that mends it is told
        part = None if values is None else values.by_id().get(document)
        if part is not None:
            yield part
