from medkg_dagster_tests.query.conftest import home, made, settings, stores

__all__ = ["home", "made", "settings", "stores"]
