"""`parse` behind a download: files, converted files, and records that complete them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from medkg_dagster.errors import BatchFailedError, DocumentError
from medkg_dagster.stage_api import (
    Block,
    BlockKind,
    Document,
    DownloadedFile,
    Payload,
    PayloadFormat,
    QuarantinedDocument,
    Section,
    StageContext,
    hash_content,
)
from medkg_dagster.stages.parse import ParseConfig, ParseStage, register
from medkg_dagster_tests.stages.running import run

TEXT = "We treated patients."
RECORD = {"doi": "10.5555/ABC", "title": "The record's title", "authors": ["Ada Lovelace"], "date": "2020"}
TOO_LONG = {"kind": "paragraph", "start": 3, "end": 12}
PDFS = Path(__file__).parent.parent.parent.parent / "medkg_dagster" / "corpus" / "documents" / "pdfs"


def payload(kind: PayloadFormat = PayloadFormat.ARTICLE_RECORD, content: Any = RECORD) -> Payload:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Payload(id="DOI:10.5555/abc", format=kind, content=data, source="test", origin="memory")


def stored(home: Path, content: bytes, media_type: str = "application/pdf") -> DownloadedFile:
    digest = hashlib.sha256(content).hexdigest()
    path = home / "files" / digest[:2] / f"{digest}.{'pdf' if media_type == 'application/pdf' else 'xml'}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return DownloadedFile(
        document_id="DOI:10.5555/abc",
        url="https://example.org/a.pdf",
        path=path.relative_to(home).as_posix(),
        sha256=digest,
        size=len(content),
        media_type=media_type,
    )


def converted(**changes: Any) -> dict[str, Any]:
    block = Block(kind=BlockKind.PARAGRAPH, start=0, end=len(TEXT))
    section = Section(title="", start=0, end=len(TEXT), blocks=(block,))
    document = Document(
        id="sha256:00",
        source="infores:user-supplied",
        identifiers={},
        title="The file's title",
        text=TEXT,
        sections=(section,),
        content_hash=hash_content("The file's title", TEXT),
    )
    return document.model_dump(mode="json") | changes


def parse(
    home: Path, item: Payload, *files: DownloadedFile, **config: Any
) -> tuple[tuple[Document, ...], StageContext]:
    ctx = StageContext("pipeline", "parse", "job", home)
    return run(register, ctx, config, payloads=(item,), downloaded_files=files)["document"], ctx


def refused(home: Path, item: Payload, *files: DownloadedFile) -> QuarantinedDocument:
    ctx = StageContext("pipeline", "parse", "job", home)
    with pytest.raises(BatchFailedError, match="1 of 1 document failed"):
        run(register, ctx, payloads=(item,), downloaded_files=files)
    (quarantined,) = ctx.quarantined
    return quarantined


def test_a_converted_file_is_read_and_its_record_completes_it(tmp_path: Path) -> None:
    file = stored(tmp_path, b"%PDF-1.7 not readable, and need not be")
    (tmp_path / file.path).with_suffix(".ir.json").write_text(json.dumps(converted()))

    (document,), _ = parse(tmp_path, payload(), file)

    assert document.id == "DOI:10.5555/abc"
    assert (document.title, document.authors) == ("The record's title", ("Ada Lovelace",))
    assert document.text == TEXT
    assert document.content_hash == hash_content(document.title, TEXT)


def test_a_pdf_that_nobody_converted_is_parsed(tmp_path: Path) -> None:
    file = stored(tmp_path, next(iter(sorted(PDFS.glob("*.pdf")))).read_bytes())

    (document,), _ = parse(tmp_path, payload(), file)

    assert document.id == "DOI:10.5555/abc"
    assert len(document.text) > 500


def test_full_text_in_jats_is_parsed_from_the_file(tmp_path: Path) -> None:
    jats = (
        b"<article><front><article-meta><title-group><article-title>T</article-title></title-group>"
        b"</article-meta></front><body><p>Full text.</p></body></article>"
    )

    (document,), _ = parse(tmp_path, payload(), stored(tmp_path, jats, "application/xml"))

    assert "Full text." in document.text
    assert document.title == "The record's title"


def test_a_file_whose_conversion_failed_is_quarantined_and_not_parsed_here(tmp_path: Path) -> None:
    file = stored(tmp_path, next(iter(sorted(PDFS.glob("*.pdf")))).read_bytes())
    failed = {"error_class": "ConversionTimeout", "message": "not converted within 120 s"}
    (tmp_path / file.path).with_suffix(".ir.failed.json").write_text(json.dumps(failed))

    assert "not converted within 120 s" in refused(tmp_path, payload(), file).message


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"content_hash": "0" * 64}, "content_hash"),
        ({"text": ""}, "text is empty"),
        ({"surprise": 1}, "surprise"),
        ({"sections": [{"title": "", "start": 0, "end": 999, "blocks": []}]}, "outside the text"),
        (
            {
                "sections": [
                    {
                        "title": "",
                        "start": 0,
                        "end": 9,
                        "blocks": [{"kind": "paragraph", "start": 3, "end": 12}],
                    }
                ]
            },
            "does not follow the one before it inside its section",
        ),
    ],
)
def test_a_converted_file_that_breaks_the_contract_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    file = stored(tmp_path, b"%PDF-1.7")
    (tmp_path / file.path).with_suffix(".ir.json").write_text(json.dumps(converted(**changes)))

    message = refused(tmp_path, payload(), file).message

    assert ".ir.json" in message
    assert reason in message


def test_a_record_without_a_file_is_left_out_unless_its_abstract_is_wanted(tmp_path: Path) -> None:
    item = payload(content={**RECORD, "abstract": "<p>We treated patients.</p>"})

    left_out, ctx = parse(tmp_path, item)
    (document,), _ = parse(tmp_path, item, abstract_without_file=True)

    assert left_out == ()
    assert (ctx.described["left_out"], ctx.succeeded, ctx.quarantined) == (1, 0, [])
    assert TEXT in document.text


def test_full_text_that_came_with_the_payload_needs_no_file(tmp_path: Path) -> None:
    (document,), _ = parse(tmp_path, payload(PayloadFormat.TEXT, b"A note.\n\nWe treated patients."))

    assert TEXT in document.text


@pytest.mark.parametrize(
    ("make", "suffix", "reason"),
    [
        (os.mkfifo, ".ir.json", "it is a pipe"),
        (os.mkfifo, ".ir.failed.json", "it is a pipe"),
        (lambda path: path.symlink_to("/etc/passwd"), ".ir.json", "leads out of"),
        (os.mkfifo, ".pdf", "it is a pipe"),
        (lambda path: path.symlink_to("/dev/zero"), ".pdf", "leads out of"),
    ],
)
def test_what_came_in_place_of_a_file_is_refused_unread(
    tmp_path: Path, make: Callable[[Path], object], suffix: str, reason: str
) -> None:
    file = stored(tmp_path, b"%PDF-1.4")
    path = (tmp_path / file.path).with_suffix(suffix)
    path.unlink(missing_ok=True)
    make(path)

    with pytest.raises(DocumentError, match=reason):
        ParseStage(ParseConfig()).parse_file(payload(), file, tmp_path / file.path)


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside.pdf", "files/../../outside.pdf"])
def test_a_record_cannot_name_a_file_outside_the_folder_for_all_data(tmp_path: Path, path: str) -> None:
    file = stored(tmp_path, b"%PDF-1.4")

    with pytest.raises(ValidationError, match="must stay inside the folder"):
        DownloadedFile.model_validate(file.model_dump() | {"path": path})
