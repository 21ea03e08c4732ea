"""How whole documents are is shown on the materialization of `parse`."""

from __future__ import annotations

from medkg_dagster.stage_api import CheckVerdict, Payload, PayloadFormat, StageContext
from medkg_dagster.stages.parse import register
from medkg_dagster_tests.stages.parse.test_pdf_garbled import garbled_pdf
from medkg_dagster_tests.stages.real_payloads import context
from medkg_dagster_tests.stages.running import run

REPLY = "<sub-article><body><p>Left out by rule.</p></body></sub-article>"


def article(number: int, behind: str = "") -> Payload:
    content = (
        f"<article><front><article-meta><article-id pub-id-type='pmid'>{number}</article-id><title-group>"
        "<article-title>Six words</article-title></title-group></article-meta></front>"
        f"<body><p>More words of text.</p></body>{behind}</article>"
    )
    kind = PayloadFormat.JATS_XML
    return Payload(id=f"PMID:{number}", format=kind, content=content.encode(), source="test", origin="memory")


def test_the_share_of_text_that_documents_hold_is_a_figure_and_those_that_hold_least_a_table() -> None:
    ctx = context()

    run(register, ctx, payloads=(article(1), article(2, REPLY), article(3, REPLY * 2)))

    assert ctx.described["text_kept_percent"] == round(100 * 18 / 33, 2)
    assert ctx.described["text_left_out"] == [
        {"document": f"PMID:{number}", "title": "Six words", "percent": percent, "left_out": reasons}
        for number, percent, reasons in (
            (3, 40.0, "metadata: 1, sub-articles: 8"),
            (2, 54.55, "metadata: 1, sub-articles: 4"),
            (1, 85.71, "metadata: 1"),
        )
    ]


def test_documents_that_hold_all_of_their_sources_are_no_table() -> None:
    ctx = context()
    text = Payload(
        id="sha256:1", format=PayloadFormat.TEXT, content=b"All of it.", source="test", origin="memory"
    )

    run(register, ctx, payloads=(text,))

    assert ctx.described["text_kept_percent"] == 100
    assert "text_left_out" not in ctx.described


def judged(ctx: StageContext) -> CheckVerdict:
    (check,) = register().metadata.checks
    return check.judge(ctx.described)


def test_a_document_that_holds_less_than_it_should_fails_the_check_and_is_listed_with_what_to_do() -> None:
    ctx = context()
    payload = Payload(
        id="a", format=PayloadFormat.PDF, content=garbled_pdf(12, 3), source="test", origin="a.pdf"
    )

    made = run(register, ctx, payloads=(payload, article(1)))["document"]

    assert judged(ctx) == CheckVerdict(
        passed=False,
        described={
            "documents_below": 1,
            "percent_of_all": ctx.described["text_kept_percent"],
            "worst": [
                {
                    "document": made[0].id,
                    "title": made[0].title,
                    "percent": 75.0,
                    "lost": "120 of 480 glyphs are in fonts without meaning (25%)",
                    "what_to_do": "run OCR on it first",
                }
            ],
        },
    )


def test_what_a_rule_leaves_out_fails_no_check() -> None:
    ctx = context()

    run(register, ctx, payloads=(article(1, REPLY * 20),))

    assert judged(ctx).passed


def test_where_the_check_warns_is_for_the_pipeline_to_say() -> None:
    ctx = context()
    payload = Payload(
        id="a", format=PayloadFormat.PDF, content=garbled_pdf(12, 3), source="test", origin="a.pdf"
    )

    run(register, ctx, {"text_kept_warning": 0.7}, payloads=(payload,))

    assert judged(ctx).passed


def test_a_step_without_documents_passes_the_check() -> None:
    ctx = context()

    run(register, ctx, payloads=())

    assert judged(ctx).passed
