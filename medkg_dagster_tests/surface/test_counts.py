"""Counts with what they count: in the singular where there is one, wherever a message has them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import medkg_dagster
from medkg_dagster.errors import counted

_MANY = re.compile(r" [a-z]+s\b")


@pytest.mark.parametrize(
    ("number", "nouns", "said"),
    [
        (0, ("document",), "0 documents"),
        (1, ("document",), "1 document"),
        (1200, ("document",), "1,200 documents"),
        (1, ("change of edges", "changes of edges"), "1 change of edges"),
        (2, ("address", "addresses"), "2 addresses"),
        (1, ("is", "are"), "1 is"),
    ],
)
def test_one_is_counted_in_the_singular(number: int, nouns: tuple[str, ...], said: str) -> None:
    assert counted(number, *nouns) == said


def _uncounted(file: Path) -> Iterator[str]:
    """Yield what a module says of a length in the plural, whether it is one or not."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            for value, after in zip(node.values, node.values[1:], strict=False):
                is_length = isinstance(value, ast.FormattedValue) and ast.unparse(value.value).startswith(
                    "len("
                )
                if is_length and isinstance(after, ast.Constant) and _MANY.match(str(after.value)):
                    yield f"{file.name}:{node.lineno}: {ast.unparse(node)}"


def test_no_message_says_how_many_in_the_plural_without_looking() -> None:
    modules = sorted(Path(medkg_dagster.__file__).parent.rglob("*.py"))

    found = [said for file in modules for said in _uncounted(file)]

    assert len(modules) > 100
    assert found == []
