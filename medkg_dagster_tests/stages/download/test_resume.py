"""Broken transfers go on where they stopped, in this process or another; never with other bytes."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from medkg_dagster.errors import DownloadsDeferredError
from medkg_dagster_tests.stages.download.download_runs import (
    files_under,
    partials_under,
    record,
    record_of,
    records_of,
    run,
)
from medkg_dagster_tests.stages.download.file_server import (
    Behaviour,
    Conversation,
    FileServer,
    broken_once,
    in_turn,
    pdf,
    sha256,
    status,
    whole,
)

BIG = pdf(size=3_000_000)
OTHER = pdf(seed=1, size=3_000_000)
AFTER = 2_000_000

CHILD = """
import json, sys
from pathlib import Path
from medkg_dagster_tests.stages.download.download_runs import records_of, run
run(Path(sys.argv[1]), records_of(json.loads(sys.argv[2])), read_timeout_seconds=60)
"""


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as files:
        yield files


def ranged(place: str, body: bytes, **headers: str) -> Behaviour:
    """Answer 206 with whatever place is given."""
    return lambda conversation, _: conversation.answer(206, body, Content_Range=place, **headers)


def test_a_broken_transfer_goes_on_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a", broken_once(BIG, AFTER))

    files, ctx = run(tmp_path, [record_of(url)])

    assert files[0].sha256 == sha256(BIG)
    assert server.requests[1].headers["range"] == f"bytes={AFTER}-"
    assert server.requests[1].headers["if-range"] == f'"{sha256(BIG)[:16]}"'
    assert ctx.described["bytes_downloaded"] == len(BIG)
    assert partials_under(tmp_path) == []


def test_a_transfer_may_break_many_times(server: FileServer, tmp_path: Path) -> None:
    def piece(conversation: Conversation, _turn: int) -> None:
        start = int(conversation.headers.get("Range", "bytes=0-")[6:-1])
        rest = BIG[start:]
        place = f"bytes {start}-{len(BIG) - 1}/{len(BIG)}"
        headers = {"Content_Length": str(len(rest)), "Content_Range": place, "ETag": '"x"'}
        conversation.head(206 if start else 200, **headers)
        conversation.wfile.write(rest[:700_000])
        conversation.close_connection = len(rest) > 700_000

    files, ctx = run(tmp_path, [record_of(server.serve("/a", piece))], max_attempts=9)

    assert files[0].sha256 == sha256(BIG)
    assert record(ctx).attempts == 5


def test_a_later_run_goes_on(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a", broken_once(BIG, AFTER))
    with pytest.raises(DownloadsDeferredError):
        run(tmp_path, [record_of(url)], max_attempts=1)
    note = json.loads(next(path for path in partials_under(tmp_path) if path.suffix == ".json").read_text())
    assert (note["url"], note["total"]) == (url, len(BIG))

    files, ctx = run(tmp_path, [record_of(url)])

    assert files[0].sha256 == sha256(BIG)
    assert ctx.described["bytes_downloaded"] == len(BIG) - AFTER
    assert partials_under(tmp_path) == []


@pytest.mark.parametrize(
    "then",
    [
        pytest.param(whole(OTHER), id="the file has changed"),
        pytest.param(lambda c, _: c.answer(200, OTHER), id="ranges are ignored"),
        pytest.param(
            in_turn(ranged(f"bytes 0-{len(BIG) - 1}/{len(BIG)}", BIG), whole(OTHER)), id="from the start"
        ),
        pytest.param(
            in_turn(ranged(f"bytes {AFTER}-{AFTER}/*", b"x" * 9), whole(OTHER)), id="a false length"
        ),
        pytest.param(
            in_turn(
                ranged(f"bytes {AFTER}-{len(OTHER)}/{len(OTHER) + 1}", OTHER[AFTER:] + b"x"), whole(OTHER)
            ),
            id="another total",
        ),
        pytest.param(in_turn(ranged("pages 3-4", OTHER[AFTER:]), whole(OTHER)), id="no byte range"),
        pytest.param(
            in_turn(
                ranged(f"bytes {AFTER}-{len(OTHER) - 1}/{len(OTHER)}", OTHER[AFTER:], ETag='"other"'),
                whole(OTHER),
            ),
            id="another validator",
        ),
        pytest.param(in_turn(status(416), whole(OTHER)), id="416"),
    ],
)
def test_an_answer_that_does_not_go_on_starts_over(
    server: FileServer, tmp_path: Path, then: Behaviour
) -> None:
    first = broken_once(BIG, AFTER)
    # The turns of what comes then are counted from its own first one.
    url = server.serve(
        "/a", lambda conversation, turn: first(conversation, 1) if turn == 1 else then(conversation, turn - 1)
    )

    files, _ = run(tmp_path, [record_of(url)])

    assert files[0].sha256 == sha256(OTHER)
    assert partials_under(tmp_path) == []


def test_without_a_strong_validator_a_transfer_starts_over(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a", broken_once(BIG, AFTER, ETag='W/"weak"'))

    files, _ = run(tmp_path, [record_of(url)])

    assert files[0].sha256 == sha256(BIG)
    assert "range" not in server.requests[1].headers


def test_a_date_is_a_validator_too(server: FileServer, tmp_path: Path) -> None:
    date = "Wed, 01 Jan 2025 00:00:00 GMT"
    rest = ranged(f"bytes {AFTER}-{len(BIG) - 1}/{len(BIG)}", BIG[AFTER:], Last_Modified=date)
    url = server.serve("/a", broken_once(BIG, AFTER, rest, ETag="", Last_Modified=date))

    files, _ = run(tmp_path, [record_of(url)])

    assert files[0].sha256 == sha256(BIG)
    assert server.requests[1].headers["if-range"] == date


def test_bytes_of_an_earlier_start_of_the_machine_are_not_trusted(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a", broken_once(BIG, AFTER))
    with pytest.raises(DownloadsDeferredError):
        run(tmp_path, [record_of(url)], max_attempts=1)
    note = next(path for path in partials_under(tmp_path) if path.suffix == ".json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {"boot": "an earlier one"}))

    files, _ = run(tmp_path, [record_of(url)])

    assert files[0].sha256 == sha256(BIG)
    assert "range" not in server.requests[1].headers


@pytest.mark.parametrize("note", ["", "{", "[]", '{"url": 1}', "\x00"])
def test_a_damaged_note_starts_over(server: FileServer, tmp_path: Path, note: str) -> None:
    url = server.serve("/a", broken_once(BIG, AFTER))
    with pytest.raises(DownloadsDeferredError):
        run(tmp_path, [record_of(url)], max_attempts=1)
    next(path for path in partials_under(tmp_path) if path.suffix == ".json").write_text(note)

    files, _ = run(tmp_path, [record_of(url)])

    assert files[0].sha256 == sha256(BIG)
    assert partials_under(tmp_path) == []


def test_old_transfers_are_removed(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a", broken_once(BIG, AFTER))
    with pytest.raises(DownloadsDeferredError):
        run(tmp_path, [record_of(url)], max_attempts=1)
    for path in partials_under(tmp_path):
        os.utime(path, (time.time() - 8 * 86400,) * 2)
    (tmp_path / "files" / ".partial" / f"{'0' * 64}.12345-0.part").write_bytes(b"of a dead process")

    run(tmp_path, [record_of(server.serve("/b", whole(pdf())))])

    assert partials_under(tmp_path) == []


def start(home: Path, urls: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(home), json.dumps(urls)], stderr=subprocess.PIPE
    )


def wait_for(home: Path, size: int) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        parts = list((home / "files" / ".partial").glob("*.part"))
        if any(path.stat().st_size >= size for path in parts if path.exists()):
            return
        time.sleep(0.01)
    raise AssertionError("nothing was transferred")


def halting(body: bytes, after: int) -> Behaviour:
    """Halt in the middle of the first answer; be good from then on."""

    def halt(conversation: Conversation, _turn: int) -> None:
        conversation.head(200, Content_Length=str(len(body)), ETag=f'"{sha256(body)[:16]}"')
        conversation.wfile.write(body[:after])
        conversation.wait()

    return in_turn(halt, whole(body))


def test_a_killed_process_leaves_what_another_goes_on_with(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("/a", halting(BIG, AFTER))
    child = start(tmp_path, [url])
    wait_for(tmp_path, 1_000_000)
    child.kill()
    child.communicate()
    assert files_under(tmp_path) == {}

    files, ctx = run(tmp_path, [record_of(url)])

    assert files[0].sha256 == sha256(BIG)
    assert 0 < int(str(ctx.described["bytes_downloaded"])) < len(BIG)
    assert partials_under(tmp_path) == []


def test_two_processes_that_fetch_the_same_do_not_disturb_each_other(
    server: FileServer, tmp_path: Path
) -> None:
    url = server.serve("/a", halting(BIG, AFTER))
    child = start(tmp_path, [url])
    wait_for(tmp_path, 1_000_000)

    files, _ = run(tmp_path, [record_of(url)])

    assert files[0].sha256 == sha256(BIG)
    assert child.poll() is None
    assert [path for path in partials_under(tmp_path) if path.suffix == ".part"]
    child.kill()
    child.communicate()
    assert files_under(tmp_path) == {files[0].path: BIG}


def test_kills_at_any_moment_lose_nothing(server: FileServer, tmp_path: Path, chance: random.Random) -> None:
    bodies = [pdf(number, chance.choice((1000, 300_000, 1_500_000))) for number in range(24)]
    urls = [server.serve(f"/{number}", whole(body)) for number, body in enumerate(bodies)]
    for _ in range(4):
        seen = len(server.requests)
        child = start(tmp_path, urls)
        deadline = time.monotonic() + 240
        wanted = seen + chance.randrange(1, 24)
        while len(server.requests) < wanted and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        child.kill()
        child.communicate()
        names = {sha256(body) for body in bodies}
        assert all(sha256(body) == Path(path).stem in names for path, body in files_under(tmp_path).items())

    files, _ = run(tmp_path, records_of(urls))

    assert [file.sha256 for file in files] == [sha256(body) for body in bodies]
    assert len(files_under(tmp_path)) == len(set(bodies))
    assert partials_under(tmp_path) == []
