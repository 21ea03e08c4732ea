"""The graph of real documents before another judge of the Biolink Model: koza's `biolink-check`.

koza has an environment of its own below `.evaluation`, 450 MB, made at the first call.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure
from evaluation.extracted import CACHE
from medkg_dagster.domain.biolink import PREDICATES, RELEASE
from medkg_dagster.vocabulary.library import FOLDER

_KOZA = "koza==2.7.0"
_WITH = (
    f"biolink-model=={RELEASE}",
    "duckdb>=1.5,<2",  # the next one does not take koza's queries
)
_REAL = ("jats", "clinicaltrials")
_OPEN = "NOT_IN_LEGAL_TYPES"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that koza shows.

    Attributes:
        what: Prefix and categories, or the edge from category to category.
        count: How many nodes or edges are of it.
        is_open: Whether the model says neither what the predicate goes from nor to, so that nothing can be
            wrong with it: koza knows no more than the triples that the model spells out.
    """

    what: str
    count: int
    is_open: bool = False


def measure(data: Path, home: Path) -> Iterator[Figure]:
    """Run the pipeline `auto` on real studies and articles and on the bundled corpus, and have it judged.

    Args:
        data: Where the real files are.
        home: A home with the vocabulary to be used.
    """
    try:
        koza = _environment()
    except subprocess.CalledProcessError as error:
        said = (error.stderr or "").strip().splitlines()
        print(f"biolink: koza cannot be installed here: {said[-1] if said else error}", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        exported = _export(data, home, Path(folder))
        for edges in ("edges", "aggregated_edges"):
            yield _figure(edges, _judge(koza, exported, edges))


def _figure(edges: str, findings: list[Finding]) -> Figure:
    wrong = [finding for finding in findings if not finding.is_open]
    left = [finding for finding in findings if finding.is_open]
    note = "; ".join(finding.what for finding in wrong[:5]) or (
        f"{len(left)} kinds of edges are of predicates whose ends the model leaves open"
    )
    return Figure.value(f"koza biolink-check: {edges}.jsonl", "findings", len(wrong), 0, note)


def _environment() -> Path:
    """Return koza's command, made where it is not there yet."""
    folder = CACHE / f"{_KOZA.replace('==', '-')}-biolink-{RELEASE}"
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder)
        pip = (sys.executable, "-m", "pip", "--python", folder)
        _run(*pip, "install", "--quiet", _KOZA, *_WITH)
        (folder / "made").touch()
    return folder / "bin" / "koza"


def _export(data: Path, home: Path, folder: Path) -> Path:
    (folder / FOLDER).symlink_to((home / FOLDER).resolve())
    medkg = Path(sys.executable).parent / "medkg"
    environment = {**os.environ, "MEDKG_HOME": str(folder), "DAGSTER_HOME": str(folder / "dagster")}
    (folder / "dagster").mkdir()
    for name in _REAL:
        path = f"path={(data / name).resolve()}"
        _run(medkg, "run", "auto", "--job-id", name, "--param", path, environment=environment)
    _run(medkg, "run", "auto", "--job-id", "corpus", environment=environment)
    for name in ("kgx", "kgx-aggregated"):
        _run(medkg, "export", name, folder / "kgx", environment=environment)
    return folder / "kgx"


def _judge(koza: Path, exported: Path, edges: str) -> list[Finding]:
    graph, checks = exported / f"{edges}.duckdb", exported / edges
    _run(koza, "join", "-n", exported / "nodes.jsonl", "-e", exported / f"{edges}.jsonl", "-o", graph)
    _run(koza, "biolink-check", graph, "-o", checks, "-f", "tsv")
    return [*prefix_findings(checks / "prefix_errors.tsv"), *edge_findings(checks / "subobj_errors.tsv")]


def prefix_findings(file: Path) -> Iterator[Finding]:
    """Yield what koza says of prefixes of nodes."""
    for row in _rows(file):
        yield Finding(f"{row['prefix']} is no prefix of {row['categories']}", int(row["n_nodes"]))


def edge_findings(file: Path) -> Iterator[Finding]:
    """Yield what koza says of edges, their classes and their ends."""
    for row in _rows(file):
        what = f"{row['subject_category']} {row['predicate']} {row['object_category']}: {row['verdict']}"
        domain, range_ = PREDICATES.get(row["predicate"], ("", ""))
        is_open = row["verdict"] == _OPEN and domain is None and range_ is None
        yield Finding(what, int(row["count"]), is_open)


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def _run(*command: str | Path, environment: dict[str, str] | None = None) -> None:
    """Run a command, which says nothing unless it fails.

    Raises:
        subprocess.CalledProcessError: It failed; it carries what it said.
    """
    subprocess.run(command, check=True, capture_output=True, text=True, env=environment)  # noqa: S603 - our own
