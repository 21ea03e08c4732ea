"""What a relation between two mentions is: a pattern, and what it states."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache

from medkg_dagster.stages.extract.needed_words import needed_words
from medkg_dagster.stages.extract.phrases import without_phrases

CAUSES = "biolink:causes"
CONTRIBUTES = "biolink:contributes_to"
ASSOCIATED = "biolink:associated_with"
MORE_LIKELY = "biolink:associated_with_increased_likelihood_of"
LESS_LIKELY = "biolink:associated_with_decreased_likelihood_of"
ADVERSE_EVENT = "biolink:has_adverse_event"
TREATS = "biolink:treats_or_applied_or_studied_to_treat"
PREVENTS = "biolink:preventative_for_condition"
AMELIORATES = "biolink:ameliorates_condition"
EXACERBATES = "biolink:exacerbates_condition"
CONTRAINDICATED = "biolink:contraindicated_in"
AFFECTS = "biolink:affects"
INTERACTS = "biolink:interacts_with"
CORRELATED = "biolink:correlated_with"
RISES_WITH = "biolink:positively_correlated_with"
FALLS_WITH = "biolink:negatively_correlated_with"
COLOCALIZES = "biolink:colocalizes_with"
BECOMES = "biolink:derives_into"
PRODUCES = "biolink:produces"
HOMOLOGOUS = "biolink:homologous_to"

DIRECTION = "object_direction_qualifier"
ASPECT_SLOT = "object_aspect_qualifier"

# When one is first asked for: all of them together take seconds, and few processes need all.
_compiled = cache(re.compile)


class Role(Enum):
    """What a mention can be in a relation."""

    TREATMENT = "treatment"
    CONDITION = "condition"
    GENE = "gene"
    ORGANISM = "organism"


class Reach(Enum):
    """Which members of a list take part in a statement."""

    ALL = "all"
    NEAREST = "nearest"
    LAST_OF_FIRST = "the last of the first list"


class Head(Enum):
    """Which of two mentions a noun phrase of both is about."""

    FIRST = "first"
    SECOND = "second"


@dataclass(frozen=True, slots=True)
class Relation:
    """A pattern and what it states.

    Attributes:
        name: The rule's name, for audit.
        predicate: The Biolink predicate.
        words: What must stand between the two; a group `no` in it denies the statement, a group `aspect`
            names what of the object is affected.
        reverse: Whether the second mention is the subject.
        reach: Which members of lists take part.
        is_noun_phrase: Whether the two are one noun phrase, which presupposes what it says: it is neither
            asked nor supposed by the sentence around it.
        head: Which of the two a noun phrase is about, for what stands around it.
        before: What must stand directly before the first.
        after: What must stand directly after the second.
        first_named: How the first must be written.
        named: How the second must be written.
        qualifiers: What narrows the statement.
    """

    name: str
    predicate: str
    words: str
    reverse: bool = False
    reach: Reach = Reach.ALL
    is_noun_phrase: bool = False
    head: Head = Head.SECOND
    before: str | None = None
    after: str | None = None
    first_named: str | None = None
    named: str | None = None
    qualifiers: Mapping[str, str] | None = None

    def fits(
        self, words: str, *, before: str, after: str, first_named: str, named: str
    ) -> re.Match[str] | None:
        """Return how the words between two mentions fit, where those around them do too."""
        if (
            not self.may_fit(words)
            or (self.before and not _compiled(self.before).search(before))
            or (self.after and not _compiled(self.after).match(after))
            or (self.first_named and not _compiled(self.first_named).search(first_named))
            or (self.named and not _compiled(self.named).search(named))
        ):
            return None
        return _late_pattern(self.words).fits(words)

    def may_fit(self, words: str) -> bool:
        """Say whether words between two mentions may fit, as far as that is told without compiling."""
        return _late_pattern(self.words).may_fit(words)

    @property
    def needed(self) -> frozenset[str]:
        """Words of which one must stand between two mentions; none where nothing has to."""
        every = _late_pattern(self.words).needed
        return max(every, key=lambda words: (min(map(len, words)), -len(words)), default=frozenset())


class _LatePattern:
    """A pattern that is compiled when all that it needs stands in a text for the first time."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._compiled: re.Pattern[str] | None = None
        self.needed = needed_words(without_phrases(pattern))

    def may_fit(self, words: str) -> bool:
        """Say whether a text may fit; the answer is final as soon as the pattern is compiled."""
        if self._compiled is None:
            return all(any(word in words for word in needed) for needed in self.needed)
        return self._compiled.fullmatch(words) is not None

    def fits(self, words: str) -> re.Match[str] | None:
        """Return how a whole text fits."""
        if self._compiled is None:
            self._compiled = re.compile(self._pattern)
        return self._compiled.fullmatch(words)


_late_pattern = cache(_LatePattern)


def relation(
    name: str,
    predicate: str,
    *words: str,
    reverse: bool = False,
    reach: Reach = Reach.ALL,
    is_noun_phrase: bool = False,
    head: Head = Head.SECOND,
    before: str | None = None,
    after: str | None = None,
    first_named: str | None = None,
    named: str | None = None,
    qualifiers: Mapping[str, str] | None = None,
) -> Relation:
    """Return a relation whose pattern `words` is given in pieces; see `Relation`."""
    return Relation(
        name,
        predicate,
        "".join(words),
        reverse,
        reach,
        is_noun_phrase,
        head,
        f"(?:{before})$" if before else None,
        after,
        first_named,
        named,
        qualifiers,
    )
