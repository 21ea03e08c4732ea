"""The console of the tests of commands."""

from medkg_dagster_tests.cli.conftest import home, medkg

__all__ = ["home", "medkg"]
