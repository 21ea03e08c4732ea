"""How a query ranks the documents of an index: BM25 over whole documents, and words that stand together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from medkg_dagster.adapters.embedders.hashing import FUNCTION_WORDS
from medkg_dagster.adapters.index.analysis import Analyzer, Word
from medkg_dagster.adapters.index.query_language import Operand, Query
from medkg_dagster.adapters.index.view import TermView

if TYPE_CHECKING:
    from numpy.typing import NDArray

K1, B = 1.2, 0.75
# How much it adds that two words of the query stand side by side, and in how many of the best documents that
# is looked for.
_NEIGHBOURS_WEIGHT = 0.03
NEIGHBOURS_DEPTH = 50


@dataclass(frozen=True, slots=True)
class ReadQuery:
    """A query in terms.

    Attributes:
        terms: The terms that rank, each once.
        neighbours: Pairs of terms that stand side by side in the query.
        required: Groups of words one behind the other, of each of which a document has one.
        excluded: Words one behind the other that no document has.
        unknown: Words of which no document has any term.
    """

    terms: tuple[int, ...]
    neighbours: tuple[tuple[int, int], ...]
    required: tuple[tuple[tuple[Word, ...], ...], ...]
    excluded: tuple[tuple[Word, ...], ...]
    unknown: tuple[str, ...]

    @property
    def marked(self) -> frozenset[int]:
        """All terms that are to be marked where they stand."""
        written = (word for group in self.required for words in group for word in words)
        return frozenset(self.terms).union(*(word.parts for word in written))


def read_query(query: Query, analyzer: Analyzer, index: TermView) -> ReadQuery:
    """Return a query in the terms of an index's documents."""
    words = analyzer.words(" ".join(one.text for one in query.ranking))
    # Function words are searched for only where a query has no others.
    telling = [pair for pair in words if pair[0].casefold() not in FUNCTION_WORDS] or words
    terms: dict[int, None] = {}
    unknown: dict[str, None] = {}
    for written, word in telling:
        known = [term for term in _terms_of(word, index) if len(index.postings(term).documents)]
        terms.update(dict.fromkeys(known))
        if not known:
            unknown[written] = None
    tokens = [
        term if written.casefold() not in FUNCTION_WORDS else None
        for written, word in words
        for term in word.parts
    ]
    pairs = dict.fromkeys(
        (one, other)
        for one, other in pairwise(tokens)
        if one is not None and other is not None and one in terms and other in terms
    )
    return ReadQuery(
        tuple(terms),
        tuple(pairs),
        tuple(tuple(_written(one, analyzer) for one in group) for group in query.required),
        tuple(_written(one, analyzer) for one in query.excluded),
        tuple(unknown),
    )


def _terms_of(word: Word, index: TermView) -> Iterable[int]:
    """Return what a word is searched by.

    A compound is searched by its parts; where some of them say nothing alone, as a whole and by the others.
    """
    if len(word.telling) == len(word.parts) or not word.joined:
        return word.parts
    if any(len(index.postings(term).documents) for term in word.joined):
        return (*word.joined, *word.telling)
    return word.telling or word.parts


def _written(operand: Operand, analyzer: Analyzer) -> tuple[Word, ...]:
    return tuple(word for _, word in analyzer.words(operand.text))


def score_documents(read: ReadQuery, index: TermView) -> NDArray[np.float64]:
    """Return the BM25 score of every document; 0 for one that has none of the terms."""
    scores = np.zeros(index.size)
    for term in read.terms:
        found = index.postings(term)
        saturation = index.saturation(found.documents, K1, B)
        scores[found.documents] += _rarity(term, index) * found.counts / (found.counts + saturation)
    return scores


def _rarity(term: int, index: TermView) -> float:
    having = len(index.postings(term).documents)
    return math.log(1 + (index.documents - having + 0.5) / (having + 0.5))


def add_neighbours(
    scores: NDArray[np.float64], read: ReadQuery, index: TermView, best: NDArray[np.int64]
) -> None:
    """Add to the scores of the best documents what their words that stand together are worth.

    Args:
        scores: The scores of all documents; those of the best are changed.
        read: The query.
        index: The documents.
        best: Numbers of documents, in order.
    """
    if not read.neighbours or not len(best):
        return
    passages = index.passages(best, read.terms)
    saturation = index.saturation(best, K1, B)
    row = np.searchsorted(best, passages.documents)
    place = {term: number for number, term in enumerate(read.terms)}
    for one, other in read.neighbours:
        times = np.bincount(row, passages.phrase_counts((place[one], place[other])), minlength=len(best))
        worth = _rarity(one, index) + _rarity(other, index)
        scores[best] += _NEIGHBOURS_WEIGHT * worth * times / (times + saturation)


def best_passages(read: ReadQuery, index: TermView, documents: NDArray[np.int64]) -> dict[int, int]:
    """Return for each document the place, from 0, of its passage with the most telling words.

    Titles are no passages; a document with the words in its title alone has no best one.
    """
    passages = index.passages(documents, read.terms)
    worth = np.zeros(len(passages.documents))
    for number, term in enumerate(read.terms):
        times = passages.counts(number)
        worth += _rarity(term, index) * times / (times + K1)
    place = {term: number for number, term in enumerate(read.terms)}
    for one, other in read.neighbours:
        times = passages.phrase_counts((place[one], place[other]))
        worth += _NEIGHBOURS_WEIGHT * (_rarity(one, index) + _rarity(other, index)) * times / (times + K1)
    chosen: dict[int, int] = {}
    for row in np.lexsort((passages.places, -worth)).tolist():
        if passages.places[row] and worth[row] > 0:
            chosen.setdefault(int(passages.documents[row]), int(passages.places[row]) - 1)
    return chosen


def keep_matching(
    index: TermView, read: ReadQuery, passing: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    """Return which documents of those that pass have what is required and nothing that is excluded.

    None stands for all documents.
    """
    if not read.required and not read.excluded:
        return passing
    kept = np.ones(index.size, bool) if passing is None else passing
    for group in read.required:
        having = np.zeros(index.size, bool)
        for words in group:
            having[_documents_with(words, index)] = True
        kept &= having
    for words in read.excluded:
        kept[_documents_with(words, index)] = False
    return kept


def _documents_with(words: Sequence[Word], index: TermView) -> NDArray[np.int64]:
    """Return the documents that have some words one behind the other."""
    terms = [term for word in words for term in word.parts]
    if not terms:
        return np.zeros(0, np.int64)
    found = index.postings(terms[0]).documents
    for term in dict.fromkeys(terms[1:]):
        found = np.intersect1d(found, index.postings(term).documents, assume_unique=True)
    if len(terms) > 1 and len(found):
        found = index.phrase_documents(terms, found)
    if len(words) == 1 and words[0].joined:
        whole = index.postings(words[0].joined[0]).documents
        found = np.union1d(found, whole)
    return found
