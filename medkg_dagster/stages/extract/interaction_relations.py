"""How genes act on each other, and what their lack changes, as sentences say it."""

from __future__ import annotations

from collections.abc import Mapping

from medkg_dagster.stages.extract.effect_relations import LESS, MORE, OF_ASPECT, PROCESS
from medkg_dagster.stages.extract.phrases import (
    ASPECT,
    GENE_AFTER,
    GENE_BEFORE,
    MODIFIED,
    NAMED,
    any_of,
)
from medkg_dagster.stages.extract.relation_types import (
    AFFECTS,
    COLOCALIZES,
    HOMOLOGOUS,
    INTERACTS,
    Reach,
    Relation,
    Role,
    relation,
)
from medkg_dagster.stages.extract.verbs import BE_NOT, CAUSE, DO

_ENOUGH = any_of("required necessary essential critical crucial needed indispensable")

_LACK = any_of(
    "deficiency silencing knock-?down depletion loss knock-?out deletion inhibition ablation overexpression"
)
_CHANGE = any_of(
    "reductions? decreases? loss increases? impairments? defects? changes? alterations? "
    "elevations? accumulation"
)
_LACKING = (
    relation(
        "lack_changes",
        AFFECTS,
        f"(?: gene| protein)?[- ]{_LACK}{DO}{CAUSE} {MODIFIED}{_CHANGE} (?:in|of) {OF_ASPECT}",
    ),
    relation(
        "lack_changes",
        AFFECTS,
        f"(?: gene| protein)?[- ]{_LACK}{DO}(?:{LESS}|{MORE}|impair(?:s|ed)?) {OF_ASPECT}",
    ),
)
_BETWEEN_GENES = (
    relation(
        "interaction_of",
        INTERACTS,
        f"{GENE_AFTER} (?:with|to) {GENE_BEFORE}",
        before=rf"\b(?:interactions?|binding) of {MODIFIED}",
    ),
    relation("interaction_with", INTERACTS, f" (?:interactions? with|binding to) {GENE_BEFORE}"),
    relation(
        "interacts_through",
        INTERACTS,
        f"{GENE_AFTER} {BE_NOT}[a-z]+ed (?:via|through|by) (?:an? |its |direct )*(?:interactions? with|"
        f"binding "
        f"(?:to|of)) {GENE_BEFORE}",
    ),
    relation(
        "acts_through",
        AFFECTS,
        f"{GENE_AFTER} {BE_NOT}(?:activated|induced|recruited|phosphorylated|expressed|produced) "
        f"(?:downstream of|in response to|upon|after|following) {GENE_BEFORE}",
        reverse=True,
    ),
    relation(
        "recruited_by",
        AFFECTS,
        f"{GENE_AFTER} {BE_NOT}(?:recruited|activated|bound|anchored) (?:by|to|at|via) {GENE_BEFORE}",
        reverse=True,
        reach=Reach.NEAREST,
    ),
    relation(
        "process_of",
        AFFECTS,
        f"[- ](?:dependent|mediated|driven|regulated|induced|stimulated) {MODIFIED}{PROCESS} of {NAMED}",
        is_noun_phrase=True,
        reach=Reach.NEAREST,
    ),
    relation(
        "homologous_to",
        HOMOLOGOUS,
        f"{GENE_AFTER} {BE_NOT}(?:an? )?{MODIFIED}(?:[a-z]+ )?"
        f"(?:homologs?|homologues?|orthologs?|orthologues?|paralogs?|paralogues?) of {GENE_BEFORE}",
    ),
    relation("needed_for", AFFECTS, f"{GENE_AFTER} {BE_NOT}{_ENOUGH} (?:for|in) {OF_ASPECT}"),
    relation(
        "role_in",
        AFFECTS,
        f"{GENE_AFTER} in {MODIFIED}",
        before=rf"\broles? (?:of|for) {MODIFIED}",
        after=rf" (?:{ASPECT}|polymeri[sz]ation|assembly|recruitment|degradation)\b",
    ),
    relation(
        "plays_role_in",
        AFFECTS,
        f"{GENE_AFTER},? (?:which |that )?(?:has|have|had|play(?:s|ed)?) an? {MODIFIED}roles? in {OF_ASPECT}",
    ),
    relation(
        "depends_on",
        AFFECTS,
        f"[- ](?:dependent|mediated|driven|regulated) {MODIFIED}",
        is_noun_phrase=True,
        reach=Reach.NEAREST,
    ),
    relation(
        "acts_on",
        AFFECTS,
        f"{GENE_AFTER}{DO}(?:cleave[sd]?|digests?|degrade[sd]?|recruit(?:s|ed)?|stabili[sz]e[sd]?|"
        f"mediate[sd]?|"
        f"control(?:s|led)?|hydroly[sz]e[sd]?) {OF_ASPECT}",
    ),
    relation(
        "colocalizes_with",
        COLOCALIZES,
        f"{GENE_AFTER}{DO}co-?locali[sz]e[sd]?(?: [a-z]+ly)? with {GENE_BEFORE}",
    ),
)


INTERACTION_RELATIONS: Mapping[tuple[Role, Role], tuple[Relation, ...]] = {
    (Role.GENE, Role.GENE): (*_BETWEEN_GENES, *_LACKING),
    (Role.GENE, Role.TREATMENT): _LACKING,
}
