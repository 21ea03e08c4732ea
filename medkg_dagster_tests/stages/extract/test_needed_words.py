"""What a pattern needs stands in whatever it fits, and is told of patterns as relations are written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.stages.extract.needed_words import needed_words
from medkg_dagster.stages.extract.phrases import GENE_AFTER, MODIFIED, NAMED, NOUN, without_phrases

_PIECES = st.sampled_from(["ab", "c", " d", "-e", r"\.", r"\d", "[a-c]", "[^]x]", ".", "(?P<no>not )"])
_REPEATED = st.sampled_from(["?", "*", "+", "{2}", "{0,2}", "{1,2}", "{,2}", "*?", "+?", "??"])


def _composed(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda several: f"(?:{'|'.join(several)})"),
        st.tuples(inner, _REPEATED).map(lambda one: f"(?:{one[0]}){one[1]}"),
        st.tuples(st.sampled_from(["b", "fg"]), _REPEATED).map("".join),
        inner.map(lambda one: f"(?!{one}zz)"),
    )


@given(st.recursive(_PIECES, _composed, max_leaves=12), st.data())
def test_one_of_each_set_of_words_stands_in_whatever_a_pattern_fits(
    pattern: str, data: st.DataObject
) -> None:
    # A name stands once in a pattern.
    unnamed = pattern.replace("(?P<no>", "(?:")
    text = data.draw(st.from_regex(unnamed, fullmatch=True))

    assert re.fullmatch(unnamed, text)
    for words in needed_words(pattern):
        assert any(word in text for word in words), (words, text)


@pytest.mark.parametrize(
    ("pattern", "needed"),
    [
        ("(?:is|are) caused? by", [{"is", "are"}, {" cause"}, {" by"}]),
        ("(?:lowers?|rais(?:es|ed)) the", [{"lower", "rais"}, {" the"}]),
        ("(?:lowers?|[a-z]+) the", [{" the"}]),
        ("(?P<no>not )?(?:leads? to){1,2}", [{"lead"}, {" to"}]),
        ("(?!fewer)more(?<!no more)(?=of)", [{"more"}, {"of"}]),
        (r"e\.g\.,? (?:up-?regulates)+", [{"e.g."}, {"up"}, {"regulates"}]),
        ("(?:by)*x", []),
    ],
)
def test_the_words_are_told_of_groups_alternatives_repetitions_and_lookarounds(
    pattern: str, needed: list[set[str]]
) -> None:
    assert [set(words) for words in needed_words(pattern)] == needed


def test_nothing_of_the_phrases_around_a_mention_is_needed() -> None:
    whole = f"{GENE_AFTER} (?:binds?|bound) to {MODIFIED}{NOUN}{{0,3}}?genes of {NAMED}"

    assert without_phrases(whole) == ". (?:binds?|bound) to ..{0,3}?genes of ."
    assert needed_words(whole) == needed_words(without_phrases(whole))
