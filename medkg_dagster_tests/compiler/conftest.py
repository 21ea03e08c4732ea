from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance

from medkg_dagster_tests.compiler.deployment import Deployment


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """An empty deployment with two test stage types."""
    with DagsterInstance.ephemeral() as instance:
        yield Deployment(tmp_path, instance)
