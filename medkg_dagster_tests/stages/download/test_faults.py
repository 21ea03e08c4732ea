"""Servers that misbehave: nothing is lost, nothing wrong or partial is ever seen under a final name."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medkg_dagster.errors import DownloadsDeferredError, StoreError
from medkg_dagster_tests.stages.download.download_runs import (
    context,
    files_under,
    partials_under,
    record,
    record_of,
    refused,
    run,
    stage,
)
from medkg_dagster_tests.stages.download.file_server import (
    HTML,
    Behaviour,
    Conversation,
    FileServer,
    bomb,
    broken_once,
    dripping,
    endless,
    in_turn,
    pdf,
    redirect,
    sha256,
    stalled,
    status,
    whole,
)

BIG = pdf(size=300_000)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as files:
        yield files


def reset(conversation: Conversation, _turn: int) -> None:
    conversation.head(200, Content_Length=str(len(BIG)))
    conversation.wfile.write(BIG[:100_000])
    conversation.reset()


def hung_up(conversation: Conversation, _turn: int) -> None:
    conversation.reset()


def garbled(conversation: Conversation, _turn: int) -> None:
    conversation.wfile.write(b"\x00\x01 this is not HTTP\r\n\r\n")
    conversation.close_connection = True


def cut_chunks(conversation: Conversation, _turn: int) -> None:
    conversation.head(200, Transfer_Encoding="chunked")
    conversation.wfile.write(b"ffff\r\n" + BIG[:65535] + b"\r\nff")
    conversation.close_connection = True


def cut_without_length(conversation: Conversation, _turn: int) -> None:
    conversation.head(200, Connection="close")
    conversation.wfile.write(BIG[:-100])
    conversation.close_connection = True


def cut_gzip(conversation: Conversation, _turn: int) -> None:
    conversation.answer(200, gzip.compress(BIG, 0)[:-1000], Content_Encoding="gzip")


def wait_and_hang_up(conversation: Conversation, _turn: int) -> None:
    stalled(BIG, 1000)(conversation, 0)


@pytest.mark.parametrize(
    "fault",
    [
        reset,
        hung_up,
        garbled,
        cut_chunks,
        cut_without_length,
        cut_gzip,
        wait_and_hang_up,
        status(408),
        status(425),
        status(500),
        status(502),
        status(503),
        status(599),
    ],
)
def test_a_fault_that_passes_is_tried_again(server: FileServer, tmp_path: Path, fault: Behaviour) -> None:
    url = server.serve("/a", in_turn(fault, fault, whole(BIG)))

    files, ctx = run(tmp_path, [record_of(url)], read_timeout_seconds=0.1)

    assert [file.sha256 for file in files] == [sha256(BIG)]
    assert record(ctx).attempts == 3
    assert partials_under(tmp_path) == []


@pytest.mark.parametrize("fault", [reset, cut_chunks, cut_without_length, cut_gzip, stalled(BIG, 290_000)])
def test_nothing_partial_is_seen_under_a_final_name(
    server: FileServer, tmp_path: Path, fault: Behaviour
) -> None:
    url = server.serve("/a", fault)

    with pytest.raises(DownloadsDeferredError, match="of 1 file 1 is left for a later attempt"):
        run(tmp_path, [record_of(url)], max_attempts=2, read_timeout_seconds=0.05)

    assert files_under(tmp_path) == {}


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 418, 451, 204, 300, 304, 206, 416])
def test_a_status_that_will_not_change_is_not_tried_again(
    server: FileServer, tmp_path: Path, code: int
) -> None:
    url = server.serve("/a", status(code))

    assert f"PermanentDownloadError: {url}: status {code}" in refused(tmp_path, url)
    assert server.count("/a") == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (HTML, "the server sent an HTML page"),
        (b"  <HTML><body>login</body></HTML>", "an HTML page"),
        (b'<?xml version="1.0"?><!-- x --><html xmlns="http://www.w3.org/1999/xhtml"/>', "an HTML page"),
        (b'<?xml version="1.0"?><OAI-PMH><error code="x"/></OAI-PMH>', "not application/pdf or"),
        (b"PK\x03\x04" + bytes(100), "not application/pdf or application/xml"),
        (bytes(1024) + pdf(), "not application/pdf or application/xml"),
        (b"", "the server sent nothing"),
    ],
)
def test_what_is_not_a_file_of_an_accepted_kind_is_refused(
    server: FileServer, tmp_path: Path, body: bytes, said: str
) -> None:
    url = server.serve("/a.pdf", whole(body, Content_Type="application/pdf"))

    assert said in refused(tmp_path, url)
    assert server.count("/a.pdf") == 1
    assert files_under(tmp_path) == {}
    assert partials_under(tmp_path) == []


def test_a_pdf_may_begin_a_little_late(server: FileServer, tmp_path: Path) -> None:
    files, _ = run(tmp_path, [record_of(server.serve("/a", whole(bytes(1000) + pdf())))])

    assert files[0].media_type == "application/pdf"


def test_a_kind_that_is_not_accepted_is_refused(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a", whole(b"<article><front/></article>"))

    assert "sent application/xml, not application/pdf" in refused(tmp_path, url, accept=["application/pdf"])


def test_a_file_declared_too_large_is_refused_before_it_comes(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a", stalled(pdf(size=100_001), 0))

    assert "100001 bytes are more than 100000 bytes; raise max_file_bytes" in refused(
        tmp_path, url, max_file_bytes=100_000
    )


def test_a_file_that_grows_too_large_is_cut(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a", endless(b"%PDF-1.7\n"))

    assert "it is more than 2000000 bytes" in refused(tmp_path, url, max_file_bytes=2_000_000)
    assert partials_under(tmp_path) == []


def test_a_bomb_is_cut(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a", bomb(50_000_000))

    assert "it is more than 1000000 bytes" in refused(tmp_path, url, max_file_bytes=1_000_000)
    assert files_under(tmp_path) == {}
    assert partials_under(tmp_path) == []


def test_a_harmless_encoding_nobody_asked_for_is_undone(server: FileServer, tmp_path: Path) -> None:
    packed = gzip.compress(BIG)
    url = server.serve(
        "/a", lambda conversation, _: conversation.answer(200, packed, Content_Encoding="gzip")
    )

    files, _ = run(tmp_path, [record_of(url)])

    assert files[0].sha256 == sha256(BIG)
    assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("encoding", "body"), [("br", b"x"), ("gzip", b"not gzip at all"), ("gzip, gzip", b"")]
)
def test_an_encoding_that_cannot_be_undone_is_refused(
    server: FileServer, tmp_path: Path, encoding: str, body: bytes
) -> None:
    url = server.serve(
        "/a", lambda conversation, _: conversation.answer(200, body, Content_Encoding=encoding)
    )

    assert "PermanentDownloadError" in refused(tmp_path, url)


def test_a_file_truncated_at_its_source_is_refused(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a", whole(BIG[:-100]))

    assert "truncated at its source" in refused(tmp_path, url)


def test_a_length_that_is_too_short_gives_no_file(server: FileServer, tmp_path: Path) -> None:
    def lie(conversation: Conversation, _turn: int) -> None:
        conversation.head(200, Content_Length="200000")
        conversation.wfile.write(BIG)
        conversation.close_connection = True

    assert "truncated at its source" in refused(tmp_path, server.serve("/a", lie))
    assert files_under(tmp_path) == {}


@pytest.mark.parametrize("length", ["-1", "1e3", "99999999999999999999999", "5, 6"])
def test_a_length_that_is_no_length_gives_no_file(server: FileServer, tmp_path: Path, length: str) -> None:
    def lie(conversation: Conversation, _turn: int) -> None:
        conversation.head(200, Content_Length=length)
        conversation.wfile.write(pdf())
        conversation.close_connection = True

    with contextlib.suppress(DownloadsDeferredError):
        files, _ = run(tmp_path, [record_of(server.serve("/a", lie))], max_attempts=1)
        assert files == ()

    assert files_under(tmp_path) == {}


def test_a_server_that_drips_is_left_when_its_time_is_up(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a", dripping(pdf(), 0.01))

    with pytest.raises(DownloadsDeferredError, match="no answer in time"):
        run(tmp_path, [record_of(url)], max_seconds_per_file=0.15, max_attempts=1)


def test_a_server_that_drips_its_headers_is_left_too(server: FileServer, tmp_path: Path) -> None:
    def drip(conversation: Conversation, _turn: int) -> None:
        conversation.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not conversation.server.files.closing.wait(0.01):
            conversation.wfile.write(b"X: y\r\n")

    with pytest.raises(DownloadsDeferredError, match="no answer in time"):
        run(
            tmp_path,
            [record_of(server.serve("/a", drip))],
            max_seconds_per_file=0.15,
            max_attempts=1,
        )


def test_headers_without_end_are_refused(server: FileServer, tmp_path: Path) -> None:
    def flood(conversation: Conversation, _turn: int) -> None:
        conversation.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not conversation.server.files.closing.is_set():
            conversation.wfile.write(b"X: " + b"y" * 1000 + b"\r\n")

    with pytest.raises(DownloadsDeferredError):
        run(tmp_path, [record_of(server.serve("/a", flood))], max_attempts=1)


def test_redirects_without_end_are_refused(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a", redirect("/b"))
    server.serve("/b", redirect("/a"))

    assert "more than 5 redirects" in refused(tmp_path, url)
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    "target",
    [
        "http://10.0.0.1/a.pdf",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/a.pdf",
        "http://[::ffff:127.0.0.1]/a.pdf",
        "http://2130706433/a.pdf",
        "http://localhost/a.pdf",
    ],
)
def test_a_redirect_to_a_private_address_is_refused(server: FileServer, tmp_path: Path, target: str) -> None:
    server.serve("/a", redirect(target))

    said = refused(tmp_path, urls={"doc:1": server.url("/a", "127.0.0.9")}, allow_private_hosts=["127.0.0.9"])

    assert "nothing is fetched from there unless allow_private_hosts names it" in said


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/a", "gopher://x", "javascript:1", "//"]
)
def test_a_redirect_to_another_kind_of_address_is_refused(
    server: FileServer, tmp_path: Path, target: str
) -> None:
    assert "PermanentDownloadError" in refused(tmp_path, server.serve("/a", redirect(target)))


def test_hostile_validators_are_not_sent_back(server: FileServer, tmp_path: Path) -> None:
    for number, etag in enumerate(['"é"', '"' + "x" * 5000 + '"', "W/"]):
        url = server.serve(f"/{number}", whole(BIG, ETag=etag))

        _, ctx = run(tmp_path / str(number), [record_of(url)])

        assert record(ctx).etag in (None, "W/")


def test_a_disk_that_cannot_be_written_fails_the_step(server: FileServer, tmp_path: Path) -> None:
    content = pdf()
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / sha256(content)[:2]).write_text("in the way")

    with pytest.raises(StoreError, match=r"^doc:1: .*check disk and permissions"):
        run(tmp_path, [record_of(server.serve("/a", whole(content)))])


def test_every_message_about_an_address_names_the_documents_it_is_fetched_for(
    server: FileServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether it is tried again, left for its next address, refused, put off or shared by two documents."""
    gone, busy = server.serve("/gone", status(404)), server.serve("/busy", status(503))
    good = server.serve("/good", in_turn(status(500), whole(pdf())))
    payloads = [
        record_of(good, document_id="doc:first"),
        record_of(good, document_id="doc:second"),
        record_of(gone, server.serve("/other", status(410)), document_id="doc:two-addresses"),
        record_of(gone, document_id="doc:gone"),
        record_of(busy, document_id="doc:busy"),
        record_of(document_id="doc:nowhere"),
    ]

    with caplog.at_level("INFO"), pytest.raises(DownloadsDeferredError) as caught:
        run(tmp_path, payloads, max_attempts=2)

    said = [entry.getMessage() for entry in caplog.records]
    assert all("doc:" in line for line in said if "http" in line)
    assert any(line.startswith("doc:first, doc:second: ") for line in said)
    assert [payload.id for payload in payloads if payload.id not in "".join(said)] == []
    assert "Left: doc:busy. The first: http" in str(caught.value)


def test_a_run_that_is_interrupted_ends_at_once(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a", stalled(BIG, 1000))
    ctx = context(tmp_path)

    def interrupt(done: int, total: int | None, unit: str) -> None:
        raise KeyboardInterrupt(f"{done} of {total} {unit}")

    ctx.report_progress = interrupt

    def answer_when_both_are_under_way(conversation: Conversation, turn: int) -> None:
        _until(lambda: server.count("/a"))
        whole(pdf())(conversation, turn)

    quick = server.serve("/b", answer_when_both_are_under_way)
    with pytest.raises(KeyboardInterrupt):
        stage(read_timeout_seconds=60).execute(
            ctx, payloads=(record_of(url), record_of(quick, document_id="doc:2"))
        )

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("download-")]


def _until(happened: Callable[[], object]) -> None:
    pause = threading.Event()
    for _ in range(500):
        if happened():
            return
        pause.wait(0.01)


def test_a_broken_transfer_leaves_no_thread_behind(server: FileServer, tmp_path: Path) -> None:
    run(tmp_path, [record_of(server.serve("/a", broken_once(BIG, 1000)))])

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("download-")]


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return cert, key


def test_https_is_checked_against_the_hosts_name(
    tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate
    with FileServer() as server:
        server.encrypt(cert, key)
        server.serve("/a", whole(pdf()))
        by_name = f"https://localhost:{server.port}/a"
        by_number = f"https://127.0.0.1:{server.port}/a"
        allowed = ["localhost", "127.0.0.1"]

        assert "certificate is not valid" in refused(tmp_path / "x", by_name, allow_private_hosts=allowed)
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        files, _ = run(tmp_path / "y", [record_of(by_name)], allow_private_hosts=allowed)
        assert files[0].sha256 == sha256(pdf())
        assert "certificate is not valid" in refused(tmp_path / "z", by_number, allow_private_hosts=allowed)

        server.serve("/b", redirect(f"http://localhost:{server.port}/a"))
        assert "redirects to the unprotected" in refused(
            tmp_path / "w", f"https://localhost:{server.port}/b", allow_private_hosts=allowed
        )
