"""What the built-in stores hold, and what is taken out of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.ledger import JobLedger
    from medkg_dagster.stage_api._default_stores import DefaultStore


def stored_versions(
    settings: Settings, documents: Sequence[str]
) -> dict[str, dict[str, frozenset[str] | None]]:
    """Return by document and built-in store the content hashes that it has; None where it has nothing."""
    found: dict[str, dict[str, frozenset[str] | None]] = {name: {} for name in documents}
    for kept, store in _built_in_stores(settings):
        shown = kept.file or ("index" if _is_index(kept) else "graph")
        for name in documents:
            found[name][shown] = store.held_versions(name)
    return found


def embedding_model(settings: Settings) -> str | None:
    """Return the model of the built-in index's vectors; None where it has none."""
    for kept, store in _built_in_stores(settings):
        if _is_index(kept):
            found: str | None = store.embedding_model()
            return found
    return None


def take_out(settings: Settings, ledger: JobLedger, names: Sequence[str]) -> None:
    """Take out of the built-in stores what the ledger lets go of: documents, or what another form said.

    Args:
        settings: The deployment's settings.
        ledger: It knows already what is not current.
        names: The documents about which something has changed; other forms of the same works go with them.
    """
    showable = ledger.documents.showable(names) if names else {}
    for kept, store in _built_in_stores(settings) if showable else ():
        gone = [name for name, contents in showable.items() if _is_gone(store.held_versions(name), contents)]
        if not gone:
            continue
        if not _is_index(kept):
            store.apply({}, gone, {}, ())
        else:
            import numpy as np

            from medkg_dagster.stage_api import EmbeddingBatch

            store.apply({}, gone, (), EmbeddingBatch((), np.zeros((0, 0), np.float32), "", lexical=True))


def _is_gone(held: frozenset[str] | None, contents: frozenset[str]) -> bool:
    """Say whether a store holds of a document what it is not to hold."""
    if held is None:
        return False
    return not contents or (bool(held) and held.isdisjoint(contents))


def _is_index(kept: DefaultStore) -> bool:
    from medkg_dagster.stage_api import ExtensionKind

    return kept.kind is ExtensionKind.INDEX_STORE


def _built_in_stores(settings: Settings) -> Iterator[tuple[DefaultStore, Any]]:
    """Yield each store of the deployment that is there, and the same open while it is looked at."""
    from medkg_dagster.query.opened import has_store, load_extensions, open_store, store_of
    from medkg_dagster.stage_api import ExtensionKind

    extensions = load_extensions(settings)
    for kind in (ExtensionKind.INDEX_STORE, ExtensionKind.GRAPH_STORE):
        if has_store(settings, kind):
            with closing(open_store(settings, kind, extensions)) as store:
                yield store_of(settings, kind), store
