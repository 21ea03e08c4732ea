"""The text that Prometheus reads, computed from the ledger when it is asked for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from medkg_dagster import __version__
from medkg_dagster.io.times import stamp, utc_now
from medkg_dagster.ledger import JobLedger
from medkg_dagster.ledger.statements import counter_rows
from medkg_dagster.monitoring import families
from medkg_dagster.monitoring.families import FAMILIES, Family
from medkg_dagster.plugins import counted_origin
from medkg_dagster.settings import Settings

if TYPE_CHECKING:
    from medkg_dagster.ledger.figures import LedgerFigures

MOST_SERIES = 500
"""So many sets of labels a metric has; what is beyond, the smallest values, is added up under `other`."""

OTHER = "other"
_LONGEST_LABEL = 100
_COUNTED = {
    families.STAGE_RUNS: counter_rows.STAGE_RUNS,
    families.STAGE_SECONDS: counter_rows.STAGE_SECONDS,
    families.STAGE_DOCUMENTS: counter_rows.STAGE_DOCUMENTS,
    families.STAGE_MEMO: counter_rows.STAGE_MEMO,
    families.STAGE_SUCCESS: counter_rows.STAGE_SUCCESS,
    families.GATE_OUTCOMES: counter_rows.GATES,
    families.GATE_WAIT_SECONDS: counter_rows.GATE_SECONDS,
    families.DOWNLOADS: counter_rows.DOWNLOADS,
    families.DISCOVERY: counter_rows.DISCOVERY,
    families.STAGE_RESOLUTION: counter_rows.STAGE_RESOLUTION,
}
# Of times, and of ages, the latest or the longest is what counts; they are not added up.
_NOT_SUMMED = {families.STAGE_SUCCESS, families.GATE_OLDEST, families.DUE_OLDEST}

_OUTCOMES = ("finished", "failed")

Values = Mapping[tuple[str, ...], float]


def exposition(ledger: JobLedger | None, dagster_home: Path) -> bytes:
    """Return all metrics as text.

    Args:
        ledger: The ledger; None where there is none yet.
        dagster_home: The folder of Dagster's instance.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    values = _values(ledger, dagster_home)
    registry = CollectorRegistry()
    registry.register(_Values(values))
    return generate_latest(registry)


def exposition_of(settings: Settings, dagster_home: Path) -> bytes:
    """Return all metrics of a deployment as text, also where it has no ledger yet.

    Args:
        settings: Say where the ledger is.
        dagster_home: The folder of Dagster's instance.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    if not JobLedger.exists(settings):
        return exposition(None, dagster_home)
    with JobLedger.of(settings) as ledger:
        return exposition(ledger, dagster_home)


class _Values(Collector):
    def __init__(self, values: Mapping[Family, Values]) -> None:
        self._values = values

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES:
            kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            metric = kind(family.name, family.help, labels=family.labels)
            for labels, value in bounded(self._values.get(family, {}), is_sum=family not in _NOT_SUMMED):
                metric.add_metric(labels, value)
            yield metric


def bounded(values: Values, *, is_sum: bool) -> list[tuple[tuple[str, ...], float]]:
    """Return values in the order of their labels, `MOST_SERIES` at most.

    Args:
        values: By labels.
        is_sum: Whether what is beyond is added up; else the largest of it is told.
    """
    cut: dict[tuple[str, ...], float] = {}
    for number, (labels, value) in enumerate(sorted(values.items(), key=lambda item: (-item[1], item[0]))):
        kept = tuple(text[:_LONGEST_LABEL] for text in labels)
        if number >= MOST_SERIES - 1 and len(values) > MOST_SERIES:
            kept = (OTHER,) * len(labels)
        cut[kept] = max(cut.get(kept, 0.0), value) if not is_sum else cut.get(kept, 0.0) + value
    return sorted(cut.items())


def _values(ledger: JobLedger | None, dagster_home: Path) -> dict[Family, Values]:
    found: dict[Family, Values] = {families.BUILD: {(__version__,): 1}}
    heartbeat = _heartbeat(dagster_home)
    if heartbeat is not None:
        found[families.HEARTBEAT] = {(): heartbeat}
    if ledger is not None:
        found |= _of_ledger(ledger.figures.all())
    return found


def _of_ledger(figures: LedgerFigures) -> dict[Family, Values]:
    found: dict[Family, Values] = {
        families.JOBS: {(pipeline, status): count for (status, pipeline), count in figures.jobs.items()},
        families.DOCUMENTS: figures.documents,
        families.QUARANTINED: figures.quarantined,
        families.PLUGINS: _by_origin(figures.plugins),
    }
    for family, name in _COUNTED.items():
        found[family] = figures.counters.get(name, {})
    runs = found[families.STAGE_RUNS]
    # A counter that comes into being at 1 has not increased: it is there from the first run on, at 0.
    at_first = {(*labels[:-1], outcome): 0.0 for labels in runs for outcome in _OUTCOMES}
    found[families.STAGE_RUNS] = at_first | {**runs}
    found[families.DISCOVERY] = _by_origin(found[families.DISCOVERY])
    found[families.STAGE_RESOLUTION] = {
        (*stage, counted_origin(distribution)): value
        for (*stage, distribution), value in found[families.STAGE_RESOLUTION].items()
    }
    of_origins: dict[tuple[str, ...], float] = {}
    for (*_, origin), seconds in found[families.STAGE_RESOLUTION].items():
        of_origins[origin,] = of_origins.get((origin,), 0.0) + seconds
    found[families.RESOLUTION] = of_origins
    now = stamp(utc_now)
    for amount, oldest, waiting in (
        (families.GATE_WAITING, families.GATE_OLDEST, figures.waiting),
        (families.DUE, families.DUE_OLDEST, figures.due),
    ):
        found[amount] = {place: count for place, (count, _) in waiting.items()}
        found[oldest] = {
            place: counter_rows.seconds_spent(since, now) for place, (_, since) in waiting.items()
        }
    return found


def _by_origin(values: Values) -> Values:
    return {(counted_origin(labels[0]), *labels[1:]): value for labels, value in values.items()}


def _heartbeat(dagster_home: Path) -> float | None:
    """Return when the daemon was there last, from Dagster's own file: to import Dagster takes a second."""
    file = dagster_home / "history" / "runs.db"
    if not file.is_file():
        return None
    with (
        suppress(sqlite3.Error, ValueError),
        closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as opened,
    ):
        query = "SELECT max(timestamp) FROM daemon_heartbeats WHERE daemon_type = 'SENSOR'"
        (said,) = opened.execute(query).fetchone()
        return None if said is None else datetime.fromisoformat(said).replace(tzinfo=UTC).timestamp()
    return None
