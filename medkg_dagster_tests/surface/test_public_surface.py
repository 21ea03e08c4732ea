"""What is public changes on purpose only, and what the docs show is public."""

from __future__ import annotations

import ast
import difflib

import pytest

from medkg_dagster_tests.docs.markdown import CodeBlock, code_blocks
from medkg_dagster_tests.surface.snapshot import PUBLIC_PACKAGES, SNAPSHOT, public_names, public_surface


def test_the_public_surface_is_the_recorded_one() -> None:
    recorded, found = SNAPSHOT.read_text().splitlines(), public_surface().splitlines()

    changes = list(difflib.unified_diff(recorded, found, "recorded", "found", lineterm="", n=0))

    assert not changes, "\n".join(
        [*changes, "where this is meant: python -m medkg_dagster_tests.surface.snapshot, and CHANGELOG.md"]
    )


@pytest.mark.parametrize("package", PUBLIC_PACKAGES)
def test_a_public_name_does_not_begin_with_an_underscore(package: str) -> None:
    assert [name for name in public_names(package) if name.startswith("_")] in ([], ["__version__"])


@pytest.mark.parametrize("block", list(code_blocks("python")), ids=lambda block: f"{block.page}:{block.line}")
def test_what_the_docs_import_is_public(block: CodeBlock) -> None:
    imported = [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(block.text))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("medkg_dagster")
        for alias in node.names
    ]

    for module, name in imported:
        assert module in PUBLIC_PACKAGES, f"{module} is not public"
        assert name in public_names(module), f"{module}.{name} is not public"
