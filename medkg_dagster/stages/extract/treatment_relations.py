"""What treatments are given for, prevent and ease, and do to each other, as sentences say it."""

from __future__ import annotations

from collections.abc import Mapping

from medkg_dagster.stages.extract.phrases import (
    CHEMICAL_AFTER,
    CHEMICAL_BEFORE,
    CONDITION_AFTER,
    CONDITION_BEFORE,
    MAYBE_PATIENTS,
    MODIFIED,
    PATIENTS_WITH,
    any_of,
)
from medkg_dagster.stages.extract.relation_types import (
    AFFECTS,
    AMELIORATES,
    DIRECTION,
    INTERACTS,
    LESS_LIKELY,
    PREVENTS,
    TREATS,
    Relation,
    Role,
    relation,
)
from medkg_dagster.stages.extract.verbs import BE, BE_NOT, BE_SO, DO

_RISK = "(?:risks?|rates?|incidence|frequency|odds|likelihood|prevalence)"
_APPLIED = any_of(
    "given used approved indicated licensed effective active started administered recommended prescribed "
    "tested evaluated studied efficacious beneficial useful employed available"
)
_THERAPY = "(?:treatment|therapy|management)"
_CURE = any_of("treats? treated cure[sd]? treating")
_PREVENT = any_of(
    "prevent(?:s|ed)?,protect(?:s|ed)? against,preventing,protecting against,avert(?:s|ed)?", ","
)
_EASE = any_of(
    "attenuate[sd]?,ameliorate[sd]?,alleviate[sd]?,relieve[sd]?,reverse[sd]?,reduce[sd]?,decrease[sd]?,"
    "suppress(?:es|ed)?,abolish(?:es|ed)?,diminish(?:es|ed)?,mitigate[sd]?,counteract(?:s|ed)?,"
    "antagonize[sd]?,improve[sd]?,resolve[sd]?,block(?:s|ed)?,inhibit(?:s|ed)?,control(?:s|led)?",
    ",",
)
_EASED = any_of(
    "attenuated ameliorated alleviated relieved reversed reduced decreased suppressed abolished diminished "
    "mitigated counteracted antagonized improved resolved blocked inhibited controlled"
)
_FOR = "(?:for|in|against)"

_EFFICACY_OF = (
    r"\b(?:efficacy|safety|tolerability|effectiveness|doses?|administration|trial|study) (?:and \w+ )?of "
    r"(?:[\w\-]+ ){0,3}"
)


TREATMENT_RELATIONS: Mapping[tuple[Role, Role], tuple[Relation, ...]] = {
    (Role.TREATMENT, Role.CONDITION): (
        relation(
            "prevents",
            PREVENTS,
            f"{CHEMICAL_AFTER}(?:{DO}{_PREVENT}| (?:{BE_SO}{_APPLIED} )?"
            f"(?:for (?:the )?(?:prevention|prophylaxis) of|to prevent)) {CONDITION_BEFORE}",
        ),
        relation(
            "for_treatment_of",
            TREATS,
            f"{CHEMICAL_AFTER} (?:{BE_NOT}(?:an? )?(?:{_APPLIED} )?(?:(?:therapy|treatment|drug|agent|"
            f"option) )?)?"
            f"(?:for|in) (?:the )?(?:first-line |second-line |adjuvant |long-term |acute |medical )*"
            f"{_THERAPY} of {MAYBE_PATIENTS}{CONDITION_BEFORE}",
        ),
        relation(
            "used_for",
            TREATS,
            f"{CHEMICAL_AFTER} {BE_NOT}{_APPLIED} (?:{_FOR} {MAYBE_PATIENTS}|to treat ){CONDITION_BEFORE}",
        ),
        relation(
            "reduces_risk",
            LESS_LIKELY,
            f"{CHEMICAL_AFTER}(?:{DO}(?:reduce[sd]?|lower(?:s|ed)?|decrease[sd]?)| reduction) (?:the |in "
            f"the )?"
            f"{_RISK} (?:of|for) {CONDITION_BEFORE}",
        ),
        relation("treats", TREATS, f"{CHEMICAL_AFTER}{DO}{_CURE} {MAYBE_PATIENTS}{CONDITION_BEFORE}"),
        relation("ameliorates", AMELIORATES, f"{CHEMICAL_AFTER}{DO}{_EASE} {CONDITION_BEFORE}"),
        relation(
            "ameliorates",
            AMELIORATES,
            f"{CHEMICAL_AFTER}{DO}(?:le(?:d|ads) to|result(?:s|ed) in|produce[sd]?|cause[sd]?|"
            f"provide[sd]?|bring|brought) "
            f"{MODIFIED}(?:improvements?|resolution|remission|relief|regression|attenuation|amelioration) "
            f"(?:of|in|from) "
            f"{MAYBE_PATIENTS}{CONDITION_BEFORE}",
        ),
        relation(
            "improves",
            TREATS,
            f"{CHEMICAL_AFTER}{DO}(?:improve[sd]?|prolong(?:s|ed)?) {MODIFIED}(?:[\\w\\-]+ )?"
            f"(?:survival|outcomes?|responses?|response rates?|symptoms|control) (?:of|in|for|from) "
            f"{MAYBE_PATIENTS}{CONDITION_BEFORE}",
        ),
        relation(
            "studied_in",
            TREATS,
            f"{CHEMICAL_AFTER}(?: (?:versus|vs\\.?|compared (?:with|to)) placebo)?(?: when)?(?: given| "
            f"administered)? "
            f"(?:in|to|for) {PATIENTS_WITH}{CONDITION_BEFORE}",
            is_noun_phrase=True,
            before=_EFFICACY_OF,
        ),
        relation(
            "therapy_in_patients_with",
            TREATS,
            f"(?:-based)? (?:therapy|treatment|monotherapy|chemotherapy|maintenance|prophylaxis) (?:in|for|"
            f"of) "
            f"{PATIENTS_WITH}{CONDITION_BEFORE}",
        ),
        relation(
            "for_condition",
            TREATS,
            "(?: monotherapy| therapy| treatment| chemotherapy)? (?:for|against) "
            "(?:advanced |metastatic |unresectable |refractory |resected |active |severe |chronic |acute |"
            "relapsed |recurrent |the )*",
        ),
    ),
    (Role.CONDITION, Role.TREATMENT): (
        relation(
            "prevented_by",
            PREVENTS,
            f"{CONDITION_AFTER} {BE_NOT}prevented by {CHEMICAL_BEFORE}",
            reverse=True,
        ),
        relation(
            "eased_by",
            AMELIORATES,
            f"{CONDITION_AFTER} {BE_NOT}{_EASED} (?:by|with|after|following) {CHEMICAL_BEFORE}",
            reverse=True,
        ),
        relation(
            "treated_with",
            TREATS,
            f"(?: patients)?(?:,? (?:who|which|that))? (?:{BE_NOT})?(?:treated|managed|controlled) "
            f"(?:successfully |effectively )?(?:with|by) {CHEMICAL_BEFORE}",
            reverse=True,
        ),
        relation(
            "treatment_with",
            TREATS,
            f"(?: patients)? (?:with|by|using) {CHEMICAL_BEFORE}",
            reverse=True,
            before=rf"\b(?:(?:treatment|therapy|management) of|treat|treats|treating) {MODIFIED}",
        ),
        relation(
            "treatment_is",
            TREATS,
            f"{CONDITION_AFTER} (?:{BE}|includes?|included|consists? of|consisted of|involves?|involved) "
            f"{CHEMICAL_BEFORE}",
            reverse=True,
            before=rf"\b(?:treatments?|therap(?:y|ies)|management|drugs?|medications?|agents?)(?: of "
            rf"choice| options?)? "
            rf"(?:of|for|against) {MAYBE_PATIENTS}{CONDITION_BEFORE}",
        ),
        relation(
            "received",
            TREATS,
            rf" patients (?:who )?(?:(?:{BE} )?receiving|received|responded to) {CHEMICAL_BEFORE}",
            reverse=True,
        ),
    ),
    (Role.TREATMENT, Role.TREATMENT): (
        relation(
            "interacts_with", INTERACTS, f"{CHEMICAL_AFTER}{DO}interact(?:s|ed|ing)? with {CHEMICAL_BEFORE}"
        ),
        relation(
            "alters_effect_of",
            INTERACTS,
            f"{CHEMICAL_AFTER}{DO}(?:potentiate[sd]?|enhance[sd]?|antagonize[sd]?|inhibit(?:s|ed)?|"
            f"increase[sd]?|"
            f"decrease[sd]?|reduce[sd]?|block(?:s|ed)?|attenuate[sd]?|reverse[sd]?) (?:the )?{MODIFIED}"
            r"(?:effects?|toxicity|metabolism|clearance|absorption|bioavailability|efficacy|actions?) of "
            f"{CHEMICAL_BEFORE}",
        ),
        relation(
            "raises_chemical",
            AFFECTS,
            f"{CHEMICAL_AFTER}{DO}(?:increase[sd]?|elevate[sd]?|raise[sd]?) {MODIFIED}(?:levels?|"
            f"concentrations?|release|production|synthesis) of {MODIFIED}",
            qualifiers={DIRECTION: "increased"},
        ),
        relation(
            "lowers_chemical",
            AFFECTS,
            f"{CHEMICAL_AFTER}{DO}(?:decrease[sd]?|reduce[sd]?|lower(?:s|ed)?|deplete[sd]?) "
            f"{MODIFIED}(?:levels?|"
            f"concentrations?|release|production|synthesis) of {MODIFIED}",
            qualifiers={DIRECTION: "decreased"},
        ),
    ),
}
