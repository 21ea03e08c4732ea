"""Every test that the page on security names exists, and what is said to be untrusted is covered."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

from medkg_dagster_tests.conftest import REPOSITORY
from medkg_dagster_tests.docs.markdown import DOCS

PAGE = (DOCS / "security.md").read_text()
TESTS = REPOSITORY / "medkg_dagster_tests"
NAMED = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)


@functools.cache
def functions_of(file: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_test_it_names_exists() -> None:
    missing = [f"{file}::{name}" for file, name in NAMED if name not in functions_of(TESTS / file)]

    assert missing == []
    assert len(NAMED) > 50


def test_every_row_names_a_test() -> None:
    sections = PAGE.split("\n## ")[2:-1]
    rows = [line for section in sections for line in section.splitlines() if line.startswith("| ")]
    heads = {"| what may come | what prevents harm | shown by |", "| --- | --- | --- |"}

    assert [row for row in rows if row not in heads and ".py::test_" not in row] == []


def test_every_way_in_has_a_section() -> None:
    found = set(re.findall(r"^## (.+)$", PAGE, re.MULTILINE))

    assert {"YAML", "Plugins", "Documents", "URLs", "State", "SQL and queries", "The web"} <= found
