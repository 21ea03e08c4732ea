"""The default index store: one SQLite file with FTS5 (BM25) and vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medkg_dagster.stage_api import Extension, ExtensionKind, NoParameters

if TYPE_CHECKING:
    from medkg_dagster.adapters.index.sqlite_store import SqliteIndex


def _build(parameters: NoParameters, home: Path) -> SqliteIndex:
    from medkg_dagster.adapters.index.sqlite_store import SqliteIndex

    del parameters
    return SqliteIndex(home)


SQLITE_INDEX = Extension(
    kind=ExtensionKind.INDEX_STORE,
    name="sqlite",
    description="One SQLite file in the data folder: full text (FTS5, BM25) and vectors, hybrid search.",
    config_model=NoParameters,
    build=_build,
    keeps_documents=True,
)
