"""`medkg`, the console: looks at pipelines, stage types, the index, the graph and the ledger.

It never imports Dagster, and each command imports only what it needs, so that it starts fast.
"""

import atexit
import gc
import os

try:
    # What a command makes, it needs until it ends: to look for garbage at every turn would only cost time.
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)  # the interpreter looks once more when it ends, for a fifth of the whole time
    import medkg_dagster.domain  # noqa: F401 - defines the first model
except Exception:  # noqa: BLE001 - whatever a damaged distribution raises; `medkg check` names it
    # pydantic looks for plugins of its own when that is defined, and does not get past the damaged file.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")

from medkg_dagster.cli.root import main

__all__ = ["main"]
