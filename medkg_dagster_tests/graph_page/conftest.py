from collections.abc import Iterator
from pathlib import Path

import pytest

from medkg_dagster.query import Stores
from medkg_dagster.settings import Settings
from medkg_dagster_tests.query.conftest import home, made, settings, stores

__all__ = ["home", "made", "settings", "stores"]


@pytest.fixture(scope="module")
def made_stores(made: Path, repository: Path) -> Iterator[Stores]:
    """The stores of a home that nobody changes."""
    with Stores(Settings(home=made, config=repository / "config")) as opened:
        yield opened
