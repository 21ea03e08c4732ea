"""What an extension of kind `SOURCE` builds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from medkg_dagster.domain.payloads import Payload
from medkg_dagster.stage_api.context import StageContext


class Source(Protocol):
    """Fetches raw documents; the adapter of an `ingest` stage."""

    def fetch(self, ctx: StageContext) -> Iterable[Payload]:
        """Yield payloads one by one; quarantine one bad document through `ctx`.

        Raises:
            SourceError: Nothing can be fetched at all.
        """
