"""DrugBank's open vocabulary (CC0): one drug a record, with its registry numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from medkg_dagster.vocabulary.categories import category_of
from medkg_dagster.vocabulary.concepts import Concept, curie_of
from medkg_dagster.vocabulary.readers.source_file import SourceFile
from medkg_dagster.vocabulary.readers.tables import records, split_list

_NEEDED = ("DrugBank ID", "Common name", "Synonyms")
_REGISTRIES = {
    "CAS": "CAS",
    "UNII": "UNII",
    "Standard InChI Key": "INCHIKEY",
    "InChI Key": "INCHIKEY",
    "InChI key": "INCHIKEY",
}


def read(path: Path, left_out: Counter[str] | None = None) -> Iterator[Concept]:
    """Read the vocabulary.

    Args:
        path: The file.
        left_out: Counts what is left out, by its reason; here nothing is.

    Raises:
        VocabularyError: The file is unreadable or wrong; the message names the line.
    """
    source = SourceFile(path, left_out)
    for line, of in records(source, source.text_lines(), _NEEDED, delimiter=","):
        identifier, name = of["DrugBank ID"], of["Common name"]
        curie = curie_of("DRUGBANK", identifier)
        source.add(curie, name, line)
        numbers = ((prefix, of.get(column, "")) for column, prefix in _REGISTRIES.items())
        former = split_list(of.get("Accession Numbers", ""))
        yield Concept(
            curie,
            name,
            category_of("DRUGBANK"),
            synonyms=tuple(one for one in split_list(of["Synonyms"], " | ") if one != name),
            same_as=tuple(curie_of(prefix, number) for prefix, number in numbers if number),
            former=tuple(curie_of("DRUGBANK", one) for one in former if one != identifier),
        )
    source.check_any("drug")
