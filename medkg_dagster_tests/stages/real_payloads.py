"""Payloads of the real files, split into one document each the way a source does."""

from __future__ import annotations

import json
import logging
from functools import cache
from pathlib import Path

from lxml import etree

from medkg_dagster.stage_api import Document, Payload, PayloadFormat, StageContext
from medkg_dagster.stages.parse import ParseConfig, ParseStage
from medkg_dagster_tests.stages.installed import EXTENSIONS


def payload(content: bytes | str, kind: PayloadFormat, origin: str = "memory") -> Payload:
    """Make a payload from content."""
    data = content.encode() if isinstance(content, str) else content
    return Payload(id=origin, format=kind, content=data, source="files", origin=origin)


def parse_one(content: bytes | str, kind: PayloadFormat, **config: object) -> Document:
    """Parse one payload, errors raised."""
    return ParseStage(ParseConfig.model_validate(config)).parse(payload(content, kind))


def context(stage: str = "parse") -> StageContext:
    """Make the surroundings of a stage, with all extensions there are; its log goes nowhere."""
    log = logging.getLogger("medkg.tests.quiet")
    log.disabled = True
    return StageContext("test", stage, "default", Path(), log=log, extensions=EXTENSIONS)


def studies(data: Path) -> tuple[Payload, ...]:
    """One payload for each study of the two arrays and of the API captures."""
    found = []
    folder = data / "clinicaltrials"
    for path in (*sorted(folder.glob("*.json")), *sorted(folder.glob("api_v2_captures/*.json"))):
        loaded = json.loads(path.read_text(encoding="utf-8"))
        items = loaded if isinstance(loaded, list) else loaded.get("studies", [loaded])
        found += [
            payload(json.dumps(item), PayloadFormat.STUDY_JSON, f"{path.name}#{number}")
            for number, item in enumerate(items)
        ]
    return tuple(found)


def articles(data: Path) -> tuple[Payload, ...]:
    """One payload for each JATS file."""
    return _files(data / "jats", "*.xml", PayloadFormat.JATS_XML)


def pdfs(data: Path) -> tuple[Payload, ...]:
    """One payload for each PDF."""
    return _files(data / "pdf", "*.pdf", PayloadFormat.PDF)


@cache
def parsed_pdfs(data: Path) -> tuple[Document, ...]:
    """Parse every PDF once for all tests; each of them must parse."""
    stage = ParseStage(ParseConfig())
    return tuple(stage.parse(source) for source in pdfs(data))


def negatives(data: Path) -> tuple[Payload, ...]:
    """One payload for each XML file that is not JATS."""
    return _files(data / "negatives", "*.xml", PayloadFormat.JATS_XML)


def records(data: Path) -> tuple[Payload, ...]:
    """One payload for each PubMed record; a file without records is one payload."""
    found = []
    for path in sorted((data / "pubmed").glob("*.xml")):
        items = etree.parse(path).findall("*")
        contents = [etree.tostring(item) for item in items] or [path.read_bytes()]
        found += [
            payload(content, PayloadFormat.PUBMED_XML, f"{path.name}#{number}")
            for number, content in enumerate(contents)
        ]
    return tuple(found)


def _files(folder: Path, pattern: str, kind: PayloadFormat) -> tuple[Payload, ...]:
    return tuple(payload(path.read_bytes(), kind, path.name) for path in sorted(folder.glob(pattern)))
