"""Which sentences ask, suppose, are not sure, or tell what was known before."""

from __future__ import annotations

import re

# A sentence that asks or supposes states nothing.
QUESTIONS = re.compile(
    r"\b(?:whether|hypothes\w+|to (?:determine|evaluate|assess|investigate|examine|test|explore|find out|"
    r"study|"
    r"compare|verify|clarify)|unclear|unknown|would|should (?!not be|be avoided)|aim(?:s|ed)? (?:to|of|"
    r"was)|will be|"
    r"will |if |unless|in order to|objectives?|purpose|warrant\w*|remains? to be|questions?|"
    r"(?:is|are) (?:still )?not (?:yet )?(?:well |fully )?(?:clear|known|understood)|"
    r"(?:were|was) excluded|"
    r"(?:assess|examin|investigat|evaluat|test|studi|explor|analy[sz])(?:e[sd]?|ed|ing)? (?:the "
    r")?(?:[\w\-]+ ){0,2}"
    r"(?:roles?|effects?|influence|impact|contribution|associations?|relationships?|involvement) (?:of|"
    r"between)|can be "
    r"expected)\b|\?",
    re.IGNORECASE,
)
# One that is not sure says only what may be.
HEDGES = re.compile(
    r"\b(?:might|may|could|possibl[ey]|potential(?:ly)?|probabl[ey]|suspected|suggest\w*|likely|appear(?:s|"
    r"ed)?|"
    r"seem(?:s|ed)?|presum\w+|putative|apparently|perhaps|indicat\w+ that|risk factors for|believed|thought|"
    r"propos(?:ed?|ing)|reasonable|conceivabl[ey]|speculat\w+|assum\w+|candidate)\b",
    re.IGNORECASE,
)
# What doubts the noun phrase that follows.
DOUBTED = re.compile(
    r"\b(?:suspected|possible|potential|probable|presumed|putative|likely|apparent|questionable)(?: "
    r"[\w\-]+){0,2} $"
)
# One that tells what others found, or what everybody knows, is no finding of its document.
KNOWN = re.compile(
    r"\b(?:(?:is|are) (?:well[- ])?(?:known|recogni[sz]ed|established|considered)|(?:has|have) (?:also "
    r")?(?:long )?been "
    r"(?:\w+ly )?(?:reported|shown|described|associated|implicated|demonstrated|suggested|linked|used|"
    r"recognized|"
    r"documented)|previous(?:ly)?|(?:other|earlier|prior|recent|several|many|some) (?:studies|reports|"
    r"authors)|"
    r"in the literature|reportedly|commonly|traditionally|et al|widely used)\b|\[\d[\d,\s–-]*\]",
    re.IGNORECASE,
)
