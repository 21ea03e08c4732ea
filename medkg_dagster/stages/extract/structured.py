"""Entities from what the source itself assigned: trial conditions and interventions, MeSH headings.

Only grounded ones: an annotation with an identifier, or with a name the vocabulary knows. The others stay
in the document; a graph of made-up identifiers would join nothing. Where the vocabulary knows the identifier
or the name, its identifier, name and category are used, so that field and text speak of the same node.
"""

from __future__ import annotations

import re

from medkg_dagster.stage_api import Annotation, AnnotationRole, Document, Entity
from medkg_dagster.stages.extract.terms import Concept, Vocabulary, fold

CONDITION_ROLES = frozenset({AnnotationRole.CONDITION, AnnotationRole.CONDITION_MESH})
INTERVENTION_ROLES = frozenset({AnnotationRole.INTERVENTION, AnnotationRole.INTERVENTION_MESH})

_MEDICINES = frozenset({"DRUG", "BIOLOGICAL", "COMBINATION_PRODUCT", "GENETIC"})
_DOSE = re.compile(
    r"\s*(?:\(.*\)|\[.*\]|\b\d+(?:[.,]\d+)?\s*(?:mg|mcg|µg|g|ml|iu|%)\b.*|"
    r"\b(?:injections?|tablets?|capsules?|infusions?|solution|therapy|treatment|oral|intravenous|iv|sodium|"
    r"hydrochloride)\b)\s*$",
    re.IGNORECASE,
)
_PREFIX = re.compile(
    r"^(?:drug|biological|procedure|radiation|device|other|behavioral)\s*:\s*", re.IGNORECASE
)


def ground(document: Document, annotation: Annotation, vocabulary: Vocabulary) -> Entity | None:
    """Make the entity of an annotation.

    Args:
        document: The document.
        annotation: What its source assigned.
        vocabulary: Names and identifiers that are known.

    Returns:
        The entity, without offsets; None where the annotation has neither an identifier nor a known name.
    """
    concept = _known(annotation, vocabulary)
    if concept is None and annotation.curie is None:
        return None
    return Entity(
        document_id=document.id,
        curie=concept.curie if concept else str(annotation.curie),
        name=concept.name if concept else annotation.name,
        category=concept.category if concept else _category(document, annotation),
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
    while (shorter := _DOSE.sub("", bare)) != bare and shorter:
        bare = shorter
    return tuple(dict.fromkeys((name.strip(), bare)))


def _category(document: Document, annotation: Annotation) -> str:
    """Return a category that is true for every concept the field can hold."""
    if annotation.role in CONDITION_ROLES:
        return "biolink:DiseaseOrPhenotypicFeature"
    if annotation.role is AnnotationRole.CHEMICAL or str(annotation.curie).startswith("MESH:C"):
        return "biolink:ChemicalEntity"
    if annotation.role in INTERVENTION_ROLES:
        return (
            "biolink:ChemicalEntity" if _is_medicine(document, annotation) else "biolink:ClinicalIntervention"
        )
    return "biolink:NamedThing"


def _is_medicine(document: Document, annotation: Annotation) -> bool:
    """Whether the record lists a medicine of that name."""
    name = fold(annotation.name)
    return any(
        other.intervention_type in _MEDICINES and name in fold(other.name)
        for other in document.annotations
        if other.role is AnnotationRole.INTERVENTION
    )
