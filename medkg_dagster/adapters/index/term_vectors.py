"""Terms as PostgreSQL keeps them: the `tsvector` of a passage.

A term is a number of 64 bits, written in eleven letters, digits and signs. The label of a position says what
it is of, so that a search weighs words of titles, and a phrase goes on from part to part of compounds.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medkg_dagster.adapters.index.analysis import Analyzer
from medkg_dagster.adapters.index.given import GivenDocument
from medkg_dagster.adapters.index.ranges import starts_of
from medkg_dagster.adapters.index.segment import IS_JOINED, TITLE_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PLAIN = "AD"
"""The labels of words and parts of compounds: in a title, in a text."""

JOINED = "BC"
"""Those of compounds as wholes."""

COUNTS = "ts_rank_cd('{0.5, 0.5, 1, 1}', terms, %(term)s::tsquery) * 2"
"""In SQL how often a passage has a term, in a title each time twice: of one term the sum of its weights."""

# PostgreSQL keeps no more positions of a word, and none behind the last.
_MOST_POSITIONS = 255
_LAST_POSITION = 16_383


@dataclass(frozen=True, slots=True)
class DocumentVectors:
    """The terms of a document.

    Attributes:
        passages: By passage, the title first, what is written as `tsvector`.
        length: How many terms it has, those of the title weighed.
    """

    passages: tuple[str, ...]
    length: int


def lexeme(term: int) -> str:
    """Return a term as it is written."""
    return urlsafe_b64encode(term.to_bytes(8, "big")).decode().rstrip("=")


def term_vectors(documents: Sequence[GivenDocument], analyzer: Analyzer) -> Iterator[DocumentVectors]:
    """Yield the terms of documents in their order."""
    terms, tokens, sizes = analyzer.encode(text for one in documents for text in one.texts)
    lexemes = {place: lexeme(int(terms[place])) for place in np.unique(tokens & ~IS_JOINED).tolist()}
    starts = starts_of(sizes).tolist()
    passage = 0
    for one in documents:
        count = 1 + len(one.chunks)
        written = tuple(
            _written(tokens[starts[number] : starts[number + 1]], lexemes, is_title=number == passage)
            for number in range(passage, passage + count)
        )
        title = starts[passage + 1] - starts[passage]
        length = starts[passage + count] - starts[passage] + (TITLE_WEIGHT - 1) * title
        yield DocumentVectors(written, length)
        passage += count


def _written(tokens: NDArray[np.uint32], lexemes: dict[int, str], *, is_title: bool) -> str:
    part, whole = (labels[0 if is_title else 1] for labels in (PLAIN, JOINED))
    joined = tokens >= IS_JOINED
    positions = np.minimum(np.cumsum(~joined), _LAST_POSITION).tolist()
    places: dict[int, list[str]] = {}
    for token, position, is_whole in zip(
        (tokens & ~IS_JOINED).tolist(), positions, joined.tolist(), strict=True
    ):
        places.setdefault(token, []).append(f"{max(1, position)}{whole if is_whole else part}")
    return " ".join(f"{lexemes[token]}:{','.join(at[:_MOST_POSITIONS])}" for token, at in places.items())
