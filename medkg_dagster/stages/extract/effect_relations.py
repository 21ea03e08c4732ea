"""How treatments and genes raise, lower and touch genes and each other, as sentences say it."""

from __future__ import annotations

from collections.abc import Mapping

from medkg_dagster.stages.extract.phrases import (
    ASPECT,
    CHEMICAL_AFTER,
    CHEMICAL_BEFORE,
    GENE_AFTER,
    GENE_BEFORE,
    MODIFIED,
    any_of,
)
from medkg_dagster.stages.extract.relation_types import (
    AFFECTS,
    COLOCALIZES,
    DIRECTION,
    INTERACTS,
    Head,
    Reach,
    Relation,
    Role,
    relation,
)
from medkg_dagster.stages.extract.verbs import BE, BE_NOT, CAUSE, DO

_LESS = any_of(
    "inhibit(?:s|ed)?,block(?:s|ed)?,suppress(?:es|ed)?,decrease[sd]?,reduce[sd]?,down-?regulate[sd]?,"
    "antagonize[sd]?,attenuate[sd]?,abolish(?:es|ed)?,repress(?:es|ed)?,inactivate[sd]?",
    ",",
)
_MORE = any_of(
    "activate[sd]?,increase[sd]?,up-?regulate[sd]?,induce[sd]?,enhance[sd]?,stimulate[sd]?,elevate[sd]?,"
    "promote[sd]?",
    ",",
)
_LESSENED = any_of(
    "inhibited blocked suppressed decreased reduced downregulated down-regulated antagonized attenuated "
    "abolished repressed inactivated"
)
_RAISED = any_of("activated increased upregulated up-regulated induced enhanced stimulated elevated promoted")
_REGULATE = any_of("regulates?,regulated,modulates?,modulated,targets?,phosphorylates?,phosphorylated", ",")
_TOUCH = any_of(
    "binds?(?: directly)?(?: to)?,bound to,interacts?(?: directly| physically)?(?: with),interacted with,"
    "co-?immunoprecipitate[sd]? with,form(?:s|ed) a complex with",
    ",",
)
_OF_ASPECT = f"(?:{MODIFIED}(?P<aspect>{ASPECT})(?: levels)? of {MODIFIED}|{MODIFIED})"
_ITS_ASPECT = rf"(?: (?P<aspect>{ASPECT}))?"
_LOWERED, _HEIGHTENED = {DIRECTION: "decreased"}, {DIRECTION: "increased"}


def _effects(after: str) -> tuple[Relation, ...]:
    """Return how what stands first, and may go on with words, affects what stands second."""
    return (
        relation("lowers", AFFECTS, f"{after}{DO}{_LESS} {_OF_ASPECT}", qualifiers=_LOWERED),
        relation("raises", AFFECTS, f"{after}{DO}{_MORE} {_OF_ASPECT}", qualifiers=_HEIGHTENED),
        relation("regulates", AFFECTS, f"{after}{DO}{_REGULATE} {_OF_ASPECT}"),
        relation("interacts_with", INTERACTS, f"{after}{DO}{_TOUCH} {GENE_BEFORE}"),
        relation(
            "compound_effect",
            AFFECTS,
            f"-(?:induced|stimulated|activated) {MODIFIED}",
            is_noun_phrase=True,
            reach=Reach.NEAREST,
            qualifiers=_HEIGHTENED,
        ),
    )


_AFFECTED = (
    relation(
        "lowered_by",
        AFFECTS,
        f"{_ITS_ASPECT} {BE_NOT}{_LESSENED} (?:by|with|after|following) {CHEMICAL_BEFORE}",
        reverse=True,
        qualifiers=_LOWERED,
    ),
    relation(
        "raised_by",
        AFFECTS,
        f"{_ITS_ASPECT} {BE_NOT}{_RAISED} (?:by|with|after|following) {CHEMICAL_BEFORE}",
        reverse=True,
        qualifiers=_HEIGHTENED,
    ),
    relation(
        "regulated_by",
        AFFECTS,
        f"{_ITS_ASPECT} {BE_NOT}(?:regulated|modulated|mediated|phosphorylated|controlled) by "
        f"{CHEMICAL_BEFORE}",
        reverse=True,
    ),
)

_REDUCING = r"\b(?:inhibition|suppression|blockade|down-?regulation|antagonism|repression)"
_RAISING = r"\b(?:activation|induction|stimulation|up-?regulation|enhancement)"
_THROUGH = f"{_ITS_ASPECT} by {CHEMICAL_BEFORE}"
_ENOUGH = any_of("required necessary essential critical crucial needed indispensable")

# "Inhibition of A by B", and what A needs B for.
_NOMINAL = (
    relation(
        "inhibition_by",
        AFFECTS,
        _THROUGH,
        reverse=True,
        is_noun_phrase=True,
        head=Head.FIRST,
        before=rf"{_REDUCING} of {MODIFIED}",
        qualifiers=_LOWERED,
    ),
    relation(
        "activation_by",
        AFFECTS,
        _THROUGH,
        reverse=True,
        is_noun_phrase=True,
        head=Head.FIRST,
        before=rf"{_RAISING} of {MODIFIED}",
        qualifiers=_HEIGHTENED,
    ),
)
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
        f"(?: gene| protein)?[- ]{_LACK}{DO}{CAUSE} {MODIFIED}{_CHANGE} (?:in|of) {_OF_ASPECT}",
    ),
    relation(
        "lack_changes",
        AFFECTS,
        f"(?: gene| protein)?[- ]{_LACK}{DO}(?:{_LESS}|{_MORE}|impair(?:s|ed)?) {_OF_ASPECT}",
    ),
)
_LESSENING = "(?:inhibition|degradation|cleavage|suppression|down-?regulation|blockade)"
_GROWING = "(?:activation|phosphorylation|up-?regulation|stimulation|induction)"
_BY = (
    relation(
        "inhibition_by", AFFECTS, f" {_LESSENING} by {CHEMICAL_BEFORE}", reverse=True, qualifiers=_LOWERED
    ),
    relation(
        "activation_by", AFFECTS, f" {_GROWING} by {CHEMICAL_BEFORE}", reverse=True, qualifiers=_HEIGHTENED
    ),
)
_BETWEEN_GENES = (
    relation("needed_for", AFFECTS, f"{GENE_AFTER} {BE_NOT}{_ENOUGH} (?:for|in) {_OF_ASPECT}"),
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
        f"{GENE_AFTER},? (?:which |that )?(?:has|have|had|play(?:s|ed)?) an? {MODIFIED}roles? in "
        f"{_OF_ASPECT}",
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
        f"control(?:s|led)?|hydroly[sz]e[sd]?) {_OF_ASPECT}",
    ),
    relation(
        "colocalizes_with",
        COLOCALIZES,
        f"{GENE_AFTER}{DO}co-?locali[sz]e[sd]?(?: [a-z]+ly)? with {GENE_BEFORE}",
    ),
)

EFFECT_RELATIONS: Mapping[tuple[Role, Role], tuple[Relation, ...]] = {
    (Role.TREATMENT, Role.GENE): (
        *_effects(CHEMICAL_AFTER),
        *_AFFECTED,
        *_NOMINAL,
        *_BY,
        relation(
            "is_inhibitor_of",
            AFFECTS,
            f"{CHEMICAL_AFTER}(?:,| {BE}) (?:an? |the )?{MODIFIED}(?:inhibitor|antagonist|blocker) (?:of|"
            f"for) "
            f"{MODIFIED}",
            qualifiers=_LOWERED,
        ),
        relation(
            "is_activator_of",
            AFFECTS,
            f"{CHEMICAL_AFTER}(?:,| {BE}) (?:an? |the )?{MODIFIED}(?:agonist|activator|stimulator) (?:of|"
            f"for|at) "
            f"{MODIFIED}",
            qualifiers=_HEIGHTENED,
        ),
        relation(
            "is_a_gene_inhibitor",
            AFFECTS,
            f"(?:,| {BE}) an? {MODIFIED}",
            after=r"[- ](?:receptor |kinase |protein )?(?:inhibitor|antagonist|blocker)s?\b",
            qualifiers=_LOWERED,
        ),
        relation(
            "is_a_gene_agonist",
            AFFECTS,
            f"(?:,| {BE}) an? {MODIFIED}",
            after=r"[- ](?:receptor |kinase |protein )?(?:agonist|activator|stimulator)s?\b",
            qualifiers=_HEIGHTENED,
        ),
    ),
    (Role.GENE, Role.TREATMENT): (
        relation(
            "gene_inhibitor",
            AFFECTS,
            r"[- ](?:receptor |kinase |protein |pathway )?(?:inhibitor|antagonist|blocker)s?,? "
            r"(?:(?:such as|including|like|namely) )?",
            reverse=True,
            reach=Reach.NEAREST,
            is_noun_phrase=True,
            qualifiers=_LOWERED,
        ),
        relation(
            "gene_agonist",
            AFFECTS,
            r"[- ](?:receptor |kinase |protein )?(?:agonist|activator|stimulator)s?,? "
            r"(?:(?:such as|including|like|namely) )?",
            reverse=True,
            reach=Reach.NEAREST,
            is_noun_phrase=True,
            qualifiers=_HEIGHTENED,
        ),
        *_AFFECTED,
        *_NOMINAL,
        *_BY,
        *_LACKING,
    ),
    (Role.GENE, Role.GENE): (*_effects(GENE_AFTER), *_AFFECTED, *_NOMINAL, *_BY, *_BETWEEN_GENES, *_LACKING),
}
