"""What is found together with what, whatever the two are, as sentences say it."""

from __future__ import annotations

from collections.abc import Mapping

from medkg_dagster.stages.extract.phrases import (
    ALTERATION,
    ASPECT,
    CHEMICAL_AFTER,
    CHEMICAL_BEFORE,
    CONDITION_AFTER,
    CONDITION_BEFORE,
    GENE_AFTER,
    GENE_BEFORE,
    MAYBE_PATIENTS,
    MODIFIED,
    any_of,
)
from medkg_dagster.stages.extract.relation_types import (
    ASSOCIATED,
    CORRELATED,
    FALLS_WITH,
    RISES_WITH,
    Relation,
    Role,
    relation,
)
from medkg_dagster.stages.extract.verbs import BE_NOT

_LEVELS = "(?:levels?|concentrations?|expression|activity|scores?|severity|counts?|status)"
_AFTER = {
    Role.TREATMENT: f"{CHEMICAL_AFTER}(?: {_LEVELS})?",
    Role.CONDITION: f"{CONDITION_AFTER}(?: {_LEVELS})?",
    Role.GENE: f"{GENE_AFTER}(?: {ALTERATION}| {_LEVELS})?",
}
_BEFORE = {
    Role.TREATMENT: f"(?:{MODIFIED}{_LEVELS} of )?{CHEMICAL_BEFORE}",
    Role.CONDITION: f"{MAYBE_PATIENTS}(?:{MODIFIED}{_LEVELS} of )?{CONDITION_BEFORE}",
    Role.GENE: f"(?:{MODIFIED}(?:{ALTERATION}|{_LEVELS}) (?:of|in) )?{GENE_BEFORE}",
}
_DOWN, _UP = "(?:inverse|negative)", "(?:positive|direct)"
_LINK = any_of("associations? correlations? links? relationships? relations?")
_SHOWN = any_of(
    "found observed shows? showed demonstrates? demonstrated reveals? revealed confirms? "
    "confirmed identified "
    "detected noted is was were are reported"
)
# Who looks for an association says nothing of one; who finds it does, and a title that is about it.
_SAID_LINK = (
    rf"(?:\b{_SHOWN} (?:that )?(?:there (?:is|was) )?(?:an? |the )?{MODIFIED}|^(?:an? |the )?"
    rf"(?:genetic |significant |strong |close )?)(?:{_LINK}) (?:between|of|with) "
    rf"(?:{MODIFIED}(?:{ALTERATION}|{ASPECT}|{_LEVELS}) (?:of|in) )?{MODIFIED}"
)


def _linked(left: Role, right: Role) -> tuple[Relation, ...]:
    after, before = _AFTER[left], _BEFORE[right]

    def correlated(adjective: str) -> str:
        adverb = f"{adjective}ly "
        return (
            f"{after},? (?:{BE_NOT}(?:[a-z]+ly )*?{adverb}(?:and [a-z]+ly )?(?:correlated|"
            f"associated|related) |"
            f"correlate[sd]? {adverb}|(?:has|had|have|show(?:s|ed)?) an? {MODIFIED}{adjective} "
            f"(?:{MODIFIED})?{_LINK} )(?:with|to) {before}"
        )

    return (
        relation("correlated", FALLS_WITH, correlated(_DOWN)),
        relation("correlated", RISES_WITH, correlated(_UP)),
        relation(
            "correlated",
            CORRELATED,
            f"{after},? (?:{BE_NOT}(?:[a-z]+ly )*correlated |correlate[sd]? (?:[a-z]+ly )?|"
            f"(?:has|had|have|show(?:s|ed)?) an? {MODIFIED}correlation )with {before}",
        ),
        relation(
            "association_of",
            ASSOCIATED,
            f"{after} (?:and|with|to) {before}",
            before=_SAID_LINK,
            after=r"(?! (?:with|to)\b)",
        ),
    )


CORRELATIONS: Mapping[tuple[Role, Role], tuple[Relation, ...]] = {
    (left, right): _linked(left, right) for left in _AFTER for right in _BEFORE
}
