"""What words between two mentions say about them.

Patterns are tried in order; the whole text between the two mentions must fit one. A predicate never says
more than the words do: who reports that a medicine "was used for" a disease does not say that it helps.
"""

from __future__ import annotations

import re
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
        left: What stands first in the sentence.
        words: What must stand between the two.
        right: What stands second.
        predicate: The Biolink predicate.
        reverse: Whether the second mention is the subject.
    """

    name: str
    left: Role
    words: re.Pattern[str]
    right: Role
    predicate: str
    reverse: bool = False


def _any(words: str, separator: str | None = None) -> str:
    return f"(?:{'|'.join(words.split(separator))})"


def _pattern(*parts: str) -> re.Pattern[str]:
    return re.compile("".join(parts), re.IGNORECASE)


_TREATMENT, _CONDITION, _GENE = Role.TREATMENT, Role.CONDITION, Role.GENE

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

RELATIONS: tuple[Relation, ...] = (
    Relation(
        "compound_adjective",
        _TREATMENT,
        _pattern("[- ](?:induced|related|associated|mediated) (?:immune-related )?", _KIND),
        _CONDITION,
        CONTRIBUTES,
    ),
    Relation("causes", _TREATMENT, _pattern(f" {_KIND}{_DO}{_CAUSE} {_KIND}"), _CONDITION, CAUSES),
    Relation(
        "caused_by",
        _CONDITION,
        _pattern(f" {_KIND}{_MAY_BE}{_NOT}(?:caused|induced|triggered|provoked) by {_KIND}"),
        _TREATMENT,
        CAUSES,
        reverse=True,
    ),
    Relation(
        "attributed_to",
        _CONDITION,
        _pattern(f" (?:{_KIND}{_BE} )?{_NOT}{_DUE_TO} {_KIND}"),
        _TREATMENT,
        CONTRIBUTES,
        reverse=True,
    ),
    Relation(
        "risk_of",
        _TREATMENT,
        _pattern(rf" {_KIND}{_DO}{_HAS} {_HIGHER}(?:\w+ly )?{_HIGHER}{_RISK} (?:of|for) {_KIND}"),
        _CONDITION,
        MORE_LIKELY,
    ),
    Relation(
        "associated_with",
        _TREATMENT,
        _pattern(f" {_KIND}{_BE} {_NOT}(?:associated|linked) (?:with|to) {_KIND}"),
        _CONDITION,
        ASSOCIATED,
    ),
    Relation(
        "associated_with",
        _CONDITION,
        _pattern(f" {_KIND}{_BE} {_NOT}(?:associated|linked) (?:with|to) {_KIND}"),
        _TREATMENT,
        ASSOCIATED,
        reverse=True,
    ),
    Relation(
        "adverse_event",
        _TREATMENT,
        _pattern(
            rf" (?:[\w\-/%,]+ ){{0,6}}?{_EVENT} (?:\w+ ){{0,5}}?",
            f"(?:were|was|included?|includes|including|such as|are|is|like|of)[: ]+{_KIND}",
        ),
        _CONDITION,
        ADVERSE_EVENT,
    ),
    Relation(
        "adverse_event_of",
        _CONDITION,
        _pattern(
            f" {_BE} (?:an? |the )?{_KIND}(?:{_EVENT}|complications?) ",
            f"(?:of|with|under|from|during|after) {_KIND}",
        ),
        _TREATMENT,
        ADVERSE_EVENT,
        reverse=True,
    ),
    Relation(
        "for_treatment_of",
        _TREATMENT,
        _pattern(
            f" {_KIND}{_MAY_BE}{_NOT}(?:{_APPLIED} )?(?:for|in) (?:the |first-line |second-line |adjuvant )*",
            f"(?:treatment|therapy|management) of {_KIND}{_MAY_BE_PATIENTS}{_KIND}",
        ),
        _CONDITION,
        TREATS,
    ),
    Relation(
        "used_for",
        _TREATMENT,
        _pattern(f" {_KIND}{_BE} {_NOT}{_APPLIED} (?:for|in|against) {_MAY_BE_PATIENTS}{_KIND}"),
        _CONDITION,
        TREATS,
    ),
    Relation(
        "reduces_risk",
        _TREATMENT,
        _pattern(f" {_KIND}{_DO}(?:reduce[sd]?|lower(?:s|ed)?|decrease[sd]?) the {_RISK} of {_KIND}"),
        _CONDITION,
        LESS_LIKELY,
    ),
    Relation(
        "improves",
        _TREATMENT,
        _pattern(
            f" {_KIND}{_DO}(?:{_MAY_BE}(?:used |given )?to )?{_HELPED} ",
            rf"(?:(?:[\w\-/%]+ ){{0,3}}?{_OUTCOME} (?:of|in|for|from) )?{_MAY_BE_PATIENTS}{_KIND}",
        ),
        _CONDITION,
        TREATS,
    ),
    Relation(
        "in_patients_with", _TREATMENT, _pattern(f" (?:in|for) {_IN_PATIENTS}{_KIND}"), _CONDITION, TREATS
    ),
    Relation(
        "for_condition",
        _TREATMENT,
        _pattern(f" (?:monotherapy |therapy |treatment )?(?:for|against) {_STAGE}"),
        _CONDITION,
        TREATS,
    ),
    Relation(
        "treated_with",
        _CONDITION,
        _pattern(
            f" (?:patients )?(?:who |which |that )?(?:(?:{_BE}|can be|may be) )?{_NOT}",
            f"(?:treated|managed|controlled) (?:successfully )?with {_KIND}",
        ),
        _TREATMENT,
        TREATS,
        reverse=True,
    ),
    Relation(
        "received",
        _CONDITION,
        _pattern(f" (?:patients )?{_MAY_BE}{_RECEIVED} {_KIND}"),
        _TREATMENT,
        TREATS,
        reverse=True,
    ),
    Relation(
        "gene_altered_condition",
        _GENE,
        _pattern(f"(?:[- ]|[- ]?V600[EK]?(?:/K)?[- ]){_ALTERED} {_KIND}"),
        _CONDITION,
        ASSOCIATED,
    ),
    Relation(
        "alterations_in_condition",
        _GENE,
        _pattern(
            rf" (?:V600[EK]? )?{_ALTERATIONS} (?:{_BE} (?:\w+ )?{_FOUND} )?",
            f"in {_KIND}{_MAY_BE_PATIENTS}{_KIND}",
        ),
        _CONDITION,
        ASSOCIATED,
    ),
    Relation(
        "inhibits",
        _TREATMENT,
        _pattern(rf" (?:\w+ly )?{_DO}{_INHIBITS} (?:the |mutant |mutated |activated )*"),
        _GENE,
        AFFECTS,
    ),
)

# A sentence that asks or supposes states nothing.
HEDGES = re.compile(
    r"\b(?:whether|hypothes\w+|to (?:determine|evaluate|assess|investigate|examine|test|explore|find out) "
    r"(?:if|the)|might|may|could|possibl[ey]|potential(?:ly)?|unclear|unknown|suspected|would|should|"
    r"aims? to|will be|if |unless|risk factors for)\b|\?",
    re.IGNORECASE,
)


def relation_between(left: Role, words: str, right: Role) -> Relation | None:
    """Return what the words between two mentions state, if anything.

    Args:
        left: What stands first.
        words: The text between the two.
        right: What stands second.

    Returns:
        The first relation that fits.
    """
    for relation in RELATIONS:
        if relation.left is left and relation.right is right and relation.words.fullmatch(words):
            return relation
    return None
