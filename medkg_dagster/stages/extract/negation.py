"""Negation by trigger words and their scope, in the manner of NegEx (Chapman et al., 2001).

A trigger before a mention ("no evidence of") or after it ("was ruled out") negates what stands within a few
words of it; words such as "but" end the scope; look-alikes ("not only") negate nothing.
"""

from __future__ import annotations

import re

BEFORE_WORDS = 8
AFTER_WORDS = 5

_LOOK_ALIKES = re.compile(
    r"\b(?:not only|not just|not necessarily|no (?:significant |clear |apparent )?(?:increase|change|"
    r"difference|improvement|worsening)|no longer than|without (?:delay|difficulty|interruption)|"
    r"not (?:yet )?(?:known|clear|certain|recommended|approved|studied|evaluated|assessed|established|all|"
    r"every|uncommon|infrequent|rare|unusual)|no doubt|nothing but|whether or not|no other|with or without|"
    r"no more than|not less than|"
    r"no less than)\b"
)
_BEFORE = re.compile(
    r"\b(?:no|not|none of|neither|nor|never|without|absence of|absent|lack of|lacked|lacking|free of|"
    r"free from|negative for|denie[sd]|denying|rule[sd]? out|ruling out|exclude[sd]?|excluding|failed to|"
    r"fails to|cannot|rather than|instead of)\b"
)
_AFTER = re.compile(
    r"^\W*(?:\w+\W+){0,3}?(?:(?:was|were|is|are|has been|have been|had been|could be|can be) (?:\w+ly )?"
    r"(?:ruled out|excluded|absent|not (?:\w+ly )?(?:seen|observed|found|detected|reported|recorded|noted|"
    r"present|identified|confirmed|associated|caused|induced))|did not (?:occur|develop|recur)|"
    r"never (?:occurred|developed|recurred))\b"
)
_DIRECTLY_BEFORE = re.compile(
    r"\b(?:no|without|neither|nor|absence of|lack of|no evidence of|no cases? of|none of the)\s+"
    r"(?:(?!except|but|other)\w+\s+){0,2}$"
)
_STOP = re.compile(
    r"[;:]|\b(?:but|however|although|though|except|whereas|while|yet|nevertheless|still|which|who|because|since|"
    r"apart from|aside from|other than|despite|secondary to|until|cause of|causes of|reason for)\b"
)


def is_negated(sentence: str, start: int, end: int) -> bool:
    """Whether a mention stands under a negation.

    Args:
        sentence: The sentence.
        start: First character of the mention in the sentence.
        end: One past the last character.

    Returns:
        True for "no evidence of colitis", False for "not only colitis".
    """
    before = _blank_look_alikes(sentence[:start].lower())
    for opening in list(_STOP.finditer(before))[-1:]:
        before = before[opening.end() :]
    scope = " ".join(before.split()[-BEFORE_WORDS:])
    if _BEFORE.search(scope):
        return True
    after = _blank_look_alikes(sentence[end:].lower())
    stop = _STOP.search(after)
    after = after[: stop.start()] if stop else after
    return _AFTER.search(" ".join(after.split()[: AFTER_WORDS + 4])) is not None


def is_denied(sentence: str, left: tuple[int, int], right: tuple[int, int]) -> bool:
    """Whether a sentence denies what it says about two concepts.

    A negation anywhere before both ("is not needed in hepatitis caused by ...") denies something else;
    only one that stands directly before the first, between the two, or after the second counts.

    Args:
        sentence: The sentence.
        left: First character and one past the last one of what stands first.
        right: The same of what stands second.

    Returns:
        True for "was not associated with", "no colitis was caused by", "... was ruled out".
    """
    between = _blank_look_alikes(sentence[left[1] : right[0]].lower())
    if _BEFORE.search(between) or _DIRECTLY_BEFORE.search(sentence[: left[0]].lower()):
        return True
    return _AFTER.search(sentence[right[1] :].lower()) is not None


def _blank_look_alikes(text: str) -> str:
    return _LOOK_ALIKES.sub(lambda match: "x" * len(match.group()), text)
