"""MeSH in XML and in ASCII: descriptors by their place in the tree, supplementary records by their class."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.vocabulary.concepts import Concept
from medkg_dagster.vocabulary.readers import mesh_xml
from medkg_dagster_tests.vocabulary.readers.reading import (
    NAMES,
    check_cost,
    check_hostile_inputs,
    left_out,
    read,
    refusal,
)

HEAD = (
    '<?xml version="1.0"?>\n'
    '<!DOCTYPE DescriptorRecordSet SYSTEM "https://example.invalid/descriptors.dtd">\n'
    "<DescriptorRecordSet>\n"
)

DESCRIPTOR = """<DescriptorRecord DescriptorClass="1">
 <DescriptorUI>D1</DescriptorUI>
 <DescriptorName><String>Curine</String></DescriptorName>
 <PharmacologicalActionList><PharmacologicalAction><DescriptorReferredTo>
  <DescriptorUI>D9</DescriptorUI><DescriptorName><String>Cures</String></DescriptorName>
 </DescriptorReferredTo></PharmacologicalAction></PharmacologicalActionList>
 <TreeNumberList><TreeNumber>D02.1</TreeNumber><TreeNumber>D03.2</TreeNumber></TreeNumberList>
 <ConceptList>
  <Concept PreferredConceptYN="Y"><ConceptName><String>Curine</String></ConceptName>
   <RegistryNumber>AAAAAAAAAA</RegistryNumber>
   <TermList>
    <Term RecordPreferredTermYN="Y" IsPermutedTermYN="N"><String>Curine</String></Term>
    <Term IsPermutedTermYN="Y"><String>Acid, Curic</String></Term>
    <Term IsPermutedTermYN="N"><String>Curic &amp; Acid</String></Term>
   </TermList></Concept>
  <Concept PreferredConceptYN="N"><RegistryNumber>50-00-0</RegistryNumber>
   <TermList><Term><String>Curine Hydrochloride</String></Term></TermList></Concept>
 </ConceptList>
</DescriptorRecord>
"""

SUPPLEMENTARY = """<?xml version="1.0"?>
<SupplementalRecordSet>
<SupplementalRecord SCRClass="3">
 <SupplementalRecordUI>C1</SupplementalRecordUI>
 <SupplementalRecordName><String>Rare illness</String></SupplementalRecordName>
 <HeadingMappedToList><HeadingMappedTo><DescriptorReferredTo><DescriptorUI>*D5</DescriptorUI>
 </DescriptorReferredTo></HeadingMappedTo></HeadingMappedToList>
 <ConceptList><Concept PreferredConceptYN="Y"><RegistryNumber>0</RegistryNumber>
  <TermList><Term><String>Rare disease</String></Term></TermList></Concept></ConceptList>
</SupplementalRecord>
<SupplementalRecord SCRClass="1">
 <SupplementalRecordUI>C2</SupplementalRecordUI>
 <SupplementalRecordName><String>Substance X</String></SupplementalRecordName>
</SupplementalRecord>
</SupplementalRecordSet>
"""

ASCII = """*NEWRECORD
RECTYPE = D
MH = Curine
AQ = AD AE
PRINT ENTRY = Curic Acid|T109|NON|EQV|NLM (1990)|900101|abcdef
ENTRY = Curine Hydrochloride
MN = D02.1
MN = D03.2
RN = AAAAAAAAAA
PA = Cures
UI = D1

*NEWRECORD
RECTYPE = D
MH = Illness
MN = C10.2
UI = D5

*NEWRECORD
RECTYPE = C
NM = Rare illness
SY = Rare disease|T047|EQV
HM = *Illness/drug therapy
UI = C1

*NEWRECORD
RECTYPE = C
NM = Substance X
RN = 50-00-0
HM = Elsewhere
UI = C2

*NEWRECORD
RECTYPE = C
NM = Rarest illness
ST = T047
UI = C3

*NEWRECORD
RECTYPE = Q
SH = therapy
UI = Q1
"""

CURINE = Concept(
    "MESH:D1",
    "Curine",
    "biolink:ChemicalEntity",
    same_as=("UNII:AAAAAAAAAA",),
    tree_numbers=("D02.1", "D03.2"),
)


def descriptors(*records: str) -> str:
    return f"{HEAD}{''.join(records)}</DescriptorRecordSet>\n"


def record(identifier: str, name: str, *terms: str, trees: str = "") -> str:
    written = "".join(f"<Term><String>{escape(term)}</String></Term>" for term in terms)
    return (
        f"<DescriptorRecord>\n<DescriptorUI>{identifier}</DescriptorUI>\n"
        f"<DescriptorName><String>{escape(name)}</String></DescriptorName>{trees}\n"
        f"<ConceptList><Concept><TermList>{written}</TermList></Concept></ConceptList>\n</DescriptorRecord>\n"
    )


def test_descriptors_are_read_with_entry_terms_tree_numbers_and_actions(tmp_path: Path) -> None:
    (found,) = read(tmp_path, "mesh-xml", descriptors(DESCRIPTOR))

    assert found == Concept(
        *(CURINE.curie, CURINE.name, CURINE.category),
        synonyms=("Curic & Acid", "Curine Hydrochloride"),
        same_as=CURINE.same_as,
        tree_numbers=CURINE.tree_numbers,
        roles=("MESH:D9",),
    )
    assert left_out(tmp_path, "mesh-xml", descriptors(DESCRIPTOR)) == {"permuted terms": 1}


def test_supplementary_records_are_what_their_class_says(tmp_path: Path) -> None:
    assert read(tmp_path, "mesh-xml", SUPPLEMENTARY) == [
        Concept(
            "MESH:C1", "Rare illness", "biolink:Disease", synonyms=("Rare disease",), parents=("MESH:D5",)
        ),
        Concept("MESH:C2", "Substance X", "biolink:ChemicalEntity"),
    ]


def test_records_in_ascii_are_read_and_take_the_category_of_their_headings(tmp_path: Path) -> None:
    assert read(tmp_path, "mesh-ascii", ASCII) == [
        Concept(
            *(CURINE.curie, CURINE.name, CURINE.category),
            synonyms=("Curine Hydrochloride", "Curic Acid"),
            same_as=CURINE.same_as,
            tree_numbers=CURINE.tree_numbers,
        ),
        Concept("MESH:D5", "Illness", "biolink:Disease", tree_numbers=("C10.2",)),
        Concept(
            "MESH:C1", "Rare illness", "biolink:Disease", synonyms=("Rare disease",), parents=("MESH:D5",)
        ),
        Concept("MESH:C2", "Substance X", "biolink:ChemicalEntity", same_as=("CAS:50-00-0",)),
        Concept("MESH:C3", "Rarest illness", "biolink:Disease"),
    ]
    assert left_out(tmp_path, "mesh-ascii", ASCII) == {
        "headings that the file does not describe before they are named": 2,
        "qualifiers": 1,
    }


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("mesh-xml", descriptors(record("D1", "a"), record("D1", "b")), "9: MESH:D1 is already on line 4"),
        ("mesh-xml", descriptors(record("D1", "")), "4: MESH:D1 has no name"),
        ("mesh-xml", descriptors(record("", "a")), "4: the record 'a' has no identifier"),
        ("mesh-xml", descriptors(record("D 1", "a")), "4: 'MESH:D 1' is not a CURIE"),
        (
            "mesh-xml",
            descriptors(record("D1", "a").replace(">a<", ">&alpha;<")),
            "4: the record refers to &alpha;",
        ),
        ("mesh-xml", descriptors(), "1: the file names no record"),
        ("mesh-xml", "<Other>\n</Other>\n", "1: the file names no record"),
        ("mesh-xml", HEAD + record("D1", "a") + "<DescriptorRecord>\n", "10: not well-formed XML"),
        ("mesh-xml", descriptors("<DescriptorRecord>\n\n</Other>"), "6: not well-formed XML"),
        ("mesh-xml", HEAD.encode() + b"<DescriptorRecord>\n\xff", "5: not well-formed XML"),
        ("mesh-ascii", ASCII + "\n*NEWRECORD\nMH = a\nUI = D1\n", "44: MESH:D1 is already on line 1"),
        ("mesh-ascii", ASCII + "\n*NEWRECORD\nUI = D2\n", "44: MESH:D2 has no name"),
        ("mesh-ascii", ASCII + "\n*NEWRECORD\nMH = a\n", "44: the record 'a' has no identifier"),
        ("mesh-ascii", "MH = a\n", "1: 'MH = a' is no `ELEMENT = value` of a record"),
        ("mesh-ascii", ASCII.encode() + b"MH = \xe9\n", "43: not UTF-8"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    kind: str, content: str | bytes, said: str, tmp_path: Path
) -> None:
    assert refusal(tmp_path, kind, content).startswith(said)


@pytest.mark.parametrize(
    ("kind", "content"), [("mesh-xml", descriptors(DESCRIPTOR)), ("mesh-ascii", ASCII)], ids=["xml", "ascii"]
)
def test_what_may_befall_any_file_is_told(kind: str, content: str, tmp_path: Path) -> None:
    check_hostile_inputs(tmp_path, kind, content)


BOMB = '<!ENTITY e0 "bomb">' + "".join(f'<!ENTITY e{i + 1} "' + f"&e{i};" * 10 + '">' for i in range(9))


@pytest.mark.parametrize(
    "root", ["<DescriptorRecordSet>&e9;", '<DescriptorRecordSet x="&e9;">', "<Other>&e9;"]
)
def test_an_xml_bomb_is_refused(root: str, tmp_path: Path) -> None:
    content = f"<!DOCTYPE DescriptorRecordSet [{BOMB}]>\n{root}{record('D1', 'a')}</DescriptorRecordSet>"
    said = refusal(tmp_path, "mesh-xml", content)
    assert "declares entities" in said or "entity amplification" in said


def test_a_file_is_never_reached_through_an_entity(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret words")
    name = "<DescriptorName><String>&outside;</String></DescriptorName>"
    said = refusal(
        tmp_path,
        "mesh-xml",
        f'<!DOCTYPE DescriptorRecordSet [<!ENTITY outside SYSTEM "{secret}">]>\n<DescriptorRecordSet>'
        f"<DescriptorRecord><DescriptorUI>D1</DescriptorUI>{name}</DescriptorRecord></DescriptorRecordSet>",
    )
    assert "declares entities" in said


def test_lines_beyond_65535_are_told_truly(tmp_path: Path) -> None:
    content = descriptors("\n" * 70_000, record("D1", "a"), record("D1", "b"))
    assert refusal(tmp_path, "mesh-xml", content).startswith("70009: MESH:D1 is already on line 70004")


def test_one_record_is_held_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "descriptors.xml"
    path.write_text(descriptors(*(record(f"D{i}", "a", "b" * 5_000) for i in range(2_000))))

    tracemalloc.start()
    count = sum(1 for _ in mesh_xml.read(path))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 2_000
    assert most < path.stat().st_size / 4


def write_ascii(names: list[list[str]]) -> str:
    lines = []
    for number, (first, *others) in enumerate(names):
        lines += ["*NEWRECORD", "RECTYPE = D", f"MH = {first}", f"UI = D{number}"]
        lines += [f"ENTRY = {one}|T109|EQV|abd" for one in others]
    return "\n".join((*lines, ""))


def write_xml(names: list[list[str]]) -> str:
    return descriptors(*(record(f"D{number}", *written) for number, written in enumerate(names)))


WRITERS: list[tuple[str, Callable[[list[list[str]]], str]]] = [
    ("mesh-xml", write_xml),
    ("mesh-ascii", write_ascii),
]
LISTED = NAMES.filter(lambda name: "|" not in name and "\ufffe" not in name and "\uffff" not in name)


@pytest.mark.parametrize(("kind", "write"), WRITERS)
@given(st.lists(st.lists(LISTED, unique=True, min_size=1, max_size=4), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_what_is_written_is_read_back(
    tmp_path_factory: Any, kind: str, write: Any, names: list[list[str]]
) -> None:
    found = read(tmp_path_factory.mktemp("mesh"), kind, write(names))

    assert [list(one.names) for one in found] == names


@pytest.mark.parametrize(("kind", "write"), WRITERS)
def test_the_cost_grows_with_the_file(
    kind: str, write: Callable[[list[list[str]]], str], tmp_path: Path
) -> None:
    check_cost(tmp_path, kind, lambda size: write([["name", "a", "b"]] * size))


@pytest.mark.parametrize(("kind", "write"), WRITERS)
def test_the_cost_grows_with_a_record(
    kind: str, write: Callable[[list[list[str]]], str], tmp_path: Path
) -> None:
    check_cost(tmp_path, kind, lambda size: write([["name", *map(str, range(size * 2))]]))
