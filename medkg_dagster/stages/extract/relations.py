"""What words between two mentions say about them.

Patterns are tried in order; the whole text between the two mentions must fit one. A predicate never says more than
the words do: who reports that a medicine "was used for" a disease does not say that it helps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_MODIFIERS = r"(?:[\w\-/%+.,]+ ){0,5}?"
_PATIENTS = (
    rf"(?:(?:a |an |the |some |most |many |all |\d+ )?{_MODIFIERS}(?:patients?|adults?|children|women|men|people|"
    r"participants|subjects|individuals|cases?|persons?)(?: \w+)? (?:with|who ha[sd]|having|suffering from|for) )?"
)
# A few words that qualify what follows, none of which turns the statement into another one.
_KIND = (
    r"(?:(?:(?!(?:to|than|response|survival|outcomes?|benefit|prevent\w*|avoid\w*|treat\w*|absence|lack|lower|fewer|"
    r"decreas\w*|reduc\w*|resolution|history)\b)[\w\-/%]+ ){0,4}?)"
)
_BE = r"(?:is|are|was|were|has been|have been|had been|be|being)"


class Role(Enum):
    """What a mention can be in a relation."""

    TREATMENT = "treatment"
    CONDITION = "condition"
    GENE = "gene"


@dataclass(frozen=True, slots=True)
class Relation:
    """A pattern and what it states.

    Attributes:
        left: What stands first in the sentence.
        right: What stands second.
        words: What must stand between them.
        predicate: The Biolink predicate.
        reverse: Whether the second mention is the subject.
        name: The rule's name, for audit.
    """

    left: Role
    right: Role
    words: re.Pattern[str]
    predicate: str
    reverse: bool
    name: str


def _relation(
    left: Role, words: str, right: Role, predicate: str, name: str, reverse: bool = False
) -> Relation:
    return Relation(left, right, re.compile(words, re.IGNORECASE), f"biolink:{predicate}", reverse, name)


_T, _C, _G = Role.TREATMENT, Role.CONDITION, Role.GENE
_NOT = r"(?:not |never )?"
_DO = r"(?:did not |does not |do not |can |cannot )?"

RELATIONS: tuple[Relation, ...] = (
    _relation(_T, r"[- ](?:induced|related|associated|mediated) (?:immune-related )?" + _KIND, _C,
              "contributes_to", "compound_adjective"),
    _relation(_T, rf" {_KIND}{_DO}(?:cause[sd]?|causing|induce[sd]?|inducing|trigger(?:s|ed)?|triggering|led to|"
              rf"leads? to|leading to|result(?:s|ed)? in|resulting in|provoke[sd]?) {_KIND}", _C, "causes", "causes"),
    _relation(_C, rf" {_KIND}{_BE}? ?{_NOT}(?:\w+ly )?(?:caused|induced|triggered|provoked) by {_KIND}", _T,
              "causes", "caused_by", True),
    _relation(_C, rf" (?:{_KIND}{_BE} {_NOT})?(?:\w+ly )?(?:due to|secondary to|attributed to|attributable to|related to|"
              rf"resulting from) {_KIND}", _T, "contributes_to", "attributed_to", True),
    _relation(_T, rf" {_KIND}(?:(?:{_BE} )?{_NOT}(?:\w+ly )?associated with|had|has|have|showed|increase[sd]?|carries) "
              rf"(?:an? |the )?(?:\w+ly )?(?:higher|increased|elevated|greater|raised|excess)? ?(?:risk|rate|incidence|"
              rf"frequency|odds)s? (?:of|for) {_KIND}", _C, "associated_with_increased_likelihood_of", "risk_of"),
    _relation(_T, rf" {_KIND}{_BE} {_NOT}(?:\w+ly )?(?:associated|linked) (?:with|to) {_KIND}", _C,
              "associated_with", "associated_with"),
    _relation(_C, rf" {_KIND}{_BE} {_NOT}(?:\w+ly )?(?:associated|linked) (?:with|to) {_KIND}", _T,
              "associated_with", "associated_with", True),
    _relation(_T, r" (?:[\w\-/%,]+ ){0,6}?(?:adverse (?:events?|effects?|reactions?)|side effects?|toxicit(?:y|ies)) "
              rf"(?:(?:\w+ ){{0,5}}?)(?:were|was|included?|includes|including|such as|are|is|like|of)[: ]+{_KIND}", _C,
              "has_adverse_event", "adverse_event"),
    _relation(_C, rf" {_BE} (?:an? |the )?{_KIND}(?:adverse (?:events?|effects?|reactions?)|side effects?|toxicit(?:y|ies)|"
              rf"complications?) (?:of|with|under|from|during|after) {_KIND}", _T, "has_adverse_event",
              "adverse_event_of", True),
    _relation(_T, rf" {_KIND}(?:{_BE} )?{_NOT}(?:given |used |approved |indicated |licensed |effective |active |started |"
              rf"administered |recommended |prescribed )?(?:for|in) (?:the |first-line |second-line |adjuvant )*"
              rf"(?:treatment|therapy|management) of {_KIND}{_PATIENTS}{_KIND}", _C,
              "treats_or_applied_or_studied_to_treat", "for_treatment_of"),
    _relation(_T, rf" {_KIND}{_BE} {_NOT}(?:\w+ly )?(?:given|used|approved|indicated|licensed|effective|active|started|"
              rf"administered|recommended|prescribed|tested|evaluated|studied) (?:for|in|against) "
              rf"{_PATIENTS}{_KIND}", _C, "treats_or_applied_or_studied_to_treat", "used_for"),
    _relation(_T, rf" {_KIND}{_DO}(?:reduce[sd]?|lower(?:s|ed)?|decrease[sd]?) the (?:risk|rate|incidence|frequency|"
              rf"recurrence|odds) of {_KIND}", _C, "associated_with_decreased_likelihood_of", "reduces_risk"),
    _relation(_T, rf" {_KIND}{_DO}(?:(?:{_BE} )?(?:used |given )?to )?(?:treats?|treated|improve[sd]?|prolong(?:s|ed)?|resolve[sd]?|controlled|shrank|relieve[sd]?|"
              rf"reduce[sd]?) (?:{_KIND}(?:survival|outcomes?|response|responses|response rates?|symptoms|control) "
              rf"(?:of|in|for|from) )?{_PATIENTS}{_KIND}", _C, "treats_or_applied_or_studied_to_treat", "improves"),
    _relation(_T, rf" (?:in|for) {_PATIENTS.removesuffix('?')}{_KIND}", _C,
              "treats_or_applied_or_studied_to_treat", "in_patients_with"),
    _relation(_T, r" (?:monotherapy |therapy |treatment )?(?:for|against) "
              r"(?:advanced |metastatic |unresectable |refractory |resected |steroid-refractory |active |severe )*",
              _C, "treats_or_applied_or_studied_to_treat", "for_condition"),
    _relation(_C, rf" (?:patients )?(?:who |which |that )?(?:(?:{_BE}|can be|may be) )?(?:\w+ly )?(?:treated|managed|"
              rf"controlled) (?:successfully )?with {_KIND}", _T, "treats_or_applied_or_studied_to_treat",
              "treated_with", True),
    _relation(_C, rf" (?:patients )?(?:{_BE} )?(?:receiving|who received|received|responded to|resolved with|"
              rf"resolved (?:after|on|under)|improved (?:with|on|under|after)) {_KIND}", _T,
              "treats_or_applied_or_studied_to_treat", "received", True),
    _relation(_G, r"(?:[- ]|[- ]?V600[EK]?(?:/K)?[- ])(?:mutant|mutated|mutation-positive|driven|positive|altered|"
              rf"amplified|rearranged) {_KIND}", _C, "gene_associated_with_condition", "gene_altered_condition"),
    _relation(_G, rf" (?:V600[EK]? )?(?:mutations?|variants?|alterations?|amplifications?|rearrangements?|fusions?) "
              rf"(?:{_BE} (?:\w+ )?(?:found|present|detected|seen|common|frequent) )?in {_KIND}{_PATIENTS}{_KIND}",
              _C, "gene_associated_with_condition", "mutation_in_condition"),
    _relation(_T, rf" (?:\w+ly )?{_DO}(?:inhibits?|blocks?|binds?(?: to)?|targets?|is an inhibitor of|inhibited|blocked) "
              r"(?:the |mutant |mutated |activated )*", _G, "affects", "inhibits"),
)  # fmt: skip

# A sentence that asks or supposes states nothing.
HEDGES = re.compile(
    r"\b(?:whether|hypothes\w+|to (?:determine|evaluate|assess|investigate|examine|test|explore|find out) (?:if|the)|"
    r"might|may|could|possibl[ey]|potential(?:ly)?|unclear|unknown|suspected|would|should|aims? to|will be|"
    r"if |unless|risk factors for)\b|\?",
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
