"""After any history of folders, people and crashes the stores are those of a clean build."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Connection

from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.io.atomic_files import write_atomically
from medkg_dagster.io.sql import Database
from medkg_dagster_tests.end_to_end.shipped_pipeline import Home, write_article, write_full_text

ARTICLES = st.sampled_from((1, 2, 3))
FOLDERS = st.sampled_from(("spring", "autumn"))
TWIN, DOI = 1, "10.5555/twin"
"""An article of which there may be the full text, too, under a DOI that its record learns or loses."""
ALWAYS = 9
"""An article that stays in every folder: an empty one is not listed at all."""
WORKERS = st.just(0) if settings().derandomize else st.sampled_from((0, 0, 0, 1, 2, 4))
"""Processes for documents, which take long to start, are drawn by `make soak`."""


class CrashError(BaseException):
    """The process is gone."""


@contextmanager
def crashing(at: int, *, written: bool) -> Iterator[None]:
    """Let the process be gone at its n-th write: right behind it, or just before it is committed.

    Writes are those to databases and those of shards.
    """
    numbers = itertools.count(1)
    original = Database.writing

    def pass_point(number: int, *, behind: bool) -> None:
        if number > at or (number == at and behind == written):
            raise CrashError

    def writing(database: Database) -> AbstractContextManager[Connection]:
        @contextmanager
        def transaction() -> Iterator[Connection]:
            number = next(numbers)
            with original(database) as connection:
                yield connection
                pass_point(number, behind=False)
            pass_point(number, behind=True)

        return transaction()

    def write(path: Path, content: bytes) -> None:
        number = next(numbers)
        pass_point(number, behind=False)
        write_atomically(path, content)
        pass_point(number, behind=True)

    with (
        mock.patch.object(Database, "writing", writing),
        mock.patch("medkg_dagster.runtime.state.shards.write_atomically", write),
    ):
        try:
            yield
        except CrashError:
            return


class Histories(RuleBasedStateMachine):
    """Two folders that share articles, a person who withdraws and splits, and runs that may crash."""

    @initialize()
    def begin(self) -> None:
        self.place = Path(tempfile.mkdtemp())
        self.home = Home(self.place / "home")
        self.versions = dict.fromkeys((1, 2, 3, ALWAYS), 0)
        self.retracted: set[int] = set()
        self.withdrawn: set[str] = set()
        self.doi_is_known = False
        self.is_split = False
        self.characters, self.version = 1200, 0
        self.order: list[str] = []
        self.ran_whole = False
        for folder, numbers in (("spring", (1, 2, ALWAYS)), ("autumn", (2, 3, ALWAYS))):
            for number in numbers:
                self.write(folder, number)
            self.run(folder)

    def teardown(self) -> None:
        if hasattr(self, "place"):
            self.settle()
            self.home.ledger.close()
            shutil.rmtree(self.place)

    def file(self, folder: str, number: int) -> Path:
        return self.place / folder / f"{number}.xml"

    def write(self, folder: str, number: int) -> None:
        retracted = number in self.retracted
        doi = DOI if number == TWIN and self.doi_is_known else None
        write_article(self.place / folder, number, self.versions[number], retracted=retracted, doi=doi)

    def rewrite(self, number: int) -> None:
        for folder in ("spring", "autumn"):
            if self.file(folder, number).exists():
                self.write(folder, number)
        self.ran_whole = False

    @rule(folder=FOLDERS, number=ARTICLES)
    def add(self, folder: str, number: int) -> None:
        self.write(folder, number)
        self.ran_whole = False

    @rule(folder=FOLDERS, number=ARTICLES)
    def delete(self, folder: str, number: int) -> None:
        self.file(folder, number).unlink(missing_ok=True)
        self.ran_whole = False

    @rule(number=ARTICLES)
    def change(self, number: int) -> None:
        self.versions[number] += 1
        self.rewrite(number)

    @rule(number=ARTICLES)
    def retract_or_reinstate(self, number: int) -> None:
        self.retracted ^= {number}
        self.rewrite(number)

    @rule(folder=FOLDERS)
    def add_or_delete_the_full_text(self, folder: str) -> None:
        file = self.place / folder / "full_text.xml"
        if file.exists():
            file.unlink()
        else:
            write_full_text(self.place / folder, DOI.upper())
        self.ran_whole = False

    @rule()
    def two_ids_turn_out_to_be_one_work_or_not(self) -> None:
        self.doi_is_known = not self.doi_is_known
        self.rewrite(TWIN)

    @rule()
    def split(self) -> None:
        name = f"PMID:{TWIN}"
        if name in self.home.ledger.documents.standing([name]) and name not in self.withdrawn:
            self.home.ledger.documents.split([name], actor="ann")
            self.is_split = True
            self.ran_whole = False

    @rule(number=ARTICLES)
    def withdraw_or_restore(self, number: int) -> None:
        name = f"PMID:{number}"
        if name not in self.home.ledger.documents.standing([name]):
            return
        self.ran_whole = False
        if name in self.withdrawn:
            self.home.ledger.documents.restore([name])
            self.withdrawn.remove(name)
            self.is_split &= name != f"PMID:{TWIN}"
        else:
            self.home.ledger.documents.withdraw([name], actor="ann", reason="x")
            self.withdrawn.add(name)

    @rule(characters=st.sampled_from((60, 200, 1200)))
    def cut_into_chunks_of(self, characters: int) -> None:
        self.characters = characters
        self.ran_whole = False

    @rule()
    def replace_the_stage_types(self) -> None:
        self.version += 1
        self.ran_whole = False

    def run_in(self, home: Home, folder: str, workers: int = 0) -> None:
        chunk = {"max_characters": self.characters, "overlap": 0, "min_characters": 1}
        home.run(
            self.place / folder, folder, configured={"chunk": chunk}, version=self.version, workers=workers
        )

    @rule(folder=FOLDERS, workers=WORKERS)
    def run(self, folder: str, workers: int = 0) -> None:
        self.run_in(self.home, folder, workers)
        self.order = [*(name for name in self.order if name != folder), folder]
        self.ran_whole = True

    @rule(folder=FOLDERS, at=st.integers(1, 40), written=st.booleans())
    def crash(self, folder: str, at: int, written: bool) -> None:
        with crashing(at, written=written):
            self.run_in(self.home, folder)
        self.order = [*(name for name in self.order if name != folder), folder]
        self.ran_whole = False

    @precondition(lambda self: getattr(self, "ran_whole", False))
    @invariant()
    def what_is_shown_is_current(self) -> None:
        standing = self.home.ledger.documents.standing(sorted(self.home.shown()))
        assert set(standing.values()) <= {DocumentStatus.CURRENT}
        assert standing.keys() == self.home.shown()

    def settle(self) -> None:
        """Run everything to its end, accept what waits, and compare with a clean build."""
        for _ in range(2):
            for folder in self.order:
                self.run_in(self.home, folder)
            self.home.ledger.documents.accept_unlisted("auto")
        clean = Home(self.place / "clean")
        for folder in self.order:
            self.run_in(clean, folder)
        if self.order:
            names = sorted(self.withdrawn)
            clean.ledger.documents.withdraw(names, actor="ann", reason="x", stored=self.withdrawn)
            if self.is_split and f"PMID:{TWIN}" in clean.ledger.documents.standing([f"PMID:{TWIN}"]):
                clean.ledger.documents.split([f"PMID:{TWIN}"], actor="ann")
            for folder in self.order:
                self.run_in(clean, folder)
            assert self.home.rows() == clean.rows()
        clean.ledger.close()


TestDocumentHistories = Histories.TestCase
# `make soak` draws more.
TestDocumentHistories.settings = settings(
    max_examples=3 if settings().derandomize else 60, stateful_step_count=8
)
