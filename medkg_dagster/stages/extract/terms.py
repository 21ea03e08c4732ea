"""Vocabularies: the concepts that can be found, read from a TSV file; and entities from structured fields.

The format is that of `vocabulary.readers.tsv`; the bundled one and its licence are in `vocabulary`.

Of what the source itself assigned (trial conditions and interventions, MeSH headings) only grounded
annotations become entities: those with an identifier, or with a name the vocabulary knows. The others stay in
the document; a graph of made-up identifiers would join nothing. Where the vocabulary knows the identifier or
the name, its identifier, name and category are used, so that field and text speak of the same node.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from medkg_dagster.errors import ConfigError
from medkg_dagster.io.regular_files import read_regular
from medkg_dagster.stage_api import Annotation, AnnotationRole, Document, Entity
from medkg_dagster.vocabulary.concepts import Concept
from medkg_dagster.vocabulary.names import fold, forms
from medkg_dagster.vocabulary.readers.tsv import MAX_BYTES, read

if TYPE_CHECKING:
    from medkg_dagster.stages.extract.mentions import Matcher

BUNDLED = Path(__file__).parent / "vocabulary" / "oncology.tsv"

CONDITION_ROLES = frozenset({AnnotationRole.CONDITION, AnnotationRole.CONDITION_MESH})
INTERVENTION_ROLES = frozenset({AnnotationRole.INTERVENTION, AnnotationRole.INTERVENTION_MESH})

_MEDICINES = frozenset({"DRUG", "BIOLOGICAL", "COMBINATION_PRODUCT", "GENETIC"})
_DOSE = re.compile(
    r"\s*(?:\(.*\)|\[.*\]|\b\d+(?:[.,]\d+)?\s*(?:mg|mcg|µg|g|ml|iu|%)\b.*|"
    r"\b(?:injections?|tablets?|capsules?|infusions?|solution|therapy|treatment|oral|intravenous|iv|sodium|"
    r"hydrochloride)\b)\s*$",
    re.IGNORECASE,
)
_MAX_NAME = 300
"""A longer one is the name of nothing; each pattern would look at all of it from each of its characters."""
_PREFIX = re.compile(
    r"^(?:drug|biological|procedure|radiation|device|other|behavioral)\s*:\s*", re.IGNORECASE
)


class KnownConcepts(Protocol):
    """Concepts by identifier and by name, of whatever vocabulary."""

    def by_curie(self, curie: str) -> Concept | None:
        """Return the concept with this identifier."""

    def by_name(self, name: str) -> Concept | None:
        """Return the concept with this name."""


class Vocabulary:
    """Concepts by identifier and by name.

    Args:
        concepts: The concepts; where two share a name, preferred names go before synonyms, then the
            earlier concept before the later one.
    """

    def __init__(self, concepts: tuple[Concept, ...]) -> None:
        self.concepts = concepts
        self._by_curie = {concept.curie: concept for concept in concepts}
        self._by_name: dict[str, Concept] = {}
        for names in ([c.name] for c in concepts), (c.synonyms for c in concepts):
            for concept, written in zip(concepts, names, strict=True):
                for name in written:
                    for form in forms(name):
                        self._by_name.setdefault(fold(form), concept)

    def matcher(self, min_term_length: int) -> Matcher:
        """Return what finds its names in text.

        Args:
            min_term_length: Shorter names are not looked for.
        """
        from medkg_dagster.stages.extract.mentions import Matcher

        return Matcher(self, min_term_length)

    def by_curie(self, curie: str) -> Concept | None:
        """Return the concept with this identifier."""
        return self._by_curie.get(curie)

    def by_name(self, name: str) -> Concept | None:
        """Return the concept with this name, in any case, inverted or not ("Arthritis, Rheumatoid")."""
        for form in forms(name):
            if found := self._by_name.get(fold(form)):
                return found
        return None


@lru_cache(maxsize=4)
def _load_version(path: Path, modified: int, size: int) -> Vocabulary:
    del modified, size
    return Vocabulary(tuple(read(path)))


def fingerprint(path: Path | None) -> str:
    """Return the hash of a vocabulary's file; None names the bundled one.

    Raises:
        ConfigError: The file cannot be read.
    """
    file = path or BUNDLED
    try:
        return hashlib.sha256(read_regular(file, MAX_BYTES)).hexdigest()
    except OSError as error:
        raise _unreadable(file, error) from error


def load(path: Path | None) -> Vocabulary:
    """Read a vocabulary; the same unchanged file is read once.

    Args:
        path: The TSV file; None for the bundled one.

    Raises:
        ConfigError: The file is missing, unreadable or wrong; the message names the line.
    """
    file = path or BUNDLED
    try:
        found = file.stat()
        return _load_version(file, found.st_mtime_ns, found.st_size)
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"vocabulary {file}: {error.strerror or error}; correct the path in the stage's config, or leave "
        "`vocabulary` out to use the bundled one"
    )


def medicines(document: Document) -> str:
    """Return the folded names of the medicines that a record lists, each on a line."""
    return "\n".join(
        fold(note.name)
        for note in document.annotations
        if note.role is AnnotationRole.INTERVENTION and note.intervention_type in _MEDICINES
    )


def ground(
    document_id: str, annotation: Annotation, vocabulary: KnownConcepts, listed_medicines: str
) -> Entity | None:
    """Make the entity of an annotation.

    Args:
        document_id: The document's id.
        annotation: What its source assigned.
        vocabulary: Names and identifiers that are known.
        listed_medicines: What `medicines` returns of the document.

    Returns:
        The entity, without offsets; None where the annotation has neither an identifier nor a known name.
    """
    concept = _known(annotation, vocabulary)
    if concept is None and annotation.curie is None:
        return None
    return Entity(
        document_id=document_id,
        curie=concept.curie if concept else str(annotation.curie),
        name=concept.name if concept else annotation.name,
        category=concept.category if concept else _category(annotation, listed_medicines),
        surface=annotation.name,
        method="structured",
    )


def _known(annotation: Annotation, vocabulary: KnownConcepts) -> Concept | None:
    if annotation.curie and (found := vocabulary.by_curie(annotation.curie)):
        return found
    for name in _written(annotation.name):
        if found := vocabulary.by_name(name):
            return found
    return None


def _written(name: str) -> tuple[str, ...]:
    """Return a name as written, and without dose, form and kind ("Drug: Nivolumab 3 mg/kg")."""
    bare = _PREFIX.sub("", name.strip())
    while len(bare) <= _MAX_NAME and (shorter := _DOSE.sub("", bare)) != bare and shorter:
        bare = shorter
    return tuple(dict.fromkeys((name.strip(), bare)))


def _category(annotation: Annotation, listed_medicines: str) -> str:
    """Return a category that is true for every concept the field can hold."""
    if annotation.role in CONDITION_ROLES:
        return "biolink:DiseaseOrPhenotypicFeature"
    if annotation.role is AnnotationRole.CHEMICAL or str(annotation.curie).startswith("MESH:C"):
        return "biolink:ChemicalEntity"
    if annotation.role in INTERVENTION_ROLES:
        is_medicine = fold(annotation.name) in listed_medicines
        return "biolink:ChemicalEntity" if is_medicine else "biolink:ClinicalIntervention"
    return "biolink:NamedThing"
