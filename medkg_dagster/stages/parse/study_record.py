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
_DATE = re.compile(r"[0-9]{4}(?:-[0-9]{2}){0,2}")
_REGISTRY_PREFIXES = {"EUDRACT_NUMBER": "EudraCT", "CTIS": "CTIS"}

Record = Mapping[str, Any]


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

    def texts(self, path: str) -> list[str]:
        """Return the texts of the list at a dotted path."""
        value = self.get(path)
        return [text_of(item) for item in value if text_of(item).strip()] if isinstance(value, list) else []

    def records(self, path: str) -> list[Record]:
        """Return the objects of the list at a dotted path."""
        value = self.get(path)
        return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []

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
        yield self.text("protocolSection.sponsorCollaboratorsModule.responsibleParty.investigatorFullName")
        yield self.text("protocolSection.sponsorCollaboratorsModule.leadSponsor.name")

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
    """Turn a code such as `DIETARY_SUPPLEMENT` or `PHASE2` into words."""
    spaced = text_of(value).replace("_", " ").lower()
    return re.sub(r"phase(\d)", r"phase \1", spaced)


def sentences(*parts: str) -> str:
    """Join parts as sentences; a part that does not end with punctuation gets a full stop."""
    stripped = [part.strip() for part in parts if part.strip()]
    return " ".join(part if part.endswith((".", "!", "?", ":", ";")) else f"{part}." for part in stripped)


def strings(value: Any) -> list[str]:
    """Return the texts of a list; none for anything else."""
    return [text_of(item) for item in value if text_of(item)] if isinstance(value, list) else []
