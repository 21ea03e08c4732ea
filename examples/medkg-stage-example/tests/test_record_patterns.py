"""Which patterns of record numbers a deployment may add."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medkg_stage_example.config import DeidentifyConfig
from medkg_stage_example.record_patterns import MAX_CHARACTERS, check_record_pattern
from pydantic import ValidationError


@pytest.mark.parametrize(
    "pattern",
    [
        r"\bHD-\d{4,6}\b",
        r"(?:HD|XY)-?\d{6}",
        r"[A-Z]{2}[0-9]{6,8}",
        r"(?<=No\. )\d{5}",
        r"(?P<n>\d{6})[+*]",
        "[]x]",
    ],
)
def test_patterns_with_bounded_repeats_are_accepted(pattern: str) -> None:
    assert check_record_pattern(pattern) == pattern


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(a+)+$", "upper bound"),
        ("[a-z]*1", "upper bound"),
        (r"\d{4,}", "upper bound"),
        (r"\d{1,9999}", "upper bound"),
        (r"(?:a{1,9}){1,9}", "a group cannot be repeated"),
        (r"(a|b)\1", "reference to a group"),
        (r"(?P<n>a)(?P=n)", "of groups only"),
        (r"(?x)a # [", "of groups only"),
        (r"\d{1,60}" * 4, "ways to match"),
        ("a?" * 20, "ways to match"),
        ("(", "no regular expression"),
        ("a?", "empty text"),
        ("", "empty text"),
        ("a" * (MAX_CHARACTERS + 1), "at most 200 characters"),
    ],
)
def test_other_patterns_are_refused_with_the_rule_they_break(pattern: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        DeidentifyConfig(record_patterns=(pattern,))


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab\\d[]()?{}1,3|.^$*+:=!<>P", max_size=40))
def test_any_text_is_a_safe_pattern_or_refused(pattern: str) -> None:
    try:
        check_record_pattern(pattern)
    except ValueError:
        return
    for text in ("a" * 2000, "ab" * 1000, "1" * 2000, "ab1" * 500 + "!"):
        begin = time.process_time()
        for _ in re.finditer(pattern, text):
            pass
        # What runs away on such texts takes longer than a life.
        assert time.process_time() - begin < 20
