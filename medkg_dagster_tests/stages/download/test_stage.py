"""The `download` stage: what is fetched, where it lies, and what is not fetched again."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from medkg_dagster.stage_api import FileStatus, InMemoryJobRecord, Payload, PayloadFormat
from medkg_dagster.stages.download import DownloadConfig, register
from medkg_dagster_tests.stages.download.download_runs import (
    files_under,
    partials_under,
    record,
    record_of,
    records_of,
    rows,
    run,
)
from medkg_dagster_tests.stages.download.file_server import (
    Conversation,
    FileServer,
    pdf,
    redirect,
    sha256,
    status,
    whole,
)

JATS = b'<?xml version="1.0"?>\n<!DOCTYPE article PUBLIC "JATS" "x.dtd">\n<article><front/></article>\n'


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as files:
        yield files


def test_the_stage_type_is_a_plugin_that_counts_files() -> None:
    metadata = register().metadata

    assert (metadata.stage_type, metadata.state_key) == ("download", "downloaded_files")
    assert metadata.dependencies == ("ingest",)
    assert metadata.output_counter(("a", "b")) == 2


def test_every_option_is_described() -> None:
    assert all(field.description for field in DownloadConfig.model_fields.values())


@pytest.mark.parametrize(
    "config",
    [
        {"url_extractors": ["a..b"]},
        {"sha256": {"doc:1": "abc"}},
        {"allow_private_hosts": ["10.0.0.0/99"]},
        {"accept": ["text/html"]},
        {"accept": []},
        {"user_agent": "a\r\nHost: evil"},
        {"max_per_hots": 3},
    ],
)
def test_a_wrong_option_is_an_error_of_loading(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DownloadConfig.model_validate(config)


def test_a_file_lies_under_its_hash_and_the_result_says_where(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a?id=7", whole(pdf()))

    files, ctx = run(tmp_path, [record_of(url)])

    (file,) = files
    name = sha256(pdf())
    assert file.path == f"files/{name[:2]}/{name}.pdf"
    assert (file.sha256, file.size, file.media_type) == (name, 2000, "application/pdf")
    assert (file.document_id, file.url) == ("doc:1", url)
    assert files_under(tmp_path) == {file.path: pdf()}
    assert partials_under(tmp_path) == []
    assert ctx.succeeded == 1


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (b"<!DOCTYPE pmc-articleset PUBLIC 'x' 'y.dtd'>\n<pmc-articleset>", b"</pmc-articleset>"),
        (
            b"<?xml version='1.0'?><OAI-PMH xmlns='u'><record><header>a</header><metadata>",
            b"</metadata></record></OAI-PMH>",
        ),
    ],
)
def test_an_article_wrapped_by_a_service_is_taken(
    server: FileServer, tmp_path: Path, before: bytes, behind: bytes
) -> None:
    content = before + b"<article xmlns='v'><front/></article>" + behind
    files, _ = run(tmp_path, [record_of(server.serve("/a", whole(content)))])

    assert files[0].media_type == "application/xml"


def test_a_pdf_may_have_more_behind_its_end(server: FileServer, tmp_path: Path) -> None:
    files, _ = run(tmp_path, [record_of(server.serve("/a", whole(pdf() + b" " * 6_000)))])

    assert files[0].media_type == "application/pdf"


def test_articles_in_xml_are_files_too(server: FileServer, tmp_path: Path) -> None:
    files, _ = run(tmp_path, [record_of(server.serve("/a", whole(JATS, Content_Type="text/plain")))])

    assert files[0].media_type == "application/xml"
    assert files[0].path.endswith(".xml")


def test_files_come_in_the_documents_order_and_always_the_same(server: FileServer, tmp_path: Path) -> None:
    urls = [server.serve(f"/{number}", whole(pdf(number, 1000 + number))) for number in range(40)]

    first, _ = run(tmp_path / "a", records_of(urls))
    second, _ = run(tmp_path / "b", records_of(urls))

    assert [file.document_id for file in first] == [f"doc:{number}" for number in range(40)]
    assert first == second


def test_the_same_bytes_from_two_places_are_stored_once(server: FileServer, tmp_path: Path) -> None:
    urls = [server.serve("/a", whole(pdf())), server.serve("/b", whole(pdf()))]

    files, _ = run(tmp_path, records_of(urls))

    assert len(files) == 2
    assert len(files_under(tmp_path)) == 1


def test_one_address_of_many_documents_is_asked_once(server: FileServer, tmp_path: Path) -> None:
    good, gone = server.serve("/a", whole(pdf())), server.serve("/b", status(404))

    files, ctx = run(tmp_path, records_of([good, good, gone, good, gone]))

    assert [file.document_id for file in files] == ["doc:0", "doc:1", "doc:3"]
    assert [document.document_id for document in ctx.quarantined] == ["doc:2", "doc:4"]
    assert (server.count("/a"), server.count("/b")) == (1, 1)


def test_connections_are_used_again(server: FileServer, tmp_path: Path) -> None:
    ports = set()

    def note(conversation: Conversation, turn: int) -> None:
        ports.add(conversation.client_address[1])
        whole(pdf(turn))(conversation, turn)

    run(tmp_path, records_of([server.serve(f"/{number}", note) for number in range(30)]), max_per_host=2)

    assert len(ports) <= 2


def test_redirects_are_followed_and_the_address_as_asked_is_kept(server: FileServer, tmp_path: Path) -> None:
    target = server.serve("/final", whole(pdf()), host="127.0.0.2")
    url = server.serve("/doi", redirect(server.serve("/next", redirect(target, 307)), 301))

    files, ctx = run(tmp_path, [record_of(url)])

    assert files[0].url == url
    assert record(ctx).attempts == 1


def test_a_document_without_address_is_left_out_and_counted(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a", whole(pdf()))

    files, ctx = run(tmp_path, [record_of(document_id="doc:0"), record_of(url)])

    assert len(files) == 1
    assert ctx.described["without_url"] == 1
    assert ctx.quarantined == []


def test_full_text_is_not_fetched_unless_an_address_is_given(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a", whole(pdf()))
    payloads = [
        Payload(id=kind, format=kind, content=JATS, source="test", origin="memory")
        for kind in (PayloadFormat.JATS_XML, PayloadFormat.TEXT)
    ]

    files, ctx = run(tmp_path, payloads, urls={"text": url})

    assert [file.document_id for file in files] == ["text"]
    assert ctx.described["without_url"] == 0


def test_configured_addresses_come_first(server: FileServer, tmp_path: Path) -> None:
    first, second = server.serve("/a", status(404)), server.serve("/b", whole(pdf(1)))
    other = server.serve("/c", whole(pdf(2)))

    files, _ = run(tmp_path, [record_of(other)], urls={"doc:1": [first, second]})

    assert files[0].url == second
    assert server.count("/c") == 0


def test_the_next_address_is_tried_where_one_fails(server: FileServer, tmp_path: Path) -> None:
    urls = [
        server.serve("/gone", status(404)),
        server.serve("/page", whole(b"<html></html>")),
        server.serve("/down", status(503)),
        "ftp://127.0.0.1/a.pdf",
        "http://10.0.0.1/a.pdf",
        server.serve("/good", whole(pdf())),
    ]

    files, ctx = run(tmp_path, [record_of(*urls)], max_attempts=2)

    assert files[0].url == urls[-1]
    assert server.count("/down") == 2
    assert rows(ctx)[0]["attempts"] == 6  # ftp is not asked at all


def test_an_unreadable_record_is_quarantined(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a", whole(pdf()))
    broken = record_of(document_id="doc:0").model_copy(update={"content": b'{"locations": ['})

    files, ctx = run(tmp_path, [broken, record_of(url)])

    assert len(files) == 1
    assert ctx.quarantined[0].error_class == "UnreadableDocumentError"


def test_a_batch_without_addresses_is_done_at_once(tmp_path: Path) -> None:
    files, ctx = run(tmp_path, [record_of()])

    assert files == ()
    assert ctx.job.fields() == {"pdf_downloaded": True}


def test_the_job_says_when_downloads_are_done(server: FileServer, tmp_path: Path) -> None:
    job = InMemoryJobRecord({"pdf_downloaded": True, "pdf_ir_ready": True})
    seen: list[dict[str, Any]] = []

    def note(conversation: Conversation, turn: int) -> None:
        seen.append(dict(job.values))
        whole(pdf())(conversation, turn)

    run(tmp_path, [record_of(server.serve("/a", note))], job, resets=["pdf_ir_ready"])

    assert seen == [{"pdf_downloaded": False, "pdf_ir_ready": False}]
    assert job.values == {"pdf_downloaded": True, "pdf_ir_ready": False}


def test_the_ledger_remembers_each_file(server: FileServer, tmp_path: Path) -> None:
    good = server.serve("/a", whole(pdf(), ETag='"v1"', Last_Modified="Wed, 01 Jan 2025 00:00:00 GMT"))
    gone = server.serve("/b", status(410))

    _, ctx = run(tmp_path, records_of([good, gone]))

    stored, failed = record(ctx, "doc:0"), record(ctx, "doc:1")
    assert (stored.status, stored.url, stored.sha256) == (FileStatus.STORED, good, sha256(pdf()))
    assert (stored.etag, stored.last_modified) == ('"v1"', "Wed, 01 Jan 2025 00:00:00 GMT")
    assert (failed.status, failed.url, failed.attempts) == (FileStatus.FAILED, gone, 1)
    assert failed.error_class == "PermanentDownloadError"
    assert "status 410" in (failed.error or "")


def test_figures_and_a_table_are_shown(server: FileServer, tmp_path: Path) -> None:
    good, gone = server.serve("/a", whole(pdf())), server.serve("/b", status(404))

    _, ctx = run(tmp_path, records_of([good, gone]))

    shown = {name: ctx.described[name] for name in ("files_downloaded", "files_reused", "files_deferred")}
    assert shown == {"files_downloaded": 1, "files_reused": 0, "files_deferred": 0}
    assert ctx.described["bytes_downloaded"] == 2000
    assert [(row["document"], row["status"], row["bytes"]) for row in rows(ctx)] == [
        ("doc:0", "stored", 2000),
        ("doc:1", "failed", None),
    ]
    assert set(rows(ctx)[0]) == {
        "document", "url", "status", "bytes", "sha256", "seconds", "attempts", "error",
    }  # fmt: skip


def test_a_second_run_asks_for_nothing(server: FileServer, tmp_path: Path) -> None:
    job = InMemoryJobRecord()
    payloads = [record_of(server.serve("/a", whole(pdf())))]
    first, _ = run(tmp_path, payloads, job)

    second, ctx = run(tmp_path, payloads, job, verify_stored=True)

    assert second == first
    assert server.count("/a") == 1
    assert (ctx.succeeded, ctx.described["files_reused"], rows(ctx)[0]["status"]) == (1, 1, "reused")


def test_a_file_of_another_document_at_the_same_address_is_used(server: FileServer, tmp_path: Path) -> None:
    job = InMemoryJobRecord()
    url = server.serve("/a", whole(pdf()))
    run(tmp_path, [record_of(url)], job)

    files, ctx = run(tmp_path, [record_of(url, document_id="doc:2")], job)

    assert [file.document_id for file in files] == ["doc:2"]
    assert server.count("/a") == 1
    assert record(ctx, "doc:2").sha256 == sha256(pdf())


@pytest.mark.parametrize("damage", ["missing", "shorter", "other bytes"])
def test_a_damaged_file_is_fetched_again(server: FileServer, tmp_path: Path, damage: str) -> None:
    job = InMemoryJobRecord()
    payloads = [record_of(server.serve("/a", whole(pdf())))]
    (file,), _ = run(tmp_path, payloads, job)
    path = tmp_path / file.path
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(bytes(10 if damage == "shorter" else file.size))

    again, _ = run(tmp_path, payloads, job, verify_stored=damage == "other bytes")

    assert again == (file,)
    assert path.read_bytes() == pdf()
    assert server.count("/a") == 2


def test_a_new_address_of_a_document_is_fetched(server: FileServer, tmp_path: Path) -> None:
    job = InMemoryJobRecord()
    run(tmp_path, [record_of(server.serve("/a", whole(pdf(1))))], job)

    (file,), _ = run(tmp_path, [record_of(server.serve("/b", whole(pdf(2))))], job)

    assert file.sha256 == sha256(pdf(2))


def test_revalidation_keeps_what_has_not_changed(server: FileServer, tmp_path: Path) -> None:
    job = InMemoryJobRecord()
    payloads = [record_of(server.serve("/a", whole(pdf())))]
    first, _ = run(tmp_path, payloads, job)

    again, ctx = run(tmp_path, payloads, job, revalidate=True)

    assert again == first
    assert "if-none-match" in server.requests[1].headers
    assert ctx.described["files_reused"] == 1


def test_revalidation_takes_what_has_changed(server: FileServer, tmp_path: Path) -> None:
    job = InMemoryJobRecord()
    payloads = [record_of(server.serve("/a", whole(pdf(1))))]
    run(tmp_path, payloads, job)
    server.serve("/a", whole(pdf(2)))

    (file,), _ = run(tmp_path, payloads, job, revalidate=True)

    assert file.sha256 == sha256(pdf(2))
    assert len(files_under(tmp_path)) == 2


@pytest.mark.parametrize("code", [404, 503])
def test_revalidation_loses_no_file_to_a_server_that_fails(
    server: FileServer, tmp_path: Path, code: int
) -> None:
    job = InMemoryJobRecord()
    payloads = [record_of(server.serve("/a", whole(pdf())))]
    first, _ = run(tmp_path, payloads, job)
    server.serve("/a", status(code))

    again, ctx = run(tmp_path, payloads, job, revalidate=True)

    assert again == first
    assert ctx.quarantined == []


def test_documents_that_share_an_address_are_revalidated_together(server: FileServer, tmp_path: Path) -> None:
    job = InMemoryJobRecord()
    url = server.serve("/a", whole(pdf()))
    first, _ = run(tmp_path, records_of([url, url]), job)

    again, _ = run(tmp_path, records_of([url, url]), job, revalidate=True)

    assert again == first
    assert server.count("/a") == 2


def test_a_file_must_have_the_hash_that_is_given(server: FileServer, tmp_path: Path) -> None:
    wrong, right = server.serve("/a", whole(pdf(1))), server.serve("/b", whole(pdf(2)))

    (file,), _ = run(tmp_path, [record_of(wrong, right)], sha256={"doc:1": sha256(pdf(2)).upper()})

    assert file.url == right
    assert list(files_under(tmp_path)) == [file.path]


def test_a_stored_file_without_the_hash_that_is_given_is_not_used(server: FileServer, tmp_path: Path) -> None:
    job = InMemoryJobRecord()
    payloads = [record_of(server.serve("/a", whole(pdf(1))))]
    run(tmp_path, payloads, job)
    server.serve("/a", whole(pdf(2)))

    (file,), _ = run(tmp_path, payloads, job, sha256={"doc:1": sha256(pdf(2))})

    assert file.sha256 == sha256(pdf(2))


def test_secrets_of_an_address_are_used_and_never_shown(
    server: FileServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = server.serve("/a?token=s3cr3t&page=2", whole(pdf()))
    bad = server.serve("/b?X-Amz-Signature=s3cr3t", status(503))
    login = good.replace("http://", "http://user:s3cr3t@")
    caplog.set_level(logging.DEBUG, logger="medkg")

    files, ctx = run(tmp_path, records_of([login, bad]), give_up_after=1)

    assert any(request.headers.get("authorization", "").startswith("Basic ") for request in server.requests)
    assert "page=2" in files[0].url
    shown = [str(files), str(ctx.job.files()), json.dumps(rows(ctx)), str(ctx.quarantined), caplog.text]
    assert not [text for text in shown if "s3cr3t" in text]


def test_addresses_that_differ_in_a_secret_only_are_not_taken_for_one_another(
    server: FileServer, tmp_path: Path
) -> None:
    job = InMemoryJobRecord()
    one = server.serve("/a?key=1", whole(pdf(1)))
    other = server.serve("/a?key=2", whole(pdf(2)))
    run(tmp_path, [record_of(one, document_id="doc:0")], job)

    (file,), _ = run(tmp_path, [record_of(other)], job)

    assert file.sha256 == sha256(pdf(2))
