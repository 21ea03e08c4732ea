"""What becomes of people with a condition or under a treatment, as sentences say it."""

from __future__ import annotations

from collections.abc import Mapping

from medkg_dagster.stages.extract.phrases import (
    ADJECTIVES,
    CHEMICAL_AFTER,
    CHEMICAL_BEFORE,
    CONDITION_AFTER,
    CONDITION_BEFORE,
    MAYBE_PATIENTS,
    MODIFIED,
    PATIENTS_WITH,
    PEOPLE,
    any_of,
)
from medkg_dagster.stages.extract.relation_types import (
    AMELIORATES,
    ASSOCIATED,
    CAUSES,
    CONTRIBUTES,
    PREVENTS,
    TREATS,
    Head,
    Reach,
    Relation,
    Role,
    relation,
)
from medkg_dagster.stages.extract.verbs import BE_NOT, BE_SO, DO


def _without(words: str) -> str:
    """Return a pattern for what stands before a mention and has none of some words."""
    return rf"^(?:(?!\b(?:{'|'.join(words.split())})\b).)*"


_DENIED = "no none neither nor not without fewer less lack absence before"
_COMPARED = (
    r"compar\w+ differen\w+ distinguish\w* versus vs than between confus\w+ discriminat\w+ from correlation "
    "excluded exclusion excluding"
)
_EASED = r"treat\w* therapy management improv\w+ reduc\w+ relie\w+ resol\w+ prevent\w* attenuat\w+ remission"
_TOGETHER = _without(f"{_DENIED} {_COMPARED} {_EASED}")

_DEVELOPED = any_of("developed,experienced,suffered(?: from)?,presented with,died (?:of|from)", ",")
_GROUP = rf"(?:(?:groups?|arms?|cohorts?|{PEOPLE}) )"
_TAKING = any_of(
    "treated with,received,receiving,given,taking,exposed to,treatment with,on,under,injected with", ","
)
_REMEDY = any_of(
    "treatments?,therap(?:y|ies),drugs?,agents?,medications?,medicines?,options?,approach,strategy,mainstay,"
    "cornerstone,remedy,antidote,prophylaxis",
    ",",
)
_OF_CHOICE = "(?: options?| of choice| of (?:treatment|therapy))?"
_BETTER = any_of(
    "improved,resolved,subsided,disappeared,remitted,abated,responded(?: well| favou?rably)?", ","
)
_PROTECTIVE = any_of(
    "protective beneficial neuroprotective cardioprotective hepatoprotective nephroprotective renoprotective "
    "therapeutic prophylactic ameliorative"
)
_SIGNS = any_of(
    "signs?,symptoms?,manifestations?,features?,complications?,presentations?,findings?,sequelae,"
    "comorbidities,"
    "co-morbidities",
    ",",
)
_SEEN = any_of(
    "found present detected seen common frequent identified observed reported noted described prevalent"
)
_CHARACTERISTIC = any_of("characteristic typical suggestive indicative pathognomonic diagnostic")
_TRIED = any_of("efficacy safety tolerability effectiveness usefulness trial use study")
_SENSITIVE = r"allerg|hypersensitiv"
_TOXIC = r"\S.*toxicit(?:y|ies)$"

COURSE_RELATIONS: Mapping[tuple[Role, Role], tuple[Relation, ...]] = {
    (Role.TREATMENT, Role.CONDITION): (
        relation(
            "developed_under",
            ASSOCIATED,
            f"{CHEMICAL_AFTER}(?: {_GROUP}?)?(?: ?(?:who|that))? ?{_DEVELOPED} (?!less|"
            f"fewer){CONDITION_BEFORE}",
            before=rf"{_without(_DENIED)}\b{_TAKING} {CHEMICAL_BEFORE}",
        ),
        relation(
            "developed_under",
            ASSOCIATED,
            f"[- ]treated {MODIFIED}{_GROUP}(?:(?:who|that) )?{_DEVELOPED} (?!less|fewer){CONDITION_BEFORE}",
            before=_without(_DENIED),
        ),
        relation(
            "remedy_for",
            TREATS,
            f"{CHEMICAL_AFTER}(?:,|,? (?:which )?{BE_NOT}) ?(?:an? |the |one of the "
            f")?{ADJECTIVES}{_REMEDY}{_OF_CHOICE} "
            f"(?:for|in|against|of) (?:the )?(?:treatment of |management of "
            f")?{MAYBE_PATIENTS}{CONDITION_BEFORE}",
        ),
        relation("therapy_in", TREATS, f" (?:therapy|treatment|monotherapy) in {MODIFIED}"),
        relation(
            "tried_in",
            TREATS,
            f"{CHEMICAL_AFTER} in {MAYBE_PATIENTS}{CONDITION_BEFORE}",
            before=rf"\b{_TRIED} (?:and \w+ )?of {CHEMICAL_BEFORE}",
        ),
        relation(
            "given_for",
            TREATS,
            f"{CHEMICAL_AFTER} (?:for|against) {MODIFIED}",
            before=_without(rf"{_DENIED} {_COMPARED} risks? factors? odds marker test"),
        ),
        relation(
            "in_preventing",
            PREVENTS,
            f"{CHEMICAL_AFTER}(?: {BE_SO}(?:effective|useful|beneficial))? in preventing {CONDITION_BEFORE}",
        ),
        relation(
            "protective_effect",
            AMELIORATES,
            f"{CHEMICAL_AFTER} (?:on|against|in) {MAYBE_PATIENTS}{CONDITION_BEFORE}",
            before=rf"{_without(_DENIED)}\b{_PROTECTIVE} (?:effects?|roles?|activity|potential) of "
            rf"{CHEMICAL_BEFORE}",
        ),
        relation(
            "protective_effect",
            AMELIORATES,
            f"{CHEMICAL_AFTER}{DO}(?:has|have|had|ha[ds]|show(?:s|ed)?|exert(?:s|ed)?|"
            f"provide[sd]?) (?:an? )?{MODIFIED}"
            f"{_PROTECTIVE} (?:effects?|roles?|activity) (?:on|against|in) "
            f"{MAYBE_PATIENTS}{CONDITION_BEFORE}",
        ),
        relation(
            "role_in",
            ASSOCIATED,
            f"{CHEMICAL_AFTER} in {MAYBE_PATIENTS}{CONDITION_BEFORE}",
            before=rf"\broles? (?:of|for) {CHEMICAL_BEFORE}",
        ),
        relation("contributes_to", CONTRIBUTES, f"{CHEMICAL_AFTER}{DO}contribute[sd]? to {CONDITION_BEFORE}"),
    ),
    (Role.CONDITION, Role.TREATMENT): (
        relation(
            "toxicity_to",
            CAUSES,
            f" of {CHEMICAL_BEFORE}",
            reverse=True,
            reach=Reach.LAST_OF_FIRST,
            is_noun_phrase=True,
            head=Head.FIRST,
            first_named=_TOXIC,
        ),
        relation(
            "allergic_to",
            CAUSES,
            f"(?: (?:reactions?|responses?))? to {CHEMICAL_BEFORE}",
            reverse=True,
            reach=Reach.LAST_OF_FIRST,
            is_noun_phrase=True,
            head=Head.FIRST,
            before=_without("known any history suspected exclusion excluded"),
            first_named=_SENSITIVE,
        ),
        relation(
            "under_treatment",
            ASSOCIATED,
            f"{CONDITION_AFTER} (?:in|among) {MODIFIED}(?:[\\w\\-]+ )?{PEOPLE} (?:(?:who )?(?:were )?)?"
            f"(?:treated with|receiving|taking|given|exposed to) {CHEMICAL_BEFORE}",
            reverse=True,
            reach=Reach.NEAREST,
            before=_TOGETHER,
        ),
        relation(
            "after_treatment",
            ASSOCIATED,
            f"{CONDITION_AFTER} (?:after|following) {CHEMICAL_BEFORE}",
            reverse=True,
            reach=Reach.NEAREST,
            before=rf"(?!.*\b{PEOPLE} (?:\w+ )?with {CONDITION_BEFORE}$){_TOGETHER}",
            after=r"(?! (?:was|were|is|withdrawal|discontinuation)\b)",
        ),
        relation(
            "eased_through",
            AMELIORATES,
            f"{CONDITION_AFTER} (?:by|with|using) {CHEMICAL_BEFORE}",
            reverse=True,
            before=r"\b(?:improvement|reduction|attenuation|reversal|suppression|amelioration|"
            r"antagonism|alleviation|"
            rf"resolution) (?:of|in) {CONDITION_BEFORE}",
        ),
        relation(
            "prevented_through",
            PREVENTS,
            f"{CONDITION_AFTER} (?:by|with|using) {CHEMICAL_BEFORE}",
            reverse=True,
            before=rf"\b(?:prevention|prophylaxis|protection) (?:of|from|against) {CONDITION_BEFORE}",
        ),
        relation(
            "brought_about_through",
            CAUSES,
            f"{CONDITION_AFTER} by {CHEMICAL_BEFORE}",
            reverse=True,
            before=rf"\b(?:provocation|(?<!remission )induction) of {CONDITION_BEFORE}",
        ),
        relation(
            "better_with",
            AMELIORATES,
            f"{CONDITION_AFTER} {_BETTER} (?:after|with|to|following|on|under) {CHEMICAL_BEFORE}",
            reverse=True,
            after=r"(?! (?:was|were|is)\b)",
        ),
    ),
    (Role.CONDITION, Role.CONDITION): (
        relation(
            "signs_of",
            ASSOCIATED,
            f"{CONDITION_AFTER},? (?:[a-z]+ly )?(?:included?|includes|including|are|were|is|was|"
            f"such as):? {CONDITION_BEFORE}",
            before=rf"\b{_SIGNS}(?: and {_SIGNS})? (?:(?:characteristic |typical )?of|in|associated with) "
            rf"{MAYBE_PATIENTS}{CONDITION_BEFORE}",
        ),
        relation(
            "seen_in",
            ASSOCIATED,
            f"{CONDITION_AFTER} {BE_NOT}(?:more |most |very |highly )?(?:commonly |frequently )?{_SEEN} "
            f"(?:in|among) {MAYBE_PATIENTS}{CONDITION_BEFORE}",
            before=_without("correlation association relationship"),
        ),
        relation(
            "together",
            ASSOCIATED,
            f"{CONDITION_AFTER} (?:in {MAYBE_PATIENTS}|with |among {PATIENTS_WITH}|after |following |during "
            f"(?:the course of )?){MODIFIED}",
            before=_TOGETHER,
            reach=Reach.NEAREST,
        ),
        relation(
            "characteristic_of",
            ASSOCIATED,
            f",? {_CHARACTERISTIC} (?:of|for) {CONDITION_BEFORE}",
            reach=Reach.LAST_OF_FIRST,
            is_noun_phrase=True,
            head=Head.FIRST,
        ),
        relation(
            "characteristic_of",
            ASSOCIATED,
            f"{CONDITION_AFTER},? (?:which )?{BE_NOT}{_CHARACTERISTIC} (?:of|for) {CONDITION_BEFORE}",
        ),
        relation(
            "diagnosed_with",
            ASSOCIATED,
            f"{CONDITION_AFTER} and (?:was|were) (?:later |subsequently |finally |then )?(?:diagnosed "
            f"(?:with|as "
            f"having)|found to have) {MODIFIED}",
            before=r"\b(?:presented|presenting|admitted|seen) (?:with|for|because of) (?:[\w\-,]+ ){0,4}$",
        ),
        relation(
            "contributes_to", CONTRIBUTES, f"{CONDITION_AFTER}{DO}contribute[sd]? to {CONDITION_BEFORE}"
        ),
    ),
}
