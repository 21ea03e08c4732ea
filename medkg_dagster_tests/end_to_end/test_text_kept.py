"""How whole documents are, from a run of the shipped pipeline `auto` to what the commands show of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from dagster import AssetKey, AssetMaterialization, ExecuteInProcessResult
from fpdf import FPDF
from PIL import Image

from medkg_dagster.cli import main
from medkg_dagster_tests.end_to_end.shipped_pipeline import AutoPipeline, write_article
from medkg_dagster_tests.stages.parse.test_pdf_garbled import garbled_pdf

PARSE = AssetKey(("auto", "parse"))
FIGURES = ("text_kept_percent", "text_kept_low", "text_left_out", "text_lost")


def scanned(pages: int) -> bytes:
    """Return a cover with text, and pages behind it that are images."""
    pdf = FPDF(format="A4", unit="pt")
    pdf.add_page()
    pdf.set_font("helvetica", size=10)
    pdf.text(40, 100, "Aspirin in the treatment of stroke, from the archive of a library")
    for _ in range(pages):
        pdf.add_page()
        pdf.image(Image.new("L", (60, 80), 128), 0, 0, pdf.w, pdf.h)
    return bytes(pdf.output())


def materialized(result: ExecuteInProcessResult) -> AssetMaterialization:
    """Return the materialization of `parse`."""
    events = [event for event in result.all_events if event.is_step_materialization]
    (made,) = [event.materialization for event in events if event.asset_key == PARSE]
    return made


def shown(result: ExecuteInProcessResult) -> dict[str, Any]:
    """Return what the asset of `parse` and its check show."""
    made = materialized(result)
    (evaluation,) = [one for one in result.get_asset_check_evaluations() if one.asset_key == PARSE]
    assert evaluation.check_name == "text_kept"
    figures = {name: made.metadata[name] for name in FIGURES}
    return {**figures, "passed": evaluation.passed, "verdict": dict(evaluation.metadata)}


def test_what_is_kept_of_documents_is_shown_alike_of_computed_and_of_reused_ones(tmp_path: Path) -> None:
    papers = tmp_path / "papers"
    write_article(papers, 1)
    (papers / "garbled.pdf").write_bytes(garbled_pdf(12, garbled=3))
    (papers / "letter.txt").write_text("A letter\n\nAspirin helps in stroke, as far as we know today.\n")
    (papers / "notes.txt").write_text("Notes\n\nAspirin helps in stroke, and nobody knows the reason.\n")
    (papers / "scan.pdf").write_bytes(scanned(6))
    auto = AutoPipeline.compiled(tmp_path / "home")

    first, again = auto.run(papers), auto.run(papers)

    assert shown(first) == shown(again)
    assert not shown(first)["passed"]
    assert materialized(again).metadata["computed"].value == 0
    commands = CliRunner(env={"MEDKG_HOME": str(tmp_path / "home")})
    (garbled,) = json.loads(commands.invoke(main, ["why", "garbled.pdf", "--json"]).stdout)
    name = garbled["known"]["id"]
    for command in (["why"], ["documents", "show"]):
        lines = commands.invoke(main, [*command, name]).stdout
        assert "  holds 100.00 % of its source: 480 of 480 glyphs, pages 1, pages without text 0" in lines
        assert "glyphs without meaning 120, tables 0\n" in lines
        assert "lost: 120 of 480 glyphs are in fonts without meaning (25%); run OCR on it first" in lines
    assert "6 of 7 pages hold no text, only images (86%): run OCR" in " ".join(
        commands.invoke(main, ["why", "scan.pdf"]).stdout.split()
    )
    record = commands.invoke(main, ["documents", "show", "PMID:1"]).stdout
    assert "words, tables 0\n" in record
