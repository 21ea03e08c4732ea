"""The results of a ClinicalTrials.gov study: participant flow, baseline, outcome measures, adverse events.

Values stand in tables, a row for each category and a column for each group, as the registry shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from medkg_dagster.stage_api import BlockKind
from medkg_dagster.stages.parse.document_text import DocumentText
from medkg_dagster.stages.parse.study_record import (
    Record,
    StudyRecord,
    figure,
    records_of,
    sentences,
    strings,
    text_of,
    words,
)

Row = list[str]
_Write = Callable[[Record], str]
_UNITS = (("Units analysed", "typeUnitsAnalyzed"), ("Denominator units", "denomUnitsSelected"))
_ANALYSIS_COMMENTS = (
    "groupDescription",
    "statisticalComment",
    "pValueComment",
    "estimateComment",
    "ciLowerLimitComment",
    "ciUpperLimitComment",
    "nonInferiorityComment",
    "otherAnalysisDescription",
)


def write_results(builder: DocumentText, study: StudyRecord) -> None:
    """Write the results a study has posted, nothing where it has none."""
    builder.section("Results", in_source=False)
    described: set[str] = set()
    _write_flow(builder, study, described)
    _write_baseline(builder, study, described)
    _write_outcomes(builder, study, described)
    _write_adverse_events(builder, study, described)
    builder.section("Limitations and caveats", 2, in_source=False)
    builder.block(study.text("resultsSection.moreInfoModule.limitationsAndCaveats.description"))


def _write_flow(builder: DocumentText, study: StudyRecord, described: set[str]) -> None:
    module = "resultsSection.participantFlowModule"
    builder.section("Participant flow", 2, in_source=False)
    for key in ("recruitmentDetails", "preAssignmentDetails"):
        builder.block(study.text(f"{module}.{key}"))
    groups = _Groups(builder, study.records(f"{module}.groups"), described)
    for period in study.records(f"{module}.periods"):
        rows = [groups.header(text_of(period.get("title")))]
        for milestone in records_of(period.get("milestones")):
            label = ": ".join(filter(None, (words(milestone.get("type")), text_of(milestone.get("comment")))))
            rows.append(groups.row([label], records_of(milestone.get("achievements")), _subjects))
        for drop in records_of(period.get("dropWithdraws")):
            label = ": ".join(filter(None, (text_of(drop.get("type")), text_of(drop.get("comment")))))
            rows.append(groups.row([label], records_of(drop.get("reasons")), _subjects))
        builder.table(rows)


def _write_baseline(builder: DocumentText, study: StudyRecord, described: set[str]) -> None:
    module = "resultsSection.baselineCharacteristicsModule"
    builder.section("Baseline characteristics", 2, in_source=False)
    builder.block(study.text(f"{module}.populationDescription"))
    groups = _Groups(builder, study.records(f"{module}.groups"), described)
    builder.table(groups.denominators(study.records(f"{module}.denoms")))
    for measure in study.records(f"{module}.measures"):
        builder.block(_headline(measure), BlockKind.CAPTION)
        builder.table(_measured(measure, groups))


def _write_outcomes(builder: DocumentText, study: StudyRecord, described: set[str]) -> None:
    builder.section("Outcome measures", 2, in_source=False)
    for outcome in study.records("resultsSection.outcomeMeasuresModule.outcomeMeasures"):
        builder.block(_headline(outcome), BlockKind.CAPTION)
        groups = _Groups(builder, records_of(outcome.get("groups")), described)
        builder.table([*groups.denominators(records_of(outcome.get("denoms"))), *_measured(outcome, groups)])
        for analysis in records_of(outcome.get("analyses")):
            builder.block(_analysed(analysis, groups), BlockKind.LIST_ITEM)


def _write_adverse_events(builder: DocumentText, study: StudyRecord, described: set[str]) -> None:
    module = "resultsSection.adverseEventsModule"
    builder.section("Adverse events", 2, in_source=False)
    threshold, frame = (study.text(f"{module}.{key}") for key in ("frequencyThreshold", "timeFrame"))
    builder.block(
        sentences(
            study.text(f"{module}.description"),
            f"Time frame: {frame}" if frame else "",
            f"Frequency threshold: {threshold} %" if threshold else "",
        )
    )
    listed = study.records(f"{module}.eventGroups")
    groups = _Groups(builder, listed, described)
    rows = [
        [label, *(_share(group, f"{kind}NumAffected", f"{kind}NumAtRisk") for group in listed)]
        for label, kind in (("Deaths", "deaths"), ("Serious", "serious"), ("Other", "other"))
    ]
    if counted := [row for row in rows if any(row[1:])]:
        builder.table([groups.header("Participants affected"), *counted])
    for title, key in (("Serious adverse events", "seriousEvents"), ("Other adverse events", "otherEvents")):
        events = study.records(f"{module}.{key}")
        builder.section(title, 3, in_source=False)
        if events:
            builder.table([groups.header("Term", "Organ system", "Notes"), *_events(events, groups)])


def _events(events: Iterable[Record], groups: _Groups) -> Iterator[Row]:
    for event in events:
        notes = (
            text_of(event.get("notes")),
            words(event.get("assessmentType")),
            text_of(event.get("sourceVocabulary")),
        )
        labels = [
            text_of(event.get("term")),
            text_of(event.get("organSystem")),
            "; ".join(filter(None, notes)),
        ]
        yield groups.row(labels, records_of(event.get("stats")), _affected)


class _Groups:
    """The columns of a table; what a group is stands in front of the first table that has it."""

    def __init__(self, builder: DocumentText, groups: list[Record], described: set[str]) -> None:
        self._titles = [text_of(group.get("title")) for group in groups]
        self._places: dict[str, int] = {}
        for place, group in enumerate(groups):
            self._places.setdefault(text_of(group.get("id")), place)
        for title, group in zip(self._titles, groups, strict=True):
            description = text_of(group.get("description"))
            if description and description not in described:
                described.add(description)
                builder.block(sentences(title, description), BlockKind.LIST_ITEM)

    def name(self, group: str) -> str:
        return self._titles[self._places[group]] if group in self._places else group

    def header(self, *labels: str) -> Row:
        return [*labels, *self._titles]

    def row(self, labels: Row, values: Iterable[Record], write: _Write) -> Row:
        """Return a row up to its last value, so that many rows under many groups cost what is in them."""
        found: dict[int, list[str]] = {}
        for value in values:
            if (place := self._places.get(text_of(value.get("groupId")))) is not None:
                found.setdefault(place, []).append(write(value))
        cells = [""] * (max(found, default=-1) + 1)
        for place, written in found.items():
            cells[place] = "; ".join(written)
        return [*labels, *cells]

    def denominators(self, denominators: Iterable[Record]) -> list[Row]:
        rows = [
            self.row([text_of(item.get("units"))], records_of(item.get("counts")), _value)
            for item in denominators
        ]
        return [self.header(""), *rows]


def _headline(measure: Record) -> str:
    """Return what was measured, in whom, when and how it is counted."""
    kind = words(measure.get("type")).capitalize()
    title = text_of(measure.get("title"))
    frame, posting = text_of(measure.get("timeFrame")), text_of(measure.get("anticipatedPostingDate"))
    counted = [words(measure.get(key)) for key in ("paramType", "dispersionType", "unitOfMeasure")]
    return sentences(
        f"{kind}: {title}" if kind else title,
        text_of(measure.get("description")),
        text_of(measure.get("populationDescription")),
        f"Time frame: {frame}" if frame else "",
        f"Values: {', '.join(filter(None, counted))}" if any(counted) else "",
        words(measure.get("reportingStatus")).capitalize(),
        f"To be posted: {posting}" if posting else "",
        *(f"{label}: {text_of(measure.get(key))}" for label, key in _UNITS if text_of(measure.get(key))),
    )


def _measured(measure: Record, groups: _Groups) -> Iterator[Row]:
    for part in records_of(measure.get("classes")):
        title = text_of(part.get("title"))
        for denominator in records_of(part.get("denoms")):
            label = f"{title} ({text_of(denominator.get('units'))})"
            yield groups.row([label.strip()], records_of(denominator.get("counts")), _value)
        for category in records_of(part.get("categories")):
            label = ": ".join(filter(None, (title, text_of(category.get("title")))))
            yield groups.row([label], records_of(category.get("measurements")), _measurement)
        if title and not part.get("categories"):
            yield [title]


def _analysed(analysis: Record, groups: _Groups) -> str:
    compared = " and ".join(map(groups.name, strings(analysis.get("groupIds"))))
    estimate = " ".join(figure(analysis, key) for key in ("paramType", "paramValue")).strip()
    spread = " ".join((words(analysis.get("dispersionType")), figure(analysis, "dispersionValue"))).strip()
    limits = [figure(analysis, key) for key in ("ciLowerLimit", "ciUpperLimit")]
    level = " ".join((words(analysis.get("ciNumSides")), figure(analysis, "ciPctValue"))).strip()
    interval = (
        f"{level} % confidence interval {' to '.join(filter(None, limits))}" if level or any(limits) else ""
    )
    p_value = figure(analysis, "pValue")
    facts = (
        text_of(analysis.get("statisticalMethod")),
        estimate,
        spread,
        interval,
        f"p {p_value}" if p_value[:1] in {"<", ">", "="} else f"p = {p_value}" if p_value else "",
        words(analysis.get("nonInferiorityType")),
    )
    comments = (text_of(analysis.get(key)) for key in _ANALYSIS_COMMENTS)
    return sentences(f"Analysis of {compared}: {'; '.join(filter(None, facts))}", *comments)


def _value(record: Record) -> str:
    return figure(record, "value")


def _subjects(record: Record) -> str:
    counts = " ".join(filter(None, (figure(record, "numSubjects"), figure(record, "numUnits"))))
    comment = text_of(record.get("comment"))
    return f"{counts} ({comment})" if comment else counts


def _measurement(record: Record) -> str:
    lower, upper = figure(record, "lowerLimit"), figure(record, "upperLimit")
    limits = f"{lower} to {upper}" if lower or upper else ""
    beside = "; ".join(filter(None, (figure(record, "spread"), limits, text_of(record.get("comment")))))
    return f"{_value(record)} ({beside})" if beside else _value(record)


def _affected(record: Record) -> str:
    events = figure(record, "numEvents")
    share = _share(record, "numAffected", "numAtRisk")
    return f"{share} ({events} events)" if events else share


def _share(record: Record, affected: str, at_risk: str) -> str:
    return "/".join(filter(None, (figure(record, affected), figure(record, at_risk))))
