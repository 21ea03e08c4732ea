"""How a request becomes documents: rankings of words and vectors, fused, and the best passage of each."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from typing import Any

from medkg_dagster.adapters.index.ranking import full_text_query, nearest
from medkg_dagster.domain.chunks import Chunk
from medkg_dagster.domain.search import DocumentHit, IndexedDocument, SearchRequest, SearchResults, Span
from medkg_dagster.errors import StoreError

# Reciprocal rank fusion: a passage at rank r of a list gains weight / (60 + r).
_RRF_K = 60
# Lexical vectors see little that BM25 does not: they break ties and find spelling variants, no more.
_LEXICAL_WEIGHT = 0.05

# In the order of the fields of `Chunk`.
COLUMNS = "id, document_id, document_hash, title, section, ordinal, start_offset, end_offset, text, synthetic"
# In the order of the fields of `IndexedDocument`.
DOCUMENT_COLUMNS = "id, title, source, date, url, language, phases, synthetic"


def document_row(document: IndexedDocument) -> tuple[Any, ...]:
    """Return what is stored of a document."""
    values = document.model_dump()
    return tuple((values | {"phases": " ".join(document.phases)}).values())


def search_documents(connection: sqlite3.Connection, request: SearchRequest) -> SearchResults:
    """Return what an index has for a request."""
    by_words = _full_text_ranks(connection, request.text)
    if not by_words:
        return SearchResults()
    weight, by_vector = _vector_ranks(connection, request)
    scores = {number: 1.0 / (_RRF_K + rank) for number, rank in by_words.items()}
    for number, rank in by_vector.items():
        scores[number] = scores.get(number, 0.0) + weight / (_RRF_K + rank)
    best: dict[str, DocumentHit] = {}
    with_words = set()
    words = [word.casefold() for word in re.findall(r"\w+", request.text) if len(word) > 2]
    for number in sorted(scores, key=lambda number: -scores[number]):
        passage = _passage(connection, number)
        document = _document(connection, passage.document_id)
        if not request.filters.lets_pass(document):
            continue
        if number in by_words:
            with_words.add(document.id)
        if document.id not in best:
            best[document.id] = DocumentHit(
                document,
                passage,
                scores[number],
                _marks(document.title, words),
                _marks(passage.text, words),
                by_words.get(number),
                by_vector.get(number),
            )
    ranked = sorted(best.values(), key=lambda hit: (-hit.score, hit.document.id))
    return SearchResults(tuple(ranked[request.offset :][: request.limit]), len(with_words))


def _marks(text: str, words: Iterable[str]) -> tuple[Span, ...]:
    alternatives = "|".join(map(re.escape, words))
    pattern = rf"(?<!\w)(?:{alternatives})" if alternatives else r"(?!)"
    return tuple(match.span() for match in re.finditer(pattern, text, re.IGNORECASE))


def _passage(connection: sqlite3.Connection, number: int) -> Chunk:
    statement = f"SELECT {COLUMNS} FROM chunks WHERE number = ?"  # noqa: S608 - a constant
    row = connection.execute(statement, (number,)).fetchone()
    return Chunk.model_validate(dict(zip(Chunk.model_fields, row, strict=True)))


def _document(connection: sqlite3.Connection, name: str) -> IndexedDocument:
    statement = f"SELECT {DOCUMENT_COLUMNS} FROM documents WHERE id = ?"  # noqa: S608 - a constant
    row = connection.execute(statement, (name,)).fetchone()
    values = dict(zip(IndexedDocument.model_fields, row, strict=True))
    return IndexedDocument.model_validate(values | {"phases": tuple(values["phases"].split())})


def _full_text_ranks(connection: sqlite3.Connection, query: str) -> dict[int, int]:
    expression = full_text_query(query)
    if expression is None:
        return {}
    rows = connection.execute(
        "SELECT rowid FROM full_text WHERE full_text MATCH ? ORDER BY rank", (expression,)
    )
    return {number: rank for rank, (number,) in enumerate(rows, start=1)}


def prevalent_model(connection: sqlite3.Connection) -> tuple[int, str, bool, int] | None:
    """Return number, name, kind and length of the model that most vectors are of."""
    row = connection.execute(
        """
        SELECT models.number, models.model, models.lexical, models.dimension
        FROM models JOIN vectors ON vectors.model = models.number
        GROUP BY models.number ORDER BY count(*) DESC, models.model LIMIT 1
        """
    ).fetchone()
    return None if row is None else (row[0], row[1], bool(row[2]), row[3])


def _vector_ranks(connection: sqlite3.Connection, request: SearchRequest) -> tuple[float, dict[int, int]]:
    """Return the weight of the vector ranking, and the rank of each passage in it."""
    vector = request.vector
    prevalent = None if vector is None else prevalent_model(connection)
    if vector is None or prevalent is None:
        return 0.0, {}
    number, model, lexical, dimension = prevalent
    if vector.shape != (dimension,):
        raise StoreError(
            f"the query's vector has shape {vector.shape}, those of the index ({dimension},); embed the "
            f"query with {model}"
        )
    rows = connection.execute("SELECT chunk, vector FROM vectors WHERE model = ?", (number,))
    ranked = {chunk: rank for rank, chunk in enumerate(nearest(rows, vector, 100), start=1)}
    return (_LEXICAL_WEIGHT if lexical else 1.0), ranked
