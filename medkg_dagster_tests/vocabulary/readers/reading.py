"""Reads what a test wrote, as a file of some format."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from medkg_dagster.errors import VocabularyError
from medkg_dagster.vocabulary.concepts import Concept, Equivalence
from medkg_dagster.vocabulary.readers import find_reader
from medkg_dagster_tests.stages.test_growth import check_growth

REAL = Path(__file__).parents[4] / "shared" / "data" / "vocab"
"""Public files beside the checkout."""
TIMES = 8

NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12).map(
    lambda text: f"n{text}n"
)
"""Names of any letters and signs, of one word."""


def read(folder: Path, kind: str, content: str | bytes) -> list[Any]:
    """Write a file and read it."""
    path = folder / f"vocabulary.{kind}"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(find_reader(kind)(path, None))


def left_out(folder: Path, kind: str, content: str) -> dict[str, int]:
    """Return what is counted as left out."""
    path = folder / f"vocabulary.{kind}"
    path.write_text(content, encoding="utf-8")
    counts: Counter[str] = Counter()
    list(find_reader(kind)(path, counts))
    return dict(counts)


def refusal(folder: Path, kind: str, content: str | bytes) -> str:
    """Return why a file is refused, from the line on."""
    with pytest.raises(VocabularyError) as refused:
        read(folder, kind, content)
    start = f"vocabulary {folder / f'vocabulary.{kind}'}:"
    assert str(refused.value).startswith(start)
    assert ";" in str(refused.value), "the message says what to do"
    return str(refused.value).removeprefix(start)


def check_hostile_inputs(folder: Path, kind: str, content: str) -> None:
    """Check that what may befall any file is told with its line."""
    whole = read(folder, kind, content)
    packed = gzip.compress(content.encode())
    assert read(folder, kind, packed) == whole
    assert refusal(folder, kind, "").startswith("1: the file is empty")
    assert refusal(folder, kind, gzip.compress(b"")).startswith("1: the file is empty")
    assert "ends too early" in refusal(folder, kind, packed[:-12])
    assert "broken gzip" in refusal(folder, kind, packed[:10] + b"\xff" * 20)
    refusal(folder, kind, "some words\nthat are no vocabulary\n")
    refusal(folder, kind, b"\x00" * 1000)


def check_cost(folder: Path, kind: str, content: Callable[[int], str]) -> None:
    """Check that a file of eight times the size takes no more than thrice eight times as long."""
    for name, size in (("small", 300), ("large", TIMES * 300)):
        (folder / name).write_text(content(size), encoding="utf-8")

    def work(name: str) -> list[Concept | Equivalence]:
        return list(find_reader(kind)(folder / name, None))

    work("small")
    check_growth(partial(work, "small"), partial(work, "large"))


def real(name: str) -> Path:
    """Return a public file; a test that needs it is skipped where it is absent."""
    path = REAL / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path
