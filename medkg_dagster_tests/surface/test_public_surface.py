"""What is public changes on purpose only, and what the docs show is public."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator

import pytest

from medkg_dagster_tests.conftest import REPOSITORY
from medkg_dagster_tests.docs.markdown import code_blocks
from medkg_dagster_tests.surface.snapshot import PUBLIC_PACKAGES, SNAPSHOT, public_names, public_surface

TEMPLATE = REPOSITORY / "medkg_dagster" / "cli" / "plugin_template"
PACKAGES_WITH_PRIVATE_MODULES = ("medkg_dagster.stage_api", "medkg_dagster.registry")


def test_the_public_surface_is_the_recorded_one() -> None:
    recorded, found = SNAPSHOT.read_text().splitlines(), public_surface().splitlines()

    changes = list(difflib.unified_diff(recorded, found, "recorded", "found", lineterm="", n=0))

    assert not changes, "\n".join(
        [*changes, "where this is meant: python -m medkg_dagster_tests.surface.snapshot, and CHANGELOG.md"]
    )


@pytest.mark.parametrize("package", PUBLIC_PACKAGES)
def test_a_public_name_does_not_begin_with_an_underscore(package: str) -> None:
    assert [name for name in public_names(package) if name.startswith("_")] in ([], ["__version__"])


def _shown_code() -> Iterator[tuple[str, str]]:
    """Yield the code that plugin authors copy from, each with its place."""
    for block in code_blocks("python"):
        yield f"{block.page}:{block.line}", block.text
    for path in sorted((REPOSITORY / "examples").rglob("*.py")):
        yield str(path.relative_to(REPOSITORY)), path.read_text()
    for path in (TEMPLATE / "package.txt", TEMPLATE / "stage.txt", TEMPLATE / "test.txt"):
        yield str(path.relative_to(REPOSITORY)), re.sub(r"\$\{?(\w+)\}?", r"\1", path.read_text())


@pytest.mark.parametrize("code", [pytest.param(code, id=place) for place, code in _shown_code()])
def test_what_docs_examples_and_the_scaffold_import_is_public(code: str) -> None:
    imported = [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("medkg_dagster")
        for alias in node.names
    ]

    for module, name in imported:
        assert module in PUBLIC_PACKAGES, f"{module} is not public"
        assert name in public_names(module), f"{module}.{name} is not public"


@pytest.mark.parametrize("package", PACKAGES_WITH_PRIVATE_MODULES)
def test_what_stands_behind_a_public_package_carries_an_underscore(package: str) -> None:
    folder = REPOSITORY / package.replace(".", "/")
    modules = [path.relative_to(folder).with_suffix("").parts for path in folder.rglob("*.py")]

    taken_for_public = {
        ".".join((package, *parts)).removesuffix(".__init__")
        for parts in modules
        if not any(part.startswith("_") and part != "__init__" for part in parts)
    }

    assert taken_for_public <= set(PUBLIC_PACKAGES)
