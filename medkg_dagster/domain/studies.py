"""What the fields of a registered study's record state: its design, its arms and its results.

A field's path is a JSON path into the record as ClinicalTrials.gov publishes it (API v2), for example
`protocolSection.armsInterventionsModule.interventions[0].name`.
"""

from __future__ import annotations

from medkg_dagster.domain import OwnValue


class StudyField(OwnValue):
    """A field that names something, and where what it says stands in the document's text.

    Attributes:
        path: Its JSON path.
        text: What it says, on one line.
        start: First character of that in the document's text; None where the text has it not.
        end: One past the last character.
    """

    path: str
    text: str
    start: int | None = None
    end: int | None = None


class StudyIntervention(OwnValue):
    """What a study gives or does to its participants.

    Attributes:
        name: Its name.
        type: The registry's type (`DRUG`, `PROCEDURE`, ...); None where it states none.
        other_names: Its other names, in order.
        description: What is said about it.
    """

    name: StudyField
    type: str | None = None
    other_names: tuple[StudyField, ...] = ()
    description: str = ""


class StudyArm(OwnValue):
    """Participants who are given the same.

    Attributes:
        label: Its name.
        type: The registry's type (`EXPERIMENTAL`, `PLACEBO_COMPARATOR`, ...); None where it states none.
        description: What is said about it.
        interventions: Which of the study's interventions it gets, by their places.
    """

    label: str
    type: str | None = None
    description: str = ""
    interventions: tuple[int, ...] = ()


class EventCount(OwnValue):
    """How many participants of a group had an adverse event, one at the least.

    Attributes:
        path: JSON path of the counts.
        group: The group, by its place among the study's groups of adverse events.
        affected: Participants who had it.
        at_risk: Participants of whom it would be known; None where it is not stated.
        events: How often it occurred; None where it is not stated.
    """

    path: str
    group: int
    affected: int
    at_risk: int | None = None
    events: int | None = None


class StudyEvent(OwnValue):
    """An adverse event that some participants had.

    Attributes:
        term: Its name.
        is_serious: Whether it is listed as a serious one.
        organ_system: The organ system, as the registry groups events.
        vocabulary: The vocabulary that the term is from, such as `MedDRA 12.1`.
        counts: The groups that had it.
    """

    term: StudyField
    is_serious: bool
    organ_system: str = ""
    vocabulary: str = ""
    counts: tuple[EventCount, ...] = ()


class OutcomeValue(OwnValue):
    """What was measured in a group.

    Attributes:
        path: JSON path of the measurement.
        group: The group, by its place among those of the measure.
        row: What it is the value of, where the measure has several.
        value: The value as stated.
        spread: Its dispersion as stated; empty where there is none.
        lower: Lower limit as stated; empty where there is none.
        upper: Upper limit as stated; empty where there is none.
    """

    path: str
    group: int
    row: str = ""
    value: str
    spread: str = ""
    lower: str = ""
    upper: str = ""


class OutcomeAnalysis(OwnValue):
    """How groups were compared, and what came of it.

    Attributes:
        path: JSON path of the analysis.
        groups: The groups, by their places among those of the measure.
        method: The statistical method.
        p_value: As stated, such as `<0.001`; empty where there is none.
        estimate_type: What was estimated, such as `Hazard Ratio (HR)`; empty where nothing was.
        estimate: As stated.
        level: Level of the confidence interval in percent, as stated.
        lower: Its lower limit as stated.
        upper: Its upper limit as stated.
    """

    path: str
    groups: tuple[int, ...] = ()
    method: str = ""
    p_value: str = ""
    estimate_type: str = ""
    estimate: str = ""
    level: str = ""
    lower: str = ""
    upper: str = ""


class StudyOutcome(OwnValue):
    """What a study measured, with its results.

    Attributes:
        title: What was measured.
        type: The registry's type (`PRIMARY`, `SECONDARY`, ...); None where it states none.
        time_frame: When.
        parameter: What the values are (`MEAN`, `COUNT_OF_PARTICIPANTS`, ...); empty where it is not stated.
        dispersion: What their spread is; empty where it is not stated.
        unit: Their unit.
        groups: The titles of the groups.
        values: What was measured in them.
        analyses: How they were compared.
    """

    title: StudyField
    type: str | None = None
    time_frame: str = ""
    parameter: str = ""
    dispersion: str = ""
    unit: str = ""
    groups: tuple[str, ...] = ()
    values: tuple[OutcomeValue, ...] = ()
    analyses: tuple[OutcomeAnalysis, ...] = ()


class Study(OwnValue):
    """What a study's record states of it.

    Attributes:
        purpose: The registry's primary purpose (`TREATMENT`, `DIAGNOSTIC`, ...); None where it states none.
        conditions: The conditions it is about.
        interventions: What it gives or does.
        arms: Who gets what.
        event_groups: The titles of the groups that adverse events are counted in.
        events_time_frame: Over which time they are.
        events: The adverse events.
        outcomes: The outcome measures with results.
    """

    purpose: str | None = None
    conditions: tuple[StudyField, ...] = ()
    interventions: tuple[StudyIntervention, ...] = ()
    arms: tuple[StudyArm, ...] = ()
    event_groups: tuple[str, ...] = ()
    events_time_frame: str = ""
    events: tuple[StudyEvent, ...] = ()
    outcomes: tuple[StudyOutcome, ...] = ()
