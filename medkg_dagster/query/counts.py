"""How much a home holds and shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkg_dagster.domain.graph_selection import GraphTotals
from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.query.document_answers import Counts

if TYPE_CHECKING:
    from medkg_dagster.query.opened import OpenedStores

_NO_GRAPH = GraphTotals(0, 0, 0, 0, {}, {})


def count_all(stores: OpenedStores) -> Counts:
    """Return how much a home holds and shows; see `Stores.counts`."""
    by_status = {} if stores.ledger is None else stores.ledger.documents.count()
    shown = by_status.get(DocumentStatus.CURRENT, 0)
    totals, cut = _NO_GRAPH, []
    if stores.has("GRAPH_STORE"):
        with stores.graph() as (graph, hidden):
            totals = graph.totals(hidden)
    else:
        cut.append("there is no graph yet")
    indexed, model = 0, None
    if stores.has("INDEX_STORE"):
        indexed = len(stores.index().held().keys() - stores.hidden())
        model = stores.index().embedding_model()
    else:
        cut.append("there is no index yet")
    return Counts(
        documents=shown,
        hidden=sum(by_status.values()) - shown,
        indexed_documents=indexed,
        graph_documents=totals.documents,
        nodes=totals.nodes,
        edges=totals.edges,
        synthetic_edges=totals.synthetic_edges,
        predicates=totals.predicates,
        categories=totals.categories,
        embedding_model=model,
        cut=tuple(cut),
    )
