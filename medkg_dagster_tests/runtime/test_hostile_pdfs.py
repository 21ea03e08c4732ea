"""PDFs made to break who reads them, through the stage `parse` of the shipped pipeline `auto`."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from medkg_dagster.domain.payloads import PayloadFormat
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import load_plan
from medkg_dagster.runtime.isolation.document_workers import DocumentWorkers
from medkg_dagster.runtime.isolation.invoke_isolated import start_message
from medkg_dagster.runtime.isolation.kept_processes import KeptProcesses
from medkg_dagster.runtime.state.memo import MemoEngine
from medkg_dagster.runtime.state.shards import ShardStore
from medkg_dagster.runtime.step import StepRunner
from medkg_dagster.stage_api import (
    MemoryPart,
    Payload,
    QuarantinedDocument,
    StageContext,
    SubprocessIsolation,
)
from medkg_dagster.stage_api._documents import DocumentValues, whole_value
from medkg_dagster_tests.end_to_end.shipped_pipeline import CONFIG
from medkg_dagster_tests.runtime.document_stages import LOG

PAPERS = CONFIG.parent / "medkg_dagster" / "corpus" / "documents" / "pdfs"
LIMITS = SubprocessIsolation(memory_mb=256, timeout_seconds=30)
LIMIT_BROKEN = (
    r"was not done within 30 s|by signal SIGABRT; a library crashed, or memory ran out: the limit is 256 MB|"
    r"took more than 256 MB|used up its processor time"
)
TEXT = b"BT /A 12 Tf 50 700 Td (Nobody was treated, and nobody fell ill.) Tj ET\n"


def pdf(page: bytes, forms: Sequence[bytes] = (), filters: bytes = b"") -> bytes:
    """Make a PDF of one page with a content stream; `forms` are the objects from number 10 on."""
    font = b"<< /A << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R "
        b"/Resources << /Font " + font + b" /XObject << /F 10 0 R >> >> >>",
        4: stream(page, filters),
        **dict(enumerate(forms, start=10)),
    }
    made = bytearray(b"%PDF-1.7\n")
    for number, content in objects.items():
        made += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    return bytes(made + b"trailer << /Root 1 0 R >>\n%%EOF\n")


def stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<< %b /Length %d >>\nstream\n%b\nendstream" % (entries, len(content), content)


def form(content: bytes, uses: int) -> bytes:
    entries = b"/Type /XObject /Subtype /Form /BBox [0 0 600 800] /Resources << /XObject << /F %d 0 R >> >>"
    return stream(content, entries % uses)


def nested_forms() -> bytes:
    """Each form shows the next one four times: 4 ** 20 of them, in some kilobytes."""
    forms = [form(b"/F Do\n" * 4, number + 1) for number in range(10, 30)]
    return pdf(TEXT + b"/F Do\n", [*forms, form(TEXT, 10)])


def flate_bomb() -> bytes:
    return pdf(deflated(TEXT, 3_000_000), filters=b"/Filter /FlateDecode")


def double_flate_bomb() -> bytes:
    content = zlib.compress(deflated(TEXT, 3_000_000), 9)
    return pdf(content, filters=b"/Filter [/FlateDecode /FlateDecode]")


def deflated(line: bytes, times: int) -> bytes:
    """Compress a line so many times behind itself, without having it all in memory."""
    packer = zlib.compressobj(9)
    block = line * 10_000
    return b"".join([*(packer.compress(block) for _ in range(times // 10_000)), packer.flush()])


def endless_form() -> bytes:
    """A form shows itself, twice."""
    return pdf(TEXT + b"/F Do\n", [form(TEXT + b"/F Do\n/F Do\n", 10)])


def parse(home: Path, contents: Sequence[bytes]) -> tuple[list[str], list[QuarantinedDocument]]:
    """Let the stage work on PDFs as its step does; return the titles of what was parsed, and what was not."""
    factory = StageFactory.load_plugins()
    pipeline = next(one for one in load_plan(CONFIG, factory).pipelines if one.name == "auto")
    planned = pipeline.find_stage("parse")
    definition = planned.definition
    runner = StepRunner(pipeline, planned, factory)
    shards = ShardStore(home / "shards")
    value_type = tuple[Payload, ...]
    memo = shards.memo("payloads", {"payloads": value_type})
    parts = []
    for number, content in enumerate(contents):
        name = f"{number}.pdf"
        payload = Payload(id=name, format=PayloadFormat.PDF, content=content, source="files", origin=name)
        parts.append(memo.keep_part(MemoryPart(name, "payloads", (payload,), value_type)))
    memo.close()
    start = partial(start_message, **runner.child_arguments(definition, LIMITS))

    def started(ctx: StageContext, inputs: Sequence[str]) -> Any:
        return start(ctx=ctx, inputs=inputs)

    ctx = StageContext(pipeline.name, planned.name, "job-1", home, log=LOG)
    with KeptProcesses() as kept:
        workers = DocumentWorkers(1, LIMITS, planned.isolation is not None, started, kept)
        engine = MemoEngine(shards, pipeline.name, planned, definition.config, home, workers)
        outcome = runner.call(definition, ctx, {"payloads": DocumentValues(parts, value_type)}, engine)
    return [one.title for one in whole_value(outcome.state["document"])], ctx.quarantined


@pytest.mark.parametrize("made", [nested_forms, endless_form, flate_bomb, double_flate_bomb])
def test_a_hostile_pdf_costs_itself_alone(tmp_path: Path, made: Callable[[], bytes]) -> None:
    lines = [TEXT.replace(b"Nobody", b"Number %d" % n) for n in range(4)]
    papers = [next(PAPERS.glob("*.pdf")).read_bytes(), *map(pdf, lines)]

    titles, quarantined = parse(tmp_path, [papers[0], made(), *papers[1:]])

    assert len(titles) == len(papers)
    (fault,) = quarantined
    assert (fault.document_id, fault.stage, fault.error_class) == ("1.pdf", "parse", "StageLimitError")
    assert re.search(LIMIT_BROKEN, fault.message), fault.message


def test_without_what_is_hostile_such_a_pdf_is_read(tmp_path: Path) -> None:
    lines = b"".join(TEXT.replace(b"700", b"%d" % (700 - 20 * n)) for n in range(20))
    plain = pdf(zlib.compress(lines), filters=b"/Filter /FlateDecode")

    titles, quarantined = parse(tmp_path, [plain])

    assert (len(titles), quarantined) == (1, [])
