"""A ClinicalTrials.gov study as JSON, read tolerantly field by field."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from medkg_dagster.errors import UnreadableDocumentError
from medkg_dagster.stage_api import Payload
from medkg_dagster.stages.parse.text import decode

_NCT_ID = re.compile(r"NCT[0-9]{8}")
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]<>()#+\-.!~|&^$])")
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-fA-F]{1,6}|[A-Za-z]{2,8}[0-9]{0,2});")
_CODE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|(?:EARLY_)?PHASE[0-9]")
_DATE = re.compile(r"[0-9]{4}(?:-[0-9]{2}){0,2}")
_REGISTRY_PREFIXES = {"EUDRACT_NUMBER": "EudraCT", "CTIS": "CTIS"}

Record = Mapping[str, Any]

_AUTHORS = (
    "protocolSection.contactsLocationsModule.overallOfficials.name",
    "protocolSection.sponsorCollaboratorsModule.responsibleParty.investigatorFullName",
    "protocolSection.sponsorCollaboratorsModule.leadSponsor.name",
)
_ABBREVIATIONS = ("NA", "SAP", "ICF", "CSR")
_GROUP_DESCRIPTIONS = (".groups.description", ".eventGroups.description")
_LEFT_OUT = (
    *((path, "") for path in _AUTHORS),
    ("derivedSection.conditionBrowseModule.meshes.term", ""),
    ("derivedSection.interventionBrowseModule.meshes.term", ""),
    ("derivedSection", "derived by the registry"),
    ("documentSection", "files of the study"),
    ("hasResults", "codes"),
    ("protocolSection.contactsLocationsModule", "contacts and places"),
    ("protocolSection.sponsorCollaboratorsModule.responsibleParty", "contacts and places"),
    ("protocolSection.sponsorCollaboratorsModule.leadSponsor.class", "codes"),
    ("protocolSection.sponsorCollaboratorsModule.collaborators.class", "codes"),
    ("protocolSection.identificationModule.organization", "contacts and places"),
    ("protocolSection.identificationModule.orgStudyIdInfo", "other identifiers"),
    ("protocolSection.identificationModule.secondaryIdInfos", "other identifiers"),
    ("protocolSection.identificationModule.nctIdAliases", "other identifiers"),
    ("protocolSection.oversightModule", "oversight"),
    ("protocolSection.armsInterventionsModule.interventions.armGroupLabels", "said of the arms"),
    ("protocolSection.referencesModule.references.type", "codes"),
    ("protocolSection.referencesModule.references.retractions", "retractions of references"),
    ("protocolSection.eligibilityModule.stdAges", "codes"),
    ("protocolSection.statusModule.overallStatus", ""),
    ("protocolSection.statusModule.whyStopped", ""),
    ("protocolSection.statusModule.startDateStruct", ""),
    ("protocolSection.statusModule.primaryCompletionDateStruct", ""),
    ("protocolSection.statusModule.completionDateStruct", ""),
    ("protocolSection.statusModule", "dates of the record"),
    ("resultsSection.moreInfoModule.limitationsAndCaveats", ""),
    ("resultsSection.moreInfoModule", "contacts and places"),
)
"""What is left out and why: the first path that a leaf's begins with decides; all else is in the document."""


def load_study(payload: Payload) -> Record:
    """Read the JSON of one study.

    Raises:
        UnreadableDocumentError: It is not JSON (with line), or has no `protocolSection`.
    """
    text = decode(payload.content, payload.origin)
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UnreadableDocumentError(
            f"{payload.origin}:{error.lineno}: not valid JSON at column {error.colno} ({error.msg}); "
            "the file is damaged or truncated"
        ) from error
    except (RecursionError, ValueError) as error:
        raise UnreadableDocumentError(
            f"{payload.origin}: the JSON is nested too deeply or holds an impossible number ({error})"
        ) from error
    if not isinstance(data, dict) or not isinstance(data.get("protocolSection"), dict):
        raise UnreadableDocumentError(
            f"{payload.origin}: JSON, but not a ClinicalTrials.gov v2 study: it has no protocolSection"
        )
    return data


class StudyRecord:
    """A study's record; what has the wrong type counts as absent.

    Attributes:
        nct_id: The registry's identifier.
        title: The brief title, else the official one.
        official_title: The official title; empty where there is none.
        conditions: The conditions studied.
        interventions: The records of the interventions.
    """

    def __init__(self, data: Record, origin: str) -> None:
        self.data = data
        self.nct_id = self.text("protocolSection.identificationModule.nctId").strip().upper()
        if not _NCT_ID.fullmatch(self.nct_id):
            raise UnreadableDocumentError(
                f"{origin}: the study has no valid NCT id in identificationModule (found {self.nct_id!r})"
            )
        self.official_title = self.text("protocolSection.identificationModule.officialTitle")
        self.title = self.text("protocolSection.identificationModule.briefTitle") or self.official_title
        self.conditions = self.texts("protocolSection.conditionsModule.conditions")
        self.interventions = self.records("protocolSection.armsInterventionsModule.interventions")

    def get(self, path: str) -> Any:
        """Return the value at a dotted path; None where there is none."""
        value: Any = self.data
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def text(self, path: str) -> str:
        """Return the text at a dotted path; empty where there is none."""
        return text_of(self.get(path))

    def code(self, path: str) -> str:
        """Return the code at a dotted path in words; empty where there is none."""
        return words(self.get(path))

    def record(self, path: str) -> Record:
        """Return the object at a dotted path; empty where there is none."""
        value = self.get(path)
        return value if isinstance(value, Mapping) else {}

    def texts(self, path: str) -> list[str]:
        """Return the texts of the list at a dotted path."""
        value = self.get(path)
        return [text_of(item) for item in value if text_of(item).strip()] if isinstance(value, list) else []

    def records(self, path: str) -> list[Record]:
        """Return the objects of the list at a dotted path."""
        return records_of(self.get(path))

    def identifiers(self) -> dict[str, str]:
        """Return the identifiers by registry."""
        found = {"clinicaltrials": self.nct_id}
        for item in self.records("protocolSection.identificationModule.secondaryIdInfos"):
            prefix = _REGISTRY_PREFIXES.get(text_of(item.get("type")))
            if prefix and text_of(item.get("id")):
                found.setdefault(prefix, text_of(item.get("id")).strip())
        return found

    def authors(self) -> Iterator[str]:
        """Yield the names of officials, responsible investigator and lead sponsor."""
        for official in self.records("protocolSection.contactsLocationsModule.overallOfficials"):
            yield text_of(official.get("name"))
        for path in _AUTHORS[1:]:
            yield self.text(path)

    def date(self) -> str | None:
        """Return the date of the first posting, else of submission or start."""
        status = "protocolSection.statusModule"
        for path in ("studyFirstPostDateStruct.date", "studyFirstSubmitDate", "startDateStruct.date"):
            value = self.text(f"{status}.{path}").strip()
            if _DATE.fullmatch(value):
                return value
        return None


def text_of(value: Any) -> str:
    """Return a text as read: the registry's backslashes and character references undone; else nothing."""
    if not isinstance(value, str):
        return ""
    return _REFERENCE.sub(lambda match: html.unescape(match[0]), _ESCAPED.sub(r"\1", value))


def words(value: Any) -> str:
    """Turn a code such as `DIETARY_SUPPLEMENT` or `PHASE2` into words; an abbreviation stays one."""
    if value in _ABBREVIATIONS:
        return str(value)
    spaced = text_of(value).replace("_", " ").lower()
    return re.sub(r"phase(\d)", r"phase \1", spaced)


def sentences(*parts: str) -> str:
    """Join parts as sentences; a part that does not end with punctuation gets a full stop."""
    stripped = [part.strip() for part in parts if part.strip()]
    return " ".join(part if part.endswith((".", "!", "?", ":", ";")) else f"{part}." for part in stripped)


def records_of(value: Any) -> list[Record]:
    """Return the objects of a list; none for anything else."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def figure(record: Record, key: str) -> str:
    """Return a number, or the text that stands for it, as written; empty where there is none."""
    value = record.get(key)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else text_of(value)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every leaf of a JSON value with its path, dotted and without the places in lists."""
    stack: list[tuple[str, Any]] = [(path, value)]
    while stack:
        place, found = stack.pop()
        if isinstance(found, Mapping):
            stack += [(f"{place}.{key}".lstrip("."), inner) for key, inner in found.items()]
        elif isinstance(found, list):
            stack += [(place, inner) for inner in found]
        elif found is not None:
            yield place, found


def reason_left_out(path: str) -> str:
    """Return why a leaf at a path is not in a study's document; empty for one that is."""
    if path.rpartition(".")[2] in {"groupId", "groupIds"} or (
        path.startswith("results") and path.endswith(".id")
    ):
        return "codes"
    return next((reason for place, reason in _LEFT_OUT if f"{path}.".startswith(f"{place}.")), "")


def study_texts(study: Record) -> dict[str, str]:
    """Return all texts and numbers of a study by the reason why they are left out; flags say no words."""
    found: dict[str, list[str]] = {}
    said: set[str] = set()
    for path, leaf in leaves(study):
        if isinstance(leaf, bool):
            continue
        reason = reason_left_out(path)
        if path in _AUTHORS or path.endswith(_GROUP_DESCRIPTIONS):
            reason = "said twice" if leaf in said else ""
            said.add(leaf)
        is_code = _CODE.fullmatch(str(leaf)) and not path.endswith(".acronym")
        text = words(leaf) if is_code else text_of(leaf) or str(leaf)
        found.setdefault(reason, []).append(text)
    return {reason: "\n".join(texts) for reason, texts in found.items()}


def strings(value: Any) -> list[str]:
    """Return the texts of a list; none for anything else."""
    return [text_of(item) for item in value if text_of(item)] if isinstance(value, list) else []
