"""The default index store: documents in an SQLite file, their terms and vectors in segments beside it."""

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
    description="SQLite in the data folder, segments of terms and vectors beside it: BM25, hybrid search.",
    config_model=NoParameters,
    build=_build,
    keeps_documents=True,
)
