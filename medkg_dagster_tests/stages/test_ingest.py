"""The `ingest` stage: the source is checked while loading, its payloads are collected once each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from medkg_dagster.domain.holdings import Listing, ListingOutcome
from medkg_dagster.errors import BatchFailedError, SourceError
from medkg_dagster.stage_api import (
    Extension,
    ExtensionKind,
    InMemoryJobRecord,
    NoParameters,
    Payload,
    PayloadFormat,
    StageContext,
)
from medkg_dagster.stage_api._extensions import GivenExtensions
from medkg_dagster.stages.ingest import IngestConfig, register
from medkg_dagster_tests.stages.installed import EXTENSIONS, INSTALLED
from medkg_dagster_tests.stages.running import run


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
    first = run(register, context())["payloads"]
    assert len(first) == 20
    of_ones_own = {
        *(PayloadFormat.ARTICLE_RECORD, PayloadFormat.HTML),
        *(PayloadFormat.EPUB, PayloadFormat.DOCX),
    }
    assert {payload.format for payload in first} == set(PayloadFormat) - of_ones_own
    assert run(register, context(), {"adapter": "auto"})["payloads"] == first


def test_progress_and_successes_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b.txt").write_text("two")
    ctx = context()
    ctx.report_progress = progress = Progress()
    run(register, ctx, {"params": {"path": str(tmp_path)}})
    assert progress.calls == [(1, None, "payloads"), (2, None, "payloads")]
    assert ctx.succeeded == 2


def test_second_payload_of_an_id_is_quarantined_with_both_places(tmp_path: Path) -> None:
    study = json.dumps({"protocolSection": {"identificationModule": {"nctId": "NCT99990001"}}})
    (tmp_path / "a.json").write_text(study)
    (tmp_path / "b.json").write_text(study)
    ctx = context()
    payloads = run(register, ctx, {"params": {"path": str(tmp_path)}})["payloads"]
    assert [payload.origin for payload in payloads] == [f"{tmp_path}/a.json"]
    assert ctx.quarantined[0].document_id == f"clinicaltrials:NCT99990001 in {tmp_path}/b.json"
    assert f"already fetched from {tmp_path}/a.json" in ctx.quarantined[0].message


def test_empty_folder_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="source 'files' found no documents with parameters"):
        run(register, context(), {"params": {"path": str(tmp_path)}})


def test_folder_of_bad_files_only_is_quarantine_not_an_empty_source(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04")
    ctx = context()
    with pytest.raises(BatchFailedError, match=r"1 of 1 document failed.*First: a\.zip"):
        run(register, ctx, {"params": {"path": str(tmp_path)}})
    assert len(ctx.quarantined) == 1


class ListedJob(InMemoryJobRecord):
    """A ledger job that keeps what was listed, and says that some of it waits to be withdrawn."""

    def __init__(self, waiting: int = 0) -> None:
        super().__init__()
        self.waiting = waiting
        self.listings: list[Listing] = []

    def record_listing(self, listing: Listing) -> ListingOutcome:
        self.listings.append(listing)
        return ListingOutcome(current=9, new=1, changed=0, withdrawn=0, waiting=self.waiting)


def listed(folder: Path, job: ListedJob, **params: Any) -> StageContext:
    ctx = StageContext("auto", "ingest", "default", Path("unused"), job=job, extensions=EXTENSIONS)
    run(register, ctx, {"params": {"path": str(folder), **params}})
    return ctx


def test_the_ledger_is_told_what_the_source_has_and_what_of_it_is_of_no_use(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b.zip").write_bytes(b"PK\x03\x04")
    job = ListedJob()

    ctx = listed(tmp_path, job)

    (listing,) = job.listings
    assert (listing.stage, listing.source, listing.parameters) == ("ingest", "files", {"path": str(tmp_path)})
    assert [(item.id, item.origin) for item in listing.items] == [("a.txt", f"{tmp_path}/a.txt")]
    assert listing.refused.keys() == {"b.zip"}
    assert listing.is_full
    assert ctx.described["listing_is_full"] is True
    assert (ctx.described["documents_current"], ctx.described["documents_new"]) == (9, 1)


def test_a_folder_with_a_file_that_cannot_be_read_is_no_full_listing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "loop.txt").symlink_to(tmp_path / "loop.txt")
    job = ListedJob()

    ctx = listed(tmp_path, job)

    assert not job.listings[0].is_full
    assert ctx.described["listing_is_full"] is False


def test_a_file_that_is_too_large_does_not_hide_what_is_gone(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b.txt").write_text("x" * 100)
    job = ListedJob()

    listed(tmp_path, job, max_file_bytes=50)

    assert job.listings[0].is_full


def test_what_waits_to_be_withdrawn_is_told_with_the_command_that_takes_it_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.txt").write_text("one")

    listed(tmp_path, ListedJob(waiting=4))

    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "4 of 9 documents are listed no more" in warning
    assert "`medkg documents withdraw --accept auto`" in warning


def test_of_a_source_that_does_not_say_that_it_lists_all_nothing_is_gone(tmp_path: Path) -> None:
    class Feed:
        def fetch(self, ctx: StageContext) -> Iterator[Payload]:
            del ctx
            yield Payload(id="a", format=PayloadFormat.TEXT, content=b"text", source="feed", origin="feed:a")

    feed = Extension(ExtensionKind.SOURCE, "feed", "A feed.", NoParameters, lambda *_: Feed())
    job = ListedJob()
    ctx = StageContext("auto", "ingest", "default", tmp_path, job=job, extensions=GivenExtensions([feed]))

    run(register, ctx, {"adapter": "feed"})

    assert not job.listings[0].is_full
