"""Tables: one's own, DrugBank's vocabulary, HGNC's set, mappings, and nodes of a graph."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.vocabulary.concepts import Concept, Equivalence
from medkg_dagster.vocabulary.readers import drugbank_csv, sssom
from medkg_dagster_tests.vocabulary.readers.reading import (
    NAMES,
    check_cost,
    check_hostile_inputs,
    left_out,
    read,
    real,
    refusal,
)

TSV = "curie\tname\tcategory\tsynonyms\nX:1\tone\tbiolink:Disease\tfirst|1st|one\n\nX:2\ttwo\tbiolink:Gene\n"

DRUGBANK = (
    "DrugBank ID,Accession Numbers,Common name,CAS,UNII,Synonyms,Standard InChI Key\n"
    'DB1,OLD1 | OLD2,"curine, pure",50-00-0,AAAAAAAAAA,"curine, pure | curinum | 2,3-curine",KEY-A\n'
    "DB2,,placeboid,,,,\n"
)

HGNC = (
    "hgnc_id\tsymbol\tname\tlocus_type\tstatus\talias_symbol\tprev_symbol\tentrez_id\talias_name\n"
    'HGNC:1\tABC1\ta gene\tgene with protein product\tApproved\t"AB1|AB2"\tOLD1\t77\t\n'
    "HGNC:2\tABC2\tanother\tRNA, long non-coding\tApproved\t\t\t\t\n"
    "HGNC:3\tABC3~withdrawn\tgone\t\tEntry Withdrawn\t\t\t\t\n"
    "HGNC:4\tFRA1\ta site\tfragile site\tApproved\t\t\t\t\n"
)

SSSOM_HEADER = "subject_id\tpredicate_id\tobject_id\tmapping_justification\tpredicate_modifier\n"
SSSOM = (
    "# mapping_set_id: http://example.org/\n#curie_map:\n#  mesh: x\n"
    + SSSOM_HEADER
    + "MONDO:1\tskos:exactMatch\tmesh:D1\tsemapv:ManualMappingCuration\t\n"
    "MONDO:2\tskos:exactMatch\tmesh:D2\tsemapv:LexicalMatching\t\n"
    "MONDO:3\tskos:closeMatch\tmesh:D3\tsemapv:ManualMappingCuration\t\n"
    "MONDO:4\tskos:broadMatch\tmesh:D4\tsemapv:ManualMappingCuration\t\n"
    "MONDO:5\tskos:narrowMatch\tmesh:D5\tsemapv:ManualMappingCuration\t\n"
    "MONDO:6\tskos:exactMatch\tmesh:D6\tsemapv:ManualMappingCuration\tNot\n"
    "MONDO:7\tskos:exactMatch\tmesh:D7\t\t\n"
    "MONDO:8\tskos:exactMatch\tsssom:NoTermFound\tsemapv:ManualMappingCuration\t\n"
)

KGX_TABLE = (
    "id\tcategory\tname\tsynonym\txref\tsame_as\n"
    "MONDO:1\tbiolink:NamedThing|biolink:Disease\till\tsick|malaise\tDOID:1|nonsense\tMSH:D1\n"
    "X:1\t\tthing\n"
)
KGX_LINES = (
    '{"id": "MONDO:1", "name": "ill", "category": ["biolink:NamedThing", "biolink:Disease"],'
    ' "synonym": ["sick", "malaise"], "equivalent_identifiers": ["MONDO:1", "MSH:D1"], "xref": ["DOID:1"]}\n'
    '\n{"id": "X:1", "name": "thing", "deprecated": false}\n'
    '{"id": "X:2", "name": "old thing", "deprecated": true}\n'
)

WHOLE = {"tsv": TSV, "drugbank-csv": DRUGBANK, "hgnc-tsv": HGNC, "sssom": SSSOM, "kgx": KGX_TABLE}


def test_a_table_of_ones_own_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, "tsv", TSV) == [
        Concept("X:1", "one", "biolink:Disease", synonyms=("first", "1st")),
        Concept("X:2", "two", "biolink:Gene"),
    ]


def test_drugs_are_read_with_registry_numbers_and_former_ids(tmp_path: Path) -> None:
    assert read(tmp_path, "drugbank-csv", DRUGBANK) == [
        Concept(
            "DRUGBANK:DB1",
            "curine, pure",
            "biolink:ChemicalEntity",
            synonyms=("curinum", "2,3-curine"),
            same_as=("CAS:50-00-0", "UNII:AAAAAAAAAA", "INCHIKEY:KEY-A"),
            former=("DRUGBANK:OLD1", "DRUGBANK:OLD2"),
        ),
        Concept("DRUGBANK:DB2", "placeboid", "biolink:ChemicalEntity"),
    ]


def test_genes_are_read_with_the_symbols_that_they_have_and_had(tmp_path: Path) -> None:
    assert read(tmp_path, "hgnc-tsv", HGNC) == [
        Concept(
            "HGNC:1",
            "ABC1",
            "biolink:Gene",
            synonyms=("a gene", "AB1", "AB2", "OLD1"),
            same_as=("NCBIGene:77",),
        ),
        Concept("NCBIGene:77", "ABC1", "biolink:Gene", same_as=("HGNC:1",)),
        Concept("HGNC:2", "ABC2", "biolink:Gene", synonyms=("another",)),
    ]
    assert left_out(tmp_path, "hgnc-tsv", HGNC) == {"withdrawn entries": 1, "entries that are no genes": 1}


def test_exact_and_close_matches_are_equivalences_and_the_others_are_counted(tmp_path: Path) -> None:
    assert read(tmp_path, "sssom", SSSOM) == [
        Equivalence("MONDO:1", "MESH:D1", is_curated=True),
        Equivalence("MONDO:2", "MESH:D2"),
        Equivalence("MONDO:3", "MESH:D3"),
    ]
    assert left_out(tmp_path, "sssom", SSSOM) == {
        "mappings that are skos:broadMatch": 1,
        "mappings that are skos:narrowMatch": 1,
        "mappings that are denied": 1,
        "mappings without a justification": 1,
        "mappings to no term": 1,
    }


@pytest.mark.parametrize("content", [KGX_TABLE, KGX_LINES], ids=["table", "lines"])
def test_nodes_are_read_from_a_table_and_from_lines(content: str, tmp_path: Path) -> None:
    ill, thing = read(tmp_path, "kgx", content)

    assert (ill.curie, ill.name, ill.category) == ("MONDO:1", "ill", "biolink:Disease")
    assert ill.synonyms == ("sick", "malaise")
    assert sorted(ill.same_as) == ["DOID:1", "MESH:D1"]
    assert thing == Concept("X:1", "thing", "biolink:NamedThing")


def test_what_is_left_out_of_nodes_is_counted(tmp_path: Path) -> None:
    assert left_out(tmp_path, "kgx", KGX_TABLE) == {"references that are no CURIE": 1}
    assert left_out(tmp_path, "kgx", KGX_LINES) == {"deprecated nodes": 1}


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        (
            "tsv",
            "curie\tname\tcategories\n",
            "1: the header has no column 'category'; did you mean 'categories'?",
        ),
        ("tsv", TSV + "X:1\tone\tbiolink:Disease\n", "5: X:1 is already on line 2"),
        ("tsv", TSV + "X:3\t\tbiolink:Disease\n", "5: X:3 has no name"),
        ("tsv", TSV + "X3\tthree\tbiolink:Disease\n", "5: 'X3' is not a CURIE"),
        ("tsv", TSV + "X:3\tthree\tdisease\n", "5: 'disease' is not a Biolink category"),
        ("tsv", TSV + "X:3\tthree\n", "5: 2 fields; the header has 4"),
        ("tsv", TSV + "X:3\tthree\tbiolink:Disease\ta\tb\n", "5: 5 fields; the header has 4"),
        ("tsv", "curie\tname\tcategory\tsynonyms\n", "1: the file names no concept"),
        ("tsv", TSV.encode() + b"X:3\t\xe9\tbiolink:Disease\n", "5: not UTF-8"),
        ("drugbank-csv", DRUGBANK + 'DB3,,"open,,,,\n\n', "4: not a record of a table"),
        (
            "drugbank-csv",
            DRUGBANK + 'DB3,,"two\nlines",,,,\nDB3,,x,,,,\n',
            "6: DRUGBANK:DB3 is already on line 4",
        ),
        ("drugbank-csv", "DrugBank ID,Common Name,Synonyms\n", "1: the header has no column 'Common name'"),
        ("hgnc-tsv", HGNC + "HGNC:1\tX\tx\t\tApproved\n", "6: HGNC:1 is already on line 2"),
        ("sssom", SSSOM + "MONDO\tskos:exactMatch\tX:1\tsemapv:X\t\n", "13: 'MONDO' is not a CURIE"),
        ("sssom", "#a: b\nsubject_id\tpredicate\n", "2: the header has no column 'predicate_id'"),
        ("sssom", "#a: b\n" + SSSOM_HEADER, "1: the file names no mapping"),
        ("kgx", KGX_LINES + '{"id": "X:3"\n', "5: not JSON"),
        ("kgx", KGX_LINES + "[]\n", "5: not an object"),
        ("kgx", KGX_LINES + '{"id": "X:3"}\n', "5: X:3 has no name"),
        ("kgx", KGX_LINES + '{"id": 3, "name": "three"}\n', "5: '' is not a CURIE"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    kind: str, content: str | bytes, said: str, tmp_path: Path
) -> None:
    assert refusal(tmp_path, kind, content).startswith(said)


@pytest.mark.parametrize(("kind", "content"), WHOLE.items())
def test_what_may_befall_any_file_is_told(kind: str, content: str, tmp_path: Path) -> None:
    check_hostile_inputs(tmp_path, kind, content)


def write_tsv(concepts: list[Concept]) -> str:
    rows = (f"{one.curie}\t{one.name}\t{one.category}\t{'|'.join(one.synonyms)}\n" for one in concepts)
    return "curie\tname\tcategory\tsynonyms\n" + "".join(rows)


def write_drugbank(concepts: list[Concept]) -> str:
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(["DrugBank ID", "Common name", "Synonyms"])
    table.writerows(
        [one.curie.removeprefix("DRUGBANK:"), one.name, " | ".join(one.synonyms)] for one in concepts
    )
    return out.getvalue()


def write_hgnc(concepts: list[Concept]) -> str:
    out = io.StringIO()
    table = csv.writer(out, delimiter="\t")
    table.writerow(["hgnc_id", "symbol", "name", "status", "alias_symbol"])
    table.writerows([one.curie, one.name, "", "Approved", "|".join(one.synonyms)] for one in concepts)
    return out.getvalue()


def write_kgx_lines(concepts: list[Concept]) -> str:
    return "".join(
        json.dumps({"id": one.curie, "name": one.name, "category": [one.category], "synonym": one.synonyms})
        + "\n"
        for one in concepts
    )


def write_kgx_table(concepts: list[Concept]) -> str:
    rows = (f"{one.curie}\t{one.category}\t{one.name}\t{'|'.join(one.synonyms)}\n" for one in concepts)
    return "id\tcategory\tname\tsynonym\n" + "".join(rows)


WRITERS: list[tuple[str, str, str, Callable[[list[Concept]], str]]] = [
    ("tsv", "X", "biolink:Disease", write_tsv),
    ("drugbank-csv", "DRUGBANK", "biolink:ChemicalEntity", write_drugbank),
    ("hgnc-tsv", "HGNC", "biolink:Gene", write_hgnc),
    ("kgx", "MONDO", "biolink:Disease", write_kgx_lines),
    ("kgx", "MONDO", "biolink:Disease", write_kgx_table),
]
LISTED = NAMES.filter(lambda name: "|" not in name)


@pytest.mark.parametrize(("kind", "prefix", "category", "write"), WRITERS)
@given(st.lists(st.lists(LISTED, unique=True, min_size=1, max_size=4), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_what_is_written_is_read_back(
    tmp_path_factory: Any, kind: str, prefix: str, category: str, write: Any, names: list[list[str]]
) -> None:
    concepts = [
        Concept(f"{prefix}:{number}", first, category, synonyms=tuple(others))
        for number, (first, *others) in enumerate(names)
    ]
    assert read(tmp_path_factory.mktemp("table"), kind, write(concepts)) == concepts


@given(st.lists(st.tuples(st.integers(0), st.integers(0), st.booleans()), min_size=1))
@settings(max_examples=30, deadline=None)
def test_mappings_that_are_written_are_read_back(
    tmp_path_factory: Any, pairs: list[tuple[int, int, bool]]
) -> None:
    rows = "".join(
        f"MONDO:{one}\tskos:{'exact' if exact else 'close'}Match\t"
        f"MESH:{other}\tsemapv:ManualMappingCuration\t\n"
        for one, other, exact in pairs
    )
    assert read(tmp_path_factory.mktemp("table"), "sssom", SSSOM_HEADER + rows) == [
        Equivalence(f"MONDO:{one}", f"MESH:{other}", is_curated=exact) for one, other, exact in pairs
    ]


@pytest.mark.parametrize(("kind", "prefix", "category", "write"), WRITERS)
def test_the_cost_grows_with_the_file(
    kind: str, prefix: str, category: str, write: Callable[[list[Concept]], str], tmp_path: Path
) -> None:
    def content(size: int) -> str:
        return write([Concept(f"{prefix}:{i}", "name", category, ("a", "b")) for i in range(size)])

    check_cost(tmp_path, kind, content)


@pytest.mark.parametrize(("kind", "prefix", "category", "write"), WRITERS)
def test_the_cost_grows_with_a_record(
    kind: str, prefix: str, category: str, write: Callable[[list[Concept]], str], tmp_path: Path
) -> None:
    def content(size: int) -> str:
        return write([Concept(f"{prefix}:1", "name", category, tuple(map(str, range(size * 2))))])

    check_cost(tmp_path, kind, content)


def test_the_open_vocabulary_of_drugbank_is_read_whole() -> None:
    found = list(drugbank_csv.read(real("drugbank_vocabulary.csv")))

    assert len(found) == 19_842
    assert found[0].curie == "DRUGBANK:DB00001"
    assert "CAS:138068-37-8" in found[0].same_as


@pytest.mark.parametrize(
    ("name", "count", "is_curated"),
    [("mondo_exactmatch_mesh", 8_181, True), ("mondo_hasdbxref_mesh", 8_211, False)],
)
def test_public_mappings_are_read_whole(name: str, count: int, is_curated: bool) -> None:
    counts: Counter[str] = Counter()
    found = list(sssom.read(real(f"{name}.sssom.tsv"), counts))

    assert (len(found), counts) == (count, {})
    assert {one.is_curated for one in found} == {is_curated}
