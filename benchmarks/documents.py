"""What a change of documents costs, against doing everything."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks.figures import Bound, Figure, Pair, cpu_seconds, in_turn
from benchmarks.main_job import STUDIES, RunCost, run_main_job
from medkg_dagster.adapters.graph.sql_store import SqlGraph
from medkg_dagster.stage_api import Node
from medkg_dagster_tests.adapters.test_sql_graph_histories import make_edge

CHANGED_TARGET = 0.03
UNCHANGED_TARGET = 0.015
MEMORY_TARGET = 1.2
MEMORY_BYTES = 600 << 20
WORKERS_TARGET = 1.6
WITHDRAWAL_TARGET = 1.5


def measure(documents: int = 5_000, fewer: int = 500, studies: Path = STUDIES) -> Iterator[Figure]:
    """Run the main job on real studies: all of them, with one changed, and with nothing changed.

    What a run of one document takes is taken off, of processor time as of wall time.

    Args:
        documents: How many there are; the studies under ids of their own.
        fewer: How many there are where memory is compared.
        studies: The folder of studies; nothing is measured where it does not exist.
    """
    if not studies.is_dir():
        sys.stderr.write(f"skipped: no real studies in {studies}\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        run = partial(_run, Path(folder), studies)
        run(1, "one")
        start = run(1, "one")
        few = run(fewer, "few")
        whole = run(documents, "many")
        same = run(documents, "many")
        _change_one(Path(folder) / f"documents-{documents}")
        changed = run(documents, "many")
        yield _share("one document changed", changed, whole, start, CHANGED_TARGET)
        yield _share("nothing changed", same, whole, start, UNCHANGED_TARGET)
        peak = Pair(whole.peak / 1e6, few.peak / 1e6, whole.peak / few.peak, (whole.peak - few.peak) / 1e6)
        yield Figure.ratio(f"peak memory, {documents} documents against {fewer}", "MB", peak, MEMORY_TARGET)
        yield Figure.value(f"peak memory, {documents} documents", "MB", peak.ours, MEMORY_BYTES / 1e6)
        if (os.cpu_count() or 1) > 1:
            two = run(documents, "two", workers=2)
            walls = (whole.wall - start.wall, two.wall - start.wall)
            pair = Pair(*walls, walls[0] / walls[1], walls[0] - walls[1])
            name = f"{documents} documents, one worker against two"
            yield Figure.ratio(name, "s", pair, WORKERS_TARGET, "wall", bound=Bound.AT_LEAST)


def measure_withdrawal(edges: int = 100_000, of_each: int = 20, repeats: int = 50) -> Iterator[Figure]:
    """Take a document out of a graph, and put it in.

    Args:
        edges: How many edges the graph has.
        of_each: How many a document has.
        repeats: How many documents are taken out and put in.
    """
    with tempfile.TemporaryDirectory() as folder, closing(SqlGraph(Path(folder) / "graph.sqlite")) as graph:
        names = [f"PMID:{number}" for number in range(edges // of_each)]
        for start in range(0, len(names), 200):
            _insert(graph, names[start : start + 200], of_each)
        out, back = count(), count()
        pair = in_turn(
            lambda: cpu_seconds(lambda: graph.apply({}, [names[next(out)]], {}, [])),
            lambda: cpu_seconds(lambda: _insert(graph, [f"PMID:new{next(back)}"], of_each)),
            repeats,
        )
    name = f"a document with {of_each} of {edges} edges withdrawn, against inserted"
    yield Figure.ratio(name, "s", pair, WITHDRAWAL_TARGET, "CPU")


def _run(folder: Path, studies: Path, documents: int, name: str, *, workers: int = 1) -> RunCost:
    place, home = folder / f"documents-{documents}", folder / f"home-{name}"
    if not place.exists():
        _write(studies, place, documents)
    home.mkdir(exist_ok=True)
    return run_main_job(home, place, workers=workers)


def _share(what: str, part: RunCost, whole: RunCost, start: RunCost, target: float) -> Figure:
    ours, reference = part.cpu - start.cpu, whole.cpu - start.cpu
    pair = Pair(ours, reference, ours / reference, ours - reference)
    return Figure.ratio(f"{what}, against the full run", "s", pair, target, "CPU, start-up taken off")


def _write(studies: Path, place: Path, documents: int) -> None:
    found = [
        (study["protocolSection"]["identificationModule"]["nctId"], json.dumps(study))
        for file in sorted(studies.glob("*.json"))
        for study in json.loads(file.read_bytes())
    ]
    place.mkdir()
    for number in range(documents):
        own, text = found[number % len(found)]
        name = f"NCT{number + 90_000_000}"
        place.joinpath(f"{name}.json").write_text(text.replace(own, name))


def _change_one(place: Path) -> None:
    file = sorted(place.iterdir())[len(list(place.iterdir())) // 2]
    study = json.loads(file.read_bytes())
    study["protocolSection"]["descriptionModule"] = {"briefSummary": "Aspirin reduced the risk of stroke."}
    file.write_text(json.dumps(study))


def _insert(graph: SqlGraph, names: list[str], edges: int) -> None:
    nodes: dict[str, list[Node]] = {}
    made = []
    for name in names:
        pairs = [(f"MESH:{number}", f"MESH:{number + 1 + len(name)}") for number in range(edges)]
        concepts = sorted({curie for pair in pairs for curie in pair})
        nodes[name] = [Node(id=curie, name=curie, category=("biolink:NamedThing",)) for curie in concepts]
        made += [make_edge(subject, obj, name) for subject, obj in pairs]
    graph.apply(dict.fromkeys(names, "a hash"), [], nodes, made)
