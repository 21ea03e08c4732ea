"""The `ingest` stage: the source is checked while loading, its payloads are collected once each."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from medkg_dagster.errors import SourceError
from medkg_dagster.stage_api import PayloadFormat, StageContext
from medkg_dagster.stages.ingest import IngestConfig, register
from medkg_dagster_tests.stages.installed import EXTENSIONS, INSTALLED


@dataclass
class Definition:
    config: dict[str, Any]
    name: str = "ingest"
    type: str = "ingest"


@dataclass
class Progress:
    calls: list[tuple[int, int | None, str]] = field(default_factory=list)

    def __call__(self, done: int, total: int | None, unit: str) -> None:
        self.calls.append((done, total, unit))


def context() -> StageContext:
    return StageContext(
        pipeline="p", stage="ingest", job_id="default", home=Path("unused"), extensions=EXTENSIONS
    )


def test_registration_is_what_the_issue_promises() -> None:
    metadata = register().metadata
    assert (metadata.stage_type, metadata.state_key, metadata.dependencies) == ("ingest", "payloads", ())
    assert metadata.output_counter(("a", "b")) == 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"adapter": "file"}, r"unknown source 'file'; did you mean 'files'\?"),
        ({"params": {"pth": "x"}}, r"unknown parameter 'pth'; did you mean 'path'\?"),
        ({"adapter": "clinicaltrials", "params": {"page_size": 0}}, "parameter 'page_size'"),
        ({"adaptor": "files"}, "adaptor"),
    ],
)
def test_unknown_source_or_parameter_is_an_error_of_loading(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        IngestConfig.model_validate(config, context=INSTALLED)


def test_configurations_of_the_shipped_pipelines_are_valid() -> None:
    for adapter in ("auto", "clinicaltrials"):
        assert IngestConfig.model_validate({"adapter": adapter}, context=INSTALLED).params == {}


def test_bundled_corpus_is_fetched_by_default_and_always_the_same() -> None:
    first = register().builder(Definition({})).execute(context())
    assert len(first) == 20
    assert {payload.format for payload in first} == set(PayloadFormat) - {PayloadFormat.ARTICLE_RECORD}
    assert register().builder(Definition({"adapter": "auto"})).execute(context()) == first


def test_progress_and_successes_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b.txt").write_text("two")
    ctx = context()
    ctx.report_progress = progress = Progress()
    register().builder(Definition({"params": {"path": str(tmp_path)}})).execute(ctx)
    assert progress.calls == [(1, None, "payloads"), (2, None, "payloads")]
    assert ctx.succeeded == 2


def test_second_payload_of_an_id_is_quarantined_with_both_places(tmp_path: Path) -> None:
    study = json.dumps({"protocolSection": {"identificationModule": {"nctId": "NCT99990001"}}})
    (tmp_path / "a.json").write_text(study)
    (tmp_path / "b.json").write_text(study)
    ctx = context()
    payloads = register().builder(Definition({"params": {"path": str(tmp_path)}})).execute(ctx)
    assert [payload.origin for payload in payloads] == [f"{tmp_path}/a.json"]
    assert ctx.quarantined[0].document_id == f"clinicaltrials:NCT99990001 in {tmp_path}/b.json"
    assert f"already fetched from {tmp_path}/a.json" in ctx.quarantined[0].message


def test_empty_folder_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="source 'files' found no documents with parameters"):
        register().builder(Definition({"params": {"path": str(tmp_path)}})).execute(context())


def test_folder_of_bad_files_only_is_quarantine_not_an_empty_source(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04")
    ctx = context()
    assert register().builder(Definition({"params": {"path": str(tmp_path)}})).execute(ctx) == ()
    assert len(ctx.quarantined) == 1
