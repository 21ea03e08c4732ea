"""What genes and their products do to chemicals, and chemicals to the levels of others."""

from __future__ import annotations

from collections.abc import Mapping

from medkg_dagster.stages.extract.phrases import (
    CHEMICAL_AFTER,
    CHEMICAL_BEFORE,
    GENE_AFTER,
    GENE_BEFORE,
    MODIFIED,
    NAMED,
    any_of,
)
from medkg_dagster.stages.extract.relation_types import (
    AFFECTS,
    ASSOCIATED,
    BECOMES,
    DIRECTION,
    INTERACTS,
    Reach,
    Relation,
    Role,
    relation,
)
from medkg_dagster.stages.extract.verbs import BE_NOT, BE_SO, DO

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
    "metabolism generation formation clearance efflux influx entry signaling signalling mobilization content "
    "detoxification degradation elevation flux biosynthesis catabolism excretion oxidation signals?"
)
_AFTER_AMOUNT = rf"(?: ions?)?(?: and [a-z]+)? {_AMOUNT}\b"
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
_DONE_TO = any_of(
    "converting,metaboli[sz]ing,degrading,hydroly[sz]ing,oxidi[sz]ing,cleaving,digesting,transporting,"
    "importing,"
    "exporting,secreting,producing,synthesi[sz]ing,detoxifying,conjugating",
    ",",
)
_MADE = any_of(
    "converted (?:in)?to,metaboli[sz]ed (?:in)?to,oxidi[sz]ed to,reduced to,hydroly[sz]ed to,transformed "
    "into,"
    "degraded to,cleaved to,broken down (?:in)?to,diverted into",
    ",",
)
_STEP = r"(?:(?:the )?(?:[a-z\-]+ ){0,2}(?:step|reaction)s? (?:of|in) (?:the )?)?"
_UP, _DOWN = {DIRECTION: "increased"}, {DIRECTION: "decreased"}


_ON_CHEMICAL = any_of(
    "affect(?:s|ed)?,influence[sd]?,alter(?:s|ed)?,modulate[sd]?,regulate[sd]?,reduce[sd]?,"
    "oxidi[sz]e[sd]?,inhibit(?:s|ed)?,"
    "scavenge[sd]?,chelate[sd]?,neutrali[sz]e[sd]?,degrade[sd]?,require[sd]?,use[sd]?,utili[sz]e[sd]?,"
    "consume[sd]?",
    ",",
)


def _amounts(after: str) -> tuple[Relation, ...]:
    """Return how what stands first raises or lowers how much there is of a chemical."""
    return (
        relation(
            "raises_amount", AFFECTS, f"{after}{DO}{_MORE} {MODIFIED}", qualifiers=_UP, after=_AFTER_AMOUNT
        ),
        relation(
            "lowers_amount", AFFECTS, f"{after}{DO}{_LESS} {MODIFIED}", qualifiers=_DOWN, after=_AFTER_AMOUNT
        ),
        relation("acts_on_chemical", AFFECTS, f"{after}{DO}{_ON_CHEMICAL} {NAMED}", after=r"(?! to\b)"),
        relation(
            "brings_about",
            AFFECTS,
            f"{after}{DO}(?:trigger(?:s|ed)?|le(?:d|ads?) to|result(?:s|ed)? in|initiate[sd]?|induce[sd]?|"
            f"cause[sd]?|mediate[sd]?|promote[sd]?) {MODIFIED}",
            after=_AFTER_AMOUNT,
        ),
        relation("associated_with", ASSOCIATED, f"{after}{DO}associates? with {NAMED}"),
        relation("associated_with", ASSOCIATED, f"{after} {BE_NOT}(?:associated|linked) (?:with|to) {NAMED}"),
        relation("raises_amount", AFFECTS, f"{after}{DO}{_MORE} {_PROCESS}", qualifiers=_UP),
        relation("lowers_amount", AFFECTS, f"{after}{DO}{_LESS} {_PROCESS}", qualifiers=_DOWN),
    )


CONVERSIONS: Mapping[tuple[Role, Role], tuple[Relation, ...]] = {
    (Role.TREATMENT, Role.TREATMENT): (
        *_amounts(CHEMICAL_AFTER),
        relation(
            "compound_effect",
            AFFECTS,
            f"-(?:induced|mediated|stimulated) {MODIFIED}",
            after=rf"(?:{_AFTER_AMOUNT}| retention\b| depletion\b)",
            is_noun_phrase=True,
            reach=Reach.NEAREST,
        ),
        relation("made_into", BECOMES, f"{CHEMICAL_AFTER} {BE_NOT}{_MADE} {NAMED}"),
        relation(
            "made_into",
            BECOMES,
            f" (?:in)?to (?:the )?{NAMED}",
            before=rf"^(?:(?!\b(?:codon|mutation|residue|substitut\w+|transition|position|exon)\b).)*"
            rf"\b(?:convert(?:s|ed|ing)?|(?:inter)?conversion of|metaboli[sz](?:es?|ed|ing)|"
            rf"metabolism of|"
            rf"oxidi[sz](?:es?|ed|ing)|oxidation of|reduc(?:es?|ed|ing)|reduction of|hydroly[sz](?:es?|ed|"
            rf"ing)|"
            rf"hydrolysis of) {MODIFIED}",
            after=r"(?! (?:in)?to\b)",
        ),
        relation(
            "precursor_of",
            BECOMES,
            f"{CHEMICAL_AFTER}(?:,? (?:which )?{BE_SO}|{DO}serve[sd]? as )(?:an? |the |common )*(?:[a-z]+ )?"
            f"(?:precursors?|substrates?|building blocks?) (?:of|for|in) (?:{_PROCESS}|{NAMED})",
        ),
        relation(
            "derived_from",
            BECOMES,
            f"{CHEMICAL_AFTER},? (?:{BE_NOT})?(?:derived|produced|synthesi[sz]ed|generated|formed|made) "
            f"from {NAMED}",
            reverse=True,
            reach=Reach.NEAREST,
        ),
        relation(
            "product_of",
            BECOMES,
            f"{CHEMICAL_AFTER}(?:,| {BE_NOT}|, which is) ?(?:an? |the )?{MODIFIED}(?:metabolite|"
            f"(?:degradation )?product) "
            f"of {NAMED}",
            reverse=True,
        ),
    ),
    (Role.GENE, Role.TREATMENT): (
        *_amounts(GENE_AFTER),
        relation("acts_on_chemical", AFFECTS, f"{GENE_AFTER}{DO}{_ACTS} {NAMED}"),
        relation(
            "acts_on_chemical",
            AFFECTS,
            f"{GENE_AFTER}{DO}(?:reduce[sd]?|add(?:s|ed)?) {NAMED}",
            after=r" to\b",
        ),
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
        relation("binds_chemical", INTERACTS, f"{GENE_AFTER}{DO}{_TOUCH} {NAMED}", after=r"(?! receptor)"),
        relation(
            "binds_chemical",
            INTERACTS,
            f"{GENE_AFTER}{DO}possess(?:es)? {MODIFIED}binding[- ]sites? for {NAMED}",
        ),
        *(
            relation("takes_part_in", AFFECTS, f"{GENE_AFTER}{taking_part} {_DONE_TO} {NAMED}")
            for taking_part in _TAKING_PART
        ),
        relation(
            "catalyzes",
            AFFECTS,
            f"{GENE_AFTER}(?: that| which)?{DO}cataly[zs]e[sd]? {_STEP}{NAMED}",
            after=rf" {_TURNOVER}\b",
        ),
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
        relation(
            "turned_over_by",
            AFFECTS,
            f" by {CHEMICAL_BEFORE}",
            reverse=True,
            before=rf"\b(?:{_TURNOVER}|detoxification|binding|chelation) of {MODIFIED}",
        ),
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
