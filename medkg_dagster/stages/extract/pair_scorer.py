"""Weighs what pairs of concepts title and abstract relate, where no single sentence says it in plain words.

A pair's weight is a logistic regression over `pair_features`; how probable it is follows from this weight and
how far it is below the best one of the text. `python -m evaluation.pair_training` trains them on the training
splits of gold corpora, which it names. What is claimed so is `possible`, with the probability beside it.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from medkg_dagster.stage_api import Claim, Document, Entity, claim_id
from medkg_dagster.stages.extract.dictionary import DICTIONARY
from medkg_dagster.stages.extract.pair_features import Pair, PairFeatures, TreeNumbers
from medkg_dagster.stages.extract.passages import Passage, passage, summary_end
from medkg_dagster.stages.extract.relation_types import ASSOCIATED
from medkg_dagster.stages.extract.sentences import Sentence

TEXT_SOURCE = "infores:medkg"
PROBABILITY = "extraction_confidence_score"
"""The slot of the Biolink Model that tells how probable a claim is."""

WEIGHED = "weighed "
"""How the method of a claim begins that no sentence states."""

WEIGHTS = "pair_weights.json"
MAX_EVIDENCE = 1500

MIN_SENTENCES, MAX_SENTENCES, MAX_LENGTH = 3, 60, 10_000
"""Title and abstract have as many, and so many characters; what has fewer or more is not weighed."""


@dataclass(frozen=True, slots=True)
class PairModel:
    """What one kind of pair is weighed with.

    Attributes:
        name: What is weighed, for audit.
        kinds: The kind of the subject and that of the object.
        predicate: What is claimed of a pair.
        threshold: How probable it must be.
        bias: The weight of a pair without features.
        weights: The weight of each feature.
        own: How much a pair's weight counts.
        below_best: How much it counts how far that is below the best one of the text.
        shift: What is added.
    """

    name: str
    kinds: tuple[str, str]
    predicate: str
    threshold: float
    bias: float
    weights: Mapping[str, float]
    own: float
    below_best: float
    shift: float

    def weight(self, features: Mapping[str, float]) -> float:
        """Return what some features of a pair weigh."""
        weights = self.weights
        return sum([weights[name] * features[name] for name in features if name in weights])

    def probability(self, weight: float, best: float) -> float:
        """Return how probable it is that a pair is related.

        Args:
            weight: What it weighs, the bias with it.
            best: The most that a pair of the text weighs.
        """
        return _probability(self.own * weight + self.below_best * (weight - best) + self.shift)


def _probability(weight: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, weight))))


@cache
def models() -> tuple[PairModel, ...]:
    """Return the models of the package, in the order in which they are asked."""
    written = json.loads(files(__package__).joinpath(WEIGHTS).read_text(encoding="utf-8"))
    return tuple(
        PairModel(
            name=one["name"],
            kinds=(one["kinds"][0], one["kinds"][1]),
            predicate=one["predicate"],
            threshold=one["threshold"],
            bias=one["bias"],
            weights=one["weights"],
            own=one["own"],
            below_best=one["below_best"],
            shift=one["shift"],
        )
        for one in written["models"]
    )


def summary_passages(
    document: Document, sentences: Sequence[Sentence], entities: Sequence[Entity]
) -> tuple[Passage, ...]:
    """Return title and abstract as passages; none where they are too short or too long.

    Args:
        document: The document.
        sentences: Its sentences in order.
        entities: Its mentions in order.
    """
    end = summary_end(document)
    summary = [place for place in sentences if place.end <= end]
    if end > MAX_LENGTH or not MIN_SENTENCES <= len(summary) <= MAX_SENTENCES:
        return ()
    mentions = [entity for entity in entities if entity.start is not None]
    starts = [entity.start or 0 for entity in mentions]
    return tuple(
        passage(
            document,
            place,
            mentions[bisect_left(starts, place.start) : bisect_left(starts, place.end)],
            is_title=number == 0,
        )
        for number, place in enumerate(summary)
    )


def pair_claims(
    document: Document, passages: Sequence[Passage], stated: Iterable[Claim], trees: TreeNumbers
) -> Iterator[Claim]:
    """Yield what a document's title and abstract make probable and no sentence of it states or denies.

    Args:
        document: The document.
        passages: Its title and abstract.
        stated: What its sentences state.
        trees: Tells where a concept stands in MeSH.
    """
    said = [
        (claim.subject, claim.object, claim.predicate == ASSOCIATED and not claim.negated) for claim in stated
    ]
    known = {pair for one, other, _ in said for pair in ((one, other), (other, one))}
    told = {pair for one, other, is_loose in said if not is_loose for pair in ((one, other), (other, one))}
    reader = PairFeatures(passages, trees)
    for model in models():
        # That two are associated is less than that the one induces the other.
        settled = known if model.predicate == ASSOCIATED else told
        for pair, probability in _weighed(model, reader):
            if probability < model.threshold or pair in settled:
                continue
            place = _evidence(passages, pair)
            if place:
                known |= {pair, (pair[1], pair[0])}
                told |= {pair, (pair[1], pair[0])}
                yield _claim(document, model, pair, probability, place)


def _weighed(model: PairModel, reader: PairFeatures) -> Iterator[tuple[Pair, float]]:
    """Yield each pair with how probable it is."""
    parts_known: dict[int, float] = {}
    weighed: list[tuple[Pair, float]] = []
    for pair, (*shared, own) in reader.of(model.kinds):
        weight = model.bias + model.weight(own)
        for part in shared:
            known = parts_known.get(id(part))
            if known is None:
                known = parts_known[id(part)] = model.weight(part)
            weight += known
        weighed.append((pair, weight))
    best = max((weight for _, weight in weighed), default=0.0)
    for pair, weight in weighed:
        yield pair, model.probability(weight, best)


def _evidence(passages: Sequence[Passage], pair: Pair) -> tuple[int, int] | None:
    """Return the sentence that names both the closest to each other, else the text from one to the other."""
    best: tuple[tuple[int, int], tuple[int, int]] | None = None
    places = [
        [
            (number, slot.place)
            for number, one in enumerate(passages)
            for slot in one.slots
            if slot.curie == end
        ]
        for end in pair
    ]
    for number, place in places[0]:
        for other, other_place in places[1]:
            rank = (abs(number - other), abs(place - other_place) if number == other else 0)
            if best is None or rank < best[0]:
                best = (rank, (min(number, other), max(number, other)))
    if best is None:
        return None
    start, end = passages[best[1][0]].sentence.start, passages[best[1][1]].sentence.end
    return (start, end) if end - start <= MAX_EVIDENCE else None


def _claim(
    document: Document, model: PairModel, pair: Pair, probability: float, place: tuple[int, int]
) -> Claim:
    start, end = place
    return Claim(
        id=claim_id(
            document,
            extractor=DICTIONARY.name,
            subject=pair[0],
            predicate=model.predicate,
            object_=pair[1],
            negated=False,
            start=start,
            end=end,
        ),
        document_id=document.id,
        document_hash=document.content_hash,
        subject=pair[0],
        predicate=model.predicate,
        object=pair[1],
        sentence=document.text[start:end],
        start=start,
        end=end,
        method=f"{WEIGHED}{model.name}",
        primary_knowledge_source=TEXT_SOURCE,
        knowledge_level="not_provided",
        agent_type="text_mining_agent",
        qualifiers={PROBABILITY: round(probability, 2)},
        certainty="possible",
    )
