"""Pairs of related concepts in gold corpora, against the claims that `extract` makes of the plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from evaluation.extracted import Extractor, Found, kind_of
from evaluation.gold_corpora import CHEMICAL, DISEASE, GENE, GoldArticle, corpus
from evaluation.scores import Case, Score
from medkg_dagster.stage_api import Claim

_INDUCES = frozenset({"biolink:causes", "biolink:contributes_to", "biolink:has_adverse_event"})

Pair = tuple[str, str]


def measure(data: Path, split: str, extractor: Extractor) -> Iterator[Score]:
    """Yield how well pairs are found: what chemicals induce in BC5CDR, and any relation in BioRED.

    Args:
        data: The folder with the corpora.
        split: `training` or `development`.
        extractor: What finds.
    """
    bc5cdr, biored = (tuple(corpus(data, name, split)) for name in ("bc5cdr", "biored"))
    yield measure_pairs(bc5cdr, extractor, "BC5CDR chemical-induced disease, end to end", 52, induced=True)
    yield measure_pairs(biored, extractor, "BioRED pairs, end to end", 35)


def measure_pairs(
    articles: Sequence[GoldArticle],
    extractor: Extractor,
    name: str,
    target: float | None,
    *,
    induced: bool = False,
) -> Score:
    """Return how well the pairs of articles are found.

    Args:
        articles: With their gold pairs.
        extractor: What finds.
        name: What the score is called.
        target: What F1 is to reach, in percent.
        induced: Whether only a chemical with what it causes counts, in this order, and not any relation.
    """
    score = Score(name, target)
    for found in extractor.find(articles):
        kinds = {one.curie: kind_of(one) for one in found.entities}
        said: dict[Pair, Claim] = {}
        for claim in found.claims:
            if not claim.negated and (not induced or _says_what_is_induced(claim, kinds)):
                one, other = (
                    extractor.gold_identifier(end, kinds.get(end, ""))
                    for end in (claim.subject, claim.object)
                )
                said.setdefault((one, other) if induced else _unordered((one, other)), claim)
        gold = {pair if induced else _unordered(pair) for pair in found.article.pairs}
        spurious, missed = score.add(gold, set(said))
        score.cases += (_spurious(found, pair, said[pair]) for pair in sorted(spurious))
        score.cases += (_missed(found, pair, extractor) for pair in sorted(missed))
    return score


def _says_what_is_induced(claim: Claim, kinds: dict[str, str]) -> bool:
    ends = (kinds.get(claim.subject), kinds.get(claim.object))
    return claim.predicate in _INDUCES and ends == (CHEMICAL, DISEASE)


def _unordered(pair: Pair) -> Pair:
    one, other = sorted(pair)
    return one, other


def _spurious(found: Found, pair: Pair, claim: Claim) -> Case:
    known = {concept for one in found.article.mentions for concept in one.concepts}
    cause = "both are gold concepts" if known.issuperset(pair) else "a concept that is not gold"
    return Case(found.article.pmid, "spurious", cause, f"{pair[0]} {claim.method} {pair[1]}", claim.sentence)


def _missed(found: Found, pair: Pair, extractor: Extractor) -> Case:
    ours = [(extractor.gold_identifier(one.curie, kind_of(one)), one) for one in found.entities]
    if lacking := set(pair) - {identifier for identifier, _ in ours}:
        cause = _why_not_found(found, lacking, extractor)
    else:
        places = [[one.start or 0 for identifier, one in ours if identifier == end] for end in pair]
        near = any("." not in found.article.text[min(a, b) : max(a, b)] for a in places[0] for b in places[1])
        cause = "named in one sentence" if near else "never named in one sentence"
    names = [
        next(
            (
                found.article.text[one.start : one.end]
                for one in found.article.mentions
                if end in one.concepts
            ),
            end,
        )
        for end in pair
    ]
    return Case(found.article.pmid, "missed", cause, " - ".join(names), found.article.title)


def _why_not_found(found: Found, lacking: set[str], extractor: Extractor) -> str:
    """Say what keeps a pair from being found whatever is claimed of what was found."""
    kinds = {concept: one.kind for one in found.article.mentions for concept in one.concepts}
    if not all(kinds.get(one) for one in lacking):
        return "a variant or a concept without mention"
    if any(kinds[one] == GENE and not extractor.is_of_man(one) for one in lacking):
        return "a gene not of man"
    return "a concept was not found"
