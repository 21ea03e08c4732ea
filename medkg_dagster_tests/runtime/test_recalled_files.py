"""Files that were split before: what came of them is used again, and what changed or was refused is split."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkg_dagster.adapters.sources.files import FileSource, FilesParameters
from medkg_dagster.domain.payloads import Payload
from medkg_dagster.plugins import Origin
from medkg_dagster.runtime.state.memo import MemoEngine
from medkg_dagster.runtime.state.shards import ShardStore
from medkg_dagster.stage_api import (
    Extension,
    ExtensionKind,
    FetchedFile,
    StageContext,
    StageRegistration,
)
from medkg_dagster.stage_api._document_loop import InOrder
from medkg_dagster.stage_api._documents import whole_value
from medkg_dagster.stage_api._extensions import GivenExtensions
from medkg_dagster.stage_api._invocation import invoke
from medkg_dagster.stages.ingest import IngestConfig, IngestStage, register
from medkg_dagster_tests.runtime.document_stages import planned

ORIGIN = Origin("ingest", "medkg_dagster.stages.ingest:register", "medkg-dagster", "1")
OTHER_VERSION = replace(ORIGIN, version="2")


class CountedFiles(FileSource):
    """The `files` source; it remembers which files were split."""

    split: list[int]

    def files(self, ctx: StageContext) -> Iterator[FetchedFile]:
        self.split = []
        for number, file in enumerate(super().files(ctx)):
            yield FetchedFile(file.version, partial(self._counted, file, number))

    def _counted(self, file: FetchedFile, number: int) -> Iterator[Payload]:
        self.split.append(number)
        yield from file.split()


class Run:
    """A run of `ingest` on a folder with a new engine, as another process makes it."""

    def __init__(self, folder: Path, home: Path, *, is_remembering: bool = True) -> None:
        self.source = CountedFiles(FilesParameters(path=str(folder)))
        extension = Extension(
            ExtensionKind.SOURCE, "counted", "Files.", FilesParameters, lambda _parameters, _home: self.source
        )
        self.ctx = StageContext("demo", "ingest", "job", home, extensions=GivenExtensions([extension]))
        registration: StageRegistration = register()
        plan = planned(registration.metadata, name="ingest", origin=ORIGIN)
        engine = MemoEngine(ShardStore(home / "shards"), "demo", plan, {}, home, InOrder())
        if is_remembering:
            self.ctx.recall = engine.recall
        stage = IngestStage(IngestConfig(adapter="counted", params={"path": str(folder)}))
        self.outcome = invoke(registration.metadata, stage, self.ctx, {}, engine)

    @property
    def split(self) -> list[int]:
        return self.source.split

    @property
    def payloads(self) -> tuple[Payload, ...]:
        found: tuple[Payload, ...] = whole_value(self.outcome.state["payloads"])
        return found

    @property
    def refused(self) -> list[tuple[str, str]]:
        return [(one.document_id, one.message) for one in self.ctx.quarantined]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    for name in "abc":
        folder.joinpath(f"{name}.txt").write_text(f"The {name} is a text of some words.")
    return folder


def test_files_that_are_what_they_were_are_not_split_again(folder: Path, tmp_path: Path) -> None:
    first, second = Run(folder, tmp_path), Run(folder, tmp_path)

    assert (first.split, second.split) == ([0, 1, 2], [])
    assert second.payloads == first.payloads
    assert second.ctx.succeeded == 3


def test_of_the_files_only_what_changed_is_split(folder: Path, tmp_path: Path) -> None:
    Run(folder, tmp_path)
    folder.joinpath("b.txt").write_text("Another text of some words.")
    folder.joinpath("c.txt").rename(folder / "d.txt")

    second = Run(folder, tmp_path)

    assert second.split == [1, 2]
    assert [(one.id, one.content[:7]) for one in second.payloads] == [
        ("a.txt", b"The a i"),
        ("b.txt", b"Another"),
        ("d.txt", b"The c i"),
    ]


def test_a_file_of_which_something_was_refused_is_split_and_refused_again(
    folder: Path, tmp_path: Path
) -> None:
    records = [{"doi": "10.1000/1", "title": "One"}, {"name": "of nothing"}]
    folder.joinpath("b.txt").write_text(json.dumps(records))

    first, second = Run(folder, tmp_path), Run(folder, tmp_path)

    assert second.split == [1]
    assert first.refused == second.refused
    assert [name for name, _ in first.refused] == ["b.txt#2"]
    assert second.payloads == first.payloads


def test_a_payload_that_another_file_has_is_refused_also_where_it_was_known(
    folder: Path, tmp_path: Path
) -> None:
    record = json.dumps([{"doi": "10.1000/1", "title": "One"}])
    folder.joinpath("b.txt").write_text(record)
    Run(folder, tmp_path)
    folder.joinpath("a.txt").write_text(record + " ")

    runs = [Run(folder, tmp_path) for _ in range(2)]

    assert [run.split for run in runs] == [[0], []]
    for run in runs:
        ((_, message),) = run.refused
        assert message.endswith(f"was already fetched from {folder}/a.txt; the first copy is used")


def test_a_file_whose_shard_is_gone_is_split_again(folder: Path, tmp_path: Path) -> None:
    first = Run(folder, tmp_path)
    for file in tmp_path.joinpath("shards").rglob("*.shard"):
        file.unlink()

    second = Run(folder, tmp_path)

    assert second.split == [0, 1, 2]
    assert second.payloads == first.payloads


def test_what_another_version_of_the_code_split_is_split_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Run(folder, tmp_path)
    monkeypatch.setattr("medkg_dagster_tests.runtime.test_recalled_files.ORIGIN", OTHER_VERSION)

    assert Run(folder, tmp_path).split == [0, 1, 2]


def contents() -> st.SearchStrategy[str]:
    """Draw files: several share ids, some hold two records, some hold something that is none."""
    records = st.sampled_from(
        [{"doi": "10.1000/1", "title": "One"}, {"doi": "10.1000/2", "title": "Two"}, {"of": "nothing"}]
    )
    return st.lists(records, max_size=3).map(json.dumps) | st.sampled_from(["A text.", "", "{"])


@settings(max_examples=20 if settings().derandomize else 100)  # `make soak` draws more
@given(steps=st.lists(st.dictionaries(st.sampled_from("abcd"), contents()), min_size=1, max_size=4))
def test_what_is_remembered_never_shows(
    steps: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("history")
    folder = root / "documents"
    folder.mkdir()
    always = {f"z{number}": f"The text {number} is always there." for number in range(12)}
    for step in [always, *steps]:
        for name, content in step.items():
            folder.joinpath(name).write_text(content)
        recalled, plain = Run(folder, root), Run(folder, root / "plain", is_remembering=False)

        assert recalled.payloads == plain.payloads
        assert recalled.refused == plain.refused
