"""Which category a descriptor of MeSH has, also where no vocabulary that knows its place is installed.

`mesh_descriptors.zst` holds a byte for each number of a descriptor, the place of its category in `CODES`. It
is made of the tree numbers of MeSH, courtesy of the U.S. National Library of Medicine, which does not endorse
this project, by `scripts/mesh_descriptors.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import zstandard

CODES = (
    "",
    "biolink:Disease",
    "biolink:PhenotypicFeature",
    "biolink:ChemicalEntity",
    "biolink:Protein",
    "biolink:ChemicalRole",
    "biolink:AnatomicalEntity",
    "biolink:OrganismTaxon",
    "biolink:Procedure",
)
FILE = Path(__file__).with_suffix(".zst")
_DESCRIPTOR = re.compile(r"MESH:D(\d{6})")
_LEVEL = 19


def descriptor_category(curie: str) -> str | None:
    """Return the category of a descriptor; None for what is none, or of which the tree says nothing."""
    match = _DESCRIPTOR.fullmatch(curie)
    codes = _codes()
    number = int(match[1]) if match else 0
    return CODES[codes[number]] or None if number < len(codes) else None


def pack(categories: Mapping[str, str]) -> bytes:
    """Return what the file holds of descriptors by CURIE; other identifiers and categories are left out."""
    found = {
        int(match[1]): CODES.index(category)
        for curie, category in categories.items()
        if (match := _DESCRIPTOR.fullmatch(curie)) and category in CODES
    }
    codes = bytearray(max(found, default=0) + 1)
    for number, code in found.items():
        codes[number] = code
    return zstandard.ZstdCompressor(level=_LEVEL).compress(bytes(codes))


@cache
def _codes() -> bytes:
    return zstandard.ZstdDecompressor().decompress(FILE.read_bytes())
