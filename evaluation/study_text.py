"""Studies against the leaves of their JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Bound, Figure
from evaluation.ordered_recall import words
from medkg_dagster.domain.documents import UNEXPLAINED
from medkg_dagster.stages.parse import ParseConfig, ParseStage
from medkg_dagster.stages.parse.study_record import leaves, reason_left_out, text_of
from medkg_dagster_tests.stages.real_payloads import studies

_SECTIONS = ("protocolSection", "resultsSection")


def measure(data: Path) -> Iterator[Figure]:
    """Yield which share of the texts and numbers of real studies documents hold, word by word."""
    stage = ParseStage(ParseConfig())
    kept, there = dict.fromkeys(_SECTIONS, 0), dict.fromkeys(_SECTIONS, 0)
    lost = left_out = 0
    for payload in studies(data):
        document = stage.parse(payload)
        references = (
            value for item in document.references for value in (item.text, *item.identifiers.values())
        )
        parts = (document.text, *document.authors, *document.identifiers.values(), *references)
        held = set(words(" ".join(parts).replace("_", " ")))
        if document.text_kept:
            lost += document.text_kept.left_out.get(UNEXPLAINED, 0)
        for path, leaf in leaves(json.loads(payload.content)):
            section = path.partition(".")[0]
            if section not in _SECTIONS or isinstance(leaf, bool):
                continue
            if reason_left_out(path):
                left_out += 1
                continue
            found = words(_written(leaf))
            there[section] += len(found)
            kept[section] += sum(word in held for word in found)
    for section in _SECTIONS:
        share = 100 * kept[section] / there[section]
        note = f"{kept[section]} of {there[section]}"
        yield Figure.value(f"studies, words of {section}", "%", share, 99.9, note, bound=Bound.AT_LEAST)
    yield Figure.value("studies, leaves left out for a reason", "leaves", left_out)
    yield Figure.value("studies, words lost without a reason", "words", lost, 0)


def _written(leaf: Any) -> str:
    text = text_of(leaf) or str(leaf)
    return text.replace("_", " ").replace("PHASE", "phase ") if text.isupper() else text
