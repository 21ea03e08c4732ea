"""Converting PDFs in processes of their own: real processes, real limits."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from medkg_dagster.conversion import GateWorkRun
from medkg_dagster.domain.payloads import FileRecord, FileStatus
from medkg_dagster.errors import StoreError
from medkg_dagster.ledger import GateRule, JobKey, JobLedger, JobStatus, RunIdentity
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution.deployment import resolve_pipeline
from medkg_dagster.settings import Settings
from medkg_dagster.stage_api import Document, GateCondition, hash_content
from medkg_dagster.stages.parse import ParseConfig, ParseStage
from medkg_dagster.stages.pdf_conversion import (
    ConversionLimits,
    ConversionReport,
    convert_files,
    converting_process,
)
from medkg_dagster.stages.pdf_conversion.converter import Converter
from medkg_dagster.topology.models import PipelineTopologyConfig, ResiliencePolicy

PDFS = Path(__file__).parent.parent.parent / "medkg_dagster" / "corpus" / "documents" / "pdfs"
LIMITS = ConversionLimits(timeout_seconds=60, workers=2)
# A converter that does to each file what its name says.
ODD = """
import json, os, subprocess, sys, time
for line in sys.stdin:
    path, cpu_seconds = json.loads(line)
    if "hangs" in path:
        sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
        pids = os.getpid(), subprocess.Popen(sleep, start_new_session=True).pid
        open(path + ".pids", "w").write(" ".join(map(str, pids)))
        time.sleep(600)
    if "crashes" in path:
        os.abort()
    if "spins" in path:
        import resource
        resource.setrlimit(resource.RLIMIT_CPU, (1, 60))
        while True:
            pass
    if "full" in path:
        answer = {"error_class": "OSError", "message": "No space left on device", "may_pass": True}
        print(json.dumps(answer), flush=True)
        continue
    if "leaves" in path:
        print("no more", file=sys.stderr)
        sys.exit(3)
    open(path.replace(".pdf", ".ir.json"), "w").write("{}")
    print("null", flush=True)
"""


def stored(home: Path, content: bytes, name: str | None = None) -> FileRecord:
    digest = name or hashlib.sha256(content).hexdigest()
    path = home / "files" / digest[:2] / f"{digest}.pdf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return FileRecord(
        document_id=f"DOI:10.5555/{digest[:12]}",
        status=FileStatus.STORED,
        url="https://example.org/a.pdf",
        path=path.relative_to(home).as_posix(),
        sha256=digest,
        size=len(content),
        media_type="application/pdf",
    )


def convert(
    home: Path,
    files: Sequence[FileRecord],
    limits: ConversionLimits = LIMITS,
    *,
    retry_failed: bool = False,
    odd: bool = False,
) -> ConversionReport:
    command = [sys.executable, "-c", ODD] if odd else None
    log = logging.getLogger("test")
    return convert_files(
        files, home, limits, log, lambda *_: None, retry_failed=retry_failed, command=command
    )


def command_lines() -> Iterator[tuple[str, str]]:
    """Yield the id and the command line of every process of this machine."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it may have ended
            yield file.parent.name, file.read_bytes().decode(errors="replace")


def bundled(home: Path) -> list[FileRecord]:
    return [stored(home, path.read_bytes()) for path in sorted(PDFS.glob("*.pdf"))]


def test_each_pdf_gets_a_valid_document_beside_it(tmp_path: Path) -> None:
    files = bundled(tmp_path)

    report = convert(tmp_path, files)

    assert (report.converted, report.failed) == (len(files), ())
    for file in files:
        written = (tmp_path / str(file.path)).with_suffix(".ir.json")
        document = Document.model_validate_json(written.read_bytes())
        assert document.content_hash == hash_content(document.title, document.text)


def test_what_is_converted_already_is_not_converted_again(tmp_path: Path) -> None:
    files = bundled(tmp_path)
    convert(tmp_path, files)

    report = convert(tmp_path, files)

    assert (report.converted, report.reused) == (0, len(files))


def test_what_another_release_or_other_options_converted_is_converted_again(tmp_path: Path) -> None:
    files = bundled(tmp_path)
    convert(tmp_path, files)

    log = logging.getLogger("test")
    report = convert_files(files, tmp_path, LIMITS, log, lambda *_: None, parse_config={"max_pages": 7})

    assert (report.converted, report.reused) == (len(files), 0)


def test_what_somebody_else_converted_stays(tmp_path: Path) -> None:
    (file, *_) = bundled(tmp_path)
    theirs = (tmp_path / str(file.path)).with_suffix(".ir.json")
    theirs.write_text("{}")

    report = convert(tmp_path, [file])

    assert report.reused == 1
    assert theirs.read_text() == "{}"


@pytest.mark.parametrize(
    ("content", "error_class"),
    [
        pytest.param(b"%PDF-1.7\ntruncated", "UnreadableDocumentError", id="truncated"),
        pytest.param(b"<html>not a PDF</html>", "UnreadableDocumentError", id="not-a-pdf"),
        pytest.param(b"", "UnreadableDocumentError", id="empty"),
    ],
)
def test_a_pdf_that_cannot_be_read_is_set_aside_with_its_reason(
    tmp_path: Path, content: bytes, error_class: str
) -> None:
    file = stored(tmp_path, content)

    report = convert(tmp_path, [file, *bundled(tmp_path)])

    (failed,) = report.failed
    assert (failed.document_id, failed.error_class) == (file.document_id, error_class)
    said = json.loads((tmp_path / str(file.path)).with_suffix(".ir.failed.json").read_bytes())
    assert said == {"error_class": failed.error_class, "message": failed.message}


def test_a_failure_is_remembered_until_it_is_to_be_tried_again(tmp_path: Path) -> None:
    file = stored(tmp_path, b"%PDF-1.7 soon to be whole")
    convert(tmp_path, [file])
    (tmp_path / str(file.path)).write_bytes(next(PDFS.glob("*.pdf")).read_bytes())

    remembered = convert(tmp_path, [file])
    again = convert(tmp_path, [file], retry_failed=True)

    assert len(remembered.failed) == 1
    assert (again.converted, again.failed) == (1, ())


@pytest.mark.parametrize(
    ("name", "seconds", "error_class", "message"),
    [
        ("hangs", 1, "ConversionTimeout", "not converted within 1 s"),
        ("crashes", 30, "ConversionCrash", "signal SIGABRT"),
        ("leaves", 30, "ConversionCrash", "exit code 3: no more"),
        ("spins", 30, "ConversionTimeout", "processor time"),
    ],
)
def test_a_pdf_that_takes_its_process_down_takes_nothing_else_down(
    tmp_path: Path, name: str, seconds: float, error_class: str, message: str
) -> None:
    good = [stored(tmp_path, b"good", f"good-{number}") for number in range(3)]
    limits = ConversionLimits(timeout_seconds=seconds, workers=1)

    report = convert(tmp_path, [good[0], stored(tmp_path, b"bad", name), *good[1:]], limits, odd=True)

    assert report.converted == 3
    (failed,) = report.failed
    assert failed.error_class == error_class
    assert message in failed.message


def test_a_passing_fault_is_not_remembered_as_a_failure_of_the_pdf(tmp_path: Path) -> None:
    files = [stored(tmp_path, b"good", "a-good"), stored(tmp_path, b"good", "full")]
    limits = ConversionLimits(timeout_seconds=30, workers=1)

    with pytest.raises(StoreError, match=r"full\.pdf is not converted yet: OSError: No space left on device"):
        convert(tmp_path, files, limits, odd=True)

    assert not (tmp_path / str(files[1].path)).with_suffix(".ir.failed.json").exists()
    assert convert(tmp_path, files[:1], limits, odd=True).reused == 1


@pytest.mark.parametrize(
    ("fault", "may_pass"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), False),
        (MemoryError(), False),
    ],
    ids=repr,
)
def test_the_converting_process_tells_what_may_pass(
    monkeypatch: pytest.MonkeyPatch, fault: Exception, may_pass: bool
) -> None:
    def write(_path: Path, _content: bytes) -> None:
        raise fault

    monkeypatch.setattr(converting_process, "write_atomically", write)

    answer = converting_process.convert(ParseStage(ParseConfig()), next(PDFS.glob("*.pdf")))

    assert answer is not None
    assert answer["error_class"] == type(fault).__name__
    assert answer["may_pass"] is may_pass


def test_a_pdf_that_wants_more_memory_than_allowed_fails_alone(tmp_path: Path) -> None:
    huge = stored(tmp_path, b"%PDF-1.7")
    with (tmp_path / str(huge.path)).open("ab") as stream:
        stream.truncate(2 * 1024**3)  # sparse: it takes no room on the disk
    limits = ConversionLimits(timeout_seconds=60, memory_bytes=1024**3, workers=1)

    report = convert(tmp_path, [huge, *bundled(tmp_path)], limits)

    (failed,) = report.failed
    assert (failed.document_id, failed.error_class) == (huge.document_id, "MemoryError")
    assert report.converted == len(list(PDFS.glob("*.pdf")))


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are looked up in /proc")
def test_no_converting_process_is_left_when_the_conversion_is_over(tmp_path: Path) -> None:
    convert(
        tmp_path,
        [stored(tmp_path, b"x", "hangs")],
        ConversionLimits(timeout_seconds=1.0, workers=1),
        odd=True,
    )

    (pids,) = tmp_path.rglob("*.pids")
    assert not any(is_running(int(pid)) for pid in pids.read_text().split())
    assert ODD not in "".join(line for _, line in command_lines())


RUN = """
import logging, sys
from pathlib import Path
from medkg_dagster_tests.stages.test_pdf_conversion import ConversionLimits, convert, stored
home = Path(sys.argv[1])
convert(home, [stored(home, b"x", "hangs")], ConversionLimits(timeout_seconds=60.0, workers=1), odd=True)
"""


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell of grandchildren")
def test_killing_the_run_ends_its_converting_processes_and_what_they_started(tmp_path: Path) -> None:
    said = tmp_path / "files" / "ha" / "hangs.pdf.pids"
    with subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)]) as run:
        until(lambda: said.exists() and " " in said.read_text(), 240)
        pids = [int(pid) for pid in said.read_text().split()]
        assert all(map(is_running, pids))
        run.send_signal(signal.SIGKILL)

    until(lambda: not any(map(is_running, pids)), 240)


PAPERS = """
name: papers
version: "2026-01-01"
stages:
  - {name: ingest, type: ingest, config: {adapter: auto, params: {path: .}}}
  - {name: download, type: download, depends_on: [ingest]}
  - {name: gate_ready, type: gate, depends_on: [download]}
  - {name: parse, type: parse, depends_on: [gate_ready], config: {max_pages: 400}}
gates:
  - {name: ready, resume_stage: parse, condition: {field: pdf_ir_ready, equals: true}}
"""


def test_a_finished_conversion_says_so_in_the_ledger_and_sets_bad_ones_aside(tmp_path: Path) -> None:
    files = [*bundled(tmp_path), stored(tmp_path, b"%PDF-1.7 broken")]
    topology = PipelineTopologyConfig.model_validate(yaml.safe_load(PAPERS))
    factory = StageFactory.load_plugins()
    pipeline = resolve_pipeline(topology, factory, {"default": ResiliencePolicy()})
    condition = GateCondition.model_validate({"field": "pdf_ir_ready", "equals": True})
    with JobLedger.open(tmp_path) as ledger:
        ledger.jobs.ensure(JobKey("papers", "job"), actor="test")
        ledger.files.put(JobKey("papers", "job"), files)
        ledger.phases.plan_work(JobKey("papers", "job"), "pdf_conversion", actor="test")
        ledger.gates.arrive(JobKey("papers", "job"), GateRule("behind", "ready", condition), RunIdentity("r"))

        conversion = GateWorkRun(
            Settings(tmp_path, tmp_path), factory.extensions, pipeline, "job", pipeline.work["pdf_conversion"]
        )
        ctx = conversion.execute(RunIdentity("run-2", 1), {"timeout_seconds": 60}, logging.getLogger("test"))

        job = ledger.jobs.get(JobKey("papers", "job"))
        (refused,) = ledger.stage_runs.outcomes(JobKey("papers", "job"))
    assert job.status is JobStatus.WAITING
    assert job.fields["pdf_ir_ready"] is True
    assert job.fields["pdf_conversion"] == {"converted": len(files) - 1, "failed": 1}
    assert refused.document_id == files[-1].document_id
    assert (ctx.described["converted"], ctx.described["reused"]) == (len(files) - 1, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="limits are read from /proc")
def test_a_converting_process_has_limits_of_memory_and_processor_time(tmp_path: Path) -> None:
    (file, *_) = bundled(tmp_path)
    process = "medkg_dagster.stages.pdf_conversion.converting_process"
    memory = str((3 << 30) + os.getpid())  # other runs on this machine convert too
    with Converter([sys.executable, "-m", process, memory, "{}"]) as converter:
        converter.convert(tmp_path / str(file.path), 60)
        (child,) = (pid for pid, line in command_lines() if memory in line and "child_supervisor" not in line)
        limits = (Path("/proc") / child / "limits").read_text()

    found = {line[:26].strip(): line[26:47].strip() for line in limits.splitlines()[1:]}
    most = 60 * (os.cpu_count() or 1) + 5
    assert found["Max address space"] == memory
    assert found["Max core file size"] == "0"
    assert most <= int(found["Max cpu time"]) <= most + 10
