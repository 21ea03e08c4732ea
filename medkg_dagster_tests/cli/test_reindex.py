import json
from pathlib import Path

import pytest

from medkg_dagster_tests.cli.conftest import Medkg, index_texts


def test_an_index_without_vectors_gets_some_and_loses_them_again(medkg: Medkg, home: Path) -> None:
    index_texts(home, embedder="none")

    made = medkg("reindex", "--embedder", "hashing", "--param", "dimension=64")

    assert made.exit_code == 0, made.output
    assert made.stdout.startswith("2 documents got vectors of hashing, 2 vectors made now\n")
    assert medkg("search", "dabrafenib", "--by", "hybrid").stdout.endswith(
        "by words and vectors of hashing\n"
    )
    again = json.loads(medkg("reindex", "--json").stdout)
    assert (again["documents"], again["made"]) == (0, 0)
    assert again["model"].startswith("hashing:")
    assert medkg("reindex", "--embedder", "none").stdout.startswith("2 documents got no vectors, 0 vectors")
    assert "medkg reindex --embedder NAME" in medkg("search", "dabrafenib", "--by", "hybrid").stderr


def test_documents_without_the_vectors_of_the_others_are_told_of(medkg: Medkg, home: Path) -> None:
    index_texts(home)
    index_texts(home, embedder="none", only=1)

    assert "1 document has no such vectors" in medkg("search", "dabrafenib", "--by", "hybrid").stderr
    assert medkg("reindex").stdout.startswith("1 document got vectors of hashing")
    assert not medkg("search", "dabrafenib", "--by", "hybrid").stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((), "no embedder is named; choose one with --embedder"),
        (("--param", "dimension=64"), "no embedder is named"),
        (("--embedder", "hashin"), "did you mean 'hashing'"),
        (("--embedder", "hashing", "--param", "dimension=3"), "greater than or equal to 16"),
        (("--embedder", "onnx", "--param", "folder=nowhere"), "nowhere has no model.onnx"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    medkg: Medkg, home: Path, given: tuple[str, ...], message: str
) -> None:
    index_texts(home, embedder="none")

    result = medkg("reindex", *given)

    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_a_home_without_an_index_is_one_sentence(medkg: Medkg) -> None:
    result = medkg("reindex", "--embedder", "hashing")

    assert result.exit_code == 1
    assert result.stderr.startswith("medkg: nothing indexed yet")


def test_the_index_in_postgresql_says_how_it_gets_other_vectors(
    medkg: Medkg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDKG_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")

    result = medkg("reindex", "--embedder", "hashing")

    assert result.exit_code == 1
    assert "name the embedder in the stage `embed`" in result.stderr
