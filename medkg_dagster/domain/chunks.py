"""Pieces of documents, the unit of search."""

from __future__ import annotations

import hashlib

from medkg_dagster.domain.value import Value


class Chunk(Value):
    """A piece of one section, `document.text[start:end] == text`.

    Attributes:
        id: See `chunk_id`.
        document_id: The document's CURIE.
        document_hash: The content hash of the document the offsets are valid for.
        title: The document's title, for display.
        section: The title of the section; empty where it has none.
        ordinal: Position among the document's chunks, from 0.
        start: First character, an offset into the document's text.
        end: One past the last character.
        text: The text.
    """

    id: str
    document_id: str
    document_hash: str
    title: str
    section: str
    ordinal: int
    start: int
    end: int
    text: str


def chunk_id(document_id: str, document_hash: str, start: int, end: int) -> str:
    """Return the stable id of a chunk: the same content cut at the same place has the same id.

    Args:
        document_id: The document's CURIE.
        document_hash: The document's content hash.
        start: First character.
        end: One past the last character.

    Returns:
        32 hexadecimal digits.
    """
    return hashlib.sha256(f"{document_id}\x00{document_hash}\x00{start}\x00{end}".encode()).hexdigest()[:32]
