"""`medkg`, the console: looks at pipelines, stage types, the index, the graph and the ledger.

It never imports Dagster, and each command imports only what it needs, so that it starts fast.
"""

import os
from importlib.metadata import entry_points

try:
    entry_points()
except Exception:  # noqa: BLE001 - whatever a damaged distribution raises; `medkg check` names it
    # pydantic looks for plugins of its own when the first model is defined, and does not get past that file.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")

from medkg_dagster.cli.root import main

__all__ = ["main"]
