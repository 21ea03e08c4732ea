"""What genes have to do with conditions and what treatments do to genes, as sentences say it."""

from __future__ import annotations

from collections.abc import Mapping

from medkg_dagster.stages.extract.phrases import (
    ALTERATION,
    ASPECT,
    CONDITION_AFTER,
    CONDITION_BEFORE,
    GENE_AFTER,
    GENE_BEFORE,
    MAYBE_PATIENTS,
    MODIFIED,
    any_of,
)
from medkg_dagster.stages.extract.relation_types import (
    ASSOCIATED,
    CAUSES,
    MORE_LIKELY,
    Reach,
    Relation,
    Role,
    relation,
)
from medkg_dagster.stages.extract.verbs import BE_NOT, CAUSE, DO, HIGHER, IS_ONE

_ALTERED = any_of(
    "mutant mutated mutation-positive driven positive altered amplified rearranged deficient "
    "secreting producing "
    "dependent overexpressing expressing"
)
_FOUND = any_of("found present detected seen common frequent identified observed reported")
_PLACEMENT = any_of(
    "associated with,linked to,related to,implicated in,involved in,correlated with,"
    "associated with susceptibility to,responsible for,critical for,important (?:for|in),required for,"
    "(?:implicated |involved |important )?in the (?:pathogenesis|development|progression|etiology|"
    "pathophysiology) of",
    ",",
)

GENE_RELATIONS: Mapping[tuple[Role, Role], tuple[Relation, ...]] = {
    (Role.GENE, Role.CONDITION): (
        relation(
            "gene_altered_condition",
            ASSOCIATED,
            f"(?:[- ]|[- ]?v600[ek]?(?:/k)?[- ]){_ALTERED} {CONDITION_BEFORE}",
            reach=Reach.NEAREST,
            is_noun_phrase=True,
        ),
        relation(
            "alterations_in_condition",
            ASSOCIATED,
            rf"(?: v600[ek]?)?(?: gene)? {ALTERATION} (?:{BE_NOT}(?:\w+ )?{_FOUND} )?"
            f"in {MAYBE_PATIENTS}{CONDITION_BEFORE}",
        ),
        relation(
            "gene_compound",
            CAUSES,
            f"-(?:induced|mediated|driven) {MODIFIED}",
            reach=Reach.NEAREST,
            is_noun_phrase=True,
        ),
        relation("gene_causes", CAUSES, f"{GENE_AFTER}(?: {ALTERATION})? causing {CONDITION_BEFORE}"),
        relation(
            "gene_causes",
            CAUSES,
            f"{GENE_AFTER}(?: {ALTERATION})?{DO}{CAUSE} {CONDITION_BEFORE}",
        ),
        relation(
            "gene_cause_of",
            CAUSES,
            f"{GENE_AFTER}(?: {ALTERATION})? {BE_NOT}(?:an? |the |one of the )?(?:[a-z\\-]+ "
            f"){{0,3}}?causes? of "
            f"{CONDITION_BEFORE}",
        ),
        relation(
            "gene_associated_with",
            ASSOCIATED,
            f"{GENE_AFTER}(?: {ALTERATION})?,?(?: and genetic)?(?: {ALTERATION} (?:of|in) which)? "
            f"(?:{BE_NOT})?{_PLACEMENT} "
            f"(?:{HIGHER}(?:risk|susceptibility|predisposition) (?:of|for|to) "
            f")?{MAYBE_PATIENTS}{CONDITION_BEFORE}",
        ),
        relation(
            "role_of_gene_in",
            ASSOCIATED,
            f"{GENE_AFTER}(?: {ALTERATION})? in {MAYBE_PATIENTS}{CONDITION_BEFORE}",
            before=rf"^(?:(?!\b(?:lack|no|not|without|absence)\b).)*\b(?:roles?|importance|"
            rf"involvement|{ALTERATION}|{ASPECT})"
            rf"(?: (?:in|at|of|within) (?:exons?|introns?|codons?)(?: \d+)?)? (?:of|in|for) {MODIFIED}",
        ),
        relation(
            "gene_risk",
            MORE_LIKELY,
            f"{GENE_AFTER}(?: {ALTERATION})?{DO}(?:increase[sd]?|confer(?:s|red)?) {HIGHER}"
            f"(?:risk|susceptibility|predisposition) (?:of|for|to) {CONDITION_BEFORE}",
        ),
        relation(
            "gene_marks",
            ASSOCIATED,
            f"{GENE_AFTER} {BE_NOT}(?:an? |the )?(?:[a-z\\-]+ )?(?:(?:bio)?marker|susceptibility gene|"
            f"risk factor|"
            f"oncogene|tumou?r suppressor|candidate gene|therapeutic target|target) (?:of|for|in) "
            f"{CONDITION_BEFORE}",
        ),
        relation(
            "gene_expressed_in",
            ASSOCIATED,
            f"{GENE_AFTER} {BE_NOT}(?:[a-z]+ly )?(?:over-?expressed|up-?regulated|down-?regulated|mutated|"
            f"higher|lower|reduced|"
            f"amplified|"
            f"deleted|methylated|altered|elevated|increased|decreased) in {MAYBE_PATIENTS}{CONDITION_BEFORE}",
        ),
    ),
    (Role.CONDITION, Role.GENE): (
        relation(
            "caused_by_gene",
            CAUSES,
            f"{CONDITION_AFTER}(?:{IS_ONE}(?<= )|,? (?:(?:which |that )?{BE_NOT})?)(?:caused by|due to|"
            f"resulting from|"
            f"results? from) "
            f"{MODIFIED}(?:{ALTERATION} (?:of|in|within) )?{GENE_BEFORE}",
            reverse=True,
            reach=Reach.NEAREST,
        ),
        relation(
            "condition_associated_with_gene",
            ASSOCIATED,
            f"{CONDITION_AFTER} (?:{BE_NOT})?(?:associated with|linked to|characteri[sz]ed by) "
            f"{MODIFIED}(?:{ALTERATION} (?:of|in|within) )?{GENE_BEFORE}",
            reverse=True,
            reach=Reach.NEAREST,
        ),
        relation(
            "levels_in_condition",
            ASSOCIATED,
            f"{CONDITION_AFTER}(?: (?:patients?|cases?|tissues?|cells?))?{DO}(?:ha(?:ve|s|d)|show(?:s|"
            f"ed)?|exhibit(?:s|ed)?|"
            f"display(?:s|ed)?) {MODIFIED}(?:elevated|increased|higher|reduced|lower|decreased|altered) "
            f"{MODIFIED}"
            f"(?:{ASPECT}|levels?|concentrations?) of {GENE_BEFORE}",
            reverse=True,
        ),
        relation(
            "patients_with_alterations",
            ASSOCIATED,
            f"(?: patients?| cases?| tumou?rs?)? (?:with|harbou?ring|carrying) {MODIFIED}",
            reverse=True,
            reach=Reach.NEAREST,
            after=rf"(?:[- ]v600[ek]?)?(?: gene)? {ALTERATION}\b",
        ),
    ),
}
