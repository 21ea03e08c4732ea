"""How treatments and genes raise, lower and touch genes, as sentences say it."""

from __future__ import annotations

from collections.abc import Mapping

from medkg_dagster.stages.extract.phrases import (
    ASPECT,
    CHEMICAL_AFTER,
    CHEMICAL_BEFORE,
    GENE_AFTER,
    GENE_BEFORE,
    MODIFIED,
    NAMED,
    NOUN,
    any_of,
)
from medkg_dagster.stages.extract.relation_types import (
    AFFECTS,
    ASSOCIATED,
    DIRECTION,
    INTERACTS,
    Head,
    Reach,
    Relation,
    Role,
    relation,
)
from medkg_dagster.stages.extract.verbs import BE, BE_NOT, BE_SO, CAUSE, DO

LESS = any_of(
    "inhibit(?:s|ed)?,block(?:s|ed)?,suppress(?:es|ed)?,decrease[sd]?,reduce[sd]?,down-?regulate[sd]?,"
    "antagonize[sd]?,attenuate[sd]?,abolish(?:es|ed)?,repress(?:es|ed)?,inactivate[sd]?,impair(?:s|ed)?,"
    "disrupt(?:s|ed)?,eliminate[sd]?,abrogate[sd]?,diminish(?:es|ed)?,lower(?:s|ed)?,deplete[sd]?,"
    "neutrali[sz]e[sd]?,"
    "silence[sd]?",
    ",",
)
MORE = any_of(
    "activate[sd]?,increase[sd]?,up-?regulate[sd]?,induce[sd]?,enhance[sd]?,stimulate[sd]?,elevate[sd]?,"
    "promote[sd]?,trigger(?:s|ed)?,potentiate[sd]?,augment(?:s|ed)?,amplif(?:y|ies|ied)",
    ",",
)
_LESSENED = any_of(
    "inhibited blocked suppressed decreased reduced downregulated down-regulated antagonized attenuated "
    "abolished repressed inactivated"
)
_RAISED = any_of("activated increased upregulated up-regulated induced enhanced stimulated elevated promoted")
_REGULATE = any_of(
    "regulates?,regulated,modulates?,modulated,targets?,targeted,phosphorylates?,phosphorylated,"
    "affect(?:s|ed)?,"
    "influence[sd]?,alter(?:s|ed)?,perturb(?:s|ed)?,contribute[sd]? to,support(?:s|ed)?,"
    "interfere[sd]? with,act(?:s|ed)? on",
    ",",
)
_REGULATING = any_of(
    "regulating,modulating,targeting,phosphorylating,controlling,activating,inhibiting,blocking,inducing,"
    "mediating,"
    "suppressing,stimulating,upregulating,downregulating",
    ",",
)
_NEEDING = any_of(
    "require[sd]?,depend(?:s|ed)? (?:up)?on,rel(?:y|ies|ied) (?:up)?on,need(?:s|ed)?,necessitate[sd]?", ","
)
_TOUCH = any_of(
    "binds?(?: directly)?(?: to)?,bound to,interacts?(?: directly| physically)?(?: with),interacted with,"
    "co-?immunoprecipitate[sd]? with,form(?:s|ed) a complex with",
    ",",
)
OF_ASPECT = f"(?:{MODIFIED}(?P<aspect>{ASPECT}|levels?|concentrations?)(?: levels)? of {NAMED}|{NAMED})"
_ITS_ASPECT = rf"(?: (?P<aspect>{ASPECT}))?"
_LOWERED, HEIGHTENED = {DIRECTION: "decreased"}, {DIRECTION: "increased"}


PROCESS = any_of(
    "phosphorylation activation expression production secretion release synthesis recruitment "
    "polymeri[sz]ation "
    "assembly locali[sz]ation translocation transcription nucleation accumulation clustering degradation "
    "inhibition cleavage signal(?:l)?ing up-?regulation down-?regulation induction inactivation depletion "
    "stability "
    "function internali[sz]ation aggregation oligomeri[sz]ation dimeri[sz]ation"
)
_RISE = any_of(
    "activation,up-?regulation,induction,stimulation,increase[sd]?,elevations?,enhancement,overexpression",
    ",",
)
_FALL = any_of(
    "inhibition,down-?regulation,suppression,reductions?,decrease[sd]?,degradation,inactivation,depletion,"
    "loss,reduced",
    ",",
)
_BRINGS_ABOUT = any_of(
    "cause[sd]?,trigger(?:s|ed)?,le(?:d|ads?) to,result(?:s|ed)? in,promote[sd]?,mediate[sd]?,drive[sd]?,"
    "drove,"
    "initiate[sd]?,facilitate[sd]?,support(?:s|ed)?,regulate[sd]?,control(?:s|led)?,modulate[sd]?,"
    "contribute[sd]? to,participate[sd]? in",
    ",",
)


def _changes(after: str) -> tuple[Relation, ...]:
    """Return how what stands first brings about that there is more or less of what stands second."""
    return (
        relation(
            "brings_about",
            AFFECTS,
            f"{after}{DO}{CAUSE} {MODIFIED}{_RISE} (?:of|in) {OF_ASPECT}",
            qualifiers=HEIGHTENED,
        ),
        relation(
            "brings_about",
            AFFECTS,
            f"{after}{DO}{CAUSE} {MODIFIED}{_FALL} (?:of|in) {OF_ASPECT}",
            qualifiers=_LOWERED,
        ),
        relation(
            "brings_about", AFFECTS, f"{after}{DO}{_BRINGS_ABOUT} {MODIFIED}{PROCESS} (?:of|in) {NAMED}"
        ),
        relation("brings_about", AFFECTS, f"{after}{DO}{_BRINGS_ABOUT} {NAMED}", after=rf"[- ]{PROCESS}\b"),
    )


def effects(after: str) -> tuple[Relation, ...]:
    """Return how what stands first, and may go on with words, affects what stands second."""
    return (
        relation("lowers", AFFECTS, f"{after}{DO}{LESS} {OF_ASPECT}", qualifiers=_LOWERED),
        relation("raises", AFFECTS, f"{after}{DO}{MORE} {OF_ASPECT}", qualifiers=HEIGHTENED),
        relation("regulates", AFFECTS, f"{after}{DO}{_REGULATE} {OF_ASPECT}"),
        *_changes(after),
        relation(
            "regulates",
            AFFECTS,
            f"{after}(?:,? {BE_NOT}(?:an? |one of )?{MODIFIED}{NOUN}{{0,3}}?| )(?:(?:for|in|by) )?"
            f"{_REGULATING} {OF_ASPECT}",
        ),
        relation(
            "needs",
            AFFECTS,
            f"{after}(?: {PROCESS})?(?:{DO}{_NEEDING}| {BE_SO}dependent (?:up)?on) {OF_ASPECT}",
            reverse=True,
        ),
        relation("associated_with", ASSOCIATED, f"{after}{DO}associates? with {GENE_BEFORE}"),
        relation(
            "associated_with", ASSOCIATED, f"{after} {BE_NOT}(?:associated|linked) (?:with|to) {GENE_BEFORE}"
        ),
        relation("interacts_with", INTERACTS, f"{after}{DO}{_TOUCH} {GENE_BEFORE}"),
        relation(
            "compound_effect",
            AFFECTS,
            f"-(?:induced|stimulated|activated) {MODIFIED}",
            is_noun_phrase=True,
            reach=Reach.NEAREST,
            qualifiers=HEIGHTENED,
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
        qualifiers=HEIGHTENED,
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
        qualifiers=HEIGHTENED,
    ),
)
_LESSENING = "(?:inhibition|degradation|cleavage|suppression|down-?regulation|blockade)"
_GROWING = "(?:activation|phosphorylation|up-?regulation|stimulation|induction)"
_BY = (
    relation(
        "inhibition_by", AFFECTS, f" {_LESSENING} by {CHEMICAL_BEFORE}", reverse=True, qualifiers=_LOWERED
    ),
    relation(
        "activation_by", AFFECTS, f" {_GROWING} by {CHEMICAL_BEFORE}", reverse=True, qualifiers=HEIGHTENED
    ),
)
EFFECT_RELATIONS: Mapping[tuple[Role, Role], tuple[Relation, ...]] = {
    (Role.TREATMENT, Role.GENE): (
        *effects(CHEMICAL_AFTER),
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
            qualifiers=HEIGHTENED,
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
            qualifiers=HEIGHTENED,
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
            qualifiers=HEIGHTENED,
        ),
        *_AFFECTED,
        *_NOMINAL,
        *_BY,
    ),
    (Role.GENE, Role.GENE): (*effects(GENE_AFTER), *_AFFECTED, *_NOMINAL, *_BY),
}
