"""Claims that sentences state.

What is mined from text has the primary knowledge source `infores:medkg`: a name of this project's own, which
is not in the public catalogue of information resources.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from medkg_dagster.stage_api import Certainty, Claim, Document, Entity, claim_id
from medkg_dagster.stages.extract.dictionary import DICTIONARY
from medkg_dagster.stages.extract.mention_lists import MentionList, apart, mention_lists
from medkg_dagster.stages.extract.moods import DOUBTED, HEDGES, KNOWN, QUESTIONS
from medkg_dagster.stages.extract.negation import Negation
from medkg_dagster.stages.extract.phrases import MAX_GAP, plain, without_insertions
from medkg_dagster.stages.extract.relation_types import (
    AFFECTS,
    ASPECT_SLOT,
    ASSOCIATED,
    CAUSES,
    CONTRIBUTES,
    INTERACTS,
    MORE_LIKELY,
    Head,
    Reach,
    Relation,
    Role,
)
from medkg_dagster.stages.extract.relations import INTERACTION, aspect_of, relation_between
from medkg_dagster.stages.extract.sentences import Sentence
from medkg_dagster.stages.extract.verbs import IS_A

TEXT_SOURCE = "infores:medkg"

MAX_SENTENCE = 1500
_BESIDE = 60
_OF_CONDITIONS = frozenset({ASSOCIATED, CAUSES, CONTRIBUTES, MORE_LIKELY})
_LACK = "lack_of_"
_OPENING, _CLOSING = ("(", "["), (")", "]")

_SAYS_NOTHING = re.compile(
    r"^[\d.\s]*(?:references|bibliography|acknowledge?ments?|conflicts? of interests?|competing interests?|"
    r"funding|"
    r"authors?\b.*|affiliations?|key ?words|supplementa.*|abbreviations|consent|ethic.*|data availability.*|"
    r"conditions|conditions and interventions|interventions)$",
    re.IGNORECASE,
)
_KNOWN_SECTION = re.compile(
    r"^[\d.\s]*(?:introduction|background|literature review|related work)\b", re.IGNORECASE
)
# "due to kainic acid-induced seizures" says that the seizures did it.
_COMPOUND = re.compile(
    r"-[a-z]|[- ](?:induced|related|associated|mediated|evoked|treated|resistant|free|naive)\b"
)
# What the lack or the blockade of a thing does, or an antibody to it, it does not do itself.
_WITHOUT = re.compile(
    r"\b(?:inhibition|inhibitors?|depletion|withdrawal|lack|deficiency|blockade|absence|antagonism|"
    r"antagonists?|"
    r"discontinuation|cessation|reduction|removal|loss|knock-?down|knock-?out|silencing|deletion|low|anti|"
    r"non|without|lacking|devoid|antibody|antibodies|sirna|shrna|degradation|down-?regulation|disruption|"
    r"inactivation|impaired|defective|"
    r"blocking|inhibiting|reduced|decreased|resistance|response)(?:-| (?:of|to|from|in|against|for) (?:the |"
    r"\w+ )?| )$"
)
# An antibody to a thing tells nothing of its lack.
_AGAINST = re.compile(r"anti|resistance|response|non")
# "Due to a serotonin reuptake inhibitor" says nothing of serotonin.
_COUNTERPART = re.compile(
    r"(?: \w+| re-?uptake)?[- ](?:inhibitors?|antagonists?|blockers?|blockade|deficiency|"
    r"withdrawal|depletion)\b"
)
_GOES_ON = re.compile(r",? (?:and|but)(?: (?:also|thereby|thus))?(?= )|,(?= )")


@dataclass(frozen=True, slots=True)
class _Statement:
    """What is claimed, before it has its evidence."""

    subject: str
    predicate: str
    object: str
    negated: bool
    method: str
    certainty: Certainty
    qualifiers: Mapping[str, str]


class _SentenceReader:
    """Reads what one sentence states.

    Args:
        document: The document.
        place: The sentence.
        negation: What it denies.
    """

    def __init__(self, document: Document, place: Sentence, negation: Negation) -> None:
        self._document = document
        self._place = place
        self._negation = negation
        self._text = document.text[place.start : place.end]

    @cached_property
    def _asks(self) -> bool:
        return QUESTIONS.search(self._text) is not None

    @cached_property
    def _hedges(self) -> bool:
        return HEDGES.search(self._text) is not None

    def statements(self, entities: Sequence[Entity]) -> Iterator[_Statement]:
        """Yield what is stated of each two mentions, or lists of them, that stand next to each other.

        Those that are one noun phrase ("cisplatin-induced nephrotoxicity") are one for what stands around.
        """
        for within in apart(self._document.text, self._place.start, self._place.end, entities):
            yield from self._in_order(mention_lists(self._document.text, within))

    def _in_order(self, lists: Iterable[MentionList]) -> Iterator[_Statement]:
        said: list[MentionList] = []
        subject: MentionList | None = None
        attached: MentionList | None = None
        for listed in lists:
            right = listed
            if right.role is not Role.CONDITION:
                yield from self._interaction(right)
            while said:
                left = said[-1]
                words = self._between(left, right)
                if left.role is right.role and IS_A.fullmatch(words):
                    right = MentionList(left.role, left.members, left.start, right.end)
                    said.pop()
                    break
                fits = self._relation(left, words, right)
                if fits is None and (shorter := without_insertions(words)) != words:
                    fits = self._relation(left, shorter, right)
                if fits is None and subject and left is said[-1]:
                    went_on = _GOES_ON.match(words)
                    fits = self._relation(subject, words[went_on.end() :], right) if went_on else None
                    left = subject
                if fits is None:
                    if attached is said[-1]:
                        said.pop()
                        continue
                    subject = None
                    break
                relation, match = fits
                yield from self._stated(relation, match, left, right)
                subject = left if left.role is not Role.CONDITION and not relation.reverse else None
                if not relation.is_noun_phrase or left is not said[-1]:
                    break
                said.pop()
                if relation.head is Head.FIRST:
                    said.append(MentionList(left.role, left.members, left.start, right.end))
                    attached = right
                    break
                right = MentionList(right.role, right.members, left.start, right.end)
            said.append(right)

    def _between(self, left: MentionList, right: MentionList) -> str:
        text = self._document.text
        between = text[left.end : right.start]
        if between.startswith(_CLOSING) and text[left.start - 1 : left.start] in _OPENING:
            between = between[1:]
        return plain(between) if len(between) <= MAX_GAP else ""

    def _relation(
        self, left: MentionList, words: str, right: MentionList
    ) -> tuple[Relation, re.Match[str]] | None:
        if not words:
            return None
        text = self._document.text
        before = text[max(self._place.start, left.start - _BESIDE) : left.start].lower()
        after = text[right.end : min(self._place.end, right.end + _BESIDE)].lower()
        if right.role is not Role.CONDITION and _COMPOUND.match(after):
            return None
        first_named, named = (
            text[one.start or 0 : one.end or 0].lower() for one in (left.members[-1], right.members[0])
        )
        found = relation_between(
            left.role, words, right.role, before=before, after=after, first_named=first_named, named=named
        )
        if found and not found[0].reverse and (lack := _WITHOUT.search(before)):
            is_lack = left.role is Role.GENE and not _AGAINST.match(lack.group())
            found = _of_lack(*found) if is_lack else None
        if found and found[0].reverse and right.role is not Role.CONDITION and _COUNTERPART.match(after):
            return None
        return None if found is None or (not found[0].is_noun_phrase and self._asks) else found

    def _stated(
        self, relation: Relation, match: re.Match[str], left: MentionList, right: MentionList
    ) -> Iterator[_Statement]:
        lefts, rights = left.members, right.members
        if relation.reach is Reach.NEAREST:
            lefts, rights = lefts[-1:], rights[:1]
        elif relation.reach is Reach.LAST_OF_FIRST:
            lefts = lefts[-1:]
        subjects, objects = (rights, lefts) if relation.reverse else (lefts, rights)
        named = match.groupdict()
        is_lack = relation.name.startswith(_LACK)
        negated = bool(named.get("no")) or (not is_lack and self._denies(left, right))
        is_attached = relation.reverse or relation.head is Head.FIRST
        if negated and not named.get("no") and relation.reach is not Reach.ALL and is_attached:
            return  # "No rash due to lupus" does not deny that lupus causes it.
        qualifiers = dict(relation.qualifiers or {})
        if qualifiers:
            qualifiers |= {ASPECT_SLOT: aspect_of(named.get("aspect"))}
        for subject in subjects:
            for object_ in objects:
                if subject.curie != object_.curie:
                    yield _Statement(
                        subject.curie,
                        relation.predicate,
                        object_.curie,
                        negated,
                        relation.name,
                        self._certainty(relation, left),
                        qualifiers,
                    )

    def _denies(self, left: MentionList, right: MentionList) -> bool:
        start, (first, last) = self._place.start, (left.members[-1], right.members[0])
        return any(
            self._negation.covers((one.start or 0) - start, (one.end or 0) - start) for one in (first, last)
        )

    def _certainty(self, relation: Relation, left: MentionList) -> Certainty:
        if not self._hedges:
            return "asserted"
        before = self._text[: left.start - self._place.start].lower()
        is_presupposed = relation.is_noun_phrase and relation.head is Head.SECOND
        return "asserted" if is_presupposed and not DOUBTED.search(before) else "possible"

    def _interaction(self, pair: MentionList) -> Iterator[_Statement]:
        """Yield that two chemicals or genes interact, of "interaction between A and B"."""
        before = self._document.text[max(self._place.start, pair.start - _BESIDE) : pair.start].lower()
        if len(pair.members) == 2 and INTERACTION.search(before) and not self._asks:
            one, other = (member.curie for member in pair.members)
            if one != other:
                certainty: Certainty = "possible" if self._hedges else "asserted"
                negated = self._denies(pair, pair)
                yield _Statement(one, INTERACTS, other, negated, "interaction_of", certainty, {})


def _of_lack(relation: Relation, match: re.Match[str]) -> tuple[Relation, re.Match[str]] | None:
    """Return what the lack of a gene says of it: that it has to do with what follows, not how."""
    if relation.predicate == AFFECTS:
        return replace(relation, name=f"{_LACK}{relation.name}", qualifiers=None), match
    if relation.predicate in _OF_CONDITIONS:
        return replace(relation, name=f"{_LACK}{relation.name}", predicate=ASSOCIATED), match
    return None


def sentence_claims(
    document: Document, place: Sentence, entities: Sequence[Entity], negation: Negation
) -> Iterator[Claim]:
    """Yield what one sentence states about the concepts it mentions.

    Args:
        document: The document.
        place: The sentence; lines of tables, and sections such as references, state nothing.
        entities: Its mentions in order.
        negation: What it denies.
    """
    if len(entities) < 2 or place.in_table or place.end - place.start > MAX_SENTENCE:
        return
    if _SAYS_NOTHING.match(place.section):
        return
    background: bool | None = None
    for statement in _SentenceReader(document, place, negation).statements(entities):
        if background is None:
            text = document.text[place.start : place.end]
            background = bool(_KNOWN_SECTION.match(place.section) or KNOWN.search(text))
        yield _claim(document, statement, place, background=background)


def _claim(document: Document, statement: _Statement, place: Sentence, *, background: bool) -> Claim:
    return Claim(
        id=claim_id(
            document,
            extractor=DICTIONARY.name,
            subject=statement.subject,
            predicate=statement.predicate,
            object_=statement.object,
            negated=statement.negated,
            start=place.start,
            end=place.end,
            apart=[part for item in sorted(statement.qualifiers.items()) for part in item],
        ),
        document_id=document.id,
        document_hash=document.content_hash,
        subject=statement.subject,
        predicate=statement.predicate,
        object=statement.object,
        negated=statement.negated,
        sentence=document.text[place.start : place.end],
        start=place.start,
        end=place.end,
        method=statement.method,
        primary_knowledge_source=TEXT_SOURCE,
        knowledge_level="not_provided",
        agent_type="text_mining_agent",
        qualifiers=dict(statement.qualifiers),
        certainty=statement.certainty,
        background=background,
    )
