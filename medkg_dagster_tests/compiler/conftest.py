from collections.abc import Iterator
from pathlib import Path

import pytest

from medkg_dagster_tests.compiler.deployment import Deployment, instance_in_memory


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """An empty deployment with two test stage types."""
    with instance_in_memory() as instance:
        yield Deployment(tmp_path, instance)
