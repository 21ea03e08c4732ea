import pytest

from medkg_dagster.registry import StageFactory
from medkg_dagster_tests.deployments.installed import site

__all__ = ["site"]


@pytest.fixture(scope="session", autouse=True)
def built_ins() -> None:
    """Import the built-in stages once, so that short time limits are those of the plugins under test."""
    StageFactory.load_plugins()
