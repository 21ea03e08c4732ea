"""Example values are such as the built-in stages make and take."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from medkg_dagster.domain.gate_conditions import GateClause, GateCondition
from medkg_dagster.errors import GateConditionError
from medkg_dagster.stage_api import PayloadFormat, hash_content
from medkg_dagster.stage_api.testing import (
    check_stage,
    example_chunks,
    example_document,
    example_payload,
    example_topology,
    run_stage,
)


def registered(name: str) -> Any:
    """Return what the entry point of a built-in stage type names."""
    return importlib.import_module(f"medkg_dagster.stages.{name}").register


def test_the_offsets_and_the_hash_of_an_example_document_are_right() -> None:
    document = example_document("One.", "Two.", title="T", heading="Results", identifiers={"PMID": "1"})

    (section,) = document.sections
    assert document.text == "Results\n\nOne.\n\nTwo."
    assert [document.text[block.start : block.end] for block in section.blocks] == ["One.", "Two."]
    assert document.content_hash == hash_content("T", document.text)


def test_other_content_has_another_id_and_a_given_id_is_kept() -> None:
    assert example_document("One.").id != example_document("Two.").id
    assert example_document("One.") == example_document("One.")
    assert example_document(document_id="PMID:1").id == "PMID:1"
    assert example_payload("One.").id != example_payload("Two.").id
    assert example_payload(b"%PDF-1.7", payload_format=PayloadFormat.PDF).content == b"%PDF-1.7"


def test_example_chunks_are_the_blocks_of_their_documents() -> None:
    documents = example_document("One.", "Two."), example_document("Three.")

    chunks = example_chunks(*documents)

    assert [(chunk.text, chunk.ordinal, chunk.document_id) for chunk in chunks] == [
        ("One.", 0, documents[0].id),
        ("Two.", 1, documents[0].id),
        ("Three.", 0, documents[1].id),
    ]
    assert len({chunk.id for chunk in chunks}) == 3
    assert len(example_chunks()) == 1


def test_the_built_in_stages_hold_to_their_contract_on_example_values() -> None:
    documents = check_stage(registered("parse"), {"payloads": (example_payload(),)}).state
    checked = check_stage(registered("ir_validation"), documents).state
    assert check_stage(registered("chunk"), checked).output_count == 1
    chunks = {"chunks": example_chunks(example_document(heading="Results"))}
    embedded = check_stage(
        registered("embed"), chunks, config={"embedder": "hashing", "params": {"dimension": 32}}
    ).state
    assert check_stage(registered("index"), {**chunks, **embedded}).output_count == 1
    assert check_stage(registered("extract"), checked).state["entities"]


def test_the_gate_of_an_example_pipeline_opens_with_the_fields_of_the_job() -> None:
    opened = GateCondition(clauses=(GateClause(field="reviewed", value=True),))
    pipeline = example_topology("pdf", gates={"review": opened}, gate_stage="review-gate")

    run = check_stage(registered("gate"), name="review-gate", topology=pipeline, fields={"reviewed": True})

    assert run.described["gate"] == "review"
    assert pipeline.gate_stage("review") == "review-gate"
    assert pipeline.gate_stage("other") is None
    with pytest.raises(GateConditionError, match="'review' is closed"):
        run_stage(registered("gate"), name="review-gate", topology=pipeline)
