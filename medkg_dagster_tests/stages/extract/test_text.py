from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.stages.extract.mentions import Matcher, find_definitions
from medkg_dagster.stages.extract.sentences import sentence_spans
from medkg_dagster.stages.extract.terms import Vocabulary
from medkg_dagster.vocabulary.concepts import Concept

MATCHER = Matcher(
    Vocabulary(
        (
            Concept("X:1", "Melanoma", "biolink:Disease"),
            Concept("X:2", "Lung Neoplasms", "biolink:Disease", ("lung cancer",)),
            Concept("X:3", "Neoplasms", "biolink:Disease", ("cancer",)),
            Concept("X:4", "Arthritis, Rheumatoid", "biolink:Disease"),
            Concept("X:5", "Programmed Cell Death 1 Receptor", "biolink:Protein", ("PD-1",)),
            Concept("X:6", "Alanine Transaminase", "biolink:Protein", ("ALT",)),
            Concept("X:7", "NSAID", "biolink:ChemicalEntity"),
            Concept("X:8", "Neoplasm Metastasis", "biolink:Disease", ("metastasis",)),
            Concept("X:9", "Stevens-Johnson Syndrome", "biolink:Disease"),
            Concept("X:10", "TNF-α", "biolink:Protein"),
            Concept("X:11", "HIV Infections", "biolink:Disease"),
        )
    )
)


def found(text: str) -> list[tuple[str, str]]:
    return [(m.concept.curie, text[m.start : m.end]) for m in MATCHER.find(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MELANOMA, melanomas and Melanoma-free", ["MELANOMA", "melanomas", "Melanoma"]),
        ("lung cancer is a cancer", ["lung cancer", "cancer"]),
        ("rheumatoid arthritis; Arthritis, Rheumatoid", ["rheumatoid arthritis", "Arthritis, Rheumatoid"]),
        ("PD-1 and PD‑1, not pd-1", ["PD-1", "PD‑1"]),
        ("ALT rose, alt did not, SALT neither", ["ALT"]),
        ("NSAIDs", ["NSAIDs"]),
        ("brain metastases", ["metastases"]),
        ("stevens-johnson syndrome", ["stevens-johnson syndrome"]),
        ("TNF-α\u00a0level", ["TNF-α"]),
        ("hiv infections and HIV infection", ["HIV infection"]),
        ("HIV INFECTIONS", ["HIV INFECTIONS"]),
        ("premelanoma cancerous émelanoma", []),
        ("İİİ melanoma 😀 melanoma", ["melanoma", "melanoma"]),
    ],
)
def test_names_are_found_with_exact_offsets(text: str, expected: list[str]) -> None:
    assert [surface for _, surface in found(text)] == expected


@given(st.lists(st.sampled_from(["melanoma", "PD-1", "lung cancer", "İ", "ß", "😀", "x", ", ", " ", "-"])))
def test_mentions_are_ordered_disjoint_and_between_word_boundaries(parts: list[str]) -> None:
    text = "".join(parts)
    end = 0
    for mention in MATCHER.find(text):
        assert end <= mention.start < mention.end
        end = mention.end
        assert mention.start == 0 or not text[mention.start - 1].isalnum()
        assert end == len(text) or not text[end].isalnum()


@pytest.mark.parametrize(
    "text",
    [
        "Colitis was seen.| It resolved.",
        "We used 2.5 mg vs. 5.0 mg of drug.| Results differ.",
        "See Fig. 2 and Smith et al. 2015 for details.| The end.",
        "Smith et al. reported this.| J. R. Smith did not.",
        "Antibodies (e.g. Nivolumab) work.| Others do not!| Why?| Nobody knows.",
        "It was mild.[3,4]| Then it was not.",
        '"It hurts."| She left.',
        "Dose no. 3 was given on Jan. 5, 2016.| Dose 4 was not.",
        "1. Age over 18 years",
        "He had hepatitis B.| She had none.",
        "Rates fell to 3.| We stopped.",
        "Études randomisées. | Été comme hiver.",
    ],
)
def test_sentences_end_where_people_end_them(text: str) -> None:
    pieces = [piece.strip() for piece in text.split("|")]
    joined = " ".join(pieces)

    assert [joined[start:end] for start, end in sentence_spans(joined)] == pieces


@given(st.text(alphabet="aA.?! \n()[]12é"))
def test_sentences_cover_everything_but_white_space(text: str) -> None:
    spans = list(sentence_spans(text))

    assert "".join("".join(text[start:end].split()) for start, end in spans) == "".join(text.split())
    assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("non-small cell lung cancer (NSCLC) is", [("NSCLC", "non-small cell lung cancer")]),
        ("checkpoint inhibitor colitis (CIC) came", [("CIC", "checkpoint inhibitor colitis")]),
        ("Schwartz-Hearst (SH); heart failure (HF)", [("SH", "Schwartz-Hearst"), ("HF", "heart failure")]),
        ("acute myeloid leukaemia [AML]", [("AML", "acute myeloid leukaemia")]),
        ("overall survival (OS, primary)", [("OS", "overall survival")]),
        ("we saw colitis (see Table 2)", []),
        ("nivolumab (n=12)", []),
        ("(ABC)", []),
        ("a disease (XYZ)", []),
        ("PD-1 (PD-1)", []),
    ],
)
def test_abbreviations_are_found_with_their_long_forms(text: str, expected: list[tuple[str, str]]) -> None:
    definitions = list(find_definitions(text))

    assert [(found.short, text[found.start : found.end]) for found in definitions] == expected
    assert all(text.startswith(found.short, found.defined_at) for found in definitions)


@given(st.text(alphabet="abAB1- ()[],;"))
def test_a_long_form_stands_before_its_short_form(text: str) -> None:
    for definition in find_definitions(text):
        assert 0 <= definition.start < definition.end <= definition.defined_at
        assert len(definition.short) < definition.end - definition.start
