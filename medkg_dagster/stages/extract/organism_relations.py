"""What microbes, viruses and parasites cause and make, and what acts against them, as sentences say it."""

from __future__ import annotations

from collections.abc import Mapping

from medkg_dagster.stages.extract.effect_relations import effects
from medkg_dagster.stages.extract.phrases import (
    CHEMICAL_AFTER,
    CHEMICAL_BEFORE,
    CONDITION_AFTER,
    CONDITION_BEFORE,
    GENE_AFTER,
    MAYBE_PATIENTS,
    MODIFIED,
    NAMED,
    any_of,
)
from medkg_dagster.stages.extract.relation_types import (
    AFFECTS,
    ASSOCIATED,
    CAUSES,
    CONTRIBUTES,
    INTERACTS,
    MORE_LIKELY,
    PRODUCES,
    Reach,
    Relation,
    Role,
    relation,
)
from medkg_dagster.stages.extract.verbs import BE_NOT, BE_SO, CAUSE, DO, HIGHER, IS_ONE, MODAL

_AFTER = (
    rf"(?: (?:infections?|strains?|isolates?|virus(?:es)?|bacteria|parasites?|species|spp?\.?|"
    rf"{NAMED}strains?|"
    r"colonization|bacter(?:a)?emia|exposure|serotypes?|genotypes?))*"
)
_BEFORE = (
    rf"{MODIFIED}(?:(?:infection|strains?|isolates?|growth|replication|species|serotypes?|colonization) "
    rf"(?:with|by|"
    rf"of) )*"
    rf"{NAMED}"
)
_AGENT = (
    r"(?:an? |the |one of the |another )?(?:[a-z\-]+ ){0,3}?(?:causes? of|agents? of|pathogens? (?:of|in|"
    r"causing)|"
    r"responsible for)"
)
_BY = any_of("caused by,due to,resulting from,induced by,attributed to,result(?:s|ed)? from,elicited by", ",")
_MAKES = any_of("produce[sd]?,secrete[sd]?,release[sd]?,synthesi[sz]e[sd]?,excrete[sd]?", ",")
_MADE = any_of("produced secreted released synthesi[sz]ed excreted")
_STOPS = any_of(
    "kill(?:s|ed)?,inhibit(?:s|ed)?,inactivate[sd]?,eradicate[sd]?,suppress(?:es|ed)?,eliminate[sd]?", ","
)
_CAUSES_OF_CONDITION = (
    relation("organism_causes", CAUSES, f"{_AFTER}{DO}{CAUSE} {MAYBE_PATIENTS}{CONDITION_BEFORE}"),
    relation("organism_causes", CAUSES, f"{_AFTER},? (?:causing|inducing) {CONDITION_BEFORE}"),
    relation("organism_cause_of", CAUSES, f"{_AFTER},? (?:which )?{BE_NOT}{_AGENT} {CONDITION_BEFORE}"),
    relation("organism_cause_of", CAUSES, f"{_AFTER}, {_AGENT} {CONDITION_BEFORE}"),
    relation(
        "organism_manifests",
        CAUSES,
        f"{_AFTER}{DO}(?:has|have|had)? ?{MODIFIED}{NAMED}manifestations,? (?:such as|including|like) "
        f"{MODIFIED}",
    ),
    relation(
        "organism_risk",
        MORE_LIKELY,
        f"{_AFTER}(?:{DO}increase[sd]?| {BE_SO}associated with) {HIGHER}(?:risks?|incidence|odds) (?:of|for) "
        f"{CONDITION_BEFORE}",
    ),
    relation("organism_contributes", CONTRIBUTES, f"{_AFTER}{DO}contribute[sd]? to {CONDITION_BEFORE}"),
    relation(
        "organism_associated_with",
        ASSOCIATED,
        f"{_AFTER} {BE_NOT}(?:associated with|linked to|implicated in|involved in) "
        f"(?:the pathogenesis of )?{MAYBE_PATIENTS}{CONDITION_BEFORE}",
    ),
    relation(
        "organism_compound",
        CAUSES,
        f"-(?:induced|caused) {CONDITION_BEFORE}",
        reach=Reach.NEAREST,
        is_noun_phrase=True,
    ),
    relation(
        "organism_compound",
        ASSOCIATED,
        f"-(?:related|associated) {CONDITION_BEFORE}",
        reach=Reach.NEAREST,
        is_noun_phrase=True,
    ),
)

ORGANISM_RELATIONS: Mapping[tuple[Role, Role], tuple[Relation, ...]] = {
    (Role.ORGANISM, Role.CONDITION): _CAUSES_OF_CONDITION,
    (Role.CONDITION, Role.ORGANISM): (
        relation(
            "caused_by_organism",
            CAUSES,
            f"{CONDITION_AFTER}(?:{IS_ONE}(?<= )|,? (?:which )?(?:{BE_NOT}|{MODAL})?){_BY} {_BEFORE}",
            reverse=True,
            reach=Reach.LAST_OF_FIRST,
        ),
        relation(
            "associated_with_organism",
            ASSOCIATED,
            f"{CONDITION_AFTER} {BE_NOT}(?:associated with|linked to) {_BEFORE}",
            first_named=r"^(?!infections?$|infected$)",
            reverse=True,
            reach=Reach.LAST_OF_FIRST,
        ),
    ),
    (Role.ORGANISM, Role.TREATMENT): (
        relation("organism_produces", PRODUCES, f"{_AFTER}{DO}{_MAKES} {CHEMICAL_BEFORE}"),
    ),
    (Role.TREATMENT, Role.ORGANISM): (
        relation(
            "produced_by_organism",
            PRODUCES,
            f"{CHEMICAL_AFTER},? (?:{BE_NOT})?{_MADE} by {_BEFORE}",
            reverse=True,
        ),
        relation("acts_on_organism", AFFECTS, f"{CHEMICAL_AFTER}{DO}{_STOPS} {_BEFORE}"),
        relation(
            "acts_on_organism",
            AFFECTS,
            f"{CHEMICAL_AFTER} {BE_NOT}(?:[a-z]+ )?(?:active|effective|bactericidal|activity|efficacy) "
            f"against {_BEFORE}",
        ),
    ),
    (Role.ORGANISM, Role.GENE): effects(_AFTER),
    (Role.GENE, Role.ORGANISM): (
        relation(
            "gene_meets_organism",
            INTERACTS,
            f"{GENE_AFTER}{DO}(?:recogni[sz]e[sd]?|binds?(?: to)?|bound(?: to)?) {_BEFORE}",
        ),
        relation(
            "induced_by_organism",
            AFFECTS,
            f"{GENE_AFTER} {BE_NOT}(?:induced|activated|up-?regulated|expressed|produced) (?:by|in "
            f"response to|upon|after) "
            f"{_BEFORE}",
            reverse=True,
        ),
    ),
}
