"""Measure the figures the documentation states and print a row for each: `python -m benchmarks [NAME ...]`.

A missed target is shown and is no error.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks import (
    backup,
    cold_start,
    definitions_build,
    documents,
    downloads,
    exports,
    gates,
    ledger,
    metrics,
    page,
    plugin_discovery,
    search,
    stage_invocation,
    stage_overhead,
    stage_resolution,
    trials_to_graph,
)
from benchmarks.figures import HEADER, Figure

BENCHMARKS: dict[str, Callable[[], Iterator[Figure]]] = {
    "backup": backup.measure,
    "definitions": definitions_build.measure,
    "discovery": plugin_discovery.measure,
    "documents": documents.measure,
    "downloads": downloads.measure,
    "exports": exports.measure,
    "gates": gates.measure,
    "invocation": stage_invocation.measure,
    "ledger": ledger.measure_updates,
    "metrics": metrics.measure,
    "overhead": stage_overhead.measure,
    "page": page.measure,
    "resolution": stage_resolution.measure,
    "search": search.measure,
    "search-large": search.measure_large,
    "start": cold_start.measure,
    "trials": trials_to_graph.measure,
    "waiting": ledger.measure_waiting,
    "withdrawal": documents.measure_withdrawal,
}

ONLY_NAMED = frozenset({"search-large"})
"""Benchmarks that take long, and are measured only where they are named."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what is named, everything by default.

    Args:
        argv: Command line arguments; the process's own by default.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    named = f"of {', '.join(BENCHMARKS)}; default all but {', '.join(ONLY_NAMED)}"
    parser.add_argument("names", nargs="*", metavar="NAME", help=named)
    parser.add_argument("--list", action="store_true", help="list the benchmarks and measure nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to a file")
    arguments = parser.parse_args(argv)
    unknown = sorted(set(arguments.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    if arguments.list:
        for name, benchmark in BENCHMARKS.items():
            print(f"{name:<12} {_summary(benchmark)}")
        return
    figures = []
    print(HEADER, flush=True)
    for name in arguments.names or [name for name in BENCHMARKS if name not in ONLY_NAMED]:
        for figure in _measured(name):
            figures.append(figure)
            print(figure.row(), flush=True)
    if arguments.json:
        described = [{**asdict(figure), "missed": figure.is_missed} for figure in figures]
        arguments.json.write_text(json.dumps(described, indent=1) + "\n")
    missed = sum(figure.is_missed for figure in figures)
    held = sum(figure.target is not None for figure in figures)
    print(f"{held - missed} of {held} targets reached")


def _measured(name: str) -> Iterator[Figure]:
    """Measure in a process of its own, so that no figure depends on the benchmarks before it."""
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(name, sending))
    child.start()
    sending.close()
    with suppress(EOFError):
        while True:
            yield receiving.recv()
    child.join()
    if child.exitcode:
        raise SystemExit(f"the benchmark {name} ended with {child.exitcode}")


def _send(name: str, sending: Connection) -> None:
    for figure in BENCHMARKS[name]():
        sending.send(figure)


def _summary(benchmark: Callable[[], Iterator[Figure]]) -> str:
    return (benchmark.__doc__ or "").strip().partition("\n")[0]


if __name__ == "__main__":
    main()
