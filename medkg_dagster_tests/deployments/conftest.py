from medkg_dagster_tests.deployments.installed import site

__all__ = ["site"]
