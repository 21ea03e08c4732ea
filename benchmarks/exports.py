"""What it costs to write a large graph into files, against writing the same lines bare."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from sqlalchemy import insert

from benchmarks.figures import Bound, Figure, Pair
from medkg_dagster.adapters.graph.sql_edges import edge_row
from medkg_dagster.adapters.graph.sql_schema import EDGES, NODES
from medkg_dagster.adapters.graph.sql_store import SqlGraph
from medkg_dagster.stage_api import Edge

MEMORY_BYTES = 200 << 20
KGX_TARGET = 0.5
_CONCEPTS = 50_000
_OF_DOCUMENT = 20
_AT_ONCE = 20_000
_MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
"""A process begins with the peak of the one that starts it, so that a small one stands between."""
_SENTENCE = (
    "In the trial of {} patients the drug {} improved the condition {}, and did so in every arm of it."
)


def measure(
    edges: int = 1_000_000, formats: tuple[str, ...] = ("kgx", "kgx-aggregated", "neo4j", "rdf")
) -> Iterator[Figure]:
    """Export a made-up graph of many edges, in a process of its own each time.

    Args:
        edges: How many edges it has.
        formats: The formats; `kgx` is held against writing the same lines bare.
    """
    with tempfile.TemporaryDirectory() as made:
        home = Path(made)
        make_graph(home, edges)
        for name in formats:
            seconds, peak = _export(home, name)
            if name == "kgx":
                bare = sum(map(_write_bare, (home / name).glob("*.jsonl")))
                pair = Pair(edges / seconds, edges / bare, bare / seconds, edges / seconds - edges / bare)
                note = "edges per second of CPU, nodes with them"
                said = f"export of {edges} edges as kgx, against its JSON bare"
                yield Figure.ratio(said, "/s", pair, KGX_TARGET, note, bound=Bound.AT_LEAST)
            else:
                yield Figure.value(
                    f"export of {edges} edges as {name}", "/s", edges / seconds, None, "of CPU"
                )
            yield Figure.value(
                f"peak memory, export of {edges} edges as {name}", "MB", peak / 1e6, MEMORY_BYTES / 1e6
            )


def make_graph(home: Path, edges: int) -> None:
    """Make a graph of drugs and diseases, each document with some edges."""
    concepts = min(_CONCEPTS, max(2, edges // _OF_DOCUMENT))
    with closing(SqlGraph(home / "graph.sqlite")):
        pass  # it makes the tables
    store = SqlGraph(home / "graph.sqlite")
    with closing(store), store._database.writing() as connection:
        remaining = map(_node_row, range(concepts))
        while some := list(islice(remaining, _AT_ONCE)):
            connection.execute(insert(NODES), some)
        made = (edge_row(_edge(number, concepts)) for number in range(edges))
        while some := list(islice(made, _AT_ONCE)):
            connection.execute(insert(EDGES), some)


def _node_row(number: int) -> dict[str, object]:
    return {
        "id": f"X:{number:07}",
        "name": f"Concept {number}",
        "folded_name": f"concept {number}",
        "folded_id": f"x:{number:07}",
        "category": json.dumps(["biolink:Drug" if number % 2 else "biolink:Disease", "biolink:NamedThing"]),
        "synthetic": False,
        "details": json.dumps({"synonyms": [f"Thing {number}", f"T-{number}"], "sources": ["made 1"]}),
    }


def _edge(number: int, concepts: int) -> Edge:
    document = f"PMID:{number // _OF_DOCUMENT}"
    one, other = (number * 7919) % concepts, (number * 104_729 + 1) % concepts
    sentence = _SENTENCE.format(number, one, other)
    return Edge(
        id=f"{number:032x}",
        subject=f"X:{one:07}",
        predicate="biolink:treats",
        object=f"X:{other:07}",
        negated=number % 50 == 0,
        primary_knowledge_source="infores:medkg",
        knowledge_level="not_provided",
        agent_type="text_mining_agent",
        publications=(document,),
        supporting_text=sentence,
        document_id=document,
        document_hash=f"{number // _OF_DOCUMENT:064x}",
        start=number % 1000,
        end=number % 1000 + len(sentence),
        category="biolink:ChemicalToDiseaseOrPhenotypicFeatureAssociation",
        data_source="infores:pubmed",
        licence="CC0",
        method="pattern",
        extractor="dictionary 1",
        vocabulary="made",
        certainty="possible" if number % 10 == 0 else "asserted",
    )


def _export(home: Path, name: str) -> tuple[float, int]:
    """Return the seconds of CPU that an export takes, and its peak memory in bytes."""
    command = [sys.executable, "-m", "medkg_dagster.cli", "export", name, str(home / name)]
    measured = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", _MEASURED, *command],
        env={**os.environ, "MEDKG_HOME": str(home)},
        stdout=subprocess.PIPE,
        check=True,
    )
    seconds, peak = measured.stdout.split()
    return float(seconds), int(peak) * (1 if sys.platform == "darwin" else 1024)


def _write_bare(file: Path) -> float:
    """Return the seconds of CPU that writing a file's lines takes where they are in memory as values."""
    seconds = 0.0
    with file.open("rb") as lines, file.with_suffix(".bare").open("wb") as stream:
        while some := [json.loads(line) for line in islice(lines, _AT_ONCE)]:
            start = time.process_time()
            for record in some:
                stream.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
            seconds += time.process_time() - start
    return seconds
