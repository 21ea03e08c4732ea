"""A home with state to prune, and something that happens at one line of it."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from medkg_dagster.runtime.state.archives import archive_state, read_archive, use_shards
from medkg_dagster.runtime.state.prune import Pruned, prune
from medkg_dagster.runtime.state.shards import Memo, ShardStore
from medkg_dagster.runtime.state.work_account import WorkAccount
from medkg_dagster.stage_api import MemoryPart
from medkg_dagster.stage_api._document_loop import DocumentOutcome
from medkg_dagster.stage_api._documents import DocumentValues
from medkg_dagster_tests.runtime.document_stages import Word

DAY = 24 * 3600.0
TYPES = {"words": tuple[Word, ...]}
MODULES = {"prune.py", "removal.py", "leases.py", "archives.py"}


class Deployment:
    """A home with shards and archives, some of them not used for ten days."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.shards = home / "shards"

    def memo(self) -> Memo:
        return ShardStore(self.shards).memo("folder", TYPES)

    def work(self, *texts: str) -> tuple[DocumentValues, set[str]]:
        """Do the work on some documents, each in a shard of its own, or use what is remembered."""
        memo, parts = self.memo(), []
        for text in texts:
            outcome = memo.find(memo.places(text)) or self._made(memo, text)
            parts.append(outcome.parts["words"])
        return DocumentValues(parts, TYPES["words"]), memo.work

    def _made(self, memo: Memo, text: str) -> DocumentOutcome:
        part = MemoryPart("a", "words", (Word(document_id="a", text=text),), TYPES["words"])
        kept = memo.keep(text, DocumentOutcome({"words": part}, 1))
        memo.close()
        return kept

    def archive(self, job: str) -> Path:
        return self.home / "state" / "auto" / "split" / f"{job}.state.zip"

    def run(self, job: str, *texts: str) -> None:
        """Write what a stage makes of some documents."""
        values, work = self.work(*texts)
        path = self.archive(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".new")
        partial.write_bytes(archive_state({"words": values}, TYPES, WorkAccount(work)))
        partial.replace(path)

    def read(self, job: str) -> DocumentValues:
        """Read what a stage wrote, as the IO manager does."""
        while True:
            content = self.archive(job).read_bytes()
            values: DocumentValues = read_archive(content, "words", TYPES["words"], ShardStore(self.shards))
            if use_shards(values) or content == self.archive(job).read_bytes():
                return values

    def texts(self, job: str) -> list[str]:
        return texts_of(self.read(job))

    def remembers(self, *texts: str) -> list[str]:
        memo = self.memo()
        return [text for text in texts if memo.find(memo.places(text))]

    def age(self, days: float = 10) -> None:
        """Let everything be of some days ago."""
        then = time.time() - days * DAY
        for path in self.home.rglob("*"):
            if path.is_file():
                os.utime(path, (then, then))

    def age_shards(self) -> None:
        """The same of the shards that are there, whoever removes some of them meanwhile."""
        then = time.time() - 10 * DAY
        for path in self.shards.rglob("*.shard"):
            with contextlib.suppress(FileNotFoundError):
                os.utime(path, (then, then))

    def prune(self, *, memo_bytes: int = 1 << 40, grace: float = DAY, is_dry: bool = False) -> Pruned:
        return prune(self.home, self.is_job, grace_seconds=grace, memo_bytes=memo_bytes, is_dry=is_dry)

    @staticmethod
    def is_job(pipeline: str, job: str) -> bool:
        return pipeline == "auto" and not job.startswith("gone")

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.home.rglob("*") if path.is_file())


def texts_of(values: DocumentValues) -> list[str]:
    return [word.text for word in values.whole()]


class Killed(BaseException):
    """Stands for the end of the process."""


def at_line(number: int | None, action: Callable[[], None], work: Callable[[], Any]) -> int:
    """Do some work, and another thing just before a line of it; return how many lines the work ran."""
    lines = itertools.count()
    seen = 0
    before = sys.gettrace()

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal seen
        if Path(frame.f_code.co_filename).name not in MODULES:
            return None
        if event == "line":
            seen = next(lines) + 1
            if seen == number:
                sys.settrace(None)
                try:
                    action()
                finally:
                    sys.settrace(trace)
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return seen
