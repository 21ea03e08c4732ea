from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.errors import RejectedDocumentError, UnreadableDocumentError
from medkg_dagster.stage_api import Block, BlockKind, Document, Section, hash_content
from medkg_dagster.stages.ir_validation import IrValidationConfig, IrValidationStage, register
from medkg_dagster.stages.parse import register as parse
from medkg_dagster_tests.stages.real_payloads import articles, context, parsed_pdfs, records, studies
from medkg_dagster_tests.stages.running import run

PROSE = "Aspirin reduced the risk of stroke in adults with atrial fibrillation."


def document(text: str = PROSE, identifier: str = "PMID:1", **changes: object) -> Document:
    block = Block(kind=BlockKind.PARAGRAPH, start=0, end=len(text))
    sections = (Section(title="", start=0, end=len(text), blocks=(block,)),) if text else ()
    made = Document(
        id=identifier,
        source="infores:pubmed",
        identifiers={},
        title="A title",
        text=text,
        sections=sections,
        content_hash=hash_content("A title", text),
    )
    return made.model_copy(update=changes)


def check(candidate: Document, **config: object) -> None:
    IrValidationStage(IrValidationConfig.model_validate(config)).check(candidate)


def test_a_usable_document_passes_unchanged() -> None:
    good = document()

    assert run(register, context(), document=(good,)) == {"document": (good,)}


@pytest.mark.parametrize("text", ["", "Too short.", "a " * 19])
def test_a_document_without_enough_text_is_empty(text: str) -> None:
    with pytest.raises(RejectedDocumentError, match=r"empty: .* at least 20"):
        check(document(text))


def test_the_least_number_of_characters_is_configurable() -> None:
    check(document("Short."), min_characters=6)


@pytest.mark.parametrize(
    ("named", "kept"),
    [
        ({"identifiers": {"PMID": "1"}}, True),
        ({"authors": ("Ann Bee",), "date": "2020"}, True),
        ({"authors": ("Ann Bee",)}, False),
        ({}, False),
    ],
)
def test_a_title_alone_is_kept_as_the_record_of_an_article_that_is_named(
    named: dict[str, object], kept: bool
) -> None:
    record = document("Reply.", title="Reply.", content_hash=hash_content("Reply.", "Reply."))
    record = record.model_copy(update=named)

    with nullcontext() if kept else pytest.raises(RejectedDocumentError, match="empty"):
        check(record)
    with pytest.raises(RejectedDocumentError, match="empty"):
        check(record, keep_records=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PROSE + " M\ufffdn\ufffdch\ufffdn", "3 replacement characters .U.FFFD."),
        (PROSE + " a\x00b\x01c\x02", "3 control characters"),
        (PROSE + " CafÃ© rÃ©sumÃ©", "3 sequences of UTF-8 read as Latin-1"),
        (PROSE + " Itâ€™s Roeâ€™s drugâ€”now", "3 sequences of UTF-8 read as Latin-1"),
        (PROSE + " Î±-blocker, Î²-blocker, Î³-globulin", "3 sequences of UTF-8 read as Latin-1"),
    ],
)
def test_a_mis_encoded_document_is_refused_with_the_place(text: str, message: str) -> None:
    with pytest.raises(UnreadableDocumentError, match=f"mis-encoded: {message}, the first at offset"):
        check(document(text))


@settings(deadline=None)
@given(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1), st.sampled_from("éüßαβμ’—≥")
)
def test_prose_read_in_the_wrong_encoding_is_found_and_in_the_right_one_is_not(
    prose: str, letter: str
) -> None:
    right = f"{PROSE} {letter}{prose[:50]}{letter}{letter}"

    check(document(right))
    with pytest.raises(UnreadableDocumentError, match="mis-encoded"):
        check(document(right.encode().decode("latin-1")))


@pytest.mark.parametrize(
    "text", [f"{PROSE} Château, señor, Ångström, GRÂCE À DIEU, naïve", f"{PROSE} 5 Â± 1"]
)
def test_true_letters_with_accents_and_one_slip_are_no_mis_encoding(text: str) -> None:
    check(document(text))


@pytest.mark.parametrize(
    "ending", [" [truncated]", " ... [Text truncated]", " (cut off)", " [... truncated ...]", " <truncated>."]
)
def test_a_document_that_ends_with_a_marker_is_truncated(ending: str) -> None:
    with pytest.raises(UnreadableDocumentError, match="truncated: the text ends with"):
        check(document(PROSE + ending))


@pytest.mark.parametrize(
    "ending",
    [
        " The gene product is truncated.",
        " We studied the protein (truncated) in mice.",
        " (ABSTRACT TRUNCATED AT 250 WORDS)",
        " and then",
    ],
)
def test_prose_about_truncation_and_abstracts_cut_by_pubmed_pass(ending: str) -> None:
    check(document(PROSE + ending))


def test_retracted_documents_are_rejected_unless_allowed() -> None:
    retracted = document(retracted="retracted article")

    with pytest.raises(RejectedDocumentError, match="it is a retracted article"):
        check(retracted)
    check(retracted, reject_retracted=False)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ([(0, 500, [])], "truncated: section 'S' ends at 500"),
        ([(10, 20, []), (15, 30, [])], "overlaps"),
        ([(20, 10, [])], "overlaps"),
        ([(0, 20, [(5, 25)])], "out of place"),
        ([(0, 20, [(5, 5)])], "out of place"),
        ([(0, 20, [(0, 10), (9, 20)])], "out of place"),
    ],
)
def test_offsets_that_do_not_fit_the_text_are_refused(
    sections: list[tuple[int, int, list[tuple[int, int]]]], message: str
) -> None:
    made = tuple(
        Section(
            title="S",
            start=start,
            end=end,
            blocks=tuple(Block(kind=BlockKind.PARAGRAPH, start=a, end=b) for a, b in blocks),
        )
        for start, end, blocks in sections
    )
    with pytest.raises(UnreadableDocumentError, match=message):
        check(document(sections=made))


def test_a_text_changed_after_parsing_is_refused() -> None:
    with pytest.raises(UnreadableDocumentError, match="content hash"):
        check(document(text=PROSE, content_hash=hash_content("A title", "other")))


def test_of_several_forms_the_best_usable_one_stays_whatever_their_order() -> None:
    more = document(PROSE + " More.", identifier="PMID:2")
    batch = (
        document(identifier="PMID:1", retracted="retracted article"),
        document(identifier="PMID:2"),
        document(identifier="sha256:a"),
        document(PROSE + " More of it.", identifier="PMID:2", retracted="retracted article"),
        more,
    )
    for order in (batch, batch[::-1]):
        ctx = context("ir-validation")

        kept = run(register, ctx, document=order)["document"]

        assert kept == (more,)
        assert ctx.succeeded == 1
        said = [item.message for item in ctx.quarantined if item.status is DocumentStatus.SUPERSEDED]
        assert sorted(said) == [
            "duplicate: it is PMID:2, by way of other forms",
            "duplicate: there is a better form of it",
        ]
        assert {item.error_class for item in ctx.quarantined} == {"RejectedDocumentError"}


def test_one_text_is_one_document_but_not_under_two_numbers_of_one_register() -> None:
    def kept(*names: str) -> list[str]:
        batch = tuple(document(identifier=name) for name in names)
        return [item.id for item in run(register, context("ir-validation"), document=batch)["document"]]

    assert kept("sha256:b", "sha256:a") == kept("sha256:a", "sha256:b") == ["sha256:a"]
    assert kept("PMID:1", "PMID:2") == ["PMID:1", "PMID:2"]


def test_the_stage_shadows_parse_for_the_same_key() -> None:
    metadata = register().metadata

    assert metadata.state_key == "document"
    assert metadata.dependencies == ("parse",)


def test_of_the_real_files_only_retractions_and_true_duplicates_are_refused(shared_data: Path) -> None:
    payloads = (*studies(shared_data), *articles(shared_data), *records(shared_data))
    parsed = run(parse, context(), payloads=payloads)["document"] + parsed_pdfs(shared_data)
    ctx = context("ir-validation")

    kept = run(register, ctx, document=parsed)["document"]

    ids = [item.id for item in parsed]
    repeated = {identifier for identifier in ids if ids.count(identifier) > 1}
    for item in ctx.quarantined:
        assert "duplicate" in item.message or "retract" in item.message, item.message
        assert item.document_id in repeated or "retract" in item.message
    assert len(kept) == len(set(ids)) - 1
