"""An index store in PostgreSQL, so that one database is enough."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from medkg_dagster.stage_api import Config, Extension, ExtensionKind, Secret

if TYPE_CHECKING:
    from medkg_dagster.adapters.index.postgresql_store import PostgresqlIndex


class PostgresqlIndexParameters(Config):
    """Where the index is kept."""

    url: Secret = Field(
        default=Secret(env="MEDKG_DATABASE_URL"),
        description="`{env: NAME}`, a variable with the URL of a database: `postgresql://user@host/database`.",
    )


def _build(parameters: Any, _: Path) -> PostgresqlIndex:
    from medkg_dagster.adapters.index.postgresql_store import PostgresqlIndex

    return PostgresqlIndex(parameters.url.reveal())


POSTGRESQL_INDEX = Extension(
    kind=ExtensionKind.INDEX_STORE,
    name="postgresql",
    description="PostgreSQL: full text as tsvector, ranked by BM25, and vectors beside it, hybrid search.",
    config_model=PostgresqlIndexParameters,
    build=_build,
    keeps_documents=True,
)
