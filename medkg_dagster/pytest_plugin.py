"""Fixtures for the tests of stage authors; nothing is imported before a test asks for one."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from medkg_dagster.stage_api import StageContext
    from medkg_dagster.stage_api.testing import StageRunner


@pytest.fixture
def medkg_context(tmp_path: Path) -> StageContext:
    """The surroundings of a stage, its data in `tmp_path` and its ledger job in memory."""
    from medkg_dagster.stage_api import StageContext
    from medkg_dagster.stage_api.testing import installed_extensions

    found = installed_extensions()
    return StageContext(pipeline="test", stage="test", job_id="test", home=tmp_path, extensions=found)


@pytest.fixture
def run_stage(tmp_path: Path) -> StageRunner:
    """Run one stage by itself, its data in `tmp_path`; see `medkg_dagster.stage_api.testing.run_stage`."""
    from medkg_dagster.stage_api import testing

    return functools.partial(testing.run_stage, home=tmp_path)


@pytest.fixture
def check_stage(tmp_path: Path) -> StageRunner:
    """Check one stage, its data in `tmp_path`; see `medkg_dagster.stage_api.testing.check_stage`."""
    from medkg_dagster.stage_api import testing

    return functools.partial(testing.check_stage, home=tmp_path)
