"""Readers of vocabularies, one for each format: from a file to concepts, with the line in every error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from medkg_dagster.vocabulary.concepts import Concept, Equivalence

Reader = Callable[[Path], Iterator[Concept | Equivalence]]
"""Reads a file from its beginning to its end.

Raises:
    VocabularyError: It is not of the format, damaged, or says what cannot be; the message names file and
        line.
"""
