from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.stage_api import Block, BlockKind, Claim, Document, Entity, Section, hash_content
from medkg_dagster.stages.extract.claims import sentence_claims
from medkg_dagster.stages.extract.mentions import Matcher
from medkg_dagster.stages.extract.negation import Negation
from medkg_dagster.stages.extract.relation_types import Role
from medkg_dagster.stages.extract.relations import RELATIONS, relation_between
from medkg_dagster.stages.extract.sentences import document_sentences
from medkg_dagster.stages.extract.terms import Vocabulary, load
from medkg_dagster.vocabulary.concepts import Concept

DRUGS = ("Aspirin", "Doxorubicin", "Levodopa", "Warfarin", "Cisplatin", "Celecoxib")
DISEASES = ("Bleeding", "Nephrotoxicity", "Breast cancer", "Parkinson's disease", "Asthma", "Neuropathy")
GENES = ("BRCA1", "COX-2", "TP53")
MICROBES = ("Giardia", "Yellow fever virus")
VOCABULARY = Vocabulary(
    (
        *(Concept(f"O:{name}", name, "biolink:OrganismTaxon") for name in MICROBES),
        *(Concept(f"D:{name}", name, "biolink:SmallMolecule") for name in DRUGS),
        *(Concept(f"C:{name}", name, "biolink:Disease") for name in DISEASES),
        Concept("C:Nephrotoxicity", "Nephrotoxicity", "biolink:Disease", ("nephrotoxic",)),
        *(Concept(f"G:{name}", name, "biolink:Gene") for name in GENES),
    )
)


def claims_of(text: str, section: str = "", vocabulary: Vocabulary = VOCABULARY) -> list[Claim]:
    block = Block(kind=BlockKind.PARAGRAPH, start=0, end=len(text))
    document = Document(
        id="PMID:1",
        source="infores:pubmed",
        identifiers={},
        title="A title",
        text=text,
        sections=(Section(title=section, start=0, end=len(text), blocks=(block,)),),
        content_hash=hash_content("A title", text),
    )
    claims: list[Claim] = []
    matcher = Matcher(vocabulary)
    for place in document_sentences(document):
        sentence = text[place.start : place.end]
        entities = [
            Entity(
                document_id="PMID:1",
                curie=found.concept.curie,
                name=found.concept.name,
                category=found.concept.category,
                surface=sentence[found.start : found.end],
                start=place.start + found.start,
                end=place.start + found.end,
                method="dictionary",
            )
            for found in matcher.find(sentence)
        ]
        claims += sentence_claims(document, place, entities, Negation(sentence))
    return claims


def said(text: str, section: str = "") -> list[str]:
    return [
        f"{'not ' if claim.negated else ''}{claim.subject[2:]} {claim.predicate.removeprefix('biolink:')} "
        f"{claim.object[2:]}"
        for claim in claims_of(text, section)
    ]


_TOXIC = ("Cisplatin", "Aspirin")
TREATS = "treats_or_applied_or_studied_to_treat"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Neuropathy is a rare form of asthma caused by aspirin.", ["Aspirin causes Neuropathy"]),
        ("Asthma is a neuropathy that causes bleeding.", ["Asthma causes Bleeding"]),
        ("Absence of TP53 results in breast cancer.", ["TP53 associated_with Breast cancer"]),
        ("TP53 mutations are a frequent cause of breast cancer.", ["TP53 causes Breast cancer"]),
        ("Breast cancer patients have elevated levels of TP53.", ["TP53 associated_with Breast cancer"]),
        (
            "Levels of warfarin were increased in patients with asthma.",
            ["Warfarin associated_with Asthma"],
        ),
        ("Aspirin led to a complete resolution of neuropathy.", ["Aspirin ameliorates_condition Neuropathy"]),
        ("The treatment of choice for neuropathy is aspirin.", [f"Aspirin {TREATS} Neuropathy"]),
        (
            "A man presented with bleeding and was diagnosed with breast cancer.",
            ["Bleeding associated_with Breast cancer"],
        ),
        ("TP53, a BRCA1, is associated with asthma.", ["TP53 associated_with Asthma"]),
        ("The side effects of aspirin, such as bleeding, are rare.", ["Aspirin has_adverse_event Bleeding"]),
        ("Bleeding, a rare adverse effect of aspirin, was seen.", ["Aspirin has_adverse_event Bleeding"]),
        ("Bleeding is characteristic of asthma.", ["Bleeding associated_with Asthma"]),
        ("Symptoms of asthma, including bleeding, were seen.", ["Asthma associated_with Bleeding"]),
        ("A new TP53 mutation causing asthma is described.", ["TP53 causes Asthma"]),
        ("COX-2-induced bleeding was seen.", ["COX-2 causes Bleeding"]),
        ("Aspirin-induced warfarin release was seen.", ["Aspirin affects Warfarin"]),
        ("The nephrotoxic effect of aspirin is known.", ["Aspirin causes Nephrotoxicity"]),
        ("Giardia is the most common cause of asthma.", ["Giardia causes Asthma"]),
        ("Asthma is a rare disorder caused by giardia.", ["Giardia causes Asthma"]),
        ("Giardia-induced asthma is rare.", ["Giardia causes Asthma"]),
        ("Giardia infections are associated with asthma.", ["Giardia associated_with Asthma"]),
        ("Giardia produces aspirin.", ["Giardia produces Aspirin"]),
        ("Aspirin is produced by giardia.", ["Giardia produces Aspirin"]),
        ("Aspirin inhibits growth of giardia.", ["Aspirin affects Giardia"]),
        ("Aspirin is active against giardia.", ["Aspirin affects Giardia"]),
        ("Giardia induces COX-2 expression.", ["Giardia affects COX-2"]),
        ("COX-2 is induced by giardia.", ["Giardia affects COX-2"]),
        ("TP53 recognizes giardia.", ["TP53 interacts_with Giardia"]),
        ("Aspirin causes severe bleeding.", ["Aspirin causes Bleeding"]),
        ("Aspirin can also cause joint bleeding.", ["Aspirin causes Bleeding"]),
        ("Aspirin, a salicylate of old, causes bleeding.", ["Aspirin causes Bleeding"]),
        ("Aspirin (and now and then warfarin) causes bleeding.", ["Aspirin causes Bleeding"]),
        ("A salt (aspirin) causes bleeding.", ["Aspirin causes Bleeding"]),
        (
            "Bleeding may result from oxidant drugs, including aspirin and warfarin.",
            ["Aspirin causes Bleeding", "Warfarin causes Bleeding"],
        ),
        (
            "Contraindications to aspirin include bleeding and asthma.",
            ["Aspirin contraindicated_in Bleeding", "Aspirin contraindicated_in Asthma"],
        ),
        (
            "Asthma has been associated with an increased risk of bleeding.",
            ["Asthma associated_with_increased_likelihood_of Bleeding"],
        ),
        ("Inhibition of TP53 causes breast cancer.", ["TP53 associated_with Breast cancer"]),
        ("Loss of TP53 increases BRCA1 expression.", ["TP53 affects BRCA1"]),
        ("TP53 is required for BRCA1 activation.", ["TP53 affects BRCA1"]),
        ("BRCA1 expression depends on TP53.", ["TP53 affects BRCA1"]),
        ("BRCA1 is recruited by TP53.", ["TP53 affects BRCA1"]),
        ("TP53 triggers phosphorylation of BRCA1.", ["TP53 affects BRCA1"]),
        ("TP53 signaling leads to BRCA1 activation.", ["TP53 affects BRCA1"]),
        ("TP53-dependent recruitment of BRCA1 is quick.", ["TP53 affects BRCA1"]),
        ("TP53 is one of the key molecules regulating BRCA1.", ["TP53 affects BRCA1"]),
        ("TP53 does not contribute to BRCA1 expression.", ["not TP53 affects BRCA1"]),
        ("An interaction between TP53 and BRCA1 was seen.", ["TP53 interacts_with BRCA1"]),
        ("The TP53 interaction with BRCA1 was seen.", ["TP53 interacts_with BRCA1"]),
        ("TP53 is stabilized through interactions with BRCA1.", ["TP53 interacts_with BRCA1"]),
        ("TP53 is a close homolog of BRCA1.", ["TP53 homologous_to BRCA1"]),
        ("TP53 is not associated with BRCA1.", ["not TP53 associated_with BRCA1"]),
        ("Aspirin is converted to warfarin.", ["Aspirin derives_into Warfarin"]),
        (
            "TP53 converts aspirin to warfarin.",
            ["TP53 affects Aspirin", "Aspirin derives_into Warfarin"],
        ),
        ("Aspirin, which is a precursor of warfarin, is cheap.", ["Aspirin derives_into Warfarin"]),
        ("Aspirin is a product of warfarin.", ["Warfarin derives_into Aspirin"]),
        ("Degradation of aspirin by TP53 is slow.", ["TP53 affects Aspirin"]),
        ("TP53 plays a role in detoxifying aspirin.", ["TP53 affects Aspirin"]),
        ("TP53 possesses binding sites for aspirin.", ["TP53 interacts_with Aspirin"]),
        ("Aspirin has been shown to cause bleeding.", ["Aspirin causes Bleeding"]),
        ("Aspirin did not cause bleeding.", ["not Aspirin causes Bleeding"]),
        ("Bleeding in elderly patients was caused by high doses of aspirin.", ["Aspirin causes Bleeding"]),
        ("Bleeding due to aspirin is common.", ["Aspirin causes Bleeding"]),
        ("We saw cisplatin-induced acute nephrotoxicity.", ["Cisplatin causes Nephrotoxicity"]),
        ("There was no cisplatin-induced nephrotoxicity.", ["not Cisplatin causes Nephrotoxicity"]),
        ("Cisplatin-related nephrotoxicity occurred.", ["Cisplatin contributes_to Nephrotoxicity"]),
        (
            "Cisplatin was associated with an increased risk of nephrotoxicity.",
            ["Cisplatin associated_with_increased_likelihood_of Nephrotoxicity"],
        ),
        (
            "Warfarin is contraindicated in patients with bleeding.",
            ["Warfarin contraindicated_in Bleeding"],
        ),
        ("Aspirin should not be used in asthma.", ["Aspirin contraindicated_in Asthma"]),
        ("Levodopa in the treatment of Parkinson's disease.", [f"Levodopa {TREATS} Parkinson's disease"]),
        ("Parkinson's disease was treated with levodopa.", [f"Levodopa {TREATS} Parkinson's disease"]),
        ("Adverse events of warfarin were rare.", []),
        ("Warfarin adverse events included bleeding.", ["Warfarin has_adverse_event Bleeding"]),
        ("Aspirin prevents asthma.", ["Aspirin preventative_for_condition Asthma"]),
        (
            "Levodopa attenuated cisplatin-induced neuropathy.",
            ["Cisplatin causes Neuropathy", "Levodopa ameliorates_condition Neuropathy"],
        ),
        ("Cisplatin neuropathy is common.", ["Cisplatin causes Neuropathy"]),
        ("Neuropathy after exposure to cisplatin.", ["Cisplatin associated_with Neuropathy"]),
        ("Treatment of asthma with aspirin.", [f"Aspirin {TREATS} Asthma"]),
        (
            "To study the safety of levodopa versus placebo in adult patients with asthma.",
            [f"Levodopa {TREATS} Asthma"],
        ),
        ("Asthma led to bleeding.", ["Asthma causes Bleeding"]),
        ("Neuropathy secondary to breast cancer.", ["Breast cancer causes Neuropathy"]),
        ("Breast cancer presents with neuropathy.", ["Breast cancer associated_with Neuropathy"]),
        (
            "Asthma is a risk factor for bleeding.",
            ["Asthma associated_with_increased_likelihood_of Bleeding"],
        ),
        ("TP53 binds to BRCA1.", ["TP53 interacts_with BRCA1"]),
        ("TP53 increases the expression of BRCA1.", ["TP53 affects BRCA1"]),
        ("COX-2 was inhibited by aspirin.", ["Aspirin affects COX-2"]),
        ("The role of TP53 in breast cancer.", ["TP53 associated_with Breast cancer"]),
        ("Aspirin reduced plasma concentrations of warfarin.", ["Aspirin affects Warfarin"]),
        ("Aspirin inhibits COX-2 activity.", ["Aspirin affects COX-2"]),
        ("The COX-2 inhibitor celecoxib was given.", ["Celecoxib affects COX-2"]),
        ("Mutations in BRCA1 cause breast cancer.", ["BRCA1 causes Breast cancer"]),
        ("BRCA1-mutated breast cancer is rare.", ["BRCA1 associated_with Breast cancer"]),
        ("TP53 is associated with a higher risk of asthma.", ["TP53 associated_with Asthma"]),
        ("Aspirin interacts with warfarin.", ["Aspirin interacts_with Warfarin"]),
        ("The interaction between aspirin and warfarin is known.", ["Aspirin interacts_with Warfarin"]),
        ("Aspirin potentiates the effect of warfarin.", ["Aspirin interacts_with Warfarin"]),
        ("Patients treated with aspirin developed bleeding.", ["Aspirin associated_with Bleeding"]),
        ("None of the patients treated with aspirin developed bleeding.", []),
        ("Bleeding in patients treated with aspirin was mild.", ["Aspirin associated_with Bleeding"]),
        ("We saw bleeding following aspirin.", ["Aspirin associated_with Bleeding"]),
        ("Bleeding resolved after levodopa.", ["Levodopa ameliorates_condition Bleeding"]),
        ("Bleeding resolved after aspirin was withdrawn.", []),
        ("Levodopa, an effective treatment for asthma, is cheap.", [f"Levodopa {TREATS} Asthma"]),
        ("Warfarin therapy in asthma is common.", [f"Warfarin {TREATS} Asthma"]),
        ("The protective effect of levodopa on neuropathy.", ["Levodopa ameliorates_condition Neuropathy"]),
        ("Improvement of neuropathy by levodopa.", ["Levodopa ameliorates_condition Neuropathy"]),
        ("The nephrotoxicity of cisplatin and aspirin.", [f"{one} causes Nephrotoxicity" for one in _TOXIC]),
        (
            "Symptoms of breast cancer include neuropathy and bleeding.",
            ["Breast cancer associated_with Neuropathy", "Breast cancer associated_with Bleeding"],
        ),
        ("Bleeding is common in patients with asthma.", ["Bleeding associated_with Asthma"]),
        ("Neuropathy in breast cancer is painful.", ["Neuropathy associated_with Breast cancer"]),
        ("Breast cancer with neuropathy is painful.", ["Breast cancer associated_with Neuropathy"]),
        ("The difference between neuropathy with asthma and without.", []),
        ("TP53 is negatively correlated with BRCA1.", ["TP53 negatively_correlated_with BRCA1"]),
        ("TP53 levels correlated positively with asthma.", ["TP53 positively_correlated_with Asthma"]),
        ("We found a significant association of TP53 with asthma.", ["TP53 associated_with Asthma"]),
        ("We studied the association of TP53 with asthma.", []),
        ("Association of a TP53 polymorphism with asthma.", ["TP53 associated_with Asthma"]),
        ("TP53-dependent BRCA1 activation was seen.", ["TP53 affects BRCA1"]),
        ("TP53 is not required for BRCA1 activation.", ["not TP53 affects BRCA1"]),
        ("TP53 colocalizes with BRCA1.", ["TP53 colocalizes_with BRCA1"]),
        ("The role of TP53 in BRCA1 activation.", ["TP53 affects BRCA1"]),
        ("TP53 deficiency leads to a reduction in BRCA1 expression.", ["TP53 affects BRCA1"]),
        ("COX-2 inhibition by aspirin.", ["Aspirin affects COX-2"]),
        ("Neuropathy is a core feature of asthma.", ["Asthma causes Neuropathy"]),
        ("Inhibition of COX-2 by aspirin.", ["Aspirin affects COX-2"]),
        ("TP53 catalyzes the oxidation of aspirin.", ["TP53 affects Aspirin"]),
        ("Aspirin is metabolized by COX-2.", ["COX-2 affects Aspirin"]),
        ("COX-2 binds aspirin.", ["COX-2 interacts_with Aspirin"]),
        ("Aspirin reduced warfarin levels.", ["Aspirin affects Warfarin"]),
        (
            "Aspirin inhibits COX-2 and causes bleeding.",
            ["Aspirin affects COX-2", "Aspirin causes Bleeding"],
        ),
        (
            "Neuropathy caused by cisplatin was attenuated by levodopa.",
            ["Cisplatin causes Neuropathy", "Levodopa ameliorates_condition Neuropathy"],
        ),
        ("Bleeding due to a warfarin antagonist.", []),
        (
            "Aspirin and warfarin caused bleeding, asthma and severe neuropathy.",
            [
                f"{drug} causes {disease}"
                for drug in ("Aspirin", "Warfarin")
                for disease in ("Bleeding", "Asthma", "Neuropathy")
            ],
        ),
    ],
)
def test_a_claim_says_what_the_words_between_two_concepts_say(text: str, expected: list[str]) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Doxorubicin-induced cardiotoxicity in rats with breast cancer.",
        "Levodopa-induced ocular dyskinesias in Parkinson's disease.",
        "Aspirin in rats with asthma.",
        "Aspirin was given; bleeding stopped.",
        "Aspirin was better than warfarin, bleeding aside.",
        "Cisplatin-induced fever and breast cancer.",
        "Neuropathy due to cisplatin-induced fever.",
        "Bleeding in patients who took aspirin was treated early.",
        "Inhibition of aspirin causes bleeding.",
        "We assessed the role of TP53 in asthma.",
        "How TP53 causes asthma is not clear.",
        "Patients with known allergy to aspirin and asthma were excluded.",
        "A man with underlying asthma presented with bleeding.",
        "In codon 6 a mutation converts aspirin to warfarin.",
        "Antibodies against TP53 cause breast cancer.",
        "No bleeding due to warfarin was seen.",
        "Improvement in neuropathy after injection of aspirin.",
        "Withdrawal of levodopa caused neuropathy.",
        "Anti-TP53 inhibits BRCA1.",
        "Aspirin inhibits COX-2-dependent genes.",
        "Aspirin reduced warfarin to powder.",
        "Aspirin reduced fever in asthma.",
        "Aspirin caused a drop in blood pressure in Parkinson's disease.",
    ],
)
def test_no_claim_reaches_over_words_that_are_not_understood(text: str) -> None:
    assert said(text) == []


def test_claims_do_not_jump_over_words_unknown_to_the_vocabulary(shared_data: Path) -> None:
    folder = shared_data.parent / "faults" / "claims-jumped"
    vocabulary = load(folder / "jumped.tsv")
    text = (folder / "jumped_disease.txt").read_text(encoding="utf-8").split("\n\n")[1]

    claims = claims_of(text, vocabulary=vocabulary)

    assert [(claim.subject, claim.predicate, claim.object) for claim in claims] == [
        ("MESH:D001241", "biolink:associated_with_decreased_likelihood_of", "MESH:D009203")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "We asked whether aspirin causes bleeding.",
        "To determine if aspirin caused bleeding, rats were used.",
        "Does aspirin cause bleeding?",
        "The aim was to show that aspirin prevents asthma.",
    ],
)
def test_what_is_asked_is_not_claimed(text: str) -> None:
    assert said(text) == []


def test_what_a_noun_phrase_presupposes_is_claimed_even_in_a_question() -> None:
    assert said("Whether levodopa helps in cisplatin-induced neuropathy is unknown.") == [
        "Cisplatin causes Neuropathy"
    ]


@pytest.mark.parametrize(
    ("text", "certainty"),
    [
        ("Aspirin causes bleeding.", "asserted"),
        ("Aspirin may cause bleeding.", "possible"),
        ("These results suggest that aspirin causes bleeding.", "possible"),
        ("Suspected cisplatin-induced neuropathy was seen.", "possible"),
        ("Levodopa may be of use in cisplatin-induced neuropathy.", "asserted"),
    ],
)
def test_a_claim_is_as_certain_as_its_sentence(text: str, certainty: str) -> None:
    assert [claim.certainty for claim in claims_of(text)] == [certainty]


@pytest.mark.parametrize(
    ("text", "section", "background"),
    [
        ("Aspirin caused bleeding.", "3. Results", False),
        ("Aspirin causes bleeding.", "1. Introduction", True),
        ("Aspirin has been reported to cause bleeding.", "", True),
        ("Aspirin caused bleeding [12].", "", True),
    ],
)
def test_what_was_known_before_is_background(text: str, section: str, background: bool) -> None:
    assert [claim.background for claim in claims_of(text, section)] == [background]


def test_references_claim_nothing() -> None:
    assert said("Aspirin causes bleeding.", "References") == []


def test_what_is_done_to_a_gene_has_a_direction_and_an_aspect() -> None:
    (lowered,) = claims_of("Aspirin reduced the expression of COX-2.")
    (heightened,) = claims_of("Aspirin activates TP53.")

    assert lowered.qualifiers == {
        "object_direction_qualifier": "decreased",
        "object_aspect_qualifier": "expression",
    }
    assert heightened.qualifiers["object_direction_qualifier"] == "increased"


PIECES = (
    *("aspirin", "bleeding", "BRCA1", "-induced", "caused", "(", ")", "and", ",", "no", "may", "of", "the"),
    *("a", "due to", "with", "treated", "😀", "İ", "\n", ".", "severe", "patients"),
)


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_evidence_is_the_sentence_whatever_the_text(pieces: list[str]) -> None:
    text = " ".join(pieces)

    for claim in claims_of(text):
        assert text[claim.start : claim.end] == claim.sentence
        assert claim.subject != claim.object


@pytest.mark.parametrize(("left", "right"), [*product(Role, Role)])
def test_words_that_no_rule_knows_state_nothing_and_every_pattern_is_one(left: Role, right: Role) -> None:
    assert relation_between(left, " zzz ", right) is None

    for relation in RELATIONS[left, right]:
        for pattern in (
            relation.words,
            relation.before,
            relation.after,
            relation.first_named,
            relation.named,
        ):
            assert pattern is None or re.compile(pattern)
