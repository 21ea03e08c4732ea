"""Run the benchmarks: `python -m benchmarks [NAME ...]`."""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks import cold_start, definitions_build, stage_overhead, stage_resolution, trials_to_graph
from benchmarks.figures import Figure

BENCHMARKS: dict[str, Callable[[], Iterator[Figure]]] = {
    "definitions": definitions_build.measure,
    "overhead": stage_overhead.measure,
    "resolution": stage_resolution.measure,
    "start": cold_start.measure,
    "trials": trials_to_graph.measure,
}


def main() -> None:
    """Measure what is named, all by default; print a row per figure. A missed target is no error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], help=", ".join(BENCHMARKS))
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    figures = []
    for name in arguments.names or BENCHMARKS:
        for figure in BENCHMARKS[name]():
            figures.append(figure)
            print(figure.row(), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1))


if __name__ == "__main__":
    main()
