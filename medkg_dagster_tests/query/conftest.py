import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from medkg_dagster.query import Stores
from medkg_dagster.settings import Settings
from medkg_dagster_tests.query.made_home import make_home


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three documents, which nobody changes."""
    return make_home(tmp_path_factory.mktemp("made") / "home")


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return shutil.copytree(made, tmp_path / "home")


@pytest.fixture
def settings(home: Path, repository: Path) -> Settings:
    return Settings(home=home, config=repository / "config")


@pytest.fixture
def stores(settings: Settings) -> Iterator[Stores]:
    """The stores of that home."""
    with Stores(settings) as opened:
        yield opened
