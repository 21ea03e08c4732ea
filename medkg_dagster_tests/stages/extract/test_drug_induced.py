"""A disease that a chemical brought about is the drug-induced one, in all of the document."""

from __future__ import annotations

from pathlib import Path

import pytest

from medkg_dagster_tests.stages.extract.test_installed import found, install

TERMS = (
    ("X:1", "mildium", "biolink:ChemicalEntity", ""),
    ("X:2", "grumps", "biolink:Disease", "moods"),
    ("X:3", "drug-induced grumps", "biolink:Disease", ""),
    ("X:4", "hypersensitivity", "biolink:Disease", ""),
    ("X:5", "drug hypersensitivity", "biolink:Disease", ""),
    ("X:6", "frets", "biolink:Disease", ""),
)


@pytest.mark.parametrize(
    ("text", "diseases"),
    [
        ("Mildium-induced grumps. The grumps passed.", ["X:3", "X:3"]),
        ("Moods were caused by mildium.", ["X:3"]),
        ("She had hypersensitivity reactions to high doses of mildium.", ["X:5"]),
        ("Mildium-induced frets.", ["X:6"]),
        ("Mildium was given for grumps. The grumps passed.", ["X:2", "X:2"]),
        ("Grumps alone, and mildium.", ["X:2"]),
    ],
)
def test_a_disease_is_read_as_drug_induced_where_a_chemical_brought_it_about(
    tmp_path: Path, text: str, diseases: list[str]
) -> None:
    install(tmp_path / "home", *TERMS)

    entities = found(tmp_path / "home", text)

    assert [one.curie for one in entities if one.category == "biolink:Disease"] == diseases
