"""Which terms stand where in an index in PostgreSQL, at one moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Connection

from medkg_dagster.adapters.index.analysis import Analyzer
from medkg_dagster.adapters.index.ranges import starts_of
from medkg_dagster.adapters.index.segment import IS_JOINED
from medkg_dagster.adapters.index.snapshot import Passages, Postings
from medkg_dagster.adapters.index.term_vectors import COUNTS, JOINED, PLAIN, lexeme

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OTHER_TERM = -1

_POSTINGS = f"""
    SELECT found.document, found.times, index_documents.length
    FROM (
        SELECT document, sum({COUNTS}) AS times FROM index_terms
        WHERE terms @@ %(term)s::tsquery GROUP BY document
    ) AS found JOIN index_documents ON number = found.document
    ORDER BY found.document
"""  # noqa: S608 - made of a constant

_PHRASE = "SELECT DISTINCT document FROM index_terms WHERE terms @@ %(phrase)s::tsquery ORDER BY document"

_PLACES = """
    SELECT document, place, word.lexeme, word.positions, word.weights
    FROM index_terms, LATERAL unnest(terms) AS word
    WHERE document = ANY(%(documents)s) AND terms @@ %(any)s::tsquery AND word.lexeme = ANY(%(terms)s)
    ORDER BY document, place
"""


class PostgresqlTerms:
    """The terms of all documents.

    Args:
        connection: A transaction that reads the index in one state.
        analyzer: What turns text into terms.
    """

    def __init__(self, connection: Connection, analyzer: Analyzer) -> None:
        self._connection = connection
        self._analyzer = analyzer
        self._postings: dict[int, Postings] = {}
        self._tokens: dict[tuple[int, int], tuple[NDArray[np.uint64], NDArray[np.bool_]]] = {}

    @cached_property
    def _totals(self) -> tuple[int, int, int]:
        row = self._connection.exec_driver_sql(
            "SELECT count(*), coalesce(sum(length), 0)::bigint, coalesce(max(number), -1) + 1 "
            "FROM index_documents WHERE passages > 0"
        ).one()
        return row[0], row[1], row[2]

    @property
    def documents(self) -> int:
        """How many documents there are that have passages."""
        return self._totals[0]

    @property
    def size(self) -> int:
        """One more than the highest number of a document."""
        return self._totals[2]

    @cached_property
    def _lengths(self) -> NDArray[np.float64]:
        """How many terms documents have; of those that no postings named yet, none."""
        return np.zeros(self.size)

    def postings(self, term: int) -> Postings:
        """Return the documents that have a term, in order."""
        if term not in self._postings:
            rows = self._connection.exec_driver_sql(_POSTINGS, {"term": lexeme(term)}).all()
            found = np.array([tuple(row) for row in rows], np.float64).reshape(-1, 3)
            documents = found[:, 0].astype(np.int64)
            self._lengths[documents] = found[:, 2]
            self._postings[term] = Postings(documents, np.rint(found[:, 1]))
        return self._postings[term]

    def phrase_documents(self, terms: Sequence[int], among: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of some documents that have terms one behind the other."""
        phrase = " <-> ".join(f"{lexeme(term)}:{PLAIN}" for term in terms)
        rows = self._connection.exec_driver_sql(_PHRASE, {"phrase": phrase}).scalars()
        return np.intersect1d(np.fromiter(rows, np.int64), among, assume_unique=True)

    def saturation(self, documents: NDArray[np.int64], k1: float, b: float) -> NDArray[np.float64]:
        """Return what BM25 adds to the counts of some documents: more for long ones."""
        _, length, _ = self._totals
        return k1 * (1 - b + b * self._lengths[documents] * (self.documents / max(1, length)))

    def passages(self, documents: NDArray[np.int64], terms: Sequence[int]) -> Passages:
        """Return those passages of some documents that have some of the terms."""
        lexemes = {lexeme(term): place for place, term in enumerate(terms)}
        rows: Iterable[Any] = ()
        if lexemes and len(documents):
            given = {"documents": documents.tolist(), "any": "|".join(lexemes), "terms": list(lexemes)}
            rows = self._connection.exec_driver_sql(_PLACES, given)
        passages = _Places()
        for document, place, word, positions, labels in rows:
            passages.add(document, place, lexemes[word], positions, labels)
        return passages.arrays()

    def tokens_among(
        self, document: int, passage: int, terms: Iterable[int]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return of each token of a passage whether it is of some terms, and whether of a whole compound."""
        tokens, joined = self._tokens[document, passage]
        return np.isin(tokens, np.fromiter(terms, np.uint64)), joined

    def read_tokens(self, texts: Mapping[tuple[int, int], str]) -> None:
        """Read the tokens of passages that will be asked for, by document and place."""
        known, tokens, sizes = self._analyzer.encode(texts.values())
        plain, joined = known[tokens & ~IS_JOINED], tokens >= IS_JOINED
        ends = starts_of(sizes).tolist()
        self._tokens = {
            place: (plain[begin:end], joined[begin:end])
            for place, (begin, end) in zip(texts, pairwise(ends), strict=True)
        }


class _Places:
    """Where terms stand, gathered passage by passage."""

    def __init__(self) -> None:
        self._owners: list[tuple[int, int]] = []
        self._plain: list[dict[int, int]] = []
        self._joined: list[tuple[int, int]] = []

    def add(
        self, document: int, place: int, term: int, positions: Sequence[int], labels: Sequence[str]
    ) -> None:
        """Add where a term stands in a passage."""
        if not self._owners or self._owners[-1] != (document, place):
            self._owners.append((document, place))
            self._plain.append({})
        for position, label in zip(positions, labels, strict=True):
            if label in JOINED:
                self._joined.append((term, len(self._owners) - 1))
            else:
                self._plain[-1][position] = term

    def arrays(self) -> Passages:
        """Return the passages."""
        terms: list[int] = []
        sizes: list[int] = []
        for plain in self._plain:
            before, last = len(terms), 0
            for position in sorted(plain):
                if position > last + 1:  # of what stands between, one is enough
                    terms.append(_OTHER_TERM)
                terms.append(plain[position])
                last = position
            terms.append(_OTHER_TERM)  # no phrase goes on into the next passage
            sizes.append(len(terms) - before)
        owners = np.array(self._owners, np.int64).reshape(-1, 2)
        joined = np.array(self._joined, np.int64).reshape(-1, 2)
        return Passages(
            np.array(terms, np.int32),
            np.repeat(np.arange(len(sizes)), sizes),
            joined[:, 0].astype(np.int32),
            joined[:, 1],
            owners[:, 0],
            owners[:, 1],
        )
