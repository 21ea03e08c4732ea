"""The default graph store: SQL tables, in SQLite or any database that SQLAlchemy and upserts reach."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from medkg_dagster.stage_api import Config, Extension, ExtensionKind, Secret

if TYPE_CHECKING:
    from medkg_dagster.adapters.graph.sql_store import SqlGraph

FILE_NAME = "graph.sqlite"


class SqlGraphParameters(Config):
    """Where the graph is kept."""

    url: Secret | None = Field(
        default=None,
        description=(
            "`{env: NAME}`, a variable with an SQLAlchemy URL of SQLite or PostgreSQL "
            "(`postgresql+psycopg://...`); by default the file `graph.sqlite` in the data folder."
        ),
    )


def _build(parameters: Any, home: Path) -> SqlGraph:
    from medkg_dagster.adapters.graph.sql_store import SqlGraph

    url = parameters.url.reveal() if parameters.url else None
    return SqlGraph(home / FILE_NAME, url)


SQL_GRAPH = Extension(
    kind=ExtensionKind.GRAPH_STORE,
    name="sql",
    description="Nodes and edges as SQL tables: one SQLite file, or PostgreSQL by URL.",
    config_model=SqlGraphParameters,
    build=_build,
    keeps_documents=True,
)
