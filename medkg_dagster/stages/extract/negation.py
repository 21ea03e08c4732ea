"""What a sentence denies: triggers and how far each reaches.

In the manner of NegEx (Chapman et al., 2001), but a trigger reaches no further than the noun phrases that it
governs: up to a verb, a preposition, a bracket, or a word that is denied instead ("no increase in"). A list
after it is denied as a whole where "or" or "nor" joins it, or where it is the complement of one noun ("no
history of A, B and C").
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

REACH = 200
"""A negation denies nothing that begins further away; characters."""

_EVIDENCE = (
    r"(?:evidence|signs?|symptoms?|history|diagnos[ei]s|cases?|episodes?|features|findings|presence|"
    r"incidence|"
    r"occurrence|suspicion|indications?|reports?|instances?)"
)
_HAVING = (
    r"(?:have|has|had|having|show(?:n|ed)?|reveal(?:ed)?|develop(?:ed)?|experience[d]?|exhibit(?:ed)?|"
    r"report(?:ed)?|demonstrate[d]?|suffer(?:ed|ing)? from|detect(?:ed)?|find|found|observe[d]?|"
    r"present(?:ed)? with|contain(?:ed)?|cause[d]?|induce[d]?|lead to|result(?:ed)? in)"
)
_DO_NOT = r"(?:did|does|do|has|have|had|could|can|would)(?: not|n['’]t)"
_TRIGGER = re.compile(
    rf"\b(?:(?<!or )(?<!or, )without|no|none of|den(?:ie[sd]|y|ying)|neither|nor|negative for|free (?:of|"
    rf"from)|"
    rf"(?:absence|lack) of|lack(?:s|ed|ing)|ruled out|fail(?:s|ed) to {_HAVING}|never {_HAVING}|"
    rf"{_DO_NOT} (?:\w+ly )?{_HAVING}|not having|(?:is|was|are|were) not an?)\b"
    rf"(?P<complement>(?: (?!other\b)[\w\-]+){{0,3}}? {_EVIDENCE} (?:of|for)\b)?"
)
# One of these stands in whatever a trigger fits, and in most sentences none, which is soon told.
_NEEDED = (
    *("no", "n't", "n’t", "neither", "never", "negative", "without"),
    *("den", "free", "absence", "lack", "ruled", "fail"),
)
# What ends a noun phrase: verbs, prepositions, conjunctions, marks; and what is denied instead of it.
_STOP = re.compile(
    r"[.;:()\[\]{}=<>\"“”‘'?!]|\d|"
    r"\b(?:but|however|although|though|except|whereas|while|yet|nevertheless|still|which|who|whose|that|"
    r"because|"
    r"since|despite|until|unless|if|when|where|whether|to|in|of|for|with|within|by|on|at|from|after|before|"
    r"during|"
    r"under|between|among|through|via|as|than|per|is|are|was|were|be|been|being|has|have|had|do|does|did|can|"
    r"could|may|might|will|would|should|shall|must|using|requiring|receiving|"
    r"other|longer|doubt|more|less|need|effect|effects|impact|influence|difference|differences|change|"
    r"changes|"
    r"increase|increased|increases|decrease|decreased|reduction|reduced|improvement|worsening|gain|loss|"
    r"delay|"
    r"difficulty|interruption|limitation|risk|risks|correlation|association|relationship|response|only|"
    r"just|necessarily|intervention|treatment|therapy|exposure|recommendation|recommendations|data|study|"
    r"studies|"
    r"trial|trials|work|workup)\b"
)
_LISTED = re.compile(r",| and ")
_OR = re.compile(r"\b(?:or|nor)\b")
_ABSENT = re.compile(
    r"\b(?:ruled out|excluded|absent|not (?:\w+ly )?(?:seen|observed|found|detected|reported|recorded|noted|"
    r"present|identified|confirmed)|(?:did not|never) (?:occur|develop|recur|occurred|developed|recurred))\b"
)
_NEEDED_BEHIND = ("not", "never", "ruled", "excluded", "absent")
_AFTER = re.compile(
    r"\W{0,2}(?:\w+\W){0,3}?(?:(?:was|were|has been|have been|had been|could be|can be) (?:\w+ly )?"
    r"(?:ruled out|excluded|absent)|(?:is|are) absent|(?:was|were|is|are|has been|have been|had been) "
    r"not (?:\w+ly )?(?:seen|observed|found|detected|reported|recorded|noted|present|identified|confirmed)|"
    r"did not (?:occur|develop|recur)|never (?:occurred|developed|recurred))\b"
)
_CLAUSE = re.compile(
    r"[;:]|, |\b(?:but|however|although|though|except|whereas|while|which|who|because|and)\b"
)
_NEXT = 120


class Negation:
    """What one sentence denies.

    Args:
        sentence: The sentence.
    """

    def __init__(self, sentence: str) -> None:
        self._text = sentence.lower()
        # Lower case has another length for a few letters; offsets of what is not the sentence tell nothing.
        if len(self._text) != len(sentence):
            self._text = sentence
        may_deny = any(word in self._text for word in _NEEDED)
        reaches = tuple(_reaches(self._text)) if may_deny else ()
        self._starts = [start for start, _ in reaches]
        self._ends = [end for _, end in reaches]
        may_follow = any(word in self._text for word in _NEEDED_BEHIND)
        self._may_follow = may_follow and _ABSENT.search(self._text) is not None

    def covers(self, start: int, end: int) -> bool:
        """Say whether a mention stands under a negation.

        Args:
            start: Its first character.
            end: One past its last character.

        Returns:
            True for "no evidence of colitis", False for "not only colitis".
        """
        if self._text.startswith("-", end):
            return False
        last = bisect_right(self._starts, start)
        if last and start < self._ends[last - 1]:
            return True
        if not self._may_follow:
            return False
        after = self._text[end : end + _NEXT]
        clause = _CLAUSE.search(after)
        return _AFTER.match(after[: clause.start()] if clause else after) is not None


class _Next:
    """The places of a pattern in a text, asked for from left to right: read once, however often asked."""

    def __init__(self, pattern: re.Pattern[str], text: str) -> None:
        self._places = (match.start() for match in pattern.finditer(text))
        self._place = -1
        self._end = len(text)

    def place(self, start: int) -> int:
        """Return the first place from `start` on, which is none before the last; else where the text ends."""
        while self._place < start:
            self._place = next(self._places, self._end)
        return self._place


def _reaches(text: str) -> Iterator[tuple[int, int]]:
    """Yield from where to where a sentence denies; a trigger that adds nothing is left out.

    However many triggers there are, the text is read once.
    """
    stops, listings, alternatives = _Next(_STOP, text), _Next(_LISTED, text), _Next(_OR, text)
    denied = 0
    for trigger in _TRIGGER.finditer(text):
        start = trigger.end()
        end = min(stops.place(start), start + REACH)
        listed = listings.place(start)
        if listed < end and not trigger["complement"] and alternatives.place(listed) >= end:
            end = listed
        if end > denied:
            denied = end
            yield start, end
