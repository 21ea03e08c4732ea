"""Metadata of the wrong kind altogether: the message still names the field and the rule."""

from __future__ import annotations

import pytest

from medkg_dagster_tests.deployments.installed import Site

ROWS = [
    ("state_key=['a', 5]", "state_key 5 must be a valid Python identifier and no keyword"),
    ("state_key=5", "state_key 5 must be a valid Python identifier and no keyword"),
    ("state_key=([], [])", "state_key [] must be a valid Python identifier and no keyword"),
    ("stage_type=[]", "stage type []: stage_type must be letters, digits, '-' and '_'"),
    ("dependencies=[[]]", "dependencies must be a tuple of stage types"),
    ("state_types=None", "state_types must be a mapping of state keys to types, got None"),
    ("state_types=['lab']", "state_types must be a mapping of state keys to types, got ['lab']"),
    ("state_types={5: int}", "state_types names keys the stage does not write: 5"),
    ("kinds=None", "kinds must be a tuple of three labels at most"),
    ("description=b'words'", "description must not be empty"),
    ("isolation='subprocess'", "isolation must be a SubprocessIsolation or None, got 'subprocess'"),
    ("max_failure_ratio=float('nan')", "max_failure_ratio must lie between 0 and 1, got nan"),
    ("version=1.0", "version must be a non-empty string"),
]


@pytest.mark.parametrize(("says", "expected"), ROWS, ids=[says for says, _ in ROWS])
def test_metadata_of_the_wrong_kind_name_the_field_and_the_rule(site: Site, says: str, expected: str) -> None:
    site.install("lab", f"def register():\n    return one({says})\n")

    (problem,) = site.load().plan.problems

    assert expected in problem.message
    assert problem.message.startswith("stage type ")
