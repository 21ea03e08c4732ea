"""Readers of vocabularies, one for each format: from a file to concepts, with the line in every error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from medkg_dagster.errors import VocabularyError, did_you_mean
from medkg_dagster.vocabulary.concepts import Concept, Equivalence

Reader = Callable[[Path, Counter[str] | None], Iterator[Concept | Equivalence]]
"""Reads a file from its beginning to its end, and counts what it leaves out by the reason.

Raises:
    VocabularyError: It is not of the format, damaged, or says what cannot be; the message names the line.
"""

_MODULES = {
    "drugbank-csv": "drugbank_csv",
    "hgnc-tsv": "hgnc_tsv",
    "indra": "indra",
    "kgx": "kgx",
    "mesh-ascii": "mesh_ascii",
    "mesh-xml": "mesh_xml",
    "obo": "obo",
    "obograph": "obograph",
    "sssom": "sssom",
    "tsv": "tsv",
}

FORMATS = tuple(sorted(_MODULES))
"""The formats that can be read."""


def find_reader(name: str) -> Reader:
    """Return the reader of a format; its module is imported only now.

    Raises:
        VocabularyError: There is none.
    """
    if name not in _MODULES:
        raise VocabularyError(f"no vocabulary format is called {name!r}; {did_you_mean(name, FORMATS)}")
    reader: Reader = import_module(f"{__name__}.{_MODULES[name]}").read
    return reader
