"""A study's design, arms and results as fields, each with its path and its place in the text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from medkg_dagster.domain.studies import (
    EventCount,
    OutcomeAnalysis,
    OutcomeValue,
    Study,
    StudyArm,
    StudyEvent,
    StudyField,
    StudyIntervention,
    StudyOutcome,
)
from medkg_dagster.stage_api import BlockKind, Document
from medkg_dagster.stages.parse.document_text import clean
from medkg_dagster.stages.parse.study_record import Record, StudyRecord, figure, strings, text_of, words

Numbered = tuple[int, Record]
_ARMS = "protocolSection.armsInterventionsModule"
_EVENTS = "resultsSection.adverseEventsModule"
_OUTCOMES = "resultsSection.outcomeMeasuresModule.outcomeMeasures"
_MAX_DIGITS = 12
_AHEAD = 8
"""So many lines may stand before a field's own: those of fields without a name."""


def study_of(study: StudyRecord, document: Document) -> Study:
    """Return what a record states as fields.

    Args:
        study: The record.
        document: What was parsed of it; places are in its text.
    """
    conditions = _Places(document, "Conditions")
    interventions = numbered(study.get(f"{_ARMS}.interventions"))
    numbers = {place: number for number, (place, _) in enumerate(interventions)}
    return Study(
        purpose=_code(study.get("protocolSection.designModule.designInfo.primaryPurpose")),
        conditions=tuple(
            conditions.field(f"protocolSection.conditionsModule.conditions[{place}]", "", name)
            for place, name in _numbered_texts(study.get("protocolSection.conditionsModule.conditions"))
        ),
        interventions=tuple(_interventions(interventions, _Places(document, "Interventions"))),
        arms=tuple(_arms(study, interventions, numbers)),
        event_groups=tuple(
            clean(text_of(one.get("title"))) for one in study.records(f"{_EVENTS}.eventGroups")
        ),
        events_time_frame=clean(study.text(f"{_EVENTS}.timeFrame")),
        events=tuple(_events(study, document)),
        outcomes=tuple(_outcomes(study, document)),
    )


def numbered(value: Any) -> list[Numbered]:
    """Return the objects of a list with their places in it."""
    listed = value if isinstance(value, list) else []
    return [(place, one) for place, one in enumerate(listed) if isinstance(one, dict)]


def _numbered_texts(value: Any) -> list[tuple[int, str]]:
    listed = value if isinstance(value, list) else []
    return [(place, text_of(one)) for place, one in enumerate(listed) if text_of(one).strip()]


def _titles(groups: Sequence[Record]) -> tuple[str, ...]:
    return tuple(clean(text_of(group.get("title"))) for group in groups)


def _code(value: Any) -> str | None:
    return text_of(value).strip().upper() or None


class _Places:
    """Finds fields in a document's text, in the order in which the sections of a title have them.

    What is looked for is at the head of a block or of a table's line, or it is not found; so all of them cost
    no more than the text.
    """

    def __init__(self, document: Document, title: str, *kinds: BlockKind) -> None:
        self._text = document.text
        self._lines = list(_lines(document, title, kinds or tuple(BlockKind)))
        self._next = 0
        self._line = (0, 0)

    def field(self, path: str, label: str, name: str) -> StudyField:
        """Return a field.

        Args:
            path: Its path.
            label: What stands before its text.
            name: What it says.
        """
        name, head = clean(name), clean(label) + " " if label else ""
        self._line = (0, 0)
        for number in range(self._next, min(self._next + _AHEAD, len(self._lines)) if name else 0):
            start, end = self._lines[number]
            begin = start + len(head)
            if begin + len(name) <= end and self._text.startswith(head + name, start):
                self._next, self._line = number + 1, (start, end)
                return StudyField(path=path, text=name, start=begin, end=begin + len(name))
        return StudyField(path=path, text=name)

    def listed(self, path: str, label: str, names: Sequence[tuple[int, str]]) -> Iterator[StudyField]:
        """Yield the fields of a list that ends the line of the field before, behind a label."""
        start, end = self._line
        after = self._text.rfind(label, start, end)
        for place, written in names:
            name = clean(written)
            begin = self._text.find(name, after, end) if after >= 0 else -1
            if begin < 0:
                yield StudyField(path=f"{path}[{place}]", text=name)
                continue
            after = begin + len(name)
            yield StudyField(path=f"{path}[{place}]", text=name, start=begin, end=after)


def _lines(document: Document, title: str, kinds: Sequence[BlockKind]) -> Iterator[tuple[int, int]]:
    """Yield the blocks of some kinds, of tables the lines under the first one, in the sections of a title."""
    blocks = (block for section in document.sections if section.title == title for block in section.blocks)
    for block in blocks:
        if block.kind not in kinds:
            continue
        if block.kind is not BlockKind.TABLE:
            yield block.start, block.end
            continue
        start = document.text.find("\n", block.start, block.end) + 1
        while start:
            following = document.text.find("\n", start, block.end) + 1
            yield start, following - 1 if following else block.end
            start = following


def _interventions(listed: Sequence[Numbered], places: _Places) -> Iterator[StudyIntervention]:
    for place, record in listed:
        kind = words(record.get("type")).capitalize()
        path = f"{_ARMS}.interventions[{place}]"
        name = text_of(record.get("name")).strip()
        others = _numbered_texts(record.get("otherNames"))
        yield StudyIntervention(
            name=places.field(f"{path}.name", f"{kind}:" if kind else "", name),
            type=_code(record.get("type")),
            other_names=tuple(places.listed(f"{path}.otherNames", "Other names: ", others)),
            description=clean(text_of(record.get("description"))),
        )


def _arms(study: StudyRecord, listed: Sequence[Numbered], numbers: dict[int, int]) -> Iterator[StudyArm]:
    """Yield the arms; what they get is said of the arm, of the intervention, or of both.

    Of interventions or arms of one name the first is meant.
    """
    named: dict[str, int] = {}
    labelled: dict[str, list[int]] = {}
    for place, record in listed:
        name = text_of(record.get("name")).strip()
        kind = words(record.get("type")).capitalize()
        for written in {name.casefold(), f"{kind}: {name}".casefold()}:
            named.setdefault(written, numbers[place])
        for label in strings(record.get("armGroupLabels")):
            labelled.setdefault(label.strip(), []).append(numbers[place])
    for arm in study.records(f"{_ARMS}.armGroups"):
        label = text_of(arm.get("label")).strip()
        names = (name.strip().casefold() for name in strings(arm.get("interventionNames")))
        given = {named[name] for name in names if name in named}
        yield StudyArm(
            label=clean(label),
            type=_code(arm.get("type")),
            description=clean(text_of(arm.get("description"))),
            interventions=tuple(sorted(given | set(labelled.pop(label, ())))),
        )


def _events(study: StudyRecord, document: Document) -> Iterator[StudyEvent]:
    groups = _group_places(study.records(f"{_EVENTS}.eventGroups"))
    for key, title in (("seriousEvents", "Serious adverse events"), ("otherEvents", "Other adverse events")):
        places = _Places(document, title)
        for place, record in numbered(study.get(f"{_EVENTS}.{key}")):
            path = f"{_EVENTS}.{key}[{place}]"
            term = places.field(f"{path}.term", "", text_of(record.get("term")))
            counts = tuple(_counts(record, path, groups))
            if term.text and counts:
                yield StudyEvent(
                    term=term,
                    is_serious=key == "seriousEvents",
                    organ_system=clean(text_of(record.get("organSystem"))),
                    vocabulary=clean(text_of(record.get("sourceVocabulary"))),
                    counts=counts,
                )


def _group_places(groups: Sequence[Record]) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, group in enumerate(groups):
        places.setdefault(text_of(group.get("id")), place)
    return places


def _counts(event: Record, path: str, groups: dict[str, int]) -> Iterator[EventCount]:
    for place, stats in numbered(event.get("stats")):
        group = groups.get(text_of(stats.get("groupId")))
        affected = _whole(stats.get("numAffected"))
        if group is not None and affected:
            yield EventCount(
                path=f"{path}.stats[{place}]",
                group=group,
                affected=affected,
                at_risk=_whole(stats.get("numAtRisk")),
                events=_whole(stats.get("numEvents")),
            )


def _whole(value: Any) -> int | None:
    """Return a count, written as a number or in digits; None for what is none."""
    if isinstance(value, str) and len(value) <= _MAX_DIGITS and value.isascii() and value.isdecimal():
        return int(value)
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_count else None


def _outcomes(study: StudyRecord, document: Document) -> Iterator[StudyOutcome]:
    places = _Places(document, "Outcome measures", BlockKind.CAPTION)
    for place, record in numbered(study.get(_OUTCOMES)):
        path = f"{_OUTCOMES}[{place}]"
        kind = words(record.get("type")).capitalize()
        listed = [group for _, group in numbered(record.get("groups"))]
        groups = _group_places(listed)
        title = places.field(f"{path}.title", f"{kind}:" if kind else "", text_of(record.get("title")))
        values = tuple(_values(record, path, groups))
        if title.text and values:
            yield StudyOutcome(
                title=title,
                type=_code(record.get("type")),
                time_frame=clean(text_of(record.get("timeFrame"))),
                parameter=clean(text_of(record.get("paramType"))),
                dispersion=clean(text_of(record.get("dispersionType"))),
                unit=clean(text_of(record.get("unitOfMeasure"))),
                groups=_titles(listed),
                values=values,
                analyses=tuple(_analyses(record, path, groups)),
            )


def _values(outcome: Record, path: str, groups: dict[str, int]) -> Iterator[OutcomeValue]:
    for one, part in numbered(outcome.get("classes")):
        for two, category in numbered(part.get("categories")):
            titles = (text_of(part.get("title")), text_of(category.get("title")))
            for three, measured in numbered(category.get("measurements")):
                group = groups.get(text_of(measured.get("groupId")))
                if group is not None and (value := figure(measured, "value").strip()):
                    yield OutcomeValue(
                        path=f"{path}.classes[{one}].categories[{two}].measurements[{three}]",
                        group=group,
                        row=clean(": ".join(filter(None, titles))),
                        value=value,
                        spread=figure(measured, "spread"),
                        lower=figure(measured, "lowerLimit"),
                        upper=figure(measured, "upperLimit"),
                    )


def _analyses(outcome: Record, path: str, groups: dict[str, int]) -> Iterator[OutcomeAnalysis]:
    for place, analysis in numbered(outcome.get("analyses")):
        compared = (groups.get(group) for group in strings(analysis.get("groupIds")))
        yield OutcomeAnalysis(
            path=f"{path}.analyses[{place}]",
            groups=tuple(dict.fromkeys(group for group in compared if group is not None)),
            method=clean(text_of(analysis.get("statisticalMethod"))),
            p_value=figure(analysis, "pValue").strip(),
            estimate_type=clean(text_of(analysis.get("paramType"))),
            estimate=figure(analysis, "paramValue").strip(),
            level=figure(analysis, "ciPctValue").strip(),
            lower=figure(analysis, "ciLowerLimit").strip(),
            upper=figure(analysis, "ciUpperLimit").strip(),
        )
