"""The verbs that relate two mentions, with what may stand before them; a group `no` denies."""

from __future__ import annotations

from medkg_dagster.stages.extract.phrases import any_of

BE = "(?:is|are|was|were|has been|have been|had been|be|being)"
BE_NOT = rf"(?:{BE} |can be |may be |could be |might be )(?P<no>not |never )?(?:[a-z]+ly |also |well )?"
MODAL = "(?:(?:may|might|can|could|will|would) )"
DO = (
    r"(?:,? (?:which|that))? (?:(?P<no>(?:did|does|do|has|have|can|could|may) not |cannot |fail(?:s|ed) to |"
    rf"never )|{MODAL}|has |have |had |also |did |appear(?:s|ed) to |seem(?:s|ed) to |is known to |"
    r"(?:was|were|is|are|has been|have been) (?:shown|found|reported|known|observed) to )?(?:[a-z]+ly |"
    r"also )?"
)
CAUSE = any_of(
    "cause[sd]?,induce[sd]?,trigger(?:s|ed)?,led to,leads? to,result(?:s|ed)? in,provoke[sd]?,elicit(?:s|"
    "ed)?,"
    "evoke[sd]?,precipitate[sd]?,give rise to,gave rise to",
    ",",
)
HIGHER = "(?:an? |the )?(?:higher |increased |elevated |greater |raised |excess |significantly |[a-z]+ly )*"
