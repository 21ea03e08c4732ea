"""The `sql` graph store: nodes and edges in SQL tables, one SQLite file unless a URL names a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from medkg_dagster.stage_api import Extension, ExtensionKind

if TYPE_CHECKING:
    from medkg_dagster.stage_api import GraphStore

GRAPH_FILE = "graph.sqlite"


class SqlGraphParameters(BaseModel):
    """Where the graph is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str | None = Field(
        default=None,
        description="A SQLAlchemy URL, for example `postgresql+psycopg://user@host/graph`; "
        "without one, the file `graph.sqlite` in the data folder.",
    )


def open_graph(parameters: SqlGraphParameters, home: Path) -> GraphStore:
    """Open the store, made on first use.

    Args:
        parameters: Where the graph is.
        home: The folder for all data.

    Raises:
        StoreError: The database cannot be opened.
    """
    from sqlalchemy import URL

    from medkg_dagster.adapters.sql_graph_store import SqlGraphStore

    file = URL.create("sqlite", database=str(home / GRAPH_FILE)).render_as_string(hide_password=False)
    return SqlGraphStore(parameters.url or file)


SQL_GRAPH = Extension(
    kind=ExtensionKind.GRAPH_STORE,
    name="sql",
    description="SQL tables through SQLAlchemy; one SQLite file by default.",
    config_model=SqlGraphParameters,
    build=open_graph,
)
