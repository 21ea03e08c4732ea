"""What the graph is given of a document is made where the work of other stages is done."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from medkg_dagster.stages.knowledge_graph import preparation
from medkg_dagster_tests.end_to_end.running import REPOSITORY
from medkg_dagster_tests.end_to_end.shipped_pipeline import Home

CORPUS = REPOSITORY / "medkg_dagster" / "corpus" / "documents"


def refuse(*_args: object) -> NoReturn:
    raise AssertionError("made in the step's process")


def test_a_graph_whose_documents_are_prepared_in_other_processes_is_that_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = Home(tmp_path / "here"), Home(tmp_path / "there")
    here.run(CORPUS)
    monkeypatch.setattr(preparation, "document_graph", refuse)

    there.run(CORPUS, workers=2)

    assert here.rows() == there.rows()
    assert len(there.shown()) > 5
