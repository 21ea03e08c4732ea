"""Whatever happens to a file, it is read or refused with its line: no reader breaks."""

from __future__ import annotations

import contextlib
import gzip
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.errors import VocabularyError
from medkg_dagster_tests.vocabulary.readers.reading import read
from medkg_dagster_tests.vocabulary.readers.test_mesh import ASCII, DESCRIPTOR, descriptors
from medkg_dagster_tests.vocabulary.readers.test_obo import TERMS
from medkg_dagster_tests.vocabulary.readers.test_obograph import GRAPH
from medkg_dagster_tests.vocabulary.readers.test_tables import KGX_LINES, WHOLE

FILES = [
    *WHOLE.items(),
    ("kgx", KGX_LINES),
    ("mesh-ascii", ASCII),
    ("mesh-xml", descriptors(DESCRIPTOR)),
    ("obo", TERMS),
    ("obograph", GRAPH),
]
PIECES = st.binary(max_size=6) | st.sampled_from(
    [
        b'"',
        b"\t",
        b"\n",
        b"\r",
        b"\\",
        b"|",
        b"{",
        b"null",
        b"[]",
        b"\xe2\x80\xa8",
        b"\x00",
        b"]]>",
        b"&x;",
        b"<!--",
    ]
)


@pytest.mark.parametrize(("kind", "content"), FILES)
@given(st.integers(0, 4_000), st.integers(0, 30), PIECES, st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_is_read_or_refused(
    tmp_path_factory: Any, kind: str, content: str, start: int, length: int, piece: bytes, is_packed: bool
) -> None:
    whole = gzip.compress(content.encode()) if is_packed else content.encode()
    at = start % len(whole)
    damaged = whole[:at] + piece + whole[at + length :]

    with contextlib.suppress(VocabularyError):
        read(tmp_path_factory.mktemp("damage"), kind, damaged)
