"""Which conditions treatments bring about or worsen, as sentences say it."""

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
    any_of,
)
from medkg_dagster.stages.extract.relation_types import (
    ADVERSE_EVENT,
    ASSOCIATED,
    CAUSES,
    CONTRAINDICATED,
    CONTRIBUTES,
    EXACERBATES,
    MORE_LIKELY,
    Head,
    Reach,
    Relation,
    Role,
    relation,
)
from medkg_dagster.stages.extract.verbs import BE, BE_NOT, BE_SO, CAUSE, DO, HIGHER, IS_ONE, MODAL

_CAUSING = any_of("causing inducing triggering provoking eliciting precipitating producing")
_CAUSED = any_of("caused induced triggered provoked produced elicited evoked precipitated")
_DUE_TO = any_of(
    "due to,secondary to,attributed to,attributable to,resulting from,caused by,induced by,as a result of,"
    "as a consequence of,as a complication of,as a side effect of,as an adverse effect of,provoked by,"
    "triggered by,precipitated by,produced by,elicited by,evoked by,result(?:s|ed)? from,aris(?:es?|ing) "
    "from,"
    "arose from,ascribed to",
    ",",
)
_EVENT = any_of(
    "adverse (?:drug )?(?:events?|effects?|reactions?),side effects?,toxicit(?:y|ies),complications?", ","
)
_WORSEN = any_of("exacerbate[sd]?,aggravate[sd]?,worsen(?:s|ed)?,potentiate[sd]?", ",")
_ADMINISTERING = any_of(
    "administration treatment therapy exposure use infusion injection ingestion overdose initiation "
    "anesthesia "
    "intake poisoning intoxication anaesthesia"
)

# "Improvement in pain after ..." says nothing of what came after.
_NOT_EASED = r"^(?:(?!\b(?:improv|reduc|relie|resol|decreas|chang|remission|respon|percent|prevent|treat)).)*"

HARM_RELATIONS: Mapping[tuple[Role, Role], tuple[Relation, ...]] = {
    (Role.TREATMENT, Role.CONDITION): (
        relation(
            "compound_adjective",
            CAUSES,
            f"(?:[- ](?:induced|evoked|provoked|triggered)|-(?:mediated|elicited|produced)) "
            f"{CONDITION_BEFORE}",
            reach=Reach.NEAREST,
            is_noun_phrase=True,
        ),
        relation(
            "compound_adjective",
            CONTRIBUTES,
            f"-(?:related|associated) {CONDITION_BEFORE}",
            reach=Reach.NEAREST,
            is_noun_phrase=True,
        ),
        relation(
            "toxicity_of",
            CAUSES,
            f" (?:induced )?{ADJECTIVES}",
            reach=Reach.NEAREST,
            is_noun_phrase=True,
            named=r"[a-z]toxicit(?:y|ies)$|nephropathy$|cardiomyopathy$|hepatitis$|neuropathy$|"
            r"encephalopathy$",
        ),
        relation("causes", CAUSES, f"{CHEMICAL_AFTER}{DO}{CAUSE} {MAYBE_PATIENTS}{CONDITION_BEFORE}"),
        relation("causes", CAUSES, f"{CHEMICAL_AFTER},? {_CAUSING} {CONDITION_BEFORE}"),
        relation(
            "cause_of",
            CAUSES,
            f"{CHEMICAL_AFTER} {BE_NOT}(?:an? |the |one of the )?(?:[a-z\\-]+ )?"
            f"(?:causes? of|responsible for) {CONDITION_BEFORE}",
        ),
        relation(
            "risk_of",
            MORE_LIKELY,
            f"{CHEMICAL_AFTER}{DO}(?:{BE_SO}associated with|increase[sd]?|"
            f"carr(?:y|ies)) "
            f"{HIGHER}(?:risks?|incidence|odds|likelihood) (?:of|for) {CONDITION_BEFORE}",
        ),
        relation(
            "associated_with",
            ASSOCIATED,
            f"{CHEMICAL_AFTER} {BE_NOT}(?:associated|linked|related) (?:with|to) {CONDITION_BEFORE}",
        ),
        relation(
            "adverse_event",
            ADVERSE_EVENT,
            f"{CHEMICAL_AFTER},? (?:such as|including|like|include|included|includes|are|were|is|was) "
            f"{CONDITION_BEFORE}",
            before=rf"\b(?:adverse|side|toxic|unwanted) (?:drug )?(?:effects?|events?|reactions?) (?:of|"
            rf"from|with|to|due to|"
            rf"associated with) {CHEMICAL_BEFORE}",
        ),
        relation(
            "levels_in_condition",
            ASSOCIATED,
            f"{CHEMICAL_AFTER} {BE_NOT}(?:elevated|increased|higher|reduced|lower|decreased|altered) in "
            f"{PATIENTS_WITH}"
            f"{CONDITION_BEFORE}",
            before=r"\b(?:levels?|concentrations?|content) of (?:[\w\-]+ ){0,2}",
        ),
        relation(
            "adverse_event",
            ADVERSE_EVENT,
            rf"{CHEMICAL_AFTER}(?: (?:has|had|have|with|showed))? {MODIFIED}{_EVENT}(?: of {MODIFIED})?,? ?"
            f"(?:were|was|included?|includes|including|such as|are|is|like|namely)[: ]+{CONDITION_BEFORE}",
        ),
        relation(
            "contraindicated",
            CONTRAINDICATED,
            f"{CHEMICAL_AFTER} (?:{BE} (?:[a-z]+ly )?contraindicated|(?:should|must) (?:not be "
            f"(?:used|given|administered|prescribed)|be avoided)) (?:in|for) "
            f"{MAYBE_PATIENTS}{CONDITION_BEFORE}",
        ),
        relation(
            "contraindicated",
            CONTRAINDICATED,
            f"{CHEMICAL_AFTER} (?:such as|including|include|are|were|is|was|includes) {CONDITION_BEFORE}",
            is_noun_phrase=True,
            before=rf"\bcontraindications? (?:to|for|of) (?:the )?{CHEMICAL_BEFORE}",
        ),
        relation("exacerbates", EXACERBATES, f"{CHEMICAL_AFTER}{DO}{_WORSEN} {CONDITION_BEFORE}"),
    ),
    (Role.CONDITION, Role.TREATMENT): (
        relation(
            "caused_by",
            CAUSES,
            f"{CONDITION_AFTER}(?:{IS_ONE}(?<= )| (?:which |that )?{BE_NOT}){_CAUSED}"
            rf"(?: (?:in|among) {MODIFIED}(?:[\w\-]+ )?[a-z]+)? by {CHEMICAL_BEFORE}",
            reverse=True,
        ),
        relation(
            "due_to",
            CAUSES,
            f"{CONDITION_AFTER}(?:[a-z]+ly )? {_DUE_TO} {CHEMICAL_BEFORE}",
            reverse=True,
            reach=Reach.LAST_OF_FIRST,
            is_noun_phrase=True,
            head=Head.FIRST,
        ),
        relation(
            "due_to",
            CAUSES,
            f"{CONDITION_AFTER},? (?:{BE_NOT}|{MODAL})?(?:possibly |probably |likely )?"
            f"{_DUE_TO} {CHEMICAL_BEFORE}",
            reverse=True,
            reach=Reach.LAST_OF_FIRST,
        ),
        relation(
            "associated_with",
            ASSOCIATED,
            f"{CONDITION_AFTER} (?:{BE_NOT})?(?:associated|linked|related) (?:with|to) {CHEMICAL_BEFORE}",
            reverse=True,
            reach=Reach.NEAREST,
        ),
        relation(
            "after",
            ASSOCIATED,
            f"{CONDITION_AFTER} (?:after|following|during) {MODIFIED}(?:the )?(?:{_ADMINISTERING} (?:of|"
            f"with|to) )"
            f"{CHEMICAL_BEFORE}",
            reverse=True,
            reach=Reach.NEAREST,
            before=_NOT_EASED,
        ),
        relation(
            "after",
            ASSOCIATED,
            f"{CONDITION_AFTER} (?:after|following|during) {CHEMICAL_BEFORE}",
            reverse=True,
            reach=Reach.NEAREST,
            before=_NOT_EASED,
            after=rf" {_ADMINISTERING}\b",
        ),
        relation(
            "effect_of",
            CAUSES,
            f" (?:effects?|responses?|actions?) (?:of|to) {CHEMICAL_BEFORE}",
            reverse=True,
            reach=Reach.LAST_OF_FIRST,
            is_noun_phrase=True,
            head=Head.FIRST,
            before=r"^(?!.*\banti-?$).*",
            first_named=r"(?:ive|ic|al|ous)$",
        ),
        relation(
            "adverse_event_of",
            ADVERSE_EVENT,
            f"{CONDITION_AFTER}(?:,| {BE_NOT}(?<= )) ?(?:an? |the |one of the )?{MODIFIED}{_EVENT} "
            f"(?:of|with|under|from|during|after|to|associated with) {CHEMICAL_BEFORE}",
            reverse=True,
        ),
        relation(
            "worsened_by",
            EXACERBATES,
            f"{CONDITION_AFTER} {BE_NOT}(?:exacerbated|aggravated|worsened) by {CHEMICAL_BEFORE}",
            reverse=True,
        ),
    ),
}
