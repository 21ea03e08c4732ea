"""README is typed as it stands, from top to bottom, in a fresh copy of the checkout."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from medkg_dagster_tests.docs.markdown import CodeBlock, code_blocks
from medkg_dagster_tests.end_to_end.checkout import Terminal, copy_checkout
from medkg_dagster_tests.end_to_end.running import REPOSITORY

_SIZE = re.compile(r"\d+(?:\\)?\.\d+\\ MB")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with closing(Terminal(copy_checkout(tmp_path / "medkg_dagster"))) as opened:
        yield opened


@pytest.fixture
def studies() -> Iterator[str]:
    """What ClinicalTrials.gov would answer, on loopback."""
    page = (
        REPOSITORY / "medkg_dagster" / "corpus" / "documents" / "trials" / "api_page_advanced_melanoma.json"
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page.read_bytes())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name the base class gives
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api/v2"
        server.shutdown()


def others(studies: str) -> dict[str, tuple[str, Callable[[Terminal, str], tuple[int, str]]]]:
    """Return what is not typed as it stands: why, and what is done instead."""
    query = f"--param query_cond=melanoma --param base_url={studies}"
    return {
        "make test": (
            "this test is part of it",
            lambda terminal, line: terminal.type(line, instead="make --dry-run test"),
        ),
        "make dev": (
            "it serves until it is interrupted: see `test_dev.py`",
            lambda terminal, line: terminal.type(line, instead="make --dry-run dev"),
        ),
        "medkg run clinical-trials": (
            "it asks ClinicalTrials.gov",
            lambda terminal, line: terminal.type(line, instead=f"{line} {query}"),
        ),
    }


def pattern_of(shown: str) -> str:
    """Return what output must match: as shown, but for what stands as `...` and for sizes of files."""
    return _SIZE.sub(r"\\d+\\.\\d\\ MB", re.escape(shown.strip()).replace(r"\.\.\.", ".*"))


def typed(block: CodeBlock) -> Iterator[tuple[str, int, str]]:
    """Yield the lines of a block with the exit code and the output that are shown for them."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        code = re.search(r"#.*\bexit code (\d+)", line)
        yield line.partition("  #")[0].strip(), int(code[1]) if code else 0, shown


@pytest.mark.timeout(1800)
def test_the_readme_can_be_typed_from_top_to_bottom(terminal: Terminal, studies: str) -> None:
    instead = others(studies)
    for block in code_blocks():
        if block.page != "README.md":
            continue
        if block.title is not None:
            (terminal.folder / block.title).write_text(block.text)
        elif block.language == "text":
            assert re.search(pattern_of(block.text), terminal.said["make demo"]), terminal.said["make demo"]
        elif block.language == "console":
            for line, wanted, shown in typed(block):
                do = instead.pop(line)[1] if line in instead else Terminal.type
                code, output = do(terminal, line)
                place = f"README.md:{block.line}: {line}\n{output}"
                assert code == wanted, f"{place}\n{terminal.complaints}"
                assert not shown.strip() or re.fullmatch(pattern_of(shown), output.strip()), place
    assert set(instead) == set()

    said = terminal.said
    assert re.search(r"cut_off|RejectedDocument|UnreadableDocument", said["medkg ledger show auto/papers"])
    assert "auto/papers succeeded" in said["medkg run auto --job-id papers --param path=papers"]
    assert "reviewed/spring succeeded" in said["medkg run reviewed --job-id spring"]
    assert (terminal.folder / "lab-redactor" / "pyproject.toml").is_file()
