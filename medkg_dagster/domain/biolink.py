"""The names of the Biolink Model that the graph uses, and what it says of them; a test holds them against it.

https://biolink.github.io/biolink-model/, of the release `RELEASE`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medkg_dagster.domain.identity import REGISTRY, identify

RELEASE = "4.4.6"
NAMED_THING = "biolink:NamedThing"
MENTIONS = "biolink:mentions"
CITES = "cito:cites"
"""The model has no predicate for citing; that a work mentions another is the nearest one that it has."""

_BIOLOGICAL = ("biolink:BiologicalEntity",)
_CHEMICAL = ("biolink:ChemicalEntity",)
_CONDITION = ("biolink:DiseaseOrPhenotypicFeature", *_BIOLOGICAL)
_ANCESTORS: Mapping[str, tuple[str, ...]] = {
    "biolink:Activity": (),
    "biolink:AnatomicalEntity": ("biolink:OrganismalEntity", *_BIOLOGICAL),
    "biolink:Article": ("biolink:Publication", "biolink:InformationContentEntity"),
    "biolink:BiologicalEntity": (),
    "biolink:ChemicalEntity": (),
    "biolink:ChemicalRole": ("biolink:Attribute",),
    "biolink:ClinicalIntervention": ("biolink:ClinicalEntity",),
    "biolink:ClinicalTrial": ("biolink:Study", "biolink:Activity"),
    "biolink:Device": (),
    "biolink:Disease": _CONDITION,
    "biolink:DiseaseOrPhenotypicFeature": _BIOLOGICAL,
    "biolink:Drug": ("biolink:MolecularMixture", "biolink:ChemicalMixture", *_CHEMICAL),
    "biolink:Gene": _BIOLOGICAL,
    "biolink:GeneFamily": _BIOLOGICAL,
    "biolink:MolecularMixture": ("biolink:ChemicalMixture", *_CHEMICAL),
    NAMED_THING: (),
    "biolink:OrganismTaxon": (),
    "biolink:PhenotypicFeature": _CONDITION,
    "biolink:PopulationOfIndividualOrganisms": ("biolink:OrganismalEntity", *_BIOLOGICAL),
    "biolink:Procedure": (),
    "biolink:Protein": ("biolink:Polypeptide", *_BIOLOGICAL),
    "biolink:Publication": ("biolink:InformationContentEntity",),
    "biolink:SmallMolecule": ("biolink:MolecularEntity", *_CHEMICAL),
    "biolink:Study": ("biolink:Activity",),
    "biolink:Treatment": ("biolink:ExposureEvent",),
}
"""A category and what is above it, the most specific first, without `NamedThing` at the end."""

# The model says where the identifiers of a category come from. What has none of those is of the next category
# above that says nothing of the kind.
_OF_OTHER_PREFIX = {
    # MeSH's techniques, which the model's prefixes of procedures (CPT, MAXO) leave out.
    ("biolink:Procedure", "MESH"): "biolink:Activity",
    # MeSH's pharmacologic actions; the model's roles are those of ChEBI.
    ("biolink:ChemicalRole", "MESH"): NAMED_THING,
    # FamPlex, which groups proteins of several genes.
    ("biolink:GeneFamily", "FPLX"): "biolink:BiologicalEntity",
}

TREATMENT = "biolink:ChemicalOrDrugOrTreatment"
GENE = "biolink:ChemicalEntityOrGeneOrGeneProduct"
MIXINS: Mapping[str, frozenset[str]] = {
    TREATMENT: frozenset({"biolink:ChemicalEntity", "biolink:Drug", "biolink:Treatment"}),
    GENE: frozenset({"biolink:ChemicalEntity", "biolink:Gene", "biolink:GeneFamily", "biolink:Protein"}),
}
"""What the model has as ends of predicates and is no category of a node, with the categories below it."""

_TREATING = (TREATMENT, "biolink:DiseaseOrPhenotypicFeature")
_ANY = (NAMED_THING, NAMED_THING)
_UNSAID = (None, None)
PREDICATES: Mapping[str, tuple[str | None, str | None]] = {
    "biolink:affects": _UNSAID,
    "biolink:ameliorates_condition": _TREATING,
    "biolink:applied_to_treat": _TREATING,
    "biolink:associated_with": _ANY,
    "biolink:associated_with_decreased_likelihood_of": _UNSAID,
    "biolink:associated_with_increased_likelihood_of": _UNSAID,
    "biolink:biomarker_for": (GENE, "biolink:DiseaseOrPhenotypicFeature"),
    "biolink:causes": _UNSAID,
    "biolink:colocalizes_with": _UNSAID,
    "biolink:contraindicated_in": (TREATMENT, "biolink:BiologicalEntity"),
    "biolink:contributes_to": _UNSAID,
    "biolink:correlated_with": _ANY,
    "biolink:directly_physically_interacts_with": _UNSAID,
    "biolink:derives_into": _UNSAID,
    "biolink:exacerbates_condition": _TREATING,
    "biolink:gene_associated_with_condition": ("biolink:Gene", "biolink:DiseaseOrPhenotypicFeature"),
    "biolink:has_adverse_event": _TREATING,
    "biolink:has_side_effect": _TREATING,
    "biolink:homologous_to": _UNSAID,
    "biolink:in_clinical_trials_for": _TREATING,
    "biolink:interacts_with": _ANY,
    MENTIONS: _UNSAID,
    "biolink:negatively_correlated_with": _ANY,
    "biolink:pharmacologically_interacts_with": ("biolink:ChemicalEntity", "biolink:ChemicalEntity"),
    "biolink:physically_interacts_with": _UNSAID,
    "biolink:positively_correlated_with": _ANY,
    "biolink:predisposes_to_condition": _TREATING,
    "biolink:preventative_for_condition": _TREATING,
    "biolink:produces": _UNSAID,
    "biolink:promotes_condition": _TREATING,
    "biolink:related_to": _ANY,
    "biolink:studied_to_treat": _TREATING,
    "biolink:treats": _TREATING,
    "biolink:treats_or_applied_or_studied_to_treat": _TREATING,
}
"""A predicate with its domain and its range; None where the model leaves one open."""

_TO_TREAT = frozenset(
    {
        "biolink:ameliorates_condition",
        "biolink:applied_to_treat",
        "biolink:in_clinical_trials_for",
        "biolink:preventative_for_condition",
        "biolink:studied_to_treat",
        "biolink:treats",
        "biolink:treats_or_applied_or_studied_to_treat",
    }
)
_LIKELIHOOD = frozenset(
    {
        "biolink:associated_with_decreased_likelihood_of",
        "biolink:associated_with_increased_likelihood_of",
    }
)
ASSOCIATION = "biolink:Association"
_OF_PREDICATE = {
    **dict.fromkeys(_TO_TREAT, "biolink:ChemicalOrDrugOrTreatmentToDiseaseOrPhenotypicFeatureAssociation"),
    **dict.fromkeys(_LIKELIHOOD, "biolink:NamedThingAssociatedWithLikelihoodOfNamedThingAssociation"),
    "biolink:has_adverse_event": "biolink:ChemicalOrDrugOrTreatmentAdverseEventAssociation",
    "biolink:has_side_effect": "biolink:ChemicalOrDrugOrTreatmentSideEffectAssociation",
}
_GENES = ("biolink:Gene", "biolink:Protein")
_ON_GENE = {
    "biolink:affects": "biolink:ChemicalAffectsGeneAssociation",
    "biolink:interacts_with": "biolink:ChemicalGeneInteractionAssociation",
    "biolink:physically_interacts_with": "biolink:ChemicalGeneInteractionAssociation",
    "biolink:directly_physically_interacts_with": "biolink:ChemicalGeneInteractionAssociation",
}
_OF_ENDS = (
    ("biolink:ChemicalEntity", "biolink:ChemicalEntity", "biolink:ChemicalEntityToChemicalEntityAssociation"),
    (
        "biolink:ChemicalEntity",
        "biolink:DiseaseOrPhenotypicFeature",
        "biolink:ChemicalEntityToDiseaseOrPhenotypicFeatureAssociation",
    ),
    *((gene, "biolink:Disease", "biolink:GeneToDiseaseAssociation") for gene in _GENES),
    *((gene, "biolink:PhenotypicFeature", "biolink:GeneToPhenotypicFeatureAssociation") for gene in _GENES),
)

SLOTS = frozenset(
    {
        *("id", "category", "name", "synonym", "equivalent_identifiers", "provided_by", "license"),
        *("publication_type", "subject", "predicate", "object", "negated", "qualified_predicate"),
        *("object_aspect_qualifier", "object_direction_qualifier", "original_predicate", "publications"),
        *("primary_knowledge_source", "aggregator_knowledge_source", "supporting_data_source", "sources"),
        *("resource_id", "resource_role", "upstream_resource_ids"),
        *("knowledge_level", "agent_type", "supporting_text", "has_evidence", "evidence_count"),
        *("has_count", "has_total", "has_percentage", "p_value", "effect_type", "effect_size"),
    }
)
"""The slots that an export writes."""


def narrows(slot: str) -> bool:
    """Say whether a slot narrows what an edge states; others tell of this statement alone, as numbers do."""
    return slot.endswith("_qualifier") or slot == "qualified_predicate"


OWN_PROPERTIES: Mapping[str, str] = {
    "agents": "which extractors say it, with their versions; the model names no software",
    "possible_count": "how many of the documents hold it possible only",
    "certainty": "how sure the document is of it; the model grades sources and agents, not their words",
    "background": "whether it is told as known before; the model has no such thing",
    "method": "the rule that made it, for audit",
    "record_field": "the field of the source's record that states it; the model points at documents",
    "extractor": "which extractor says it, with its version; the model names no software",
    "vocabulary": "the version of the vocabulary that the ends are from; of nodes it has `provided_by`",
    "document": "the document of the pipeline, for its ledger and commands",
    "document_hash": "the hash of the text that the offsets are valid for",
    "start": "where the text stands in the document; the model has offsets of subject and object only",
    "end": "where it ends",
    "synthetic": "whether it is invented; the model has no such thing",
    **dict.fromkeys(
        ("intervention_role", "intervention_type", "given_with", "study_group", "study_groups"),
        "who was given what in a study; the model describes trials as nodes, not the arms of one",
    ),
    **dict.fromkeys(
        ("events", "seriousness", "time_frame"),
        "how often an adverse event came; the model counts participants, and has FDA's grades only",
    ),
    **dict.fromkeys(
        ("outcome_measure", "outcome_type", "outcome_row", "outcome_value", "outcome_parameter"),
        "what a study measured; the model's study results are nodes of other kinds of studies",
    ),
    **dict.fromkeys(
        ("outcome_unit", "outcome_dispersion", "outcome_spread", "lower_limit", "upper_limit"),
        "how what a study measured is to be read",
    ),
    **dict.fromkeys(
        ("statistical_method", "confidence_level", "p_value_stated", "estimate_type", "estimate"),
        "what a comparison came to where the model wants one number or a type of its list",
    ),
}
"""What an export writes beside slots of the model, with the reason."""

_PREFIXES = {"PMID": "PMID", "DOI": "doi", "PMCID": "PMC"}


def categories(category: str) -> tuple[str, ...]:
    """Return a category and those above it, the most specific first."""
    return tuple(dict.fromkeys((category, *_ANCESTORS.get(category, ()), NAMED_THING)))


def node_categories(curie: str, category: str) -> tuple[str, ...]:
    """Return the categories of a node, the most specific first.

    Args:
        curie: Its identifier.
        category: What it is said to be.
    """
    prefix = curie.partition(":")[0]
    return categories(_OF_OTHER_PREFIX.get((category, prefix), category))


def fits(predicate: str, subject: Sequence[str], object_: Sequence[str]) -> bool:
    """Say whether things of these categories can be the ends of a predicate; of an unknown one anything can.

    Args:
        predicate: The predicate.
        subject: All categories of the subject.
        object_: All categories of the object.
    """
    domain, range_ = PREDICATES.get(predicate, _UNSAID)
    return _is_of(subject, domain) and _is_of(object_, range_)


def _is_of(categories: Sequence[str], wanted: str | None) -> bool:
    return wanted is None or not MIXINS.get(wanted, {wanted}).isdisjoint(categories)


def association(predicate: str, subject: Sequence[str], object_: Sequence[str]) -> str:
    """Return the class of associations that an edge between things of these categories is of."""
    if predicate == MENTIONS:
        is_publication = "biolink:Publication" in subject
        return "biolink:InformationContentEntityToNamedThingAssociation" if is_publication else ASSOCIATION
    if found := _OF_PREDICATE.get(predicate):
        return found
    if "biolink:ChemicalEntity" in subject and not set(_GENES).isdisjoint(object_):
        return _ON_GENE.get(predicate, ASSOCIATION)
    for one, other, name in _OF_ENDS:
        if one in subject and other in object_:
            return name
    return ASSOCIATION


def document_curies(document_id: str, identifiers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the identifiers of a work with prefixes of the model, the preferred one first.

    Of publications that is the PMID, then the DOI, as the model wants it.

    Args:
        document_id: The document's CURIE in the pipeline, which stands alone where the model has no prefix.
        identifiers: Its identifiers by scheme.
    """
    named = identify(document_id, identifiers)
    if document_id.startswith(f"{REGISTRY}:"):
        return (f"CLINICALTRIALS:{named[REGISTRY]}" if REGISTRY in named else document_id,)
    return _work_curies(named) or (document_id,)


def work_curies(identifiers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the same for a work that is no document of the pipeline; none where the model has no prefix."""
    return _work_curies(identify("", identifiers))


def _work_curies(named: Mapping[str, str]) -> tuple[str, ...]:
    found = [f"{prefix}:{named[scheme]}" for scheme, prefix in _PREFIXES.items() if scheme in named]
    return tuple(curie.replace("PMC:PMC", "PMC:") for curie in found)
