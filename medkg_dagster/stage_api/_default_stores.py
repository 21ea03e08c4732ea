"""The stores of a deployment: what stages write to and questions are put to where nothing else is named."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medkg_dagster.settings import DATABASE_VARIABLE, GRAPH_FILE, INDEX_FILE
from medkg_dagster.stage_api._extensions import ExtensionKind

_IN_DATABASE = {"url": {"env": DATABASE_VARIABLE}}


@dataclass(frozen=True, slots=True)
class DefaultStore:
    """A store.

    Attributes:
        kind: Whether it is an index or a graph.
        name: The extension.
        file: Its file in the home; None where it is in the database.
        parameters: Its parameters.
    """

    kind: ExtensionKind
    name: str
    file: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


_IN_HOME = {
    ExtensionKind.INDEX_STORE: DefaultStore(ExtensionKind.INDEX_STORE, "sqlite", INDEX_FILE),
    ExtensionKind.GRAPH_STORE: DefaultStore(ExtensionKind.GRAPH_STORE, "sql", GRAPH_FILE),
}
_SHARED = {
    ExtensionKind.INDEX_STORE: DefaultStore(ExtensionKind.INDEX_STORE, "postgresql", parameters=_IN_DATABASE),
    ExtensionKind.GRAPH_STORE: DefaultStore(ExtensionKind.GRAPH_STORE, "sql", parameters=_IN_DATABASE),
}


def default_store(kind: ExtensionKind, *, in_database: bool) -> DefaultStore:
    """Return the store of a deployment.

    Args:
        kind: Whether the index or the graph is meant.
        in_database: Whether the deployment names one database for all.
    """
    return (_SHARED if in_database else _IN_HOME)[kind]


def chosen_store(
    kind: ExtensionKind, name: str | None, parameters: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return the store that a stage writes to with its parameters: the one it names, else the deployment's.

    Args:
        kind: Whether the index or the graph is meant.
        name: What the stage's configuration names.
        parameters: What it gives; they go before those of the deployment.
    """
    if name is not None:
        return name, dict(parameters)
    store = default_store(kind, in_database=bool(os.environ.get(DATABASE_VARIABLE, "").strip()))
    return store.name, {**store.parameters, **parameters}
