"""OBO files: terms with names, synonyms of the right scope, and what became of obsolete ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.vocabulary.concepts import Concept
from medkg_dagster.vocabulary.readers import obo
from medkg_dagster_tests.vocabulary.readers.reading import (
    NAMES,
    check_cost,
    check_hostile_inputs,
    left_out,
    read,
    real,
    refusal,
)

HEAD = "format-version: 1.2\nontology: doid\n\n"

TERMS = (
    HEAD
    + r"""[Term]
id: DOID:1
name: ill\, all over {comment="a note"}
alt_id: DOID:11
def: "Being ill."
synonym: "the \"grip\"" EXACT [X:1]
synonym: "malaise" RELATED []
synonym: "state" BROAD []
synonym: "very ill" NARROW []
xref: MSH:D000001 "Ill"
xref: UMLS_CUI:C0000001 {source="MONDO:equivalentTo"}
xref: OMIM:1 {source="MONDO:relatedTo"}
xref: http://example.org/1
property_value: exactMatch "NCI:C1" xsd:string
relationship: has_role CHEBI:7 ! a role
relationship: is_conjugate_base_of CHEBI:8 ! its acid
relationship: part_of DOID:2 ! another

[Term]
id: DOID:2
name: ill at night
is_a: DOID:1 ! ill

[Term]
id: DOID:3
name: obsolete ill by night
alt_id: DOID:33
is_obsolete: true
replaced_by: DOID:4

[Term]
id: DOID:4
is_obsolete: true
replaced_by: DOID:2

[Term]
id: DOID:5
name: obsolete nothing
is_obsolete: true

[Term]
id: CL:1
name: cell

[Typedef]
id: part_of
name: part of
"""
)


def test_terms_are_read_with_their_names_references_and_parents(tmp_path: Path) -> None:
    ill, at_night = read(tmp_path, "obo", TERMS)

    assert ill == Concept(
        "DOID:1",
        "ill, all over",
        "biolink:Disease",
        synonyms=('the "grip"', "malaise"),
        same_as=("MESH:D000001", "UMLS:C0000001", "NCIT:C1"),
        roles=("CHEBI:7",),
        close=("CHEBI:8",),
        former=("DOID:11",),
    )
    assert at_night.parents == ("DOID:1",)


def test_ids_of_obsolete_terms_are_former_ids_of_what_replaced_them(tmp_path: Path) -> None:
    assert read(tmp_path, "obo", TERMS)[1].former == ("DOID:3", "DOID:33", "DOID:4")


def test_what_is_left_out_is_counted_by_its_reason(tmp_path: Path) -> None:
    assert left_out(tmp_path, "obo", TERMS) == {
        "broad synonyms": 1,
        "narrow synonyms": 1,
        "references to what is not the same": 1,
        "references that are no CURIE": 1,
        "obsolete terms": 3,
        "ids of obsolete terms that nothing replaced": 1,
        "terms of other ontologies": 1,
    }


def test_terms_that_replace_each_other_replace_nothing(tmp_path: Path) -> None:
    circle = "".join(
        f"[Term]\nid: DOID:{a}\nis_obsolete: true\nreplaced_by: DOID:{b}\n" for a, b in [(7, 8), (8, 7)]
    )
    assert [one.former for one in read(tmp_path, "obo", f"{HEAD}{circle}[Term]\nid: DOID:1\nname: a\n")] == [
        ()
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("[Term]\nid: DOID:1\nname: a\n\n[Term]\nid: DOID:1\nname: b\n", "9: DOID:1 is already on line 5"),
        ("[Term]\nid: DOID:1\n", "5: DOID:1 has no name"),
        ("[Term]\nname: a\n", "4: a [Term] without an id"),
        ("[Term]\nid: ill\nname: a\n", "5: 'ill' is not a CURIE"),
        ("[Term]\nid: DOID:1\nwhat is this\n", "6: 'what is this' is no `tag: value`"),
        (
            "[Term]\nid: DOID:1\nname: a\nsynonym: b EXACT\n",
            "7: the synonym 'b EXACT' is not in quotation marks",
        ),
        ("", "1: the file names no term"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(lines: str, said: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, "obo", HEAD + lines).startswith(said)


def test_a_cycle_is_named_with_the_line_of_its_first_term(tmp_path: Path) -> None:
    terms = "".join(
        f"[Term]\nid: DOID:{a}\nname: n\nis_a: DOID:{b}\n" for a, b in [(0, 1), (1, 2), (2, 3), (3, 1)]
    )
    said = refusal(tmp_path, "obo", HEAD + terms)
    assert said.startswith("9: a cycle, DOID:1 is_a DOID:2 is_a DOID:3 is_a DOID:1;")


def test_wrong_utf_8_is_told_with_its_line(tmp_path: Path) -> None:
    assert refusal(tmp_path, "obo", HEAD.encode() + b"[Term]\nid: DOID:1\nname: \xff\n").startswith(
        "6: not UTF-8"
    )


def test_what_may_befall_any_file_is_told(tmp_path: Path) -> None:
    check_hostile_inputs(tmp_path, "obo", TERMS)


def escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in '\\"{}!:,' else letter for letter in text)


@given(st.lists(st.tuples(NAMES, st.lists(NAMES, unique=True, max_size=3)), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read_back(tmp_path_factory: Any, terms: list[tuple[str, list[str]]]) -> None:
    written = HEAD
    for number, (name, synonyms) in enumerate(terms):
        written += f"[Term]\nid: DOID:{number}\nname: {escaped(name)}\n"
        written += "".join(f'synonym: "{escaped(one)}" EXACT []\n' for one in synonyms)

    found = read(tmp_path_factory.mktemp("obo"), "obo", written)

    assert [(one.name, list(one.synonyms)) for one in found] == [
        (name, [one for one in synonyms if one != name]) for name, synonyms in terms
    ]


def chain(size: int) -> str:
    return HEAD + "".join(
        f'[Term]\nid: DOID:{i}\nname: a\nsynonym: "b" EXACT []\nis_a: DOID:{i + 1}\n' for i in range(size)
    )


def replaced(size: int) -> str:
    return f"{HEAD}[Term]\nid: DOID:{size}\nname: a\n" + "".join(
        f"[Term]\nid: DOID:{i}\nis_obsolete: true\nreplaced_by: DOID:{i + 1}\n" for i in range(size)
    )


def open_quotes(size: int) -> str:
    return f'{HEAD}[Term]\nid: DOID:1\nname: a\nsynonym: "{"b" * size * 10}" \n'


@pytest.mark.parametrize("content", [chain, replaced, open_quotes])
def test_the_cost_grows_with_the_file(content: Any, tmp_path: Path) -> None:
    check_cost(tmp_path, "obo", content)


@pytest.mark.parametrize(("name", "count", "obsolete"), [("doid", 11_501, 2_481), ("hp", 11_673, 112)])
def test_public_ontologies_are_read_whole(name: str, count: int, obsolete: int) -> None:
    counts: Counter[str] = Counter()
    found = list(obo.read(real(f"{name}.obo.gz"), counts))

    assert len(found) == count
    assert counts["obsolete terms"] == obsolete
    assert {one.category for one in found} == {
        "biolink:Disease" if name == "doid" else "biolink:PhenotypicFeature"
    }
