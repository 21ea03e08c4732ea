"""What `medkg metrics` costs where there are many jobs and documents."""

from __future__ import annotations

import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.figures import Figure, in_turn
from medkg_dagster.ledger import LEDGER_FILE, JobLedger

_MANY = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {jobs})
INSERT INTO ledger_jobs (pipeline, job_id, status, request, fields, attempts, created_at, updated_at)
SELECT 'p' || (i % 10), 'job' || i, CASE i % 10 WHEN 0 THEN 'waiting' ELSE 'succeeded' END, '{{}}', '{{}}', 1,
    't', 't' FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {jobs})
INSERT INTO ledger_phases (pipeline, job_id, phase, gate, status, attempt, since, stirred)
SELECT 'p' || (i % 10), 'job' || i, 'behind', 'review', CASE i % 10 WHEN 0 THEN 'waiting' ELSE 'started' END,
    1, '2026-01-01T00:00:00.000000Z', 0 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {documents})
INSERT INTO ledger_documents (id, title, source, origin, content_hash, status, since, changed_at)
SELECT 'PMID:' || i, 'A title of some words, the number ' || i, 'infores:pubmed', 'file' || i || '.xml', 'h',
    CASE WHEN i % 50 = 0 THEN 'quarantined' ELSE 'current' END, 't', 't' FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {documents} / 50)
INSERT INTO ledger_document_outcomes (pipeline, job_id, stage, document_id, error_class, message, details, at)
SELECT 'p' || (i % 10), 'job' || i, 'parse', 'PMID:' || i * 50, 'UnreadableDocumentError', 'truncated', '',
    't' FROM n;
"""


def measure(jobs: int = 100_000, documents: int = 1_000_000, repeats: int = 5) -> Iterator[Figure]:
    """Measure processor time of the command, and of what it asks the ledger at half as much.

    Args:
        jobs: Jobs in the ledger, a tenth of them waiting.
        documents: Documents there, a fiftieth of them quarantined.
        repeats: Rounds that count.
    """
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as half:
        _fill(Path(whole), jobs, documents)
        _fill(Path(half), jobs // 2, documents // 2)
        _cpu(whole)
        found = statistics.median(_cpu(whole) for _ in range(repeats))
        title = f"`medkg metrics --once` with {jobs:,} jobs and {documents:,} documents"
        yield Figure.value(title, "s CPU", found, 0.5, "user and system")
        with JobLedger.open(Path(whole)) as large, JobLedger.open(Path(half)) as small:
            pair = in_turn(lambda: _ask(large), lambda: _ask(small), repeats)
        yield Figure.ratio("what it asks of the ledger, against half as much there", "s CPU", pair, 2.5)


def _fill(home: Path, jobs: int, documents: int) -> None:
    JobLedger.open(home).close()
    with closing(sqlite3.connect(home / LEDGER_FILE)) as opened:
        opened.executescript(f"BEGIN; {_MANY.format(jobs=jobs, documents=documents)} COMMIT;")


def _ask(ledger: JobLedger) -> float:
    before = resource.getrusage(resource.RUSAGE_SELF)
    ledger.figures.all()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _cpu(home: str) -> float:
    command = [str(Path(sys.executable).with_name("medkg")), "metrics", "--once"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(  # noqa: S603 - our own command
        command, env=environment | {"MEDKG_HOME": home}, check=True, stdout=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
