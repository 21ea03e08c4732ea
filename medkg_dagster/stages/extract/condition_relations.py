"""How conditions bring about each other, as sentences say it."""

from __future__ import annotations

from collections.abc import Mapping

from medkg_dagster.stages.extract.phrases import CONDITION_AFTER, CONDITION_BEFORE, MAYBE_PATIENTS, any_of
from medkg_dagster.stages.extract.relation_types import (
    ASSOCIATED,
    CAUSES,
    MORE_LIKELY,
    Reach,
    Relation,
    Role,
    relation,
)
from medkg_dagster.stages.extract.verbs import BE_NOT, BE_SO, CAUSE, DO, HIGHER, IS_ONE, MODAL

_DUE_TO = any_of(
    "due to,secondary to,attributed to,attributable to,resulting from,caused by,induced by,as a result of,"
    "as a consequence of,as a complication of,triggered by,precipitated by,provoked by,result(?:s|ed)? from,"
    "aris(?:es?|ing) from,arose from,ascribed to",
    ",",
)

CONDITION_RELATIONS: Mapping[tuple[Role, Role], tuple[Relation, ...]] = {
    (Role.CONDITION, Role.CONDITION): (
        relation(
            "condition_compound",
            CAUSES,
            f"-(?:induced|triggered|provoked) {CONDITION_BEFORE}",
            reach=Reach.NEAREST,
            is_noun_phrase=True,
        ),
        relation(
            "condition_compound",
            ASSOCIATED,
            f"-(?:related|associated) {CONDITION_BEFORE}",
            reach=Reach.NEAREST,
            is_noun_phrase=True,
        ),
        relation(
            "condition_causes",
            CAUSES,
            f"{CONDITION_AFTER}{DO}{CAUSE} {CONDITION_BEFORE}",
            reach=Reach.ALL,
        ),
        relation(
            "condition_causes",
            CAUSES,
            f"{CONDITION_AFTER},? (?:causing|leading to|resulting in) {CONDITION_BEFORE}",
            reach=Reach.NEAREST,
        ),
        relation(
            "condition_cause_of",
            CAUSES,
            f"{CONDITION_AFTER} {BE_NOT}(?:an? |the |one of the |identified as |considered )*(?:[a-z\\-]+ "
            f"){{0,3}}?"
            f"(?:causes? of|responsible for) {CONDITION_BEFORE}",
        ),
        relation(
            "condition_due_to",
            CAUSES,
            f"{CONDITION_AFTER}(?:{IS_ONE}(?<= )|,? (?:{BE_NOT}|{MODAL})?){_DUE_TO} {CONDITION_BEFORE}",
            reverse=True,
            reach=Reach.LAST_OF_FIRST,
        ),
        relation(
            "complication_of",
            CAUSES,
            f"{CONDITION_AFTER} (?:{BE_NOT}|represents? )(?:an? |the |one of the )?(?:[a-z\\-]+ ){{0,3}}?"
            f"(?:complications?|manifestations?|consequences?|sequelae|symptoms?|presentations?|features?|"
            f"signs?|hallmarks?) of {CONDITION_BEFORE}",
            reverse=True,
        ),
        relation(
            "risk_factor_for",
            MORE_LIKELY,
            f"{CONDITION_AFTER} {BE_NOT}(?:an? |the |one of the )?(?:[a-z\\-]+ ){{0,2}}?(?:risk|"
            f"predisposing) factors? "
            f"(?:for|of) "
            f"{MAYBE_PATIENTS}{CONDITION_BEFORE}",
        ),
        relation(
            "condition_risk",
            MORE_LIKELY,
            f"{CONDITION_AFTER}(?:{DO}increase[sd]?| {BE_SO}associated with) {HIGHER}"
            f"(?:risks?|incidence|odds|likelihood) (?:of|for) {CONDITION_BEFORE}",
        ),
        relation(
            "presents_with",
            ASSOCIATED,
            f"{CONDITION_AFTER},? (?:(?:which |that )?{BE_NOT})?(?:complicated "
            f"(?:by|with)|"
            f"manifest(?:s|ed|ing)? (?:as|with)|characteri[sz]ed by|accompanied by) {CONDITION_BEFORE}",
        ),
        relation(
            "presents_with",
            ASSOCIATED,
            f"{CONDITION_AFTER},? (?:which |that )?present(?:s|ed|ing)? with {CONDITION_BEFORE}",
            before=r"^(?:(?!\b(?:underlying|history|known|previous)\b).)*",
        ),
        relation(
            "conditions_associated",
            ASSOCIATED,
            f"{CONDITION_AFTER} (?:{BE_NOT})?(?:associated|linked|related) (?:with|to) {CONDITION_BEFORE}",
            reach=Reach.NEAREST,
        ),
    ),
}
