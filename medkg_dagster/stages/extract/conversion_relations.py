"""What genes and their products do to chemicals, and chemicals to the levels of others."""

from __future__ import annotations

from collections.abc import Mapping

from medkg_dagster.stages.extract.phrases import (
    CHEMICAL_AFTER,
    CHEMICAL_BEFORE,
    GENE_AFTER,
    GENE_BEFORE,
    MODIFIED,
    any_of,
)
from medkg_dagster.stages.extract.relation_types import (
    AFFECTS,
    DIRECTION,
    INTERACTS,
    Reach,
    Relation,
    Role,
    relation,
)
from medkg_dagster.stages.extract.verbs import BE_NOT, DO

_ACTS = any_of(
    "converts?,converted,metaboli[sz]e[sd]?,degrade[sd]?,hydroly[sz]e[sd]?,oxidi[sz]e[sd]?,cleave[sd]?,"
    "digests?,digested,transport(?:s|ed)?,import(?:s|ed)?,export(?:s|ed)?,secrete[sd]?,produce[sd]?,"
    "synthesi[sz]e[sd]?,detoxif(?:y|ies|ied),conjugate[sd]?,mobili[sz]e[sd]?",
    ",",
)
_TURNOVER = any_of(
    "conversion interconversion oxidation reduction hydrolysis degradation synthesis biosynthesis formation "
    "production metabolism breakdown cleavage transfer transport uptake release secretion accumulation "
    "clearance efflux influx influx catabolism detoxification generation"
)
_PROCESS = rf"(?:the )?{MODIFIED}{_TURNOVER} of {MODIFIED}"
_AMOUNT = any_of(
    "levels? concentrations? production release uptake secretion accumulation synthesis biosynthesis "
    "metabolism generation formation clearance efflux influx entry signaling signalling mobilization content"
)
_AFTER_AMOUNT = rf"(?: ion)? {_AMOUNT}\b"
_ENOUGH = any_of("required necessary essential important critical crucial needed responsible indispensable")
_MORE = any_of("increase[sd]?,enhance[sd]?,stimulate[sd]?,elevate[sd]?,promote[sd]?,raise[sd]?", ",")
_LESS = any_of(
    "decrease[sd]?,reduce[sd]?,inhibit(?:s|ed)?,lower(?:s|ed)?,suppress(?:es|ed)?,deplete[sd]?,"
    "block(?:s|ed)?",
    ",",
)
_TOUCH = any_of(
    "binds?(?: directly)?(?: to)?,bound(?: to)?,interact(?:s|ed)(?: directly| physically)? with", ","
)
_TAKING_PART = (
    f" {BE_NOT}(?:{_ENOUGH} (?:for|in)|involved in)",
    f",? (?:which |that )?(?:has|have|had|play(?:s|ed)?) an? {MODIFIED}roles? in",
)
_UP, _DOWN = {DIRECTION: "increased"}, {DIRECTION: "decreased"}


def _amounts(after: str) -> tuple[Relation, ...]:
    """Return how what stands first raises or lowers how much there is of a chemical."""
    return (
        relation(
            "raises_amount", AFFECTS, f"{after}{DO}{_MORE} {MODIFIED}", qualifiers=_UP, after=_AFTER_AMOUNT
        ),
        relation(
            "lowers_amount", AFFECTS, f"{after}{DO}{_LESS} {MODIFIED}", qualifiers=_DOWN, after=_AFTER_AMOUNT
        ),
        relation("raises_amount", AFFECTS, f"{after}{DO}{_MORE} {_PROCESS}", qualifiers=_UP),
        relation("lowers_amount", AFFECTS, f"{after}{DO}{_LESS} {_PROCESS}", qualifiers=_DOWN),
    )


CONVERSIONS: Mapping[tuple[Role, Role], tuple[Relation, ...]] = {
    (Role.TREATMENT, Role.TREATMENT): _amounts(CHEMICAL_AFTER),
    (Role.GENE, Role.TREATMENT): (
        *_amounts(GENE_AFTER),
        relation("acts_on_chemical", AFFECTS, f"{GENE_AFTER}{DO}{_ACTS} {MODIFIED}"),
        relation(
            "catalyzes",
            AFFECTS,
            f"{GENE_AFTER}{DO}(?:catalyz|catalys|mediat|regulat|control|facilitat)(?:es?|ed|s|"
            f"led) {_PROCESS}",
        ),
        *(
            relation("takes_part_in", AFFECTS, f"{GENE_AFTER}{taking_part} {_PROCESS}")
            for taking_part in _TAKING_PART
        ),
        *(
            relation("takes_part_in", AFFECTS, f"{GENE_AFTER}{taking_part} {MODIFIED}", after=_AFTER_AMOUNT)
            for taking_part in (*_TAKING_PART, f"{DO}(?:regulate[sd]?|mediate[sd]?|control(?:s|led)?)")
        ),
        relation("binds_chemical", INTERACTS, f"{GENE_AFTER}{DO}{_TOUCH} {MODIFIED}", after=r"(?! receptor)"),
        relation(
            "gene_dependent",
            AFFECTS,
            f"[- ](?:dependent|mediated|driven|induced|stimulated) {MODIFIED}",
            after=_AFTER_AMOUNT,
            is_noun_phrase=True,
            reach=Reach.NEAREST,
        ),
    ),
    (Role.TREATMENT, Role.GENE): (
        relation("binds_gene", INTERACTS, f"{CHEMICAL_AFTER}{DO}{_TOUCH} {GENE_BEFORE}"),
        relation(
            "acted_on_by",
            AFFECTS,
            f"{CHEMICAL_AFTER} {BE_NOT}(?:converted|metaboli[sz]ed|degraded|hydroly[sz]ed|"
            f"oxidi[sz]ed|cleaved|"
            f"transported|catalyzed|secreted|produced|synthesi[sz]ed)(?: to [a-z]+)?(?: mainly| "
            f"primarily)? by "
            f"{CHEMICAL_BEFORE}",
            reverse=True,
        ),
    ),
}
