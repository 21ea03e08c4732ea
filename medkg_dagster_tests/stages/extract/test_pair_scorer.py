from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.stage_api import Block, BlockKind, Claim, Document, DocumentContext, Section, hash_content
from medkg_dagster.stages.extract.dictionary import DictionaryParameters
from medkg_dagster.stages.extract.dictionary_extractor import DictionaryExtractor
from medkg_dagster.stages.extract.pair_features import PairFeatures, no_trees
from medkg_dagster.stages.extract.pair_scorer import PROBABILITY, models, pair_claims, summary_passages
from medkg_dagster.stages.extract.sentences import document_sentences

DICTIONARY = DictionaryExtractor(DictionaryParameters())
ABSTRACT = (
    "Ipilimumab therapy was followed by colitis that was resistant to steroids.",
    "We describe severe colitis in a patient during ipilimumab therapy.",
    "Colitis began after the second dose of ipilimumab.",
    "Clinicians must know of colitis during ipilimumab.",
)


def article(title: str, *abstract: str, body: str = "", source: str = "infores:pmc") -> Document:
    text, sections = "", []
    for name, part in (("Title", title), ("Abstract", " ".join(abstract)), ("1. Introduction", body)):
        if part:
            start = len(text)
            text += part
            block = Block(kind=BlockKind.PARAGRAPH, start=start, end=len(text))
            sections.append(Section(title=name, start=start, end=len(text), blocks=(block,)))
            text += "\n\n"
    return Document(
        id="PMID:1",
        source=source,
        identifiers={},
        title=title,
        text=text,
        sections=tuple(sections),
        content_hash=hash_content(title, text),
    )


def weighed(document: Document, extractor: DictionaryExtractor = DICTIONARY) -> list[Claim]:
    _, claims = extractor.extract(DocumentContext(), document)
    return [claim for claim in claims if claim.method.startswith("weighed")]


def test_what_title_and_abstract_make_probable_is_claimed_as_possible_with_a_sentence_that_names_both() -> (
    None
):
    document = article("A case of colitis during ipilimumab", *ABSTRACT)

    (claim,) = weighed(document)

    assert (claim.subject, claim.predicate, claim.object) == (
        "DRUGBANK:DB06186",
        "biolink:contributes_to",
        "MESH:D003092",
    )
    assert claim.certainty == "possible"
    assert not claim.negated
    assert claim.sentence == document.text[claim.start : claim.end]
    assert {"colitis", "ipilimumab"} <= set(claim.sentence.lower().rstrip(".").split())
    probability = claim.qualifiers[PROBABILITY]
    assert isinstance(probability, float)
    assert models()[0].threshold <= probability <= 1


def test_what_a_sentence_states_or_denies_is_not_weighed_too() -> None:
    assert weighed(article("Ipilimumab causes colitis", *ABSTRACT)) == []
    assert weighed(article("Ipilimumab did not cause colitis", *ABSTRACT)) == []


def test_the_body_of_an_article_and_trial_records_are_not_weighed() -> None:
    assert weighed(article("A case", "Nothing.", body=" ".join(ABSTRACT))) == []
    trial = article("A case of colitis during ipilimumab", *ABSTRACT, source="infores:clinicaltrials")
    assert weighed(trial) == []


def test_what_is_too_long_for_an_abstract_is_not_weighed() -> None:
    assert weighed(article("A case of colitis during ipilimumab", *ABSTRACT, "word " * 2000)) == []


def test_weighing_can_be_left_out() -> None:
    extractor = DictionaryExtractor(DictionaryParameters(weigh_pairs=False))

    assert weighed(article("A case of colitis during ipilimumab", *ABSTRACT), extractor) == []


WORDS = ("ipilimumab", "nivolumab", "colitis", "melanoma", "PD-1", "induced", "-", ".", "in", "😀", "İ")


@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12), min_size=1, max_size=5))
def test_features_are_finite_and_evidence_names_both_ends_whatever_the_text(text: list[list[str]]) -> None:
    document = article("Title of it", *(" ".join(words) + ". Then" for words in text))
    entities, stated = DICTIONARY.extract(DocumentContext(), document)
    passages = summary_passages(document, document_sentences(document), entities)

    for _, parts in PairFeatures(passages, no_trees).of(("chemical", "condition")):
        assert all(math.isfinite(value) for features in parts for value in features.values())
    places = {entity.curie: [] for entity in entities}  # type: dict[str, list[int]]
    for entity in entities:
        places[entity.curie].append(entity.start or 0)
    for claim in pair_claims(document, passages, (), no_trees):
        for end in (claim.subject, claim.object):
            assert any(claim.start <= start < claim.end for start in places[end])
    assert len({claim.id for claim in stated}) == len(stated)


def test_every_weight_is_of_a_feature_and_not_of_a_thing() -> None:
    for model in models():
        assert 0 < model.threshold < 1
        assert model.weights
        for name in model.weights:
            assert not any(thing in name for thing in ("MESH", "CHEBI", "DRUGBANK", ":"))
