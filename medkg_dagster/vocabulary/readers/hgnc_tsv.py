"""HGNC's complete set: the genes of man, with the symbols that they have and had."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from medkg_dagster.vocabulary.concepts import Concept, curie_of
from medkg_dagster.vocabulary.readers.genes import NO_GENES, gene_concepts
from medkg_dagster.vocabulary.readers.source_file import SourceFile
from medkg_dagster.vocabulary.readers.tables import records, split_list

_NEEDED = ("hgnc_id", "symbol", "name", "status")
_SYNONYMS = ("alias_symbol", "prev_symbol", "alias_name", "prev_name")


def read(path: Path, left_out: Counter[str] | None = None) -> Iterator[Concept]:
    """Read the set; previous symbols are synonyms, as texts go on using them.

    Args:
        path: The file.
        left_out: Counts what is left out, by its reason.

    Raises:
        VocabularyError: The file is unreadable or wrong; the message names the line.
    """
    source = SourceFile(path, left_out)
    for line, of in records(source, source.text_lines(), _NEEDED):
        curie, symbol = curie_of("HGNC", of["hgnc_id"]), of["symbol"]
        source.add(curie, symbol, line)
        if of["status"].lower() != "approved":
            source.left_out["withdrawn entries"] += 1
        elif of.get("locus_type") in NO_GENES:
            source.left_out["entries that are no genes"] += 1
        else:
            others = (of["name"], *(one for column in _SYNONYMS for one in split_list(of.get(column, ""))))
            yield from gene_concepts(curie, symbol, others, of.get("entrez_id", ""))
    source.check_any("gene")
