"""The `files` source: recognised by content, split per document, and never stopped by one bad file."""

from __future__ import annotations

import gzip
import io
import json
import os
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.adapters.sources.files import AUTO, FILES
from medkg_dagster.adapters.sources.payload_formats import Refused, split_content
from medkg_dagster.errors import ConfigError, DocumentError, SourceError
from medkg_dagster.stage_api import Payload, PayloadFormat, StageContext

JATS = b"<article xmlns:xlink='http://www.w3.org/1999/xlink'><front><article-meta/></front><body/></article>"
PUBMED = (
    b"<?xml version='1.0'?><PubmedArticleSet>"
    b"<PubmedArticle><MedlineCitation><PMID Version='1'>99990001</PMID><Article>a &#x3b2;</Article>"
    b"<CommentsCorrections><PMID>7</PMID></CommentsCorrections></MedlineCitation></PubmedArticle>"
    b"<PubmedBookArticle><BookDocument><PMID>99990002</PMID></BookDocument></PubmedBookArticle>"
    b"</PubmedArticleSet>"
)


def study(nct_id: str, **more: Any) -> dict[str, Any]:
    return {"protocolSection": {"identificationModule": {"nctId": nct_id}, **more}}


def context() -> StageContext:
    return StageContext(pipeline="p", stage="ingest", job_id="default", home=Path("unused"))


def fetch(path: Path, **parameters: Any) -> tuple[list[Payload], StageContext]:
    ctx = context()
    source = FILES.open({"path": str(path), **parameters}, Path("unused"))
    return list(source.fetch(ctx)), ctx


def fetch_one(folder: Path, name: str, content: bytes, **parameters: Any) -> tuple[list[Payload], str]:
    """Return the payloads of one file and the reason it was refused for, with the error's class."""
    (folder / name).write_bytes(content)
    payloads, ctx = fetch(folder, **parameters)
    refused = ctx.quarantined
    return payloads, f"{refused[0].error_class}: {refused[0].message}" if refused else ""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (json.dumps(study("NCT99990001")).encode(), PayloadFormat.STUDY_JSON),
        (b"\xef\xbb\xbf \n" + json.dumps([study("NCT99990001")]).encode(), PayloadFormat.STUDY_JSON),
        (json.dumps({"studies": [study("NCT99990001")]}).encode(), PayloadFormat.STUDY_JSON),
        (json.dumps(study("NCT99990001")).encode() + b"\n\n", PayloadFormat.STUDY_JSON),
        (JATS, PayloadFormat.JATS_XML),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- c -->" + JATS, PayloadFormat.JATS_XML),
        (JATS.decode().encode("utf-16"), PayloadFormat.JATS_XML),
        (b"<!DOCTYPE article PUBLIC '-//NLM//DTD JATS' 'x.dtd'>" + JATS, PayloadFormat.JATS_XML),
        (b"%PDF-1.4\n1 0 obj\nendobj\n%%EOF", PayloadFormat.PDF),
        (b"\x00junk before\n%PDF-1.7\n1 0 obj\nendobj", PayloadFormat.PDF),
        ("Ipilimumab causes colitis – often.".encode(), PayloadFormat.TEXT),
        (b"[1] A reference list is no JSON.", PayloadFormat.TEXT),
        (b"<5% of patients had hepatitis.", PayloadFormat.TEXT),
        (
            b"Aspirin, ibuprofen, and naproxen.\nThey relieve pain, fever, and more.\nA, b, c.",
            PayloadFormat.TEXT,
        ),
        (b"To: the ward\nSubject: fever\nDate: today\n\nGive paracetamol.", PayloadFormat.TEXT),
        (b"import of malaria\nclass of drugs:\nfrom here import is banned", PayloadFormat.TEXT),
        (b"TY  - JOUR\nTI  - A\nDO  - 10.1000/x\nER  - ", PayloadFormat.ARTICLE_RECORD),
        (b"PMID- 123\nTI  - A", PayloadFormat.ARTICLE_RECORD),
        (b"% x\n@article{a, title = {A}}", PayloadFormat.ARTICLE_RECORD),
        ("mit Byte-Marke".encode("utf-16"), PayloadFormat.TEXT),
        (b"PK\x03\x04..word/document.xml..", PayloadFormat.DOCX),
        (b"PK\x03\x04..mimetypeapplication/epub+zip", PayloadFormat.EPUB),
    ],
)
def test_format_is_recognised_by_content_whatever_the_extension(
    tmp_path: Path, content: bytes, expected: PayloadFormat
) -> None:
    payloads, refused = fetch_one(tmp_path, "misleading.docx", content)
    assert not refused
    assert [payload.format for payload in payloads] == [expected]


@pytest.mark.parametrize(
    ("name", "content", "error", "reason"),
    [
        ("a.txt", b"", "RejectedDocumentError", "the file is empty"),
        ("a.txt", b" \n ", "RejectedDocumentError", "the file is empty"),
        ("a.pdf", b"<!DOCTYPE html><html></html>", "UnreadableDocumentError", "an HTML page, not a PDF"),
        ("a.xml", b"<html lang='en'>", "UnreadableDocumentError", "an HTML page, not a document"),
        (
            "a.xml",
            JATS[:60],
            "UnreadableDocumentError",
            "ends too early or is not well-formed at line 1, column",
        ),
        ("a.xml", b"<art><fm/></art>", "UnreadableDocumentError", "XML with root <art>"),
        ("a.xml", b"<article><title/></article>", "UnreadableDocumentError", "without <front>"),
        ("a.xml", b"<PubmedArticleSet/>", "RejectedDocumentError", "holds no article"),
        ("a.xml", b"<?xml version='1.0' encoding='martian'?><a/>", "UnreadableDocumentError", "a.xml: XML"),
        ("a.json", b'{"protocolSection": {', "UnreadableDocumentError", "broken at line 1, column 22"),
        ("a.json", b'{"results": []}', "UnreadableDocumentError", "no ClinicalTrials.gov v2 study"),
        (
            "a.json",
            b'{"FullStudiesResponse": {}}',
            "UnreadableDocumentError",
            "ClinicalTrials.gov's first API",
        ),
        ("a.json", b'[{"Study": {"ProtocolSection": {}}}]', "UnreadableDocumentError", "fetch them again by"),
        ("a.xml", b"<clinical_study/>", "UnreadableDocumentError", "closed first API; fetch it again by"),
        ("a.xml", b"<xml><records/></xml>", "UnreadableDocumentError", "EndNote"),
        ("a.xml", b"<t:TEI xmlns:t='urn:t'/>", "UnreadableDocumentError", "TEI; fetch the article as JATS"),
        ("a.json", b"[]", "RejectedDocumentError", "empty list of studies"),
        ("a.json", b'{"studies": []}', "RejectedDocumentError", "empty list of studies"),
        ("a.json", b'{"a": NaN}', "UnreadableDocumentError", "NaN is not JSON"),
        ("a.json", b'{"a":' * 200_000, "UnsafeDocumentError", "nested too deeply"),
        ("a.json", json.dumps(study("NCT1")).encode(), "UnreadableDocumentError", "without a valid NCT id"),
        (
            "a.json",
            json.dumps(study("NCT99990001", note="\ud800")).encode(),
            "UnreadableDocumentError",
            "half a character",
        ),
        ("a.json", b'{"a": "\xff"}', "UnreadableDocumentError", "not valid UTF-8 at byte 7"),
        ("a.txt", "Müller".encode("latin-1"), "UnreadableDocumentError", "not valid UTF-8 at byte 1"),
        ("a.bin", bytes(range(256)), "UnreadableDocumentError", "binary content"),
        (
            "a.bin",
            b"text with \x00 in it",
            "UnreadableDocumentError",
            "control character U+0000 at position 10",
        ),
        ("a.docx", b"PK\x03\x04rest", "UnreadableDocumentError", "a ZIP archive"),
        ("a.bin", b"PK\x03\x04..xl/workbook.xml..", "UnreadableDocumentError", "an Excel workbook"),
        (
            "a.docx",
            b"\xd0\xcf\x11\xe0.." + "EncryptedPackage".encode("utf-16-le"),
            "UnreadableDocumentError",
            "an encrypted Office document; supply it decrypted",
        ),
        ("a.txt", b"NCT Number,Title,Phase\nNCT1,A,1\nNCT2,B,2", "UnreadableDocumentError", "a table (CSV)"),
        ("a.csv", b"A\nb", "UnreadableDocumentError", "export the studies or records"),
        ("a.txt", b"{\\rtf1\\ansi Hello", "UnreadableDocumentError", "a rich text file (RTF)"),
        ("a.txt", b"%!PS-Adobe-3.0\n", "UnreadableDocumentError", "a PostScript file"),
        ("a.txt", b"Subject: x\nFrom: a\nMIME-Version: 1.0\n\nHi", "UnreadableDocumentError", "an e-mail"),
        ("a.txt", b"From: a@b.org\nTo: c\nSubject: x\n\nHi", "UnreadableDocumentError", "an e-mail"),
        ("a.py", b"print('metformin treats diabetes')", "UnreadableDocumentError", "source code"),
        ("a", b"#!/bin/sh\necho x", "UnreadableDocumentError", "source code"),
        (
            "a.txt",
            b"import os\n\ndef f(x):\n    pass\n\nclass A:\n    pass",
            "UnreadableDocumentError",
            "source code",
        ),
        ("a.yaml", b"a: b", "UnreadableDocumentError", "a file of settings"),
        ("MANIFEST.txt", b"a.xml\nb.xml", "UnreadableDocumentError", "a list of files"),
        (
            "a.txt",
            b"0" * 32 + b"  a.xml\n" + b"1" * 32 + b"  b",
            "UnreadableDocumentError",
            "a list of files",
        ),
        ("a.bib", b"@article{a, title = {cut", "UnreadableDocumentError", "begins in line 1 is not closed"),
        ("a.png", b"\x89PNG\r\n", "UnreadableDocumentError", "a PNG image"),
        ("a.gz", b"\x1f\x8bnothing of gzip", "UnreadableDocumentError", "a broken gzip file"),
        ("a.gz", gzip.compress(b"x", mtime=0) + b"more", "UnreadableDocumentError", "a broken gzip file"),
        (
            "a.gz",
            gzip.compress(b"x" * 9000, mtime=0)[:-20],
            "UnreadableDocumentError",
            "gzip file that ends too early",
        ),
        (
            "a.gz",
            gzip.compress(gzip.compress(b"x", mtime=0), mtime=0),
            "UnreadableDocumentError",
            "a gzip file inside a gzip file",
        ),
    ],
)
def test_what_is_no_document_is_quarantined_with_its_true_reason(
    tmp_path: Path, name: str, content: bytes, error: str, reason: str
) -> None:
    payloads, refused = fetch_one(tmp_path, name, content)
    assert payloads == []
    assert refused.startswith(f"{error}: {name}: ")
    assert reason in refused


ENTITY_BOMB = (
    b"<?xml version='1.0'?>\n<!DOCTYPE article [\n<!ENTITY a 'ha'>"
    + b"".join(b"<!ENTITY %c '&%c;&%c;'>" % (c + 1, c, c) for c in range(97, 121))
    + b"]><article><front>&y;</front></article>"
)


@pytest.mark.parametrize(
    "content",
    [
        ENTITY_BOMB,
        ENTITY_BOMB.decode().encode("utf-16"),
        b"<!DOCTYPE article [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><article><front>&x;</front></article>",
        b"<!DOCTYPE article [<!ENTITY % p SYSTEM 'http://127.0.0.1:1/x.dtd'> %p;]><article/>",
    ],
)
def test_xml_that_declares_entities_is_refused_unread(tmp_path: Path, content: bytes) -> None:
    payloads, refused = fetch_one(tmp_path, "bomb.xml", content)
    assert payloads == []
    assert refused.startswith("UnsafeDocumentError: bomb.xml: line ")
    assert "declares the entity" in refused


def test_gzip_bomb_is_refused_without_being_unpacked(tmp_path: Path) -> None:
    bomb = gzip.compress(b"\x00" * 50_000_000)
    payloads, refused = fetch_one(tmp_path, "bomb.gz", bomb, max_file_bytes=1_000_000)
    assert payloads == []
    assert "UnsafeDocumentError: bomb.gz: a gzip file that unpacks to more than max_file_bytes" in refused


def test_zip_bomb_is_refused_unopened(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\x00" * 10_000_000)
    payloads, refused = fetch_one(tmp_path, "bomb.zip", buffer.getvalue())
    assert payloads == []
    assert "a ZIP archive" in refused


def test_gzip_files_are_read_through_all_their_members(tmp_path: Path) -> None:
    content = gzip.compress(PUBMED[:200]) + gzip.compress(PUBMED[200:])
    payloads, refused = fetch_one(tmp_path, "set.xml.gz", content)
    assert not refused
    assert [payload.id for payload in payloads] == ["PMID:99990001", "PMID:99990002"]


def test_pubmed_set_becomes_one_set_of_one_per_article(tmp_path: Path) -> None:
    payloads, _ = fetch_one(tmp_path, "set.xml", PUBMED)
    assert [payload.id for payload in payloads] == ["PMID:99990001", "PMID:99990002"]
    first = payloads[0].content.decode()
    assert first.startswith('<?xml version="1.0" encoding="utf-8"?>\n<PubmedArticleSet><PubmedArticle>')
    assert "a &#x3b2;" in first
    assert first.endswith("</PubmedArticle></PubmedArticleSet>")


def test_articles_wrapped_by_oai_keep_the_namespaces_of_their_wrapper(tmp_path: Path) -> None:
    from lxml import etree

    wrapped = (
        b"<OAI-PMH xmlns='http://www.openarchives.org/OAI/2.0/' xmlns:xlink='http://www.w3.org/1999/xlink'>"
        b"<record><metadata><article xmlns='https://jats.nlm.nih.gov/ns/archiving/1.3/'><front>"
        b"<a xlink:href='x'/></front></article></metadata></record><record><metadata><article><front/>"
        b"<sub-article><front-stub/></sub-article></article></metadata></record></OAI-PMH>"
    )
    payloads, _ = fetch_one(tmp_path, "oai.xml", wrapped)
    assert [payload.id for payload in payloads] == ["oai.xml#1", "oai.xml#2"]
    roots = [etree.fromstring(payload.content) for payload in payloads]
    assert [str(root.tag) for root in roots] == [
        "{https://jats.nlm.nih.gov/ns/archiving/1.3/}article",
        "{http://www.openarchives.org/OAI/2.0/}article",
    ]


def test_single_jats_article_is_kept_byte_for_byte(tmp_path: Path) -> None:
    payloads, _ = fetch_one(tmp_path, "article.xml", JATS)
    assert payloads[0].content == JATS
    assert payloads[0].id == "article.xml"


def test_json_lines_give_a_document_each_and_a_bad_line_is_quarantined_alone(tmp_path: Path) -> None:
    lines = [study("NCT99990001"), {"doi": "10.1000/x", "title": "T"}, study("NCT99990002")]
    content = b"\n".join([*(json.dumps(line).encode() for line in lines), b'{"protocolSection": {'])

    payloads, refused = fetch_one(tmp_path, "a.jsonl", content)

    assert [payload.id for payload in payloads] == [
        "clinicaltrials:NCT99990001",
        "DOI:10.1000/x",
        "clinicaltrials:NCT99990002",
    ]
    assert refused.startswith("UnreadableDocumentError: a.jsonl#4: JSON that ends too early")


def test_one_bad_study_does_not_take_the_others_of_its_file(tmp_path: Path) -> None:
    items = [study("NCT99990001"), {"protocolSection": {}}, 7, study("NCT99990002")]
    (tmp_path / "page.json").write_text(json.dumps({"studies": items}))
    payloads, ctx = fetch(tmp_path)
    assert [payload.id for payload in payloads] == [
        "clinicaltrials:NCT99990001",
        "clinicaltrials:NCT99990002",
    ]
    assert [refused.document_id for refused in ctx.quarantined] == ["page.json#2", "page.json#3"]


def test_same_study_has_the_same_bytes_whatever_its_key_order_or_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(study("NCT99990001", b=1, a="é"), indent=3))
    (tmp_path / "b.json").write_text(json.dumps([study("NCT99990001", a="é", b=1)]))
    payloads, _ = fetch(tmp_path)
    assert payloads[0].content == payloads[1].content


def test_folder_is_read_in_sorted_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.txt", ".hidden.txt", ".git/config", "a.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    payloads, _ = fetch(tmp_path)
    assert [payload.id for payload in payloads] == ["a.txt", "a/z.txt", "b.txt"]
    assert payloads[1].origin == f"{tmp_path}/a/z.txt"
    flat, _ = fetch(tmp_path, recursive=False)
    assert [payload.id for payload in flat] == ["a.txt", "b.txt"]


def test_include_and_exclude_select_by_name_or_path(tmp_path: Path) -> None:
    for name in ("one.txt", "two.md", "sub/three.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    payloads, _ = fetch(tmp_path, include=["*.txt"], exclude=["sub/*"])
    assert [payload.id for payload in payloads] == ["one.txt"]


def test_links_in_a_circle_dangling_links_and_pipes_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("text")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to("sub")
    (tmp_path / "self.txt").symlink_to("self.txt")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    payloads, ctx = fetch(tmp_path)
    assert [payload.id for payload in payloads] == ["sub/a.txt"]
    assert {refused.document_id: refused.message.partition(": ")[2] for refused in ctx.quarantined} == {
        "gone.txt": "is not read: it is a link to what is not there",
        "pipe": "is not read: it is a pipe, not a regular file",
        "self.txt": "cannot be read: Too many levels of symbolic links",
    }


def test_links_out_of_the_folder_are_refused_by_name_and_those_inside_are_followed(tmp_path: Path) -> None:
    docs, outside = tmp_path / "docs", tmp_path / "outside"
    for folder in (docs / ".data", outside):
        folder.mkdir(parents=True)
        (folder / "id_rsa").write_text("a secret")
    (docs / "paper.txt").symlink_to("../outside/id_rsa")
    (docs / "zero.txt").symlink_to("/dev/zero")
    (docs / "folder").symlink_to("../outside")
    (docs / "mine").symlink_to(".data")
    (docs / "mine.txt").symlink_to(".data/id_rsa")
    payloads, ctx = fetch(docs)
    assert [payload.id for payload in payloads] == ["mine.txt", "mine/id_rsa"]
    refused = {item.document_id: f"{item.error_class}: {item.message}" for item in ctx.quarantined}
    assert sorted(refused) == ["folder", "paper.txt", "zero.txt"]
    assert refused["paper.txt"] == (
        f"UnsafeDocumentError: paper.txt: is not read: it is a link that leads out of {docs}, to "
        f"{outside}/id_rsa; put a copy in its place"
    )


def test_a_path_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("text")
    (tmp_path / "link").symlink_to("docs")
    (tmp_path / "link.txt").symlink_to("docs/a.txt")
    assert [payload.id for payload in fetch(tmp_path / "link")[0]] == ["a.txt"]
    assert [payload.id for payload in fetch(tmp_path / "link.txt")[0]] == ["link.txt"]


def test_file_name_that_is_no_utf8_is_made_printable(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    try:
        Path(os.fsdecode(path)).write_text("text")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    payloads, _ = fetch(tmp_path)
    assert payloads[0].id == "caf\\xe9.txt"


def test_file_above_the_limit_is_quarantined_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_text("x" * 100)
    (tmp_path / "small.txt").write_text("x")
    payloads, ctx = fetch(tmp_path, max_file_bytes=50)
    assert [payload.id for payload in payloads] == ["small.txt"]
    assert "it has more than 50 bytes; raise max_file_bytes" in ctx.quarantined[0].message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_quarantined(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("x")
    (tmp_path / "secret.txt").chmod(0)
    _, ctx = fetch(tmp_path)
    assert "secret.txt: cannot be read: Permission denied" in ctx.quarantined[0].message


def test_missing_path_is_a_source_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"path .*/nowhere does not exist .*correct `path`"):
        fetch(tmp_path / "nowhere")


def test_pipe_as_path_is_a_source_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="neither a folder nor a regular file"):
        fetch(tmp_path / "pipe")


def test_folder_with_too_many_files_is_a_source_error(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text("x")
    with pytest.raises(SourceError, match="holds more than max_files = 3"):
        fetch(tmp_path, max_files=3)


def test_single_file_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("x")
    payloads, _ = fetch(tmp_path / "note.txt")
    assert payloads[0].id == "note.txt"


def test_unknown_parameter_is_a_config_error_with_a_proposal() -> None:
    with pytest.raises(ConfigError, match=r"unknown parameter 'pth'; did you mean 'path'\?"):
        AUTO.validate({"pth": "x"})


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.tuples(
            st.sampled_from([JATS, PUBMED, b'{"studies": [{"protocolSection": {}}]}']), st.binary(max_size=9)
        ).map(lambda pair: pair[0][: len(pair[0]) // 2] + pair[1] + pair[0][len(pair[0]) // 2 :]),
    )
)
def test_any_bytes_give_payloads_or_a_document_error(content: bytes) -> None:
    assert all(isinstance(part, Payload | Refused | DocumentError) for part in parts_or_error(content))


def parts_or_error(content: bytes) -> list[Payload | Refused | DocumentError]:
    try:
        return list(split_content("name", "origin", content, "files"))
    except DocumentError as error:
        return [error]


@pytest.mark.parametrize(
    ("folder", "documents", "refused"),
    [
        ("clinicaltrials", 157, 0),
        ("jats", 46, 1),
        ("pubmed", 57, 1),
        ("pdf", 6, 1),
        ("openalex", 7, 0),
        ("europepmc", 4, 0),
        ("crossref_unpaywall", 11, 1),
        ("semanticscholar", 60, 5),
    ],
)
def test_real_files_are_recognised(shared_data: Path, folder: str, documents: int, refused: int) -> None:
    payloads, ctx = fetch(shared_data / folder)
    assert (len(payloads), len(ctx.quarantined)) == (documents, refused)


@pytest.mark.parametrize("folder", ["negatives", "pubtator"])
def test_real_files_of_other_formats_are_refused(shared_data: Path, folder: str) -> None:
    payloads, ctx = fetch(shared_data / folder)
    assert payloads == []
    assert all("UnreadableDocumentError" in refused.error_class for refused in ctx.quarantined)


def test_the_bundled_corpus_and_copies_of_its_files_are_marked_as_invented(tmp_path: Path) -> None:
    bundled = list(FILES.open({}, Path("unused")).fetch(context()))
    page = files("medkg_dagster") / "corpus" / "documents" / "trials" / "api_page_advanced_melanoma.json"
    (tmp_path / "copy.json").write_bytes(page.read_bytes())
    (tmp_path / "own.json").write_text(json.dumps(study("NCT99990099")))

    mixed = {payload.id: payload.synthetic for payload in fetch(tmp_path)[0]}

    assert all(payload.synthetic for payload in bundled)
    assert len(mixed) == 4
    assert [name for name, synthetic in mixed.items() if not synthetic] == ["clinicaltrials:NCT99990099"]
    assert all(payload.synthetic for payload in fetch(tmp_path, synthetic=True)[0])
