"""Vocabularies: the concepts that can be found, read from a TSV file; and entities from structured fields.

The file is UTF-8 with the header `curie  name  category  synonyms`, separated by tabs; synonyms are
separated by a vertical bar. The bundled one and its licence are in the folder `vocabulary`.

Of what the source itself assigned (trial conditions and interventions, MeSH headings) only grounded
annotations become entities: those with an identifier, or with a name the vocabulary knows. The others stay in
the document; a graph of made-up identifiers would join nothing. Where the vocabulary knows the identifier or
the name, its identifier, name and category are used, so that field and text speak of the same node.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from medkg_dagster.errors import ConfigError
from medkg_dagster.io.regular_files import read_regular
from medkg_dagster.stage_api import Annotation, AnnotationRole, Document, Entity

BUNDLED = Path(__file__).parent / "vocabulary" / "oncology.tsv"

COLUMNS = ("curie", "name", "category", "synonyms")

MAX_BYTES = 256 * 1024 * 1024

_CURIE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*:[^\s|]+")
_CATEGORY = re.compile(r"biolink:[A-Z][A-Za-z]+")

# Other ways to write one character, always one for one, so that offsets stay exact.
_SAME = str.maketrans(
    {
        **dict.fromkeys("\u00a0\u2002\u2003\u2009\u202f\t\n", " "),
        **dict.fromkeys("‐‑‒–−", "-"),
        "’": "'",
        "ς": "σ",
        "µ": "μ",
    }
)
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


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept of a vocabulary.

    Attributes:
        curie: Its identifier.
        name: Its preferred name.
        category: Its Biolink category.
        synonyms: Its other names.
    """

    curie: str
    name: str
    category: str
    synonyms: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All names, the preferred one first."""
        return (self.name, *self.synonyms)


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

    def by_curie(self, curie: str) -> Concept | None:
        """Return the concept with this identifier."""
        return self._by_curie.get(curie)

    def by_name(self, name: str) -> Concept | None:
        """Return the concept with this name, in any case, inverted or not ("Arthritis, Rheumatoid")."""
        for form in forms(name):
            if found := self._by_name.get(fold(form)):
                return found
        return None


def fold(text: str) -> str:
    """Return text in lower case with simple hyphens, apostrophes and spaces, of the very same length.

    Returns:
        The text to compare with; character `i` of it stands for character `i` of `text`.
    """
    lower = text.lower()
    if len(lower) != len(text):
        lower = "".join(character.lower()[0] for character in text)
    return lower.translate(_SAME)


def same_case(text: str) -> str:
    """Return text as `fold` does, but with its case kept."""
    return text.translate(_SAME)


def forms(name: str) -> tuple[str, ...]:
    """Return a name and, for an inverted one such as "Arthritis, Rheumatoid", its natural order."""
    parts = name.split(", ")
    if len(parts) == 2 and all(parts):
        return name, f"{parts[1]} {parts[0]}"
    return (name,)


@lru_cache(maxsize=4)
def _load_version(path: Path, modified: int, size: int) -> Vocabulary:
    del modified, size
    return Vocabulary(tuple(_read(path)))


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


def _read(path: Path) -> Iterator[Concept]:
    try:
        lines = read_regular(path, MAX_BYTES).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        at = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"vocabulary {path}:{at}: not UTF-8; save the file as UTF-8") from error
    if not lines or tuple(lines[0].split("\t")) != COLUMNS:
        raise ConfigError(f"vocabulary {path}:1: the header must be {', '.join(COLUMNS)}, separated by tabs")
    seen: dict[str, int] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        concept = _concept(line, f"vocabulary {path}:{number}")
        if (first := seen.setdefault(concept.curie, number)) != number:
            raise ConfigError(
                f"vocabulary {path}:{number}: {concept.curie} is already on line {first}; join the lines"
            )
        yield concept
    if not seen:
        raise ConfigError(f"vocabulary {path}:1: the file names no concept")


def _concept(line: str, place: str) -> Concept:
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) not in {3, 4}:
        raise ConfigError(f"{place}: {len(fields)} fields; expected {', '.join(COLUMNS)}, separated by tabs")
    curie, name, category = fields[:3]
    if not _CURIE.fullmatch(curie):
        raise ConfigError(f"{place}: {curie!r} is not a CURIE such as MESH:D008545")
    if not name:
        raise ConfigError(f"{place}: {curie} has no name")
    if not _CATEGORY.fullmatch(category):
        raise ConfigError(f"{place}: {category!r} is not a Biolink category such as biolink:Disease")
    synonyms = fields[3].split("|") if len(fields) == 4 else []
    others = dict.fromkeys(other.strip() for other in synonyms if other.strip())
    return Concept(curie, name, category, tuple(other for other in others if other != name))


def medicines(document: Document) -> str:
    """Return the folded names of the medicines that a record lists, each on a line."""
    return "\n".join(
        fold(note.name)
        for note in document.annotations
        if note.role is AnnotationRole.INTERVENTION and note.intervention_type in _MEDICINES
    )


def ground(
    document_id: str, annotation: Annotation, vocabulary: Vocabulary, listed_medicines: str
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


def _known(annotation: Annotation, vocabulary: Vocabulary) -> Concept | None:
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
