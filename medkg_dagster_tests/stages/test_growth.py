"""The time of a parser and of a stage grows with the size of a document, not with its square."""

from __future__ import annotations

import contextlib
import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from medkg_dagster.adapters.embedders.hashing import HASHING
from medkg_dagster.adapters.sources.files import FILES
from medkg_dagster.adapters.sources.payload_formats import split_content
from medkg_dagster.errors import DocumentError
from medkg_dagster.stage_api import Document, DocumentContext, PayloadFormat
from medkg_dagster.stages.chunk import ChunkConfig, ChunkStage
from medkg_dagster.stages.ir_validation import IrValidationConfig, IrValidationStage
from medkg_dagster_tests.stages.extract.test_stage import document, extract
from medkg_dagster_tests.stages.real_payloads import context, parse_one

TIMES = 8
BOUND = 3 * TIMES
"""What grows with the square takes 64 times as long; what does not, about 8 times, whatever else runs."""
ROUNDS = 5

CHUNK = ChunkStage(ChunkConfig())
VALIDATION = IrValidationStage(IrValidationConfig())

TEXTS: dict[str, Callable[[int], str]] = {
    "words": lambda size: "some words here " * (size // 16),
    "one word": lambda size: "a" * size,
    "one sentence full of concepts": lambda size: "melanoma, vemurafenib and colitis " * (size // 34),
    "negations": lambda size: "no melanoma " * (size // 12),
    "one abbreviation defined again": lambda size: "alpha beta (AB) " * (size // 16),
    "abbreviations": lambda size: " ".join(f"alpha beta (AB{i}). Then" for i in range(size // 22)),
    "abbreviations of concepts": lambda size: " ".join(f"melanoma (MEL{i})," for i in range(size // 18)),
    "full stops": lambda size: "." * size,
    "full stops inside a sentence": lambda size: "e.g. " * (size // 5),
    "initials": lambda size: "J. " * (size // 3),
    "quotes": lambda size: '."' * (size // 2),
    "citations": lambda size: ".[1" * (size // 3),
    "brackets that stay open": lambda size: "(" * size,
    "white space": lambda size: "a" + " " * size + "b",
    "line breaks": lambda size: "a" + "\n" * size + "b",
    "lines": lambda size: "ab\n\n" * (size // 4),
    "numbered lines": lambda size: "1. item\n" * (size // 8),
    "a heading of marks": lambda size: "# a" + "#" * size + "b",
    "a heading of white space": lambda size: "# a" + " " * size + "b",
    "an underline": lambda size: "a\n" + "=" * size,
    "comments of XML": lambda size: "<!---->" * (size // 7),
    "comments that stay open": lambda size: "<!-- " * (size // 5),
    "brackets of JSON": lambda size: "[" * size,
    "combining accents": lambda size: "\u0300" * size,
    "mis-encoded text": lambda size: "\u00e2\u20ac\u2122" * (size // 3),
}


def article(body: str) -> str:
    title = "<title-group><article-title>A title that is long enough</article-title></title-group>"
    return f"<article><front><article-meta>{title}</article-meta></front><body>{body}</body></article>"


def abstract(parts: str) -> str:
    head = "<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>1</PMID><Article><ArticleTitle>T"
    tail = "</Abstract></Article></MedlineCitation></PubmedArticle></PubmedArticleSet>"
    return f"{head}</ArticleTitle><Abstract>{parts}{tail}"


def study(conditions: int, interventions: int) -> str:
    drugs = [{"type": "DRUG", "name": f"Drug {number}"} for number in range(interventions)]
    meshes = [{"id": f"D{number:06}", "term": f"Term {number}"} for number in range(conditions)]
    sections = {
        "identificationModule": {"nctId": "NCT00000001", "briefTitle": "A title that is long enough"},
        "conditionsModule": {"conditions": [f"Condition {number}" for number in range(conditions)]},
        "armsInterventionsModule": {"interventions": drugs},
        "eligibilityModule": {"eligibilityCriteria": "* one item\n" * conditions},
    }
    derived = {
        "conditionBrowseModule": {"meshes": meshes},
        "interventionBrowseModule": {"meshes": meshes[:9]},
    }
    return json.dumps({"protocolSection": sections, "derivedSection": derived})


def results(number: int) -> str:
    """Return a study with as many groups as rows, and a value for the first group in each."""
    measure = {
        "title": "T",
        "groups": [{"id": f"G{group}", "title": "A"} for group in range(number)],
        "classes": [{"categories": [{"measurements": [{"groupId": "G0", "value": "1"}]}]}] * number,
        "analyses": [{"groupIds": [f"G{number - 1}"], "pValue": "1"}] * number,
    }
    identification = {"nctId": "NCT00000001", "briefTitle": "A title that is long enough"}
    return json.dumps(
        {
            "protocolSection": {"identificationModule": identification},
            "resultsSection": {"outcomeMeasuresModule": {"outcomeMeasures": [measure]}},
        }
    )


def adverse_events(arms: int, terms: int) -> str:
    """Return a trial of as many medicines as arms in which everybody has every adverse event."""
    names = ["Nivolumab", "Ipilimumab", "Pembrolizumab", "Dacarbazine"]
    given = [f"{names[arm % 4]} {arm} mg" for arm in range(arms)]
    groups = [{"id": f"EG{arm}", "title": f"Arm {arm} of {arms}"} for arm in range(arms)]
    stats = [{"groupId": f"EG{arm}", "numAffected": 1, "numAtRisk": 9} for arm in range(arms)]
    listed = [{"term": ("Nausea", "Colitis", "Fatigue")[term % 3], "stats": stats} for term in range(terms)]
    sections = {
        "identificationModule": {"nctId": "NCT00000001", "briefTitle": "A title that is long enough"},
        "designModule": {"studyType": "INTERVENTIONAL"},
        "conditionsModule": {"conditions": ["Melanoma"]},
        "armsInterventionsModule": {
            "interventions": [{"type": "DRUG", "name": name} for name in given],
            "armGroups": [
                {
                    "label": f"Arm {arm} of {arms}",
                    "type": "EXPERIMENTAL",
                    "interventionNames": [f"Drug: {name}"],
                }
                for arm, name in enumerate(given)
            ],
        },
    }
    found = {"adverseEventsModule": {"eventGroups": groups, "otherEvents": listed}}
    return json.dumps({"protocolSection": sections, "resultsSection": found})


RECORDS: dict[str, tuple[PayloadFormat, Callable[[int], str]]] = {
    "paragraphs": (PayloadFormat.JATS_XML, lambda size: article("<p>some text</p>" * (size // 16))),
    "sections": (
        PayloadFormat.JATS_XML,
        lambda size: article("<sec><title>S</title><p>x</p></sec>" * (size // 35)),
    ),
    "inline elements": (
        PayloadFormat.JATS_XML,
        lambda size: article("<p>" + "<b>x</b> " * (size // 9) + "</p>"),
    ),
    "list items": (
        PayloadFormat.JATS_XML,
        lambda size: article("<list>" + "<list-item><p>x</p></list-item>" * (size // 31) + "</list>"),
    ),
    "rows": (
        PayloadFormat.JATS_XML,
        lambda size: article(
            "<table-wrap><table>" + "<tr><td>a</td><td>b</td></tr>" * (size // 29) + "</table></table-wrap>"
        ),
    ),
    "citation marks": (
        PayloadFormat.JATS_XML,
        lambda size: article("<p>a" + "([<xref ref-type='bibr'>1</xref>, " * (size // 38) + "</p>"),
    ),
    "scripts": (
        PayloadFormat.JATS_XML,
        lambda size: article("<p>" + "1<sup>2</sup>" * (size // 13) + "</p>"),
    ),
    "footnotes": (
        PayloadFormat.JATS_XML,
        lambda size: article("<p>" + "a<fn><p>x</p></fn>" * (size // 18) + "</p>"),
    ),
    "cells that span": (
        PayloadFormat.JATS_XML,
        lambda size: article(
            "<table-wrap><table>"
            + "<tr><td colspan='9999' rowspan='9999'>a</td></tr><tr><td>b</td></tr>" * (size // 71)
            + "</table></table-wrap>"
        ),
    ),
    "formulas": (
        PayloadFormat.JATS_XML,
        lambda size: article(
            "<p>" + "<math><msup><mn>1</mn><mn>2</mn></msup></math>" * (size // 47) + "</p>"
        ),
    ),
    "one formula": (
        PayloadFormat.JATS_XML,
        lambda size: article("<p><tex-math>" + "{\\frac12 x_1^2" * (size // 16) + "</tex-math></p>"),
    ),
    "scripts of scripts": (
        PayloadFormat.JATS_XML,
        lambda size: article("<p><tex-math>x" + "^1" * (size // 2) + "</tex-math></p>"),
    ),
    "groups and rows of results": (PayloadFormat.STUDY_JSON, lambda size: results(size // 100)),
    "references": (
        PayloadFormat.JATS_XML,
        lambda size: article(
            "<p>x</p><ref-list>" + "<ref><citation>a b</citation></ref>" * (size // 36) + "</ref-list>"
        ),
    ),
    "parts of an abstract": (
        PayloadFormat.PUBMED_XML,
        lambda size: abstract("<AbstractText Label='A'>x y z</AbstractText>" * (size // 44)),
    ),
    "conditions": (PayloadFormat.STUDY_JSON, lambda size: study(size // 40, 9)),
    "interventions": (PayloadFormat.STUDY_JSON, lambda size: study(9, size // 40)),
    "arms with adverse events": (PayloadFormat.STUDY_JSON, lambda size: adverse_events(size // 100, 9)),
    "adverse events of arms": (PayloadFormat.STUDY_JSON, lambda size: adverse_events(9, size // 100)),
}


def chunk(found: Document) -> object:
    return CHUNK.execute(DocumentContext(), found)


def embed(text: str) -> object:
    return HASHING.open({}, Path()).embed([text])


def split(text: str) -> object:
    return list(split_content("a file", "a file", text.encode(), "files"))


def parse_text(text: str) -> object:
    return parse_one(text, PayloadFormat.TEXT)


def check_growth(small: Callable[[], object], large: Callable[[], object]) -> None:
    """Fail where the larger work never takes less CPU time than the bound times the smaller."""
    ratios = []
    for _ in range(ROUNDS):
        ratios.append(seconds(large) / seconds(small))
        if ratios[-1] < BOUND:
            return
    pytest.fail(f"{TIMES} times the size takes {min(ratios):.0f} times as long")


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    with contextlib.suppress(DocumentError):
        work()
    return max(time.process_time() - start, 1e-4)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("work", [parse_text, split, embed], ids=lambda work: work.__name__)
def test_time_grows_with_the_text(work: Callable[[str], object], text: Callable[[int], str]) -> None:
    small, large = text(4_000), text(TIMES * 4_000)
    check_growth(lambda: work(small), lambda: work(large))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize(
    "work", [extract, VALIDATION.check, chunk], ids=["extract", "ir-validation", "chunk"]
)
def test_time_grows_with_the_document(work: Callable[[Document], object], text: Callable[[int], str]) -> None:
    # The smaller is longer than a window of `chunk`, within which the time grows faster.
    small, large = document(text(16_000)), document(text(TIMES * 16_000))
    check_growth(lambda: work(small), lambda: work(large))


@pytest.mark.parametrize(("kind", "content"), RECORDS.values(), ids=RECORDS)
def test_time_grows_with_the_record(kind: PayloadFormat, content: Callable[[int], str]) -> None:
    small, large = content(4_000), content(TIMES * 4_000)

    check_growth(lambda: parse_one(small, kind), lambda: parse_one(large, kind))
    check_growth(lambda: split(small), lambda: split(large))
    shorter, longer = parse_one(small, kind), parse_one(large, kind)
    for work in (extract, VALIDATION.check, chunk):
        check_growth(lambda: work(shorter), lambda: work(longer))  # noqa: B023 - called at once


@pytest.mark.parametrize("fill", [b"", b"\x00"], ids=["", "with zeros between"])
def test_time_grows_with_the_members_of_a_gzip_file(tmp_path: Path, fill: bytes) -> None:
    member = gzip.compress(b"melanoma\n", mtime=0) + fill
    for name, members in (("small", 4_000), ("large", TIMES * 4_000)):
        (tmp_path / name).write_bytes(member * members)

    def read(name: str) -> None:
        (found,) = FILES.open({"path": str(tmp_path / name)}, tmp_path).fetch(context("ingest"))
        assert found.content.startswith(b"melanoma\nmelanoma\n")

    check_growth(lambda: read("small"), lambda: read("large"))
