"""ClinicalTrials.gov API v2 studies.

Every section restates a field of the record. One sentence is composed, at the head of the section
`Conditions and interventions`: it names the study's interventions and conditions together, as the
record's structured fields assert them, so that a statement drawn from those fields has a sentence to
point at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from medkg_dagster.stage_api import Annotation, AnnotationRole, BlockKind, Document, Payload, Reference
from medkg_dagster.stages.parse import ParseConfig
from medkg_dagster.stages.parse.document_text import DocumentText, Metadata, list_items, make_document
from medkg_dagster.stages.parse.study_fields import study_of
from medkg_dagster.stages.parse.study_record import (
    Record,
    StudyRecord,
    figure,
    load_study,
    sentences,
    strings,
    study_texts,
    text_of,
    words,
)
from medkg_dagster.stages.parse.study_results import write_results
from medkg_dagster.stages.parse.text_kept import with_text_kept

_CRITERIA_HEADING = re.compile(
    r"[^\n:]{0,40}\b(inclusion|exclusion)\b(?:[ /-]+(?:and[ /-]+exclusion[ ]+)?criteria)?[^\n:]{0,40}:?\s*$",
    re.IGNORECASE,
)
_HEADED_CRITERIA = re.compile(
    r"((?:key |main |major )?(?:inclusion|exclusion) criteria:)\s*(\S.*)$", re.IGNORECASE
)
_DESIGN_CODES = (
    ("Allocation", "allocation"),
    ("Intervention model", "interventionModel"),
    ("Observational model", "observationalModel"),
    ("Time perspective", "timePerspective"),
    ("Primary purpose", "primaryPurpose"),
    ("Masking", "maskingInfo.masking"),
)
_DATES = (
    ("Start", "startDateStruct"),
    ("Primary completion", "primaryCompletionDateStruct"),
    ("Completion", "completionDateStruct"),
)
_LAST_SIX_DIGITS = {"D": 66448, "C": 588420}
_MESH_ID = re.compile(r"[DC][0-9]{6,9}")


def parse(payload: Payload, config: ParseConfig) -> Document:
    """Parse one study: the document, `clinicaltrials:NCT...`.

    Raises:
        UnreadableDocumentError: It is not JSON (with line), or not a study.
        UnsafeDocumentError: The text is too long.
    """
    study = StudyRecord(load_study(payload), payload.origin)
    builder = DocumentText(study.title, config.max_text_characters)
    _write_description(builder, study)
    _write_interventions(builder, study)
    _write_outcomes(builder, study)
    _write_eligibility(builder, study)
    _write_design(builder, study)
    write_results(builder, study)
    _write_sharing(builder, study)
    metadata = Metadata(
        id=f"clinicaltrials:{study.nct_id}",
        source="infores:clinicaltrials",
        identifiers=study.identifiers(),
        authors=study.authors(),
        date=study.date(),
        url=f"https://clinicaltrials.gov/study/{study.nct_id}",
        annotations=_annotations(study),
        study_type=study.text("protocolSection.designModule.studyType").strip().upper() or None,
        phases=strings(study.get("protocolSection.designModule.phases")),
    )
    document = make_document(payload, builder, metadata, references=_references(study))
    document = with_text_kept(document, study_texts(study.data))
    return document.model_copy(update={"study": study_of(study, document)})


def _references(study: StudyRecord) -> Iterator[Reference]:
    for entry in study.records("protocolSection.referencesModule.references"):
        text, pmid = text_of(entry.get("citation")), figure(entry, "pmid")
        if text or pmid:
            yield Reference(identifiers={"PMID": pmid} if pmid else {}, text=" ".join(text.split()))


def _write_description(builder: DocumentText, study: StudyRecord) -> None:
    if study.official_title and study.official_title != study.title:
        builder.section("Official title")
        builder.block(study.official_title)
    for title, key in (("Brief summary", "briefSummary"), ("Detailed description", "detailedDescription")):
        if text := study.text(f"protocolSection.descriptionModule.{key}"):
            builder.section(title)
            _write_markup(builder, text)


def _write_markup(builder: DocumentText, text: str) -> None:
    """Write the registry's light markup: blank lines between paragraphs, bullets and numbers as lists."""
    for paragraph in re.split(r"\n\s*\n", text):
        for kind, lines in list_items(paragraph.splitlines()):
            builder.block(" ".join(lines), kind)


def _named(intervention: Record) -> str:
    kind = words(intervention.get("type")).capitalize()
    name = text_of(intervention.get("name")).strip()
    return f"{kind}: {name}" if kind and name else name


def _write_interventions(builder: DocumentText, study: StudyRecord) -> None:
    names = [name for name in map(_named, study.interventions) if name]
    names = list(dict.fromkeys(names))
    builder.section("Conditions and interventions", in_source=False)
    builder.block(_composed(study, names))
    if study.conditions:
        builder.section("Conditions", 2)
        for condition in study.conditions:
            builder.block(condition, BlockKind.LIST_ITEM)
    if names:
        builder.section("Interventions", 2)
        for intervention in study.interventions:
            others = "; ".join(strings(intervention.get("otherNames")))
            label = f"Other names: {others}" if others else ""
            text = sentences(_named(intervention), text_of(intervention.get("description")), label)
            builder.block(text, BlockKind.LIST_ITEM)
    if arms := study.records("protocolSection.armsInterventionsModule.armGroups"):
        builder.section("Arms", 2)
        for arm in arms:
            head = ": ".join(filter(None, (words(arm.get("type")).capitalize(), text_of(arm.get("label")))))
            given = "; ".join(strings(arm.get("interventionNames")))
            label = f"Interventions: {given}" if given else ""
            builder.block(sentences(head, text_of(arm.get("description")), label), BlockKind.LIST_ITEM)
    if keywords := study.texts("protocolSection.conditionsModule.keywords"):
        builder.section("Keywords", 2)
        builder.block("; ".join(keywords))


def _composed(study: StudyRecord, names: Sequence[str]) -> str:
    kind = words(study.get("protocolSection.designModule.studyType")) or "registered"
    if names and study.conditions:
        what = f"{'; '.join(names)} in {'; '.join(study.conditions)}"
    else:
        what = "; ".join(names or study.conditions)
    return f"This {kind} study investigates {what}." if what else ""


def _write_outcomes(builder: DocumentText, study: StudyRecord) -> None:
    for title, key in (
        ("Primary outcomes", "primaryOutcomes"),
        ("Secondary outcomes", "secondaryOutcomes"),
        ("Other outcomes", "otherOutcomes"),
    ):
        if outcomes := study.records(f"protocolSection.outcomesModule.{key}"):
            builder.section(title)
            for outcome in outcomes:
                frame = text_of(outcome.get("timeFrame"))
                text = sentences(
                    text_of(outcome.get("measure")),
                    text_of(outcome.get("description")),
                    f"Time frame: {frame}" if frame else "",
                )
                builder.block(text, BlockKind.LIST_ITEM)


def _write_eligibility(builder: DocumentText, study: StudyRecord) -> None:
    module = "protocolSection.eligibilityModule"
    builder.section("Eligibility", in_source=False)
    builder.block(sentences(*_eligibility_facts(study)))
    if population := study.text(f"{module}.studyPopulation"):
        builder.section("Study population", 2)
        _write_markup(builder, population)
    if criteria := study.text(f"{module}.eligibilityCriteria"):
        builder.section("Eligibility criteria", 2)
        for paragraph in re.split(r"\n\s*\n", criteria):
            _write_criteria(builder, paragraph)


def _write_criteria(builder: DocumentText, paragraph: str) -> None:
    for kind, lines in _criteria_items(paragraph):
        text = " ".join(lines)
        if kind is BlockKind.PARAGRAPH and _CRITERIA_HEADING.match(text):
            builder.section(text.rstrip(": "), 3)
        elif kind is BlockKind.PARAGRAPH and (headed := _HEADED_CRITERIA.match(text)):
            builder.section(headed.group(1).rstrip(": "), 3)
            builder.block(headed.group(2))
        else:
            builder.block(text, kind)


def _criteria_items(paragraph: str) -> Iterator[tuple[BlockKind, list[str]]]:
    """Yield items; a heading that is followed by text without a blank line stands alone."""
    for kind, lines in list_items(paragraph.splitlines()):
        if len(lines) > 1 and _CRITERIA_HEADING.match(lines[0]) and kind is BlockKind.PARAGRAPH:
            yield kind, lines[:1]
            yield kind, lines[1:]
        else:
            yield kind, lines


def _eligibility_facts(study: StudyRecord) -> Iterator[str]:
    for label, key in (("Sex", "sex"), ("Minimum age", "minimumAge"), ("Maximum age", "maximumAge")):
        if value := study.text(f"protocolSection.eligibilityModule.{key}"):
            yield f"{label}: {value.lower()}"
    if text := study.text("protocolSection.eligibilityModule.genderDescription"):
        yield text
    if method := study.code("protocolSection.eligibilityModule.samplingMethod"):
        yield f"Sampling: {method}"
    volunteers = study.get("protocolSection.eligibilityModule.healthyVolunteers")
    if isinstance(volunteers, bool):
        yield f"Accepts healthy volunteers: {'yes' if volunteers else 'no'}"


def _write_design(builder: DocumentText, study: StudyRecord) -> None:
    design, status = "protocolSection.designModule", "protocolSection.statusModule"
    people = "protocolSection.sponsorCollaboratorsModule"
    enrolled = (
        figure(study.record(f"{design}.enrollmentInfo"), "count"),
        study.code(f"{design}.enrollmentInfo.type"),
    )
    facts = [
        ("Acronym", study.text("protocolSection.identificationModule.acronym")),
        ("Study type", study.code(f"{design}.studyType")),
        ("Phase", ", ".join(map(words, strings(study.get(f"{design}.phases"))))),
        *((label, study.code(f"{design}.designInfo.{key}")) for label, key in _DESIGN_CODES),
        (
            "Who is masked",
            ", ".join(map(words, strings(study.get(f"{design}.designInfo.maskingInfo.whoMasked")))),
        ),
        ("Enrollment", " ".join(filter(None, enrolled))),
        ("Target duration", study.text(f"{design}.targetDuration")),
        (
            "Specimens",
            sentences(study.code(f"{design}.bioSpec.retention"), study.text(f"{design}.bioSpec.description")),
        ),
        ("Overall status", study.code(f"{status}.overallStatus")),
        ("Why stopped", study.text(f"{status}.whyStopped")),
        *((label, _dated(study, f"{status}.{key}")) for label, key in _DATES),
        (
            "Collaborators",
            "; ".join(text_of(item.get("name")) for item in study.records(f"{people}.collaborators")),
        ),
    ]
    builder.section("Study design", in_source=False)
    builder.block(sentences(*(f"{label}: {value}" for label, value in facts if value)))
    for key in ("interventionModelDescription", "maskingInfo.maskingDescription"):
        if text := study.text(f"{design}.designInfo.{key}"):
            _write_markup(builder, text)


def _dated(study: StudyRecord, path: str) -> str:
    date, kind = study.text(f"{path}.date"), study.code(f"{path}.type")
    return f"{date} ({kind})" if date and kind else date


def _write_sharing(builder: DocumentText, study: StudyRecord) -> None:
    module = "protocolSection.ipdSharingStatementModule"
    builder.section("Sharing of participants' data", in_source=False)
    facts = [
        ("Shared", study.code(f"{module}.ipdSharing")),
        ("What", ", ".join(map(words, strings(study.get(f"{module}.infoTypes"))))),
        ("When", study.text(f"{module}.timeFrame")),
        ("Access", study.text(f"{module}.accessCriteria")),
        ("Address", study.text(f"{module}.url")),
    ]
    builder.block(sentences(*(f"{label}: {value}" for label, value in facts if value)))
    _write_markup(builder, study.text(f"{module}.description"))
    builder.section("Links", in_source=False)
    module = "protocolSection.referencesModule"
    for link in (*study.records(f"{module}.seeAlsoLinks"), *study.records(f"{module}.availIpds")):
        parts = (text_of(link.get(key)) for key in ("label", "type", "id", "comment", "url"))
        builder.block(": ".join(filter(None, parts)), BlockKind.LIST_ITEM)


def _annotations(study: StudyRecord) -> Iterator[Annotation]:
    for condition in study.conditions:
        yield Annotation(role=AnnotationRole.CONDITION, name=condition)
    for intervention in study.interventions:
        name = text_of(intervention.get("name")).strip()
        kind = text_of(intervention.get("type")) or None
        if name:
            yield Annotation(role=AnnotationRole.INTERVENTION, name=name, intervention_type=kind)
    for module, role in (
        ("conditionBrowseModule", AnnotationRole.CONDITION_MESH),
        ("interventionBrowseModule", AnnotationRole.INTERVENTION_MESH),
    ):
        for mesh in study.records(f"derivedSection.{module}.meshes"):
            identifier, term = text_of(mesh.get("id")), text_of(mesh.get("term"))
            if term and _MESH_ID.fullmatch(identifier):
                yield Annotation(role=role, name=term, curie=f"MESH:{mesh_ui(identifier)}")


def mesh_ui(identifier: str) -> str:
    """Return the MeSH unique identifier behind one that the registry padded to nine digits.

    MeSH gave out six digits up to D066448 and C588420 and nine digits after that, so `D000009404` can
    only be `D009404`, while `D000069283` is what MeSH itself writes.
    """
    kind, number = identifier[0], int(identifier[1:])
    return f"{kind}{number:06}" if number <= _LAST_SIX_DIGITS[kind] else f"{kind}{number:09}"
