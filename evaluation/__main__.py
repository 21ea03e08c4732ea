"""Measure parsing and print a row for each figure: `python -m evaluation [NAME ...]`.

Real files are those beside the checkout (`../shared/data`). A missed target is shown and is no error.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.figures import HEADER, Figure
from evaluation import jats_text, page_text, pdf_text, study_text

MEASURES: dict[str, Callable[[Path], Iterator[Figure]]] = {
    "jats": jats_text.measure,
    "studies": study_text.measure,
    "pdf": pdf_text.measure,
    "pages": page_text.measure,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what is named, everything by default.

    Args:
        argv: Command line arguments; the process's own by default.
    """
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASURES)}; default all")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="where the real files are")
    arguments = parser.parse_args(argv)
    unknown = sorted(set(arguments.names) - set(MEASURES))
    if unknown:
        parser.error(f"no measure {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    print(HEADER, flush=True)
    for name in arguments.names or MEASURES:
        for figure in MEASURES[name](arguments.data):
            print(figure.row(), flush=True)


if __name__ == "__main__":
    main()
