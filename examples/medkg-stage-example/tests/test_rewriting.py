"""Documents stay valid: offsets, hashes and headings follow the text."""

from medkg_stage_example.config import DeidentifyConfig, IdentifierKind, ReplacementStyle
from medkg_stage_example.rewriting import Rewriter

from medkg_dagster.stage_api import (
    Annotation,
    AnnotationRole,
    Block,
    BlockKind,
    Document,
    Section,
    hash_content,
)
from medkg_dagster.stage_api.testing import example_document

REMOVAL = DeidentifyConfig(style=ReplacementStyle.REMOVAL)


def rewrite(document: Document, config: DeidentifyConfig | None = None) -> Document:
    return Rewriter(config or DeidentifyConfig()).rewrite(document)[0]


def block_texts(document: Document) -> list[str]:
    return [
        document.text[block.start : block.end] for section in document.sections for block in section.blocks
    ]


def test_blocks_and_headings_move_with_the_text() -> None:
    document = example_document(
        "Admitted on 12 March 2016.",
        "Ask ann@example.org.",
        heading="Visit of 2016-03-12",
        title="Case of 12/03/2016",
    )

    changed = rewrite(document)

    assert changed.title == "Case of [DATE]"
    assert changed.text == "Visit of [DATE]\n\nAdmitted on [DATE].\n\nAsk [EMAIL]."
    assert block_texts(changed) == ["Admitted on [DATE].", "Ask [EMAIL]."]
    assert changed.sections[0].title == "Visit of [DATE]"
    assert changed.content_hash == hash_content(changed.title, changed.text)


def test_a_document_without_identifiers_is_the_same_object() -> None:
    document = example_document("Dabrafenib 150 mg in melanoma, p < 0.001, in 2016 (NCT02576665).")

    assert rewrite(document) is document


def test_removal_leaves_no_double_space_and_drops_blocks_of_which_nothing_is_left() -> None:
    document = example_document("Seen on 12 March 2016 at noon; again 2016-04-01", "2016-04-01", "The end.")

    changed, tally = Rewriter(REMOVAL).rewrite(document)

    assert block_texts(changed) == ["Seen on at noon; again", "The end."]
    assert tally.dropped_blocks == 1


def test_years_stay_where_they_are_kept() -> None:
    document = example_document("Born 3 April 1921, seen on 12 March 2016 and in June 2016.")

    kept = rewrite(document, DeidentifyConfig(keep_years=True))
    removed = rewrite(document, DeidentifyConfig(keep_years=True, style=ReplacementStyle.REMOVAL))

    assert kept.text == "Born [DATE], seen on [DATE] 2016 and in [DATE] 2016."
    assert removed.text == "Born , seen on 2016 and in 2016."


def test_the_documents_own_date_is_one_as_well() -> None:
    document = example_document("Text.").model_copy(update={"date": "2016-03-12"})

    assert rewrite(document).date is None
    assert rewrite(document, DeidentifyConfig(keep_years=True)).date == "2016"
    assert rewrite(document, DeidentifyConfig(kinds=(IdentifierKind.EMAIL,))).date == "2016-03-12"


def test_authors_licence_and_address_are_looked_through() -> None:
    document = example_document("Text.").model_copy(
        update={
            "authors": ("Ann Example", "Bo Example bo@example.org", "cy@example.org"),
            "licence": "Ask dee@example.org",
            "url": "https://example.org/?mail=dee@example.org",
        }
    )

    changed = rewrite(document, REMOVAL)

    assert changed.authors == ("Ann Example", "Bo Example")
    assert changed.licence == "Ask"
    assert changed.url is None


def test_a_concept_whose_name_holds_an_identifier_is_dropped_and_counted() -> None:
    melanoma = Annotation(role=AnnotationRole.CONDITION, name="Melanoma", curie="MESH:D008545")
    named = Annotation(role=AnnotationRole.CONDITION, name="Melanoma, seen 12 March 2016")

    changed, tally = Rewriter(DeidentifyConfig()).rewrite(
        example_document("Text.", annotations=(melanoma, named))
    )

    assert changed.annotations == (melanoma,)
    assert tally.dropped_annotations == 1


def test_an_identifier_never_reaches_across_a_border_of_blocks() -> None:
    text = "12March 2016"
    blocks = (
        Block(kind=BlockKind.PARAGRAPH, start=0, end=2),
        Block(kind=BlockKind.PARAGRAPH, start=2, end=12),
    )
    document = Document(
        id="PMID:1",
        source="infores:user-supplied",
        identifiers={},
        title="",
        text=text,
        sections=(Section(title="", start=0, end=12, blocks=blocks),),
        content_hash=hash_content("", text),
    )

    assert block_texts(rewrite(document)) == ["12", "[DATE]"]
    assert block_texts(rewrite(document, REMOVAL)) == ["12"]
