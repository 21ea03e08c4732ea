"""The stage as a pipeline runs it."""

import pytest
from medkg_stage_example.stage import register

from medkg_dagster.stage_api import Document, StageConfigError
from medkg_dagster.stage_api.testing import check_stage, example_document, run_stage

LETTER = example_document(
    "Mr. Example, a 93-year-old man (MRN 00482913), was seen on 12 March 2016.",
    "Questions: (617) 555-0132 or ward@example.org.",
    title="Discharge letter",
    document_id="sha256:1",
)
ARTICLE = example_document("Dabrafenib 150 mg twice daily in melanoma.", document_id="PMID:26492265")


def test_the_stage_holds_to_its_contract() -> None:
    check_stage(register, {"document": (LETTER, ARTICLE)}, config={"keep_years": True})


def test_identifiers_are_replaced_and_counted() -> None:
    run = run_stage(register, {"document": (LETTER, ARTICLE)})

    letter, article = run.state["document"]
    assert letter.text == (
        "Mr. Example, a [AGE] man (MRN [RECORD_NUMBER]), was seen on [DATE].\n\n"
        "Questions: [PHONE] or [EMAIL]."
    )
    assert article == ARTICLE
    assert run.output_count == 2
    shown = {name: value for name, value in run.described.items() if value}
    assert shown == {
        "replaced_email": 1,
        "replaced_phone": 1,
        "replaced_date": 1,
        "replaced_record_number": 1,
        "replaced_age": 1,
        "documents_changed": 1,
    }


def test_the_report_counts_by_document_and_quotes_nothing() -> None:
    run = run_stage(register, {"document": (LETTER, ARTICLE)})

    report = run.state["deidentification_report"]
    assert [(item.document_id, sum(item.replaced.values())) for item in report.documents] == [
        ("sha256:1", 5),
        ("PMID:26492265", 0),
    ]
    assert "00482913" not in report.model_dump_json()


def test_a_document_of_which_nothing_is_left_is_quarantined_and_the_others_go_on() -> None:
    empty = example_document("12 March 2016", title="", document_id="PMID:1")

    run = run_stage(register, {"document": (empty, *(ARTICLE,) * 9)}, config={"style": "removal"})

    assert [item.error_class for item in run.quarantined] == ["RejectedDocumentError"]
    assert len(run.state["document"]) == 9


@pytest.mark.parametrize(
    "config",
    [{"kinds": ["name"]}, {"kinds": []}, {"style": "black"}, {"record_patterns": ["(a+)+"]}, {"year": True}],
)
def test_a_wrong_configuration_is_refused_before_anything_runs(config: dict[str, object]) -> None:
    with pytest.raises(StageConfigError):
        run_stage(register, {"document": ()}, config=config)


def test_an_empty_batch_gives_an_empty_one() -> None:
    documents: tuple[Document, ...] = ()

    assert run_stage(register, {"document": documents}).state["document"] == ()
