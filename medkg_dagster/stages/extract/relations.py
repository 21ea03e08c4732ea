"""What words between two mentions say about them.

Patterns are tried in order; the whole text between the two mentions must fit one. A predicate never says
more than the words do: who reports that a medicine "was used for" a disease does not say that it helps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

CAUSES = "biolink:causes"
CONTRIBUTES = "biolink:contributes_to"
ASSOCIATED = "biolink:associated_with"
MORE_LIKELY = "biolink:associated_with_increased_likelihood_of"
LESS_LIKELY = "biolink:associated_with_decreased_likelihood_of"
ADVERSE_EVENT = "biolink:has_adverse_event"
TREATS = "biolink:treats_or_applied_or_studied_to_treat"
AFFECTS = "biolink:affects"


class Role(Enum):
    """What a mention can be in a relation."""

    TREATMENT = "treatment"
    CONDITION = "condition"
    GENE = "gene"


@dataclass(frozen=True, slots=True)
class Relation:
    """A pattern and what it states.

    Attributes:
        name: The rule's name, for audit.
        predicate: The Biolink predicate.
        words: What must stand between the two.
        reverse: Whether the second mention is the subject.
    """

    name: str
    predicate: str
    words: re.Pattern[str]
    reverse: bool = False


def _any(words: str, separator: str | None = None) -> str:
    return f"(?:{'|'.join(words.split(separator))})"


def _relation(name: str, predicate: str, *words: str, reverse: bool = False) -> Relation:
    return Relation(name, predicate, re.compile("".join(words), re.IGNORECASE), reverse)


# A few words that qualify what follows, none of which turns the statement into another one.
_TURNING = _any(
    r"to than response survival outcomes? benefit prevent\w* avoid\w* treat\w* absence lack lower fewer "
    r"decreas\w* reduc\w* resolution history"
)
_KIND = rf"(?:(?:(?!{_TURNING}\b)[\w\-/%]+ ){{0,4}}?)"
_BE = _any("is,are,was,were,has been,have been,had been,be,being", ",")
_MAY_BE = f"(?:{_BE} )?"
_NOT = r"(?:not |never )?(?:\w+ly )?"
_DO = "(?:did not |does not |do not |can |cannot )?"
_PEOPLE = _any(
    "patients? adults? children women men people participants subjects individuals cases? persons?"
)
_WITH = _any("with,who ha[sd],having,suffering from,for", ",")
_IN_PATIENTS = rf"(?:[\w\-/%+.,]+ ){{0,5}}?{_PEOPLE}(?: \w+)? {_WITH} "
_MAY_BE_PATIENTS = f"(?:{_IN_PATIENTS})?"

_CAUSE = _any(
    "cause[sd]?,causing,induce[sd]?,inducing,trigger(?:s|ed)?,triggering,led to,leads? to,leading to,"
    "result(?:s|ed)? in,resulting in,provoke[sd]?",
    ",",
)
_DUE_TO = _any("due to,secondary to,attributed to,attributable to,related to,resulting from", ",")
_HAS = rf"(?:{_MAY_BE}{_NOT}associated with|had|has|have|showed|increase[sd]?|carries)"
_HIGHER = "(?:an? |the )?(?:higher |increased |elevated |greater |raised |excess )?"
_RISK = "(?:risks?|rates?|incidence|frequency|recurrence|odds)"
_EVENT = _any("adverse (?:events?|effects?|reactions?),side effects?,toxicit(?:y|ies)", ",")
_APPLIED = _any(
    "given used approved indicated licensed effective active started administered recommended prescribed "
    "tested evaluated studied"
)
_HELPED = _any(
    "treats? treated improve[sd]? prolong(?:s|ed)? resolve[sd]? controlled shrank relieve[sd]? reduce[sd]?"
)
_OUTCOME = _any("survival,outcomes?,responses?,response rates?,symptoms,control", ",")
_STAGE = "(?:advanced |metastatic |unresectable |refractory |resected |steroid-refractory |active |severe )*"
_RECEIVED = _any(
    "receiving,who received,received,responded to,resolved (?:with|after|on|under),"
    "improved (?:with|on|under|after)",
    ",",
)
_ALTERED = _any("mutant mutated mutation-positive driven positive altered amplified rearranged")
_ALTERATIONS = _any("mutations? variants? alterations? amplifications? rearrangements? fusions?")
_FOUND = _any("found present detected seen common frequent")
_INHIBITS = _any("inhibits?,inhibited,blocks?,blocked,binds?(?: to)?,targets?,is an inhibitor of", ",")

RELATIONS: Mapping[tuple[Role, Role], tuple[Relation, ...]] = {
    (Role.TREATMENT, Role.CONDITION): (
        _relation(
            "compound_adjective",
            CONTRIBUTES,
            "[- ](?:induced|related|associated|mediated) (?:immune-related )?",
            _KIND,
        ),
        _relation("causes", CAUSES, f" {_KIND}{_DO}{_CAUSE} {_KIND}"),
        _relation(
            "risk_of",
            MORE_LIKELY,
            rf" {_KIND}{_DO}{_HAS} {_HIGHER}(?:\w+ly )?{_HIGHER}{_RISK} (?:of|for) {_KIND}",
        ),
        _relation(
            "associated_with", ASSOCIATED, f" {_KIND}{_BE} {_NOT}(?:associated|linked) (?:with|to) {_KIND}"
        ),
        _relation(
            "adverse_event",
            ADVERSE_EVENT,
            rf" (?:[\w\-/%,]+ ){{0,6}}?{_EVENT} (?:\w+ ){{0,5}}?",
            f"(?:were|was|included?|includes|including|such as|are|is|like|of)[: ]+{_KIND}",
        ),
        _relation(
            "for_treatment_of",
            TREATS,
            f" {_KIND}{_MAY_BE}{_NOT}(?:{_APPLIED} )?(?:for|in) (?:the |first-line |second-line |adjuvant )*",
            f"(?:treatment|therapy|management) of {_KIND}{_MAY_BE_PATIENTS}{_KIND}",
        ),
        _relation(
            "used_for", TREATS, f" {_KIND}{_BE} {_NOT}{_APPLIED} (?:for|in|against) {_MAY_BE_PATIENTS}{_KIND}"
        ),
        _relation(
            "reduces_risk",
            LESS_LIKELY,
            f" {_KIND}{_DO}(?:reduce[sd]?|lower(?:s|ed)?|decrease[sd]?) the {_RISK} of {_KIND}",
        ),
        _relation(
            "improves",
            TREATS,
            f" {_KIND}{_DO}(?:{_MAY_BE}(?:used |given )?to )?{_HELPED} ",
            rf"(?:(?:[\w\-/%]+ ){{0,3}}?{_OUTCOME} (?:of|in|for|from) )?{_MAY_BE_PATIENTS}{_KIND}",
        ),
        _relation("in_patients_with", TREATS, f" (?:in|for) {_IN_PATIENTS}{_KIND}"),
        _relation("for_condition", TREATS, f" (?:monotherapy |therapy |treatment )?(?:for|against) {_STAGE}"),
    ),
    (Role.CONDITION, Role.TREATMENT): (
        _relation(
            "caused_by",
            CAUSES,
            f" {_KIND}{_MAY_BE}{_NOT}(?:caused|induced|triggered|provoked) by {_KIND}",
            reverse=True,
        ),
        _relation("attributed_to", CONTRIBUTES, f" (?:{_KIND}{_BE} )?{_NOT}{_DUE_TO} {_KIND}", reverse=True),
        _relation(
            "associated_with",
            ASSOCIATED,
            f" {_KIND}{_BE} {_NOT}(?:associated|linked) (?:with|to) {_KIND}",
            reverse=True,
        ),
        _relation(
            "adverse_event_of",
            ADVERSE_EVENT,
            f" {_BE} (?:an? |the )?{_KIND}(?:{_EVENT}|complications?) ",
            f"(?:of|with|under|from|during|after) {_KIND}",
            reverse=True,
        ),
        _relation(
            "treated_with",
            TREATS,
            f" (?:patients )?(?:who |which |that )?(?:(?:{_BE}|can be|may be) )?{_NOT}",
            f"(?:treated|managed|controlled) (?:successfully )?with {_KIND}",
            reverse=True,
        ),
        _relation("received", TREATS, f" (?:patients )?{_MAY_BE}{_RECEIVED} {_KIND}", reverse=True),
    ),
    (Role.GENE, Role.CONDITION): (
        _relation(
            "gene_altered_condition", ASSOCIATED, f"(?:[- ]|[- ]?V600[EK]?(?:/K)?[- ]){_ALTERED} {_KIND}"
        ),
        _relation(
            "alterations_in_condition",
            ASSOCIATED,
            rf" (?:V600[EK]? )?{_ALTERATIONS} (?:{_BE} (?:\w+ )?{_FOUND} )?",
            f"in {_KIND}{_MAY_BE_PATIENTS}{_KIND}",
        ),
    ),
    (Role.TREATMENT, Role.GENE): (
        _relation(
            "inhibits", AFFECTS, rf" (?:\w+ly )?{_DO}{_INHIBITS} (?:the |mutant |mutated |activated )*"
        ),
    ),
}

# A sentence that asks or supposes states nothing.
HEDGES = re.compile(
    r"\b(?:whether|hypothes\w+|to (?:determine|evaluate|assess|investigate|examine|test|explore|find out) "
    r"(?:if|the)|might|may|could|possibl[ey]|potential(?:ly)?|unclear|unknown|suspected|would|should|"
    r"aims? to|will be|if |unless|risk factors for)\b|\?",
    re.IGNORECASE,
)


def relation_between(left: Role, words: str, right: Role) -> Relation | None:
    """Return what the words between two mentions state, if anything."""
    rules = RELATIONS.get((left, right), ())
    return next((relation for relation in rules if relation.words.fullmatch(words)), None)
