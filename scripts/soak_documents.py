"""Crash runs over documents that change, at their write points, at random; `make soak` runs this.

However often a run is cut short, and at whichever of its writes, the next one leaves what a clean build of
the same folders leaves: the rows of index and graph.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import random
import shutil
import tempfile
import traceback
from collections import Counter
from pathlib import Path

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
CRASHES_OF_A_CHANGE = 20
CRASHED = 99
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


def run(home: Path, papers: Papers, at: int | None = None) -> int:
    """Run both jobs in a fork of this process.

    Args:
        home: The folder for all data.
        papers: What to read.
        at: The write point, counted from 0, at which the process ends.

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
            at_write_points(pass_point)
            for folder in FOLDERS:
                opened = Home(home)
                opened.run(papers.place / folder, folder)
                opened.ledger.documents.accept_unlisted("auto")
                opened.ledger.close()
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in {0, CRASHED}:
        raise AssertionError(f"a run ended with {code}")
    return passed.value if code == 0 else -1


def built(place: Path, papers: Papers) -> Rows:
    """Return what a clean build of the folders leaves."""
    home = place / "clean"
    shutil.rmtree(home, ignore_errors=True)
    for _ in range(2):  # what the second job knows of the first one's documents, the first learns then
        run(home, papers)
    return rows_in(home)


def crash(place: Path, chance: random.Random, number: int) -> None:
    """Cut so many runs short, and compare what the next one leaves with a clean build."""
    logging.getLogger("test").setLevel(logging.CRITICAL)  # every run would say what it sets aside
    shipped()
    papers = Papers(place / "papers")
    before, home = place / "before", place / "home"
    run(before, papers)
    points: Counter[int] = Counter()
    while points.total() < number:
        papers.change(chance)
        expected = built(place, papers)
        shutil.copytree(before, home)
        last = run(home, papers)
        run(home, papers)
        check(home, expected, "undisturbed")
        for _ in range(min(CRASHES_OF_A_CHANGE, number - points.total())):
            shutil.rmtree(home)
            shutil.copytree(before, home)
            ats = [chance.randrange(last) for _ in range(chance.choice((1, 1, 2)))]
            for at in ats:
                points[at] += run(home, papers, at) < 0
            for _ in range(2):
                run(home, papers)
            check(home, expected, f"cut short at {ats} of {last}")
        shutil.rmtree(before)
        home.rename(before)
    print(f"{points.total()} crashes at {len(+points)} write points, none of which left a trace", flush=True)


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
    parser.add_argument("--crashes", type=int, default=1000, help="runs that are cut short")
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(2**32)))
    parser.add_argument("--folder", type=Path, help="an empty folder that is kept, for a look at what failed")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory() as made:
        crash(given.folder or Path(made), random.Random(given.seed), given.crashes)  # noqa: S311 - guards nothing


if __name__ == "__main__":
    main()
