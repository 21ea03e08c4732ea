import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.cli import main
from medkg_dagster.domain.search import excerpt
from medkg_dagster_tests.cli.conftest import Medkg, index_texts

words = st.lists(st.text(alphabet="abcdeé", min_size=1, max_size=9), max_size=200)


@pytest.mark.usefixtures("indexed_home")
def test_the_best_document_comes_first_with_title_place_and_text(medkg: Medkg) -> None:
    result = medkg("search", "melanoma", "dabrafenib")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "1. Dabrafenib in melanoma"
    assert lines[1] == "   PMID:1 · Results"
    assert lines[2] == "   Dabrafenib improved survival in melanoma with BRAF V600E."
    assert lines[-1] == "1 of 1 document, by words"


@pytest.mark.usefixtures("indexed_home")
def test_matches_are_marked_in_a_terminal_only(medkg: Medkg) -> None:
    assert "\x1b[" not in medkg("search", "melanoma").output
    coloured = CliRunner().invoke(main, ["search", "melanoma"], color=True).output
    assert "\x1b[33m\x1b[1mmelanoma\x1b[0m" in coloured


@pytest.mark.usefixtures("indexed_home")
def test_results_are_limited_and_come_as_json(medkg: Medkg) -> None:
    found = json.loads(medkg("search", "survival", "--limit", "1", "--json").stdout)
    assert found["total"] == 2
    assert len(found["hits"]) == 1
    (hit,) = found["hits"]
    assert {"document", "passage", "score", "title_marks"} <= set(hit)
    start, end = hit["passage"]["marks"][0]
    assert hit["passage"]["text"][start:end].lower() == "survival"


@pytest.mark.usefixtures("indexed_home")
@pytest.mark.parametrize("query", ['"', "AND OR NOT", "a*b)(", "-", "💊", "x" * 900])
def test_any_text_is_a_query(medkg: Medkg, query: str) -> None:
    assert medkg("search", "--", query).exit_code == 0


def test_words_alone_are_searched_where_the_embedder_is_gone(medkg: Medkg, home: Path) -> None:
    index_texts(home, model="uninstalled:{}")
    result = medkg("search", "dabrafenib")
    assert result.exit_code == 0
    assert (
        "only words were searched for, the query has no vector: unknown embedder 'uninstalled'"
        in result.stderr
    )
    assert result.stdout.startswith("1. Dabrafenib in melanoma")
    assert result.stdout.endswith("1 of 1 document, by words\n")


def test_who_asks_for_vectors_where_there_are_none_is_told_how_to_get_some(medkg: Medkg, home: Path) -> None:
    index_texts(home, embedder="none")
    asked, plain = medkg("search", "dabrafenib", "--by", "hybrid"), medkg("search", "dabrafenib")
    assert asked.stdout == plain.stdout
    assert plain.stdout.endswith("1 of 1 document, by words\n")
    assert asked.stderr.startswith(
        "medkg: the index has no vectors, so that only words were searched for; choose"
    )
    assert not plain.stderr
    assert json.loads(medkg("search", "dabrafenib", "--by", "hybrid", "--json").stdout)["cut"]


@pytest.mark.usefixtures("indexed_home")
def test_lexical_vectors_rank_only_where_that_is_asked_for(medkg: Medkg) -> None:
    assert medkg("search", "dabrafenib").stdout.endswith("by words\n")
    assert medkg("search", "dabrafenib", "--by", "words").stdout.endswith("by words\n")
    assert medkg("search", "dabrafenib", "--by", "hybrid").stdout.endswith(
        "by words and vectors of hashing\n"
    )


@given(words, st.integers(min_value=20, max_value=200))
def test_an_excerpt_is_part_of_the_text_and_no_longer_than_asked(text: list[str], length: int) -> None:
    whole = " ".join(text)
    marks = [match.span() for match in re.finditer("abc", whole)]
    cut = excerpt(whole, marks, length)
    inner = cut.removeprefix("… ").removesuffix(" …")
    assert inner in whole
    assert len(inner) <= length


def test_an_excerpt_shows_where_most_words_are() -> None:
    text = "melanoma " + "filler " * 200 + "dabrafenib helps in melanoma " + "filler " * 200
    cut = excerpt(text, [match.span() for match in re.finditer("dabrafenib|melanoma", text)], 320)
    assert "dabrafenib helps in melanoma" in cut
    assert cut.startswith("… ")
    assert cut.endswith(" …")
