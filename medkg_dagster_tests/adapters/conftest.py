from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from medkg_dagster_tests.adapters.index_places import Index, IndexPlace


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> IndexPlace:
    """Where an index may be that is not there yet, of each store."""
    url = str(request.getfixturevalue("postgresql_url")) if request.param == "postgresql" else None
    return IndexPlace(tmp_path, url)


@pytest.fixture
def index(place: IndexPlace) -> Iterator[Index]:
    """An empty index of each store."""
    with closing(place.open()) as store:
        yield store
