from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.errors import ConfigError
from medkg_dagster.stage_api import (
    Annotation,
    AnnotationRole,
    Block,
    BlockKind,
    Claim,
    Document,
    DocumentContext,
    Entity,
    Extraction,
    Section,
    hash_content,
)
from medkg_dagster.stages.extract import ExtractConfig, register
from medkg_dagster.stages.extract.dictionary import DictionaryParameters
from medkg_dagster.stages.extract.dictionary_extractor import DictionaryExtractor
from medkg_dagster.stages.extract.extract_stage import ExtractStage
from medkg_dagster_tests.stages.real_payloads import articles, context, parse_one, records, studies
from medkg_dagster_tests.stages.running import run

DICTIONARY = DictionaryExtractor(DictionaryParameters())


def extract(found: Document) -> Extraction:
    return DICTIONARY.extract(DocumentContext(), found)


def document(
    *blocks: str, annotations: tuple[Annotation, ...] = (), source: str = "infores:pubmed"
) -> Document:
    """Make a document whose blocks are paragraphs of one section."""
    text, spans = "", []
    for block in blocks:
        text += "\n\n" if text else ""
        spans.append(Block(kind=BlockKind.PARAGRAPH, start=len(text), end=len(text) + len(block)))
        text += block
    return Document(
        id="PMID:1",
        source=source,
        identifiers={"PMID": "1"},
        title="A title",
        text=text,
        sections=(Section(title="", start=0, end=len(text), blocks=tuple(spans)),),
        annotations=annotations,
        content_hash=hash_content("A title", text),
    )


def stated(*blocks: str) -> list[tuple[bool, str, str, str]]:
    entities, claims = extract(document(*blocks))
    names = {entity.curie: entity.name for entity in entities}
    return [
        (claim.negated, names[claim.subject], claim.predicate.removeprefix("biolink:"), names[claim.object])
        for claim in claims
    ]


def check(found: Document, entities: Sequence[Entity], claims: Sequence[Claim]) -> None:
    """What holds for every document: evidence stands where it says, and claims are about entities."""
    curies = {entity.curie for entity in entities}
    for entity in entities:
        assert entity.document_id == found.id
        if entity.start is None:
            assert (entity.end, entity.method) == (None, "structured")
        else:
            assert found.text[entity.start : entity.end] == entity.surface
            assert entity.method == "dictionary"
    assert len({claim.id for claim in claims}) == len(claims)
    for claim in claims:
        assert claim.sentence
        assert found.text[claim.start : claim.end] == claim.sentence
        assert (claim.document_id, claim.document_hash) == (found.id, found.content_hash)
        assert {claim.subject, claim.object} <= curies
        assert len(claim.id) == 32


def test_a_mention_has_its_concept_and_place() -> None:
    found = document("Nivolumab in melanoma.")

    entities, _ = extract(found)

    assert [(e.curie, e.category, e.surface, e.start) for e in entities] == [
        ("DRUGBANK:DB09035", "biolink:Drug", "Nivolumab", 0),
        ("MESH:D008545", "biolink:Disease", "melanoma", 13),
    ]


def test_an_abbreviation_means_its_long_form_in_the_whole_document() -> None:
    found = document(
        "MCC is an acronym.",
        "Merkel cell carcinoma (MCC) is rare.",
        "Avelumab was used for MCC; no MCCs grew.",
    )

    entities, _ = extract(found)

    assert [e.surface for e in entities if e.curie == "MESH:D015266"] == [
        "MCC",
        "Merkel cell carcinoma",
        "MCC",
        "MCC",
        "MCCs",
    ]


def test_a_document_may_use_a_known_abbreviation_for_something_else() -> None:
    redefined = document("A late transplant (ALT) was done.", "ALT was repeated.")
    confirmed = document("The enzyme alanine aminotransferase (ALT) rose.", "ALT was 300.")

    assert [e.surface for e in extract(redefined)[0]] == []
    assert [e.surface for e in extract(confirmed)[0]].count("ALT") == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ipilimumab caused colitis.", [(False, "Ipilimumab", "causes", "Colitis")]),
        ("Nivolumab did not cause hypophysitis.", [(True, "Nivolumab", "causes", "Hypophysitis")]),
        (
            "Nivolumab and ipilimumab were associated with colitis, hepatitis and severe thyroiditis.",
            [
                (False, drug, "associated_with", disease)
                for drug in ("Nivolumab", "Ipilimumab")
                for disease in ("Colitis", "Hepatitis", "Thyroiditis")
            ],
        ),
        ("We asked whether ipilimumab causes colitis.", []),
        ("Ipilimumab may cause colitis.", [(False, "Ipilimumab", "causes", "Colitis")]),
        ("Does ipilimumab cause colitis?", []),
        ("Ipilimumab was stopped. Colitis resolved.", []),
        ("Steroids were given. Colitis was caused by them.", []),
    ],
)
def test_a_sentence_states_what_its_words_say(text: str, expected: list[tuple[bool, str, str, str]]) -> None:
    assert stated(text) == expected


def test_no_statement_reaches_across_blocks() -> None:
    assert stated("Ipilimumab", "causes colitis.") == []


def test_a_statement_of_a_text_says_that_it_was_mined() -> None:
    _, (claim,) = extract(document("Ipilimumab caused colitis."))

    assert claim.primary_knowledge_source == "infores:medkg"
    assert (claim.knowledge_level, claim.agent_type) == ("not_provided", "text_mining_agent")


def test_without_negation_nothing_is_marked_and_what_is_denied_is_not_claimed() -> None:
    without = DictionaryExtractor(DictionaryParameters(negation=False))

    entities, claims = without.extract(DocumentContext(), document("Nivolumab did not cause hypophysitis."))

    assert not any(entity.negated for entity in entities)
    assert claims == ()


def test_annotations_are_grounded_by_identifier_then_by_name_and_left_out_otherwise() -> None:
    found = document(
        "Text.",
        annotations=(
            Annotation(role=AnnotationRole.CONDITION_MESH, name="Melanomas", curie="MESH:D008545"),
            Annotation(
                role=AnnotationRole.INTERVENTION, name="Drug: Nivolumab 3 mg/kg", intervention_type="DRUG"
            ),
            Annotation(role=AnnotationRole.INTERVENTION_MESH, name="nivolumab", curie="MESH:D000077594"),
            Annotation(role=AnnotationRole.CONDITION, name="A disease nobody knows"),
            Annotation(role=AnnotationRole.CONDITION_MESH, name="Rabies", curie="MESH:D011818"),
            Annotation(role=AnnotationRole.CHEMICAL, name="Silver", curie="MESH:D012834"),
            Annotation(role=AnnotationRole.INTERVENTION_MESH, name="Yoga", curie="MESH:D015013"),
            Annotation(role=AnnotationRole.MESH_HEADING, name="Humans", curie="MESH:D006801"),
        ),
    )

    entities, _ = extract(found)

    assert [(e.curie, e.name, e.category.removeprefix("biolink:")) for e in entities] == [
        ("MESH:D008545", "Melanoma", "Disease"),
        ("DRUGBANK:DB09035", "Nivolumab", "Drug"),
        ("DRUGBANK:DB09035", "Nivolumab", "Drug"),
        ("MESH:D011818", "Rabies", "DiseaseOrPhenotypicFeature"),
        ("MESH:D012834", "Silver", "ChemicalEntity"),
        ("MESH:D015013", "Yoga", "ClinicalIntervention"),
        ("MESH:D006801", "Humans", "NamedThing"),
    ]


PIECES = (
    *("Ipilimumab", "nivolumab", "colitis", "melanoma", "PD-1", "BRAF-mutated", "(CIC)", "A.", ".", ",", ";"),
    *("caused", "did not cause", "was associated with", "and", "for", "no", "İ", "ﬁ", "😀", "\n"),
)


@given(st.lists(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12), max_size=4))
def test_evidence_stands_where_it_says_in_any_text(blocks: list[list[str]]) -> None:
    found = document(*(" ".join(block) for block in blocks))

    entities, claims = extract(found)

    check(found, entities, claims)
    assert extract(found) == (entities, claims)


@pytest.mark.parametrize("kind", [studies, articles, records])
def test_real_documents_give_entities_with_exact_evidence(kind: object, shared_data: Path) -> None:
    assert callable(kind)
    payloads = kind(shared_data)[:40]
    count = 0
    for payload in payloads:
        try:
            found = parse_one(payload.content, payload.format)
        except Exception:  # noqa: BLE001 - what parse refuses is parse's own test
            continue
        entities, claims = extract(found)
        check(found, entities, claims)
        count += len(entities)

    assert count > 100


def test_the_bundled_vocabulary_is_precise_on_bc5cdr(shared_data: Path) -> None:
    right = wrong = 0
    path = shared_data / "gold_bc5cdr" / "CDR_DevelopmentSet.PubTator.txt"
    for record in path.read_text(encoding="utf-8").strip().split("\n\n")[:150]:
        title, abstract, *lines = record.split("\n")
        parts = [title.split("|", 2)[2], abstract.split("|", 2)[2]]
        text = " ".join(parts)
        gold = {
            (int(fields[1]), int(fields[2]))
            for fields in (line.split("\t") for line in lines)
            if fields[1].isdigit()
        }
        spans = [Block(kind=BlockKind.PARAGRAPH, start=0, end=len(parts[0]))]
        spans.append(Block(kind=BlockKind.PARAGRAPH, start=len(parts[0]) + 1, end=len(text)))
        whole = (Section(title="", start=0, end=len(text), blocks=tuple(spans)),)
        entities, _ = extract(document(text).model_copy(update={"sections": whole}))
        for entity in entities:
            if entity.category not in {"biolink:Protein", "biolink:Procedure", "biolink:GeneFamily"}:
                right += (entity.start, entity.end) in gold
                wrong += (entity.start, entity.end) not in gold

    assert right > 500
    assert right / (right + wrong) > 0.8


def test_one_bad_document_does_not_stop_the_batch() -> None:
    first = document("Ipilimumab caused colitis.")
    bad = first.model_copy(update={"id": "PMID:2", "sections": None})
    good = [first.model_copy(update={"id": f"PMID:{number}"}) for number in (1, 3, 4, 5)]
    ctx = context("extract")

    state = run(register, ctx, document=(bad, *good))

    assert (len(state["entities"]), len(state["claims"])) == (8, 4)
    assert ctx.succeeded == 4
    assert [item.document_id for item in ctx.quarantined] == ["PMID:2"]


def test_the_stage_is_built_from_its_registration(tmp_path: Path) -> None:
    metadata = register().metadata
    terms = tmp_path / "terms.tsv"
    terms.write_text("curie\tname\tcategory\tsynonyms\nX:1\tGrumps\tbiolink:Disease\t\n", encoding="utf-8")

    config = {"vocabulary": str(terms)}

    state = run(register, context("extract"), config, document=(document("He had the grumps."),))

    assert tuple(state) == metadata.state_keys == ("entities", "claims")
    assert [(entity.curie, entity.surface) for entity in state["entities"]] == [("X:1", "grumps")]
    assert metadata.output_counter((state["entities"], state["claims"])) == 1


def test_a_missing_vocabulary_fails_the_step_and_not_each_document(tmp_path: Path) -> None:
    ctx = context("extract")
    missing = tmp_path / "none.tsv"

    with pytest.raises(ConfigError, match=r"vocabulary .*none\.tsv: No such file"):
        run(register, ctx, {"vocabulary": str(missing)}, document=(document("He had the grumps."),))
    assert ctx.quarantined == []
    with pytest.raises(ConfigError, match=r"vocabulary .*none\.tsv: No such file"):
        DictionaryExtractor(DictionaryParameters(vocabulary=missing)).fingerprints(ctx)


def test_the_results_depend_on_what_stands_in_the_vocabulary_and_not_where(tmp_path: Path) -> None:
    def fingerprints(name: str, text: str) -> dict[str, str]:
        (tmp_path / name).write_text("curie\tname\tcategory\tsynonyms\n" + text, encoding="utf-8")
        extractor = DictionaryExtractor(DictionaryParameters(vocabulary=tmp_path / name))
        return dict(extractor.fingerprints(context("extract")))

    first = fingerprints("one.tsv", "X:1\tGrumps\tbiolink:Disease\t\n")

    assert first.keys() == {"vocabulary"}
    assert fingerprints("two.tsv", "X:1\tGrumps\tbiolink:Disease\t\n") == first
    assert fingerprints("one.tsv", "X:1\tGrumps\tbiolink:Disease\tSulks\n") != first


def test_documents_in_which_nothing_is_found_are_warned_of_with_what_was_looked_with() -> None:
    ctx = context("extract")
    silent = [document("Nothing here. " * times).model_copy(update={"id": f"X:{times}"}) for times in (1, 3)]
    ExtractStage(ExtractConfig()).fingerprints(ctx)
    run(register, ctx, {}, document=(document("Nivolumab caused colitis."), *silent))

    (check,) = register().metadata.checks
    verdict = check.judge(ctx.described)

    assert not verdict.passed
    assert verdict.described["documents_without"] == 2
    assert "481 concepts (oncology sample)" in str(verdict.described["looked_with"])
    assert [row["id"] for row in verdict.described["longest"]] == ["X:3", "X:1"]  # type: ignore[index,union-attr] # a table


def test_nothing_is_warned_of_where_something_is_found_in_every_document() -> None:
    ctx = context("extract")
    run(register, ctx, {}, document=(document("Nivolumab caused colitis."),))

    (check,) = register().metadata.checks
    assert check.judge(ctx.described).passed


def test_what_was_looked_with_is_counted_by_whose_it_is(tmp_path: Path) -> None:
    own = tmp_path / "own.tsv"
    own.write_text("curie\tname\tcategory\tsynonyms\nX:1\tGrumps\tbiolink:Disease\t\n")

    for config, figure, said in (
        ({}, "concepts_of_sample", "481 concepts (oncology sample); `medkg vocab install open` adds"),
        ({"vocabulary": str(own)}, "concepts_of_file", "1 concept (of your own), "),
    ):
        ctx = context("extract")
        ExtractStage(ExtractConfig.model_validate(config)).fingerprints(ctx)

        assert str(ctx.described["vocabulary"]).startswith(said)
        assert str(ctx.described[figure]) == said.split()[0]
