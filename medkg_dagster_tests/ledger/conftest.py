from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from medkg_dagster.ledger import JobLedger
from medkg_dagster.ledger.schema import METADATA, SCHEMA_VERSIONS
from medkg_dagster_tests.postgresql import new_schema


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


@pytest.fixture(scope="session")
def ledger_schema(postgresql_server: str) -> Iterator[str]:
    """The URL of a schema with the tables of a ledger, which the tests of a process use one after another."""
    with new_schema(postgresql_server) as url:
        JobLedger.connect(url).close()
        yield url


@pytest.fixture
def emptied_ledger(ledger_schema: str) -> Iterator[str]:
    """The URL of a ledger without rows on a real server: to make its tables takes longer than most tests."""
    yield ledger_schema
    engine = create_engine(ledger_schema)
    with engine.begin() as connection:
        # The history refuses to forget.
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        for table in reversed(METADATA.sorted_tables):
            if table is not SCHEMA_VERSIONS:
                connection.execute(table.delete())
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty ledger may be, on each database it supports."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    return str(request.getfixturevalue("emptied_ledger"))


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where there is nothing yet, on each database a ledger supports."""
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
