from medkg_dagster_tests.deployments.conftest import built_ins, site

__all__ = ["built_ins", "site"]
