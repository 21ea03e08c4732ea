"""Mentions and concepts of gold corpora, against those that `extract` finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figures import Bound, Figure
from evaluation.extracted import Extractor, Found, kind_of, schemes_of
from evaluation.gold_corpora import CHEMICAL, DISEASE, GENE, GoldArticle, GoldMention, corpus
from evaluation.scores import Case, Score
from medkg_dagster.stage_api import Entity

_AROUND = 60

_Span = tuple[int, int, str]


def measure_mentions(articles: Sequence[GoldArticle], extractor: Extractor) -> Iterator[Score]:
    """Yield how well mentions of BC5CDR are found: both ends and the kind must be right."""
    total = Score("BC5CDR mentions, strict", 88)
    kinds = {kind: Score(f"BC5CDR mentions, {kind}") for kind in (CHEMICAL, DISEASE)}
    for found in extractor.find(articles):
        for kind, score in kinds.items():
            gold = {(one.start, one.end, kind) for one in found.article.mentions if one.kind == kind}
            ours = {(one.start or 0, one.end or 0, kind) for one in found.entities if kind_of(one) == kind}
            spurious, missed = score.add(gold, ours)
            total.right += len(gold & ours)
            cases = [
                *(
                    _mention_case(found, span, "spurious", _cause_of_spurious(found, span))
                    for span in spurious
                ),
                *(
                    _mention_case(found, span, "missed", _cause_of_missed(found, span, extractor))
                    for span in missed
                ),
            ]
            score.cases += cases
            total.cases += cases
    yield total
    yield from kinds.values()


def measure_concepts(
    articles: Sequence[GoldArticle], extractor: Extractor, name: str, kind: str, target: float | None
) -> Score:
    """Return how well the concepts of a kind are found in each article, wherever they stand in it.

    Of genes those of man are gold, which are the ones that are looked for.

    Args:
        articles: Whose gold concepts are of one scheme, or of MeSH and OMIM.
        extractor: What finds.
        name: What the score is called.
        kind: Which kind of concept.
        target: What F1 is to reach, in percent.
    """
    score = Score(name, target)
    schemes = schemes_of(kind)
    for found in extractor.find(articles):
        gold = {
            extractor.same_in_scheme(concept, schemes)
            for one in found.article.mentions
            if one.kind == kind
            for concept in one.concepts
            if concept.partition(":")[0] in schemes and (kind != GENE or extractor.is_of_man(concept))
        }
        entities = [one for one in found.entities if kind_of(one) == kind]
        ours = {extractor.identifier(one.curie, schemes) for one in entities}
        spurious, missed = score.add(gold, ours)
        score.cases += _spurious_concepts(found, entities, spurious, extractor, schemes)
        score.cases += _missed_concepts(found, entities, missed, extractor, schemes)
    return score


def speed(extractor: Extractor, articles: Sequence[GoldArticle]) -> Figure:
    """Return how many abstracts `extract` reads in a second of CPU time, once it has read all of them."""
    tuple(extractor.find(articles))
    extractor.seconds = 0.0
    tuple(extractor.find(articles))
    rate = len(articles) / extractor.seconds
    return Figure.value("extract, BC5CDR", "abstracts/s", rate, 600, "CPU", bound=Bound.AT_LEAST)


def _cause_of_spurious(found: Found, span: _Span) -> str:
    start, end, kind = span
    others = [one for one in found.article.mentions if one.start < end and start < one.end]
    if any((one.start, one.end) == (start, end) for one in others):
        return "of another kind"
    if any(one.kind == kind for one in others):
        return "other ends"
    return "inside another kind" if any(one.kind for one in others) else "nothing there"


def _cause_of_missed(found: Found, span: _Span, extractor: Extractor) -> str:
    start, end, kind = span
    others = [one for one in found.entities if (one.start or 0) < end and start < (one.end or 0)]
    if any(kind_of(one) == kind for one in others):
        return "other ends"
    if others:
        return "of another kind"
    return "name known, not found" if extractor.knows(found.article.text[start:end]) else "name not known"


def _mention_case(found: Found, span: _Span, fault: str, cause: str) -> Case:
    start, end, kind = span
    text = found.article.text
    what = f"{text[start:end]} ({kind})"
    around = f"{text[max(0, start - _AROUND) : start]}[{text[start:end]}]{text[end : end + _AROUND]}".split()
    return Case(found.article.pmid, fault, cause, what, " ".join(around))


def _spurious_concepts(
    found: Found,
    entities: Sequence[Entity],
    spurious: set[str],
    extractor: Extractor,
    schemes: Sequence[str],
) -> Iterator[Case]:
    for identifier in sorted(spurious):
        mine = [one for one in entities if extractor.identifier(one.curie, schemes) == identifier]
        there = [(one, gold) for one in mine for gold in found.article.mentions if _is_same_place(one, gold)]
        if not there:
            cause = "no mention there"
        elif any(gold.concepts for _, gold in there):
            in_scheme = identifier.partition(":")[0] in schemes
            cause = "another concept" if in_scheme else "without an identifier of the corpus"
        else:
            cause = "gold has no concept for it"
        surfaces = " | ".join(sorted({one.surface for one in mine}))
        gold_there = ",".join(sorted({concept for _, gold in there for concept in gold.concepts}))
        yield Case(found.article.pmid, "spurious", cause, f"{identifier} {surfaces}", gold_there)


def _missed_concepts(
    found: Found,
    entities: Sequence[Entity],
    missed: set[str],
    extractor: Extractor,
    schemes: Sequence[str],
) -> Iterator[Case]:
    for concept in sorted(missed):
        named = [
            one
            for one in found.article.mentions
            if concept in {extractor.same_in_scheme(each, schemes) for each in one.concepts}
        ]
        there = [one for one in entities for gold in named if _is_same_place(one, gold)]
        cause = "another concept" if there else "no mention of it found"
        surfaces = " | ".join(sorted({found.article.text[one.start : one.end] for one in named}))
        ours = ",".join(sorted({one.curie for one in there}))
        yield Case(found.article.pmid, "missed", cause, f"{concept} {surfaces}", ours)


def _is_same_place(entity: Entity, gold: GoldMention) -> bool:
    return (entity.start, entity.end) == (gold.start, gold.end)


def measure(data: Path, split: str, extractor: Extractor) -> Iterator[Score | Figure]:
    """Yield the figures of mentions and concepts.

    Args:
        data: The folder with the corpora.
        split: `training` or `development`.
        extractor: What finds.
    """
    bc5cdr, ncbi, biored = (tuple(corpus(data, name, split)) for name in ("bc5cdr", "ncbi_disease", "biored"))
    yield from measure_mentions(bc5cdr, extractor)
    yield measure_concepts(bc5cdr, extractor, "BC5CDR chemical ids per document", CHEMICAL, 88)
    yield measure_concepts(bc5cdr, extractor, "BC5CDR disease ids per document", DISEASE, 85)
    yield measure_concepts(ncbi, extractor, "NCBI Disease concepts per abstract", DISEASE, 76)
    yield measure_concepts(biored, extractor, "BioRED genes per document", GENE, 65)
    yield speed(extractor, bc5cdr)
