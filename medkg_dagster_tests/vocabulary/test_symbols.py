"""Symbols of genes are compared without separators, and the places in a text stay known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.vocabulary.symbols import gaps, key_of, keyed

TEXTS = st.text(st.sampled_from("aBβαI1 -/.,(\u200b\u200fﬁİalph"), max_size=60)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("TNF-α", "TNFA"),
        ("TNF alpha", "TNFA"),
        ("IL 6", "IL6"),
        ("interleukin-6", "Interleukin 6"),
        ("HIF1alpha", "HIF-1α"),
    ],
)
def test_what_is_written_alike_has_one_key_and_no_gap_of_its_own(one: str, other: str) -> None:
    assert key_of(one) == key_of(other) != ""
    assert gaps(one) == gaps(other)


@pytest.mark.parametrize(
    ("one", "other"), [("in SC", "INSC"), ("proteins", "protein S"), ("G/C", "GC"), ("1.4-3.3", "14-3-3")]
)
def test_spaces_between_letters_strokes_and_full_stops_have_to_agree(one: str, other: str) -> None:
    assert key_of(one) == key_of(other)
    assert gaps(one) != gaps(other)


def test_a_name_does_not_go_on_behind_other_marks() -> None:
    assert key_of("IL, 6") == ""
    assert "\x00" in keyed("IL, 6").key


@given(TEXTS)
def test_every_word_of_a_text_is_at_its_place(text: str) -> None:
    found = keyed(text)

    ends = iter(found.ends.items())
    for place, start, word in found.begins:
        stop, end = next(ends)
        assert found.key[place:stop] == word == key_of(text[start:end])
        assert text[start:end].isalnum()
    assert sum(map(str.isalnum, text)) == sum(
        end - start for (_, start, _), end in zip(found.begins, found.ends.values(), strict=True)
    )
