"""The configuration of a stage in YAML: each error stands at the line of its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from medkg_dagster.resolution import load_deployment
from medkg_dagster.settings import Settings

HEAD = 'name: p\nversion: "2025-01-01"\nstages:\n'
INGEST = HEAD + "  - name: ingest\n    type: ingest\n    config:\n"
CHUNK = (
    HEAD
    + "  - {name: ingest, type: ingest}\n  - {name: parse, type: parse, depends_on: [ingest]}\n"
    + ("  - name: chunk\n    type: chunk\n    depends_on: [parse]\n    config:\n")
)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (
            CHUNK + "      max_characters: 100\n      overlap: 80\n",
            11,
            "'overlap': overlap is 80; set it to at mo",
        ),
        (CHUNK + '      overlap: "80"\n', 10, "'overlap': must be a number, got the text '80'"),
        (CHUNK + "      overlap: no\n", 10, "'overlap': must be a number, got false"),
        (
            INGEST + "      params:\n        path: x\n        max_files: yes\n",
            9,
            "files: parameter 'max_files': must",
        ),
        (
            INGEST + "      params:\n        path: x\n        recursive: 1\n",
            9,
            "files: parameter 'recursive': must",
        ),
        (INGEST + "      params:\n        path: x\n        pth: x\n", 9, "files: unknown parameter 'pth'"),
        (
            INGEST + "      adapter: clinicaltrials\n      params:\n        requests_per_second: 5\n",
            9,
            "clinicaltrials: parameter 'requests_per_second': requests_per_second may not be above 1",
        ),
        (INGEST + "      adapter: fils\n", 7, "'adapter': unknown source 'fils'"),
    ],
)
def test_an_error_stands_at_the_line_of_its_key(tmp_path: Path, text: str, line: int, message: str) -> None:
    folder = tmp_path / "orchestration" / "pipelines"
    folder.mkdir(parents=True)
    (folder / "p.yaml").write_text(text)
    (tmp_path / "orchestration" / "resilience.yaml").write_text("policies: {default: {}}\n")
    settings = Settings(home=tmp_path / "home", config=tmp_path, plugins=False)

    (problem,) = load_deployment(settings).plan.problems

    assert message in problem.message
    assert problem.line == line
