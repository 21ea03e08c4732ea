"""Claims of registered studies: what a record's own fields assert.

Claims are of chemicals and biologicals that the record of an interventional study names. What the study tests
is claimed to be in trials for its conditions (`biolink:in_clinical_trials_for`), where to treat or to prevent
is the study's purpose or none is stated. The terms that the registry computes from the record are mentions
and claim nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from medkg_dagster.domain.studies import Study, StudyField
from medkg_dagster.stage_api import Claim, Document, Entity, claim_id
from medkg_dagster.stages.extract.dictionary import DICTIONARY
from medkg_dagster.stages.extract.sentences import Sentence
from medkg_dagster.stages.extract.study_evidence import Naming
from medkg_dagster.stages.extract.study_names import MEDICINES, Named, StudyNames
from medkg_dagster.stages.extract.study_results import (
    Given,
    GroupArms,
    Numbers,
    analysis_numbers,
    event_numbers,
    given_by_arm,
    value_numbers,
)
from medkg_dagster.stages.extract.study_roles import TESTED, InterventionRole, backbones, is_dummy, roles

STUDIES_SOURCE = "infores:clinicaltrials"
IN_TRIALS_FOR = "biolink:in_clinical_trials_for"
STUDIED = "biolink:studied_to_treat"
ADVERSE_EVENT = "biolink:has_adverse_event"

MAX_CLAIMS = 20_000
"""No more are made of a study; what is cut is counted."""

_INTERVENTIONAL = "INTERVENTIONAL"
_PURPOSES = frozenset({"TREATMENT", "PREVENTION", None})
_OBSERVED = frozenset({*TESTED, InterventionRole.COMPARATOR})
"""The roles of what an adverse event is claimed of: what all were given alike tells nothing."""

_DRUG, _PROTEIN = "biolink:Drug", "biolink:Protein"


@dataclass(slots=True)
class StudyFindings:
    """What a study's fields name and claim.

    Attributes:
        entities: The concepts that claims are about, once each.
        claims: The claims.
        counts: What was found and what was left out, by reason.
    """

    entities: dict[str, Entity] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


def study_findings(document: Document, names: StudyNames, sentences: Sequence[Sentence]) -> StudyFindings:
    """Return what the fields of a document's study claim; of another document nothing.

    Args:
        document: The document.
        names: Finds the concepts of names.
        sentences: The document's sentences.
    """
    found = StudyFindings()
    study = document.study
    if study is None:
        return found
    if document.study_type != _INTERVENTIONAL:
        found.counts["studies that are not interventional"] += 1
        return found
    work = _StudyWork(document, study, names, found)
    if study.purpose in _PURPOSES:
        work.claim_tested(sentences)
        work.claim_outcomes()
    else:
        found.counts[f"studies of another purpose: {study.purpose}"] += 1
    work.claim_events()
    return found


class _StudyWork:
    """The work on one study."""

    def __init__(self, document: Document, study: Study, names: StudyNames, found: StudyFindings) -> None:
        self._document = document
        self._study = study
        self._names = names
        self._found = found
        self._roles = roles(study)
        self._named: list[tuple[Named, ...]] = [self._medicines(n) for n in range(len(study.interventions))]
        self._backbones = self._find_backbones()
        self._given = [self._as_given(place, named) for place, named in enumerate(self._named)]
        self._by_curie = {one.curie: one for given in reversed(self._given) for one in given}
        self._by_arm = given_by_arm(study, self._given)
        self._arms = GroupArms(study)
        self._conditions = list(self._name_conditions())
        self._terms: dict[str, Named | None] = {}
        self._titles: dict[str, list[Given]] = {}

    def _medicines(self, number: int) -> tuple[Named, ...]:
        """Return the chemicals of an intervention, and count why it is none."""
        one, role, counts = self._study.interventions[number], self._roles[number], self._found.counts
        if role is InterventionRole.PLACEBO:
            counts["interventions: placebo or sham"] += 1
        elif one.type not in MEDICINES:
            counts[f"interventions of another type: {one.type or 'not stated'}"] += 1
        elif found := self._names.medicines(one):
            counts[f"interventions named, {role.value}"] += 1
            return found
        else:
            counts["interventions whose name is no known chemical"] += 1
        return ()

    def _find_backbones(self) -> set[str]:
        """Return the concepts that are given on both sides of what the study compares."""
        given = []
        for one, named in zip(self._study.interventions, self._named, strict=True):
            is_placebo = is_dummy(one.name.text)
            of_name = self._names.beside_placebo(one.name.text) if is_placebo else named
            known = frozenset(each.concept.curie for each in of_name)
            given.append(known or frozenset(() if is_placebo else (one.name.text,)))
        return backbones(self._study, given)

    def _as_given(self, place: int, named: Iterable[Named]) -> list[Given]:
        kind, role = self._study.interventions[place].type or "", self._roles[place]
        found = []
        for one in named:
            is_backbone = role is InterventionRole.EXPERIMENTAL and one.concept.curie in self._backbones
            shown = InterventionRole.COMPARATOR if is_backbone else role
            found.append(Given(one.concept.curie, place, shown, kind))
        return found

    def _name_conditions(self) -> Iterator[tuple[StudyField, Named]]:
        done: set[str] = set()
        for one in self._study.conditions:
            found = self._names.conditions(one.text)
            if not found:
                self._found.counts["conditions whose name is no known disease"] += 1
            for named in found:
                if named.concept.curie not in done:
                    done.add(named.concept.curie)
                    yield one, named

    def claim_tested(self, sentences: Sequence[Sentence]) -> None:
        """Claim that what the study tests is in trials for its conditions."""
        tested = [
            (one, named)
            for given, names in zip(self._given, self._named, strict=True)
            for one, named in zip(given, names, strict=True)
            if one.role in TESTED
        ]
        naming = Naming(self._document, sentences, [named for _, named in (*tested, *self._conditions)])
        done: set[tuple[str, str]] = set()
        for one, named in tested:
            for _, condition in self._conditions:
                pair = (one.curie, condition.concept.curie)
                if pair[0] == pair[1] or pair in done:
                    continue
                done.add(pair)
                place = named.field or self._study.interventions[one.intervention].name
                sentence = naming.both(named, condition)
                method, level = "trial_intervention", "knowledge_assertion"
                said = _Said(*pair, IN_TRIALS_FOR, place.path, method, level, one.qualified({}))
                self._claim(said, place if sentence is None else sentence, (named, condition))

    def claim_events(self) -> None:
        """Claim which adverse events those had who were given something."""
        for event in self._study.events:
            term = self._term(event.term.text)
            if term is None:
                self._found.counts["adverse events whose term is no known condition"] += 1
                continue
            for count in event.counts:
                numbers = event_numbers(self._study, event, count)
                for one in self._of_group(self._study.event_groups[count.group], _OBSERVED):
                    ends, qualifiers = (one.curie, term.concept.curie), one.qualified(numbers)
                    method, level = "trial_adverse_event", "observation"
                    said = _Said(*ends, ADVERSE_EVENT, count.path, method, level, qualifiers)
                    self._claim(said, event.term, (self._named_of(one), term))

    def claim_outcomes(self) -> None:
        """Claim what was measured in those who were given what the study tests."""
        for outcome in self._study.outcomes:
            for measured in outcome.values:
                given = self._of_group(outcome.groups[measured.group], TESTED)
                numbers = value_numbers(outcome, measured)
                self._claim_outcome(outcome.title, measured.path, "observation", given, numbers)
            for analysis in outcome.analyses:
                compared = [self._of_group(outcome.groups[group], TESTED) for group in analysis.groups]
                if given := _differing(compared):
                    numbers = analysis_numbers(outcome, analysis)
                    level = "statistical_association"
                    self._claim_outcome(outcome.title, analysis.path, level, given, numbers)

    def _claim_outcome(
        self, title: StudyField, path: str, level: str, given: Iterable[Given], numbers: Numbers
    ) -> None:
        """Claim a result of the condition that the record lists first: once, whatever others there are."""
        for _, condition in self._conditions[:1]:
            for one in given:
                ends = (one.curie, condition.concept.curie)
                qualifiers = one.qualified(numbers)
                said = _Said(*ends, STUDIED, path, "trial_outcome", level, qualifiers)
                self._claim(said, title, (self._named_of(one), condition))

    def _of_group(self, title: str, wanted: frozenset[InterventionRole]) -> list[Given]:
        """Return what the participants of a group of results were given, in the roles wanted."""
        arm = self._arms.arm(title)
        given = self._named_in(title) if arm is None else self._by_arm[arm]
        if arm is None and not given:
            self._found.counts["results of a group that is no arm"] += 1
        elif not (given := [one for one in given if one.role in wanted]):
            self._found.counts["results of a group that was given nothing to claim of"] += 1
        return given

    def _named_in(self, title: str) -> list[Given]:
        """Return the study's chemicals that a group's title is the name of."""
        if title not in self._titles:
            named = {one.concept.curie for one in self._names.chemicals(title)}
            is_given = named <= self._by_curie.keys()
            self._titles[title] = [self._by_curie[curie] for curie in sorted(named)] if is_given else []
        return self._titles[title]

    def _named_of(self, one: Given) -> Named:
        return next(named for named in self._named[one.intervention] if named.concept.curie == one.curie)

    def _term(self, term: str) -> Named | None:
        if term not in self._terms:
            self._terms[term] = self._names.condition(term)
        return self._terms[term]

    def _claim(self, said: _Said, place: StudyField | Sentence, ends: Iterable[Named]) -> None:
        if len(self._found.claims) >= MAX_CLAIMS:
            self._found.counts[f"claims beyond {MAX_CLAIMS:,}"] += 1
            return
        if place.start is None or place.end is None:
            self._found.counts["claims whose field is not in the text"] += 1
            return
        claim = _claim(self._document, said, place.start, place.end)
        self._found.counts[f"claims: {said.method}"] += claim.id not in self._found.claims
        self._found.claims[claim.id] = claim
        for named, is_given in zip(ends, (True, False), strict=True):
            self._found.entities.setdefault(named.concept.curie, _entity(self._document, named, is_given))


@dataclass(frozen=True, slots=True)
class _Said:
    """What is claimed, before it has its evidence."""

    subject: str
    object: str
    predicate: str
    path: str
    method: str
    level: str
    qualifiers: Mapping[str, str | int | float]


def _claim(document: Document, said: _Said, start: int, end: int) -> Claim:
    return Claim(
        id=claim_id(
            document,
            extractor=DICTIONARY.name,
            subject=said.subject,
            predicate=said.predicate,
            object_=said.object,
            negated=False,
            start=start,
            end=end,
            apart=(said.path,),
        ),
        document_id=document.id,
        document_hash=document.content_hash,
        subject=said.subject,
        predicate=said.predicate,
        object=said.object,
        sentence=document.text[start:end],
        start=start,
        end=end,
        record_field=said.path,
        method=said.method,
        primary_knowledge_source=STUDIES_SOURCE,
        knowledge_level=said.level,
        agent_type="manual_agent",
        qualifiers=dict(said.qualifiers),
    )


def _entity(document: Document, named: Named, is_given: bool) -> Entity:
    """Return the entity of a concept; a protein that is given to participants is a drug."""
    concept = named.concept
    is_protein = is_given and concept.category == _PROTEIN
    return Entity(
        document_id=document.id,
        curie=concept.curie,
        name=concept.name,
        category=_DRUG if is_protein else concept.category,
        surface=named.surface,
        method="structured",
    )


def _differing(groups: Sequence[Sequence[Given]]) -> list[Given]:
    """Return what some of the groups that are compared were given and others were not; of one group all."""
    curies = [{one.curie for one in group} for group in groups]
    common = set.intersection(*curies) if len(curies) > 1 else set()
    given = {one.curie: one for group in groups for one in group if one.curie not in common}
    return list(given.values())
