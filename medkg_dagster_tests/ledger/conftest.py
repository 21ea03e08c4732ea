import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from medkg_dagster.ledger import JobLedger

POSTGRESQL = "MEDKG_TEST_POSTGRESQL_URL"


class SteppingClock:
    """Gives a time one second later at every call."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now


class FakeClock:
    """Gives the time it was set to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def postgresql_url() -> Iterator[str]:
    """The URL of an empty schema of a real server, dropped afterwards."""
    url = os.environ.get(POSTGRESQL)
    if not url:
        pytest.skip(f"no PostgreSQL server: set {POSTGRESQL} to the URL of a scratch database")
    from sqlalchemy import create_engine

    schema = f"ledger_test_{uuid.uuid4().hex}"
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
        separator = "&" if "?" in url else "?"
        yield f"{url}{separator}options=-csearch_path%3D{schema}"
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    finally:
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty ledger may be, on each database it supports."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def ledger(url: str) -> Iterator[JobLedger]:
    """An empty ledger whose every look at the clock is a second later."""
    with JobLedger.connect(url, clock=SteppingClock()) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands until it is advanced."""
    return FakeClock()


@pytest.fixture
def timed(url: str, clock: FakeClock) -> Iterator[JobLedger]:
    """An empty ledger on that clock."""
    with JobLedger.connect(url, clock=clock) as opened:
        yield opened
