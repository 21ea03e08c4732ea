"""The verbs that relate two mentions, with what may stand before them; a group `no` denies."""

from __future__ import annotations

import re

from medkg_dagster.stages.extract.phrases import MODIFIED, NOUN, any_of

ADVERBS = "(?:(?:[a-z]+ly|also|well|still|then|thus|further|often|both|in turn) ){0,2}"
BE = "(?:is|are|was|were|has been|have been|had been|be|being)"
BE_NOT = rf"(?:{BE} |can be |may be |could be |might be )(?P<no>not |never )?{ADVERBS}"
IS_ONE = rf"(?:(?:,| {BE}) (?:an? |the |one of ){MODIFIED}{NOUN}{{0,3}})?"
"""What says what kind of thing something is, before it goes on: "is a rare disorder caused by"."""
IS_A = re.compile(
    rf"(?:,| {BE}) (?:an? |one of (?:the )?){MODIFIED}{NOUN}{{0,2}}"
    rf"(?:(?:form|type|kind|subtype|variant|member|example|class)s? of (?:the )?{MODIFIED}{NOUN}{{0,1}})?"
)
"""What says of which class something is, before the class; what goes on goes on about the thing."""
BE_SO = BE_NOT.replace("?P<no>", "?:")
"""`BE_NOT` in an alternative beside another one that may deny."""
MODAL = "(?:(?:may|might|can|could|will|would) )"
DO = (
    r"(?:,? (?:which|that))?(?: in turn)? (?:(?P<no>(?:did|does|do|has|have|can|could|may) not |cannot |"
    r"fail(?:s|ed) to |"
    rf"never )|(?:also )?{MODAL}|has |have |had |also |did |appear(?:s|ed) to |seem(?:s|ed) to |"
    r"(?:was|were|is|are|(?:has|have|had)(?: also)? been) (?:also |well |previously )?(?:able|shown|found|"
    r"reported|known|observed|"
    rf"demonstrated|described) to )?{ADVERBS}"
)
CAUSE = any_of(
    "cause[sd]?,induce[sd]?,trigger(?:s|ed)?,led to,leads? to,result(?:s|ed)? in,provoke[sd]?,elicit(?:s|"
    "ed)?,"
    "evoke[sd]?,precipitate[sd]?,give rise to,gave rise to",
    ",",
)
HIGHER = "(?:an? |the )?(?:higher |increased |elevated |greater |raised |excess |significantly |[a-z]+ly )*"
