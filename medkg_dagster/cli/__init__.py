"""`medkg`, the console: looks at pipelines, stage types, the index, the graph and the ledger.

It never imports Dagster, and each command imports only what it needs, so that it starts fast.
"""

from medkg_dagster.cli.root import main

__all__ = ["main"]
