"""Notes out of files as people have them."""

import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from medkg_gate_and_source_example.csv_notes import CSV_NOTES

from medkg_dagster.stage_api import (
    ConfigError,
    ExtensionKind,
    Payload,
    SourceError,
    StageContext,
)
from medkg_dagster.stage_api.testing import installed_extensions

NOTES = """\
id,title,text
1,First visit,"Fever, cough.

Chest clear."
2,,No title here
"""


def fetch(folder: Path, content: str | bytes, **parameters: Any) -> tuple[list[Payload], list[str]]:
    """Return the payloads of a file, and what was said of its bad rows."""
    path = folder / "notes.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    log = logging.getLogger("quiet")
    log.disabled = True
    ctx = StageContext(pipeline="test", stage="ingest", job_id="default", home=folder, log=log)
    source = CSV_NOTES.open({"path": str(path), **parameters}, folder)
    payloads = list(source.fetch(ctx))
    return payloads, [item.message for item in ctx.quarantined]


def test_each_row_is_a_document_its_title_on_the_first_line(tmp_path: Path) -> None:
    payloads, refused = fetch(tmp_path, NOTES)

    assert [(payload.id, payload.content.decode()) for payload in payloads] == [
        ("notes.csv#1", "First visit\n\nFever, cough.\n\nChest clear.\n"),
        ("notes.csv#2", "No title here\n"),
    ]
    assert refused == []


@pytest.mark.parametrize("delimiter", ["\t", ";", ",", "|"])
def test_the_usual_delimiters_are_recognised_and_others_can_be_named(tmp_path: Path, delimiter: str) -> None:
    content = delimiter.join(["id", "title", "text"]) + "\r\n" + delimiter.join(["7", "A", "B"]) + "\r\n"
    named = {"delimiter": "|"} if delimiter == "|" else {}

    payloads, _ = fetch(tmp_path, "\ufeff" + content, **named)

    assert [payload.id for payload in payloads] == ["notes.csv#7"]


def test_other_columns_can_be_named_and_the_rest_is_left_alone(tmp_path: Path) -> None:
    content = "when,key,head,body\n2016,7,A,B\n"

    payloads, _ = fetch(tmp_path, content, id_column="key", title_column="head", text_column="body")

    assert payloads[0].content == b"A\n\nB\n"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b",No id,Text", "notes.csv:3: the column 'id' is empty"),
        (b"1,Again,Text", "notes.csv:3: the id '1' stands above already"),
        (b"2,No text, ", "notes.csv:3: the column 'text' is empty"),
        (b"2,Long," + b"x" * 101, "notes.csv:3: 101 characters of text, max_characters = 100"),
        (b"2,Too few", "notes.csv:3: 2 cells, the first line has 3"),
        (b"2,Too,many,cells", "notes.csv:3: 4 cells, the first line has 3"),
        (b"2,Latin,caf\xe9", "notes.csv:3: a cell is not UTF-8"),
        (b"2,Control,a\x07b", "notes.csv:3: a cell has the control character"),
        (b'2,Quotes,"a" b', "notes.csv:3: ',' expected after '\"'"),
    ],
)
def test_a_bad_row_is_quarantined_with_its_line_and_the_others_go_on(
    tmp_path: Path, row: bytes, message: str
) -> None:
    content = b"id,title,text\n1,Good,Text\n" + row + b"\n3,Good,Text\n"

    payloads, refused = fetch(tmp_path, content, max_characters=100)

    assert [payload.id for payload in payloads] == ["notes.csv#1", "notes.csv#3"]
    assert len(refused) == 1
    assert refused[0].startswith(message)


@pytest.mark.parametrize("length", [10, 200_000])
def test_a_quote_that_is_never_closed_ends_the_reading_and_says_so(tmp_path: Path, length: int) -> None:
    content = (
        'id,title,text\n1,Good,Text\n2,Open,"never closed\n3,Swallowed,Text\n'
        + "x" * length
        + "\n4,Also,this\n"
    )

    payloads, refused = fetch(tmp_path, content)

    assert [payload.id for payload in payloads] == ["notes.csv#1"]
    assert len(refused) == 1
    assert "notes.csv:3" in refused[0]
    assert "Nothing after it is read" in refused[0]


@pytest.mark.parametrize(
    ("content", "parameters", "message"),
    [
        ("", {}, "has no column 'id'; its first line names none"),
        ("id,title\n1,A\n", {}, "has no column 'text'; its first line names 'id', 'title'"),
        ("id,text,title,text\n", {}, "more than one column 'text'"),
        ("id,title,text\n1,A,B\n2,A,B\n", {"max_rows": 1}, "more than max_rows = 1"),
        ("id,title,text\n1,A,B\n", {"max_file_bytes": 10}, "larger than max_file_bytes = 10"),
    ],
)
def test_a_file_that_is_none_of_notes_is_refused_as_a_whole(
    tmp_path: Path, content: str, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        fetch(tmp_path, content, **parameters)


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    source = CSV_NOTES.open({"path": str(tmp_path / "none.csv")}, tmp_path)

    with pytest.raises(SourceError, match=r"none\.csv is no file"):
        list(source.fetch(StageContext(pipeline="test", stage="ingest", job_id="default", home=tmp_path)))


@pytest.mark.parametrize("parameters", [{}, {"path": ""}, {"path": "a", "delimiter": ",,"}, {"file": "a"}])
def test_wrong_parameters_are_refused(parameters: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="csv-notes"):
        CSV_NOTES.open(parameters, tmp_path)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=80) | st.text('12,"\n\r;a', max_size=60).map(str.encode))
def test_whatever_a_file_holds_ids_are_unique_and_payloads_are_text(tmp_path: Path, content: bytes) -> None:
    payloads, _ = fetch(tmp_path, b"id,title,text\n" + content)

    assert len({payload.id for payload in payloads}) == len(payloads)
    assert all(payload.content.decode().strip() for payload in payloads)


def test_the_entry_point_names_the_source() -> None:
    assert installed_extensions().find(ExtensionKind.SOURCE, "csv-notes") is CSV_NOTES
