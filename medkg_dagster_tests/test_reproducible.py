"""The suite's own randomness: a result depends on the commit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def test_examples_do_not_depend_on_the_modules_that_tests_before_have_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not settings().derandomize:
        pytest.skip("this run explores")
    drawn: list[tuple[str, int]] = []

    @given(st.text(), st.integers())
    def collect(text: str, number: int) -> None:
        drawn.append((text, number))

    collect()
    before = drawn.copy()
    drawn.clear()
    (tmp_path / "just_imported.py").write_text(
        "\n".join(f"x{number} = 'word {number}', {number + 8_000}" for number in range(200))
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "just_imported", raising=False)
    __import__("just_imported")
    collect()

    assert drawn == before
