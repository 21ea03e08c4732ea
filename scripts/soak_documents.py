"""Crash and kill runs over documents that change, at random; `make soak` runs this.

However often a run is cut short, at whichever of its writes or at any moment while its own processes work on
documents, the next one leaves what a clean build of the same folders leaves: the rows of index and graph. Of
a run that is killed no process stays.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from medkg_dagster_tests.end_to_end.shipped_pipeline import (
    Home,
    Rows,
    rows_in,
    shipped,
    write_article,
    write_full_text,
)
from medkg_dagster_tests.end_to_end.test_kills import at_write_points

FOLDERS = ("spring", "autumn")
ARTICLES = range(8)
CUTS_OF_A_CHANGE = 20
CRASHED = 99
MARK = "SOAK_RUN"
PATIENCE_SECONDS = 30.0
FORK = multiprocessing.get_context("fork")


class Papers:
    """Two folders of articles, some of which both have."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.versions = dict.fromkeys(ARTICLES, 0)
        for folder, numbers in zip(FOLDERS, (range(6), range(3, 8)), strict=True):
            for number in numbers:
                write_article(place / folder, number)

    def change(self, chance: random.Random) -> None:
        """Add, change, retract or delete some articles; article 4 is always there."""
        for _ in range(chance.randint(1, 4)):
            folder = self.place / chance.choice(FOLDERS)
            number = chance.choice([number for number in ARTICLES if number != 4])
            match chance.choice(("write", "write", "retract", "delete", "full text")):
                case "delete":
                    folder.joinpath(f"{number}.xml").unlink(missing_ok=True)
                case "full text":
                    write_full_text(folder, "10.5555/whole")
                case "retract":
                    write_article(folder, number, self.versions[number], retracted=True)
                case _:
                    self.versions[number] += 1
                    write_article(folder, number, self.versions[number])


def run(
    home: Path, papers: Papers, at: int | None = None, *, workers: int = 0, delay: float | None = None
) -> int:
    """Run both jobs in a fork of this process.

    Args:
        home: The folder for all data.
        papers: What to read.
        at: The write point, counted from 0, at which the process ends.
        workers: In how many processes of their own documents are worked on; 0 for the fork itself.
        delay: After how many seconds the fork is killed, and only it.

    Returns:
        How many write points it passed; -1 where it ended at the one it was to end at.
    """
    passed = FORK.Value("i")

    def pass_point() -> None:
        if passed.value == at:
            os._exit(CRASHED)
        passed.value += 1

    child = os.fork()
    if not child:
        try:
            os.environ[MARK] = str(os.getpid())
            at_write_points(pass_point)
            for folder in FOLDERS:
                opened = Home(home)
                opened.run(papers.place / folder, folder, workers=workers)
                opened.ledger.documents.accept_unlisted("auto")
                opened.ledger.close()
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in {0, CRASHED} and not (delay is not None and code == -signal.SIGKILL):
        raise AssertionError(f"a run ended with {code}")
    await_end_of_workers(child)
    return passed.value if code == 0 else -1


def await_end_of_workers(run: int) -> None:
    """Wait until no process that a run started is left.

    Raises:
        AssertionError: One stays.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while left := workers_of(run):
        if time.monotonic() > until:
            raise AssertionError(f"the run {run} was killed, and these processes of it stay: {left}")
        time.sleep(0.05)


def workers_of(run: int) -> list[str]:
    """Return the processes that a run started, as the system numbers them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{MARK}={run}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(entry.name)
    return found


def built(place: Path, papers: Papers) -> Rows:
    """Return what a clean build of the folders leaves."""
    home = place / "clean"
    shutil.rmtree(home, ignore_errors=True)
    for _ in range(2):  # what the second job knows of the first one's documents, the first learns then
        run(home, papers)
    return rows_in(home)


def cut_short(place: Path, chance: random.Random, number: int, *, is_killed: bool) -> None:
    """Cut so many runs short, and compare what the next one leaves with a clean build.

    Args:
        place: An empty folder.
        chance: Draws what changes, and where runs are cut.
        number: How many runs.
        is_killed: Whether they are killed at any moment while others work for them, instead of ending at a
            write.
    """
    logging.getLogger("test").setLevel(logging.CRITICAL)  # every run would say what it sets aside
    shipped()
    papers = Papers(place / "papers")
    before, home = place / "before", place / "home"
    workers = 2 if is_killed else 0
    run(before, papers)
    where: Counter[int] = Counter()
    while where.total() < number:
        papers.change(chance)
        expected = built(place, papers)
        shutil.copytree(before, home)
        begun = time.monotonic()
        last = run(home, papers, workers=workers)
        seconds = time.monotonic() - begun
        run(home, papers)
        check(home, expected, "undisturbed")
        for _ in range(min(CUTS_OF_A_CHANGE, number - where.total())):
            shutil.rmtree(home)
            shutil.copytree(before, home)
            for _ in range(chance.choice((1, 1, 2))):
                at, delay = chance.randrange(last), chance.uniform(0, seconds)
                cut: dict[str, Any] = {"delay": delay} if is_killed else {"at": at}
                passed = run(home, papers, workers=workers, **cut)
                where[int(delay * 10) if is_killed else at] += passed < 0
            for _ in range(2):
                run(home, papers)
            check(home, expected, f"cut short by {cut} of {last} write points and {seconds:.1f} s")
        shutil.rmtree(before)
        home.rename(before)
    what = "kills in tenths of a second" if is_killed else "crashes at write points"
    print(f"{where.total()} {what} at {len(+where)} of them, none of which left a trace", flush=True)


def check(home: Path, expected: Rows, what: str) -> None:
    """Raise where index and graph do not hold what a clean build leaves."""
    for found, wanted in zip(rows_in(home), expected, strict=True):
        if found != wanted:
            missing = [row for row in wanted if row not in found]
            strange = [row for row in found if row not in wanted]
            raise AssertionError(f"{what}: missing {missing[:3]}, strange {strange[:3]}; see {home}")


def main() -> None:
    """Read the arguments, and print the seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crashes", type=int, default=1000, help="runs that end at a write point")
    parser.add_argument("--kills", type=int, default=60, help="runs killed while others work for them")
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(2**32)))
    parser.add_argument("--folder", type=Path, help="an empty folder that is kept, for a look at what failed")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    chance = random.Random(given.seed)  # noqa: S311 - guards nothing
    with tempfile.TemporaryDirectory() as made:
        place = given.folder or Path(made)
        cut_short(place / "crashed", chance, given.crashes, is_killed=False)
        cut_short(place / "killed", chance, given.kills, is_killed=True)


if __name__ == "__main__":
    main()
