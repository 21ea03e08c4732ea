"""The page of metrics."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from medkg_dagster.errors import MedkgError
from medkg_dagster.monitoring.exposition import exposition_of
from medkg_dagster.service.guard import Guard
from medkg_dagster.settings import Settings

METRICS = "/metrics"
_TEXT = "text/plain; version=1.0.0; charset=utf-8"


def make_metrics_app(settings: Settings, dagster_home: Path, *, hosts: Collection[str]) -> Starlette:
    """Return what answers `/metrics` as an ASGI application.

    Args:
        settings: Says where the ledger is.
        dagster_home: The folder of Dagster's instance.
        hosts: The names under which it is reached, without ports; requests to others are refused.
    """

    def metrics(_request: Request) -> Response:
        # Opened each time: the ledger may come into being, and its server may have been away.
        try:
            return Response(exposition_of(settings, dagster_home), media_type=_TEXT)
        except MedkgError as error:
            return Response(f"{error}\n", 503, media_type="text/plain")

    return Starlette(
        routes=[Route(METRICS, metrics)], middleware=[Middleware(Guard, hosts=hosts, token=None)]
    )
