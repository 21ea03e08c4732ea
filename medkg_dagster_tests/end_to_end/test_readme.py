"""README is typed as it stands, from top to bottom, in a fresh copy of the checkout."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from dagster import DagsterInstance

from medkg_dagster.ledger import JobLedger, JobStatus
from medkg_dagster_tests.docs.markdown import CodeBlock, code_blocks
from medkg_dagster_tests.end_to_end.checkout import Terminal, copy_checkout
from medkg_dagster_tests.end_to_end.running import REPOSITORY

INSTEAD = {
    "make test": "make --dry-run test",  # this test is part of it
    "make dev": "make --dry-run dev",  # it serves until it is interrupted: see `test_dev.py`
    "medkg run clinical-trials": "medkg plan clinical-trials",  # it asks ClinicalTrials.gov
}
PDFS = REPOSITORY / "medkg_dagster" / "corpus" / "documents" / "pdfs"
_SIZE = re.compile(r"\d+(?:\\)?\.\d+\\ MB")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with closing(Terminal(copy_checkout(tmp_path / "medkg_dagster"))) as opened:
        yield opened


def pattern_of(shown: str) -> str:
    """Return what output must match: as shown, but for what stands as `...` and for sizes of files."""
    return _SIZE.sub(r"\\d+\\.\\d\\ MB", re.escape(shown.strip()).replace(r"\.\.\.", ".*"))


def typed(block: CodeBlock) -> Iterator[tuple[str, int, str]]:
    """Yield the lines of a block with the exit code and the output that are shown for them."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        code = re.search(r"#.*\bexit code (\d+)", line)
        yield line.partition("  #")[0].strip(), int(code[1]) if code else 0, shown


@pytest.mark.timeout(1800)
def test_the_readme_can_be_typed_from_top_to_bottom(terminal: Terminal) -> None:
    for block in code_blocks():
        if block.page != "README.md":
            continue
        if block.title is not None:
            (terminal.folder / block.title).write_text(block.text)
        elif block.language == "text":
            assert re.search(pattern_of(block.text), terminal.said["make demo"]), terminal.said["make demo"]
        elif block.language == "console":
            for line, wanted, shown in typed(block):
                code, output = terminal.type(line, instead=INSTEAD.get(line))
                place = f"README.md:{block.line}: {line}\n{output}"
                assert code == wanted, f"{place}\n{terminal.complaints}"
                assert not shown.strip() or re.fullmatch(pattern_of(shown), output.strip()), place

    said = terminal.said
    assert INSTEAD.keys() <= said.keys()
    assert re.search(r"cut_off|RejectedDocument|UnreadableDocument", said["medkg ledger show auto/papers"])
    assert "auto/papers succeeded" in said["medkg run auto --job-id papers --param path=papers"]
    assert "reviewed/spring succeeded" in said["medkg run reviewed --job-id spring"]
    assert (terminal.folder / "lab-redactor" / "pyproject.toml").is_file()
    assert_converted(terminal.folder / ".medkg")


def assert_converted(home: Path) -> None:
    """Fail where the daemon has not brought the PDFs of `make demo-pdf` to index and graph."""
    with JobLedger.open(home) as ledger:
        (job,) = ledger.jobs.list("pdf-two-phase")
        files = ledger.files.of_job(job.key)
        runs = {run.stage: run for run in ledger.stage_runs.of_job(job.key)}
        refused = ledger.stage_runs.outcomes(job.key)
    assert job.status is JobStatus.SUCCEEDED, job.error
    stored = [record for record in files if record.path]
    assert len(stored) == len(list(PDFS.glob("*.pdf")))
    assert all((home / str(record.path)).with_suffix(".ir.json").is_file() for record in stored)
    assert [item.document_id for item in refused] == ["DOI:10.5555/medkg.demo.404"]
    assert runs["parse"].succeeded == len(stored)
    assert runs["kg"].output_count
    with DagsterInstance.from_config(str(home / "dagster")) as instance:
        keys = instance.get_asset_keys(prefix=["pdf_two_phase"])
        made = {key.path[1] for key in keys if instance.get_latest_materialization_event(key)}
    assert {"download", "gate_pdf_ir_ready", "parse", "index", "kg"} <= made
