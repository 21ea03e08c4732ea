"""What many runs with one change each leave is read as what one run leaves, and is as much remembered."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from medkg_dagster.ledger import JobKey
from medkg_dagster.runtime.state import gathering
from medkg_dagster_tests.end_to_end.shipped_pipeline import Home, write_article

LET_BE = 6
"""So many small shards are let be here, which fewer runs come to."""
ARTICLES = 2 * LET_BE


@pytest.fixture(autouse=True)
def few_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MOST", LET_BE)


def computed(home: Home) -> int:
    runs = home.ledger.stage_runs.of_job(JobKey("auto", "default"))
    return sum(run.counts.get("computed", 0) for run in runs)


def test_shards_of_many_changes_are_gathered_and_the_old_ones_are_needed_no_more(tmp_path: Path) -> None:
    papers = tmp_path / "papers"
    for number in range(ARTICLES):
        write_article(papers, number)
    home = Home(tmp_path / "home")
    with closing(home.ledger):
        home.run(papers)
        worked = []
        for number in range(ARTICLES):
            write_article(papers, number, version=1)
            home.run(papers)
            worked.append(computed(home))
        needed = set().union(*home.shards.values())
        for path in (home.folder / "shards").rglob("*.shard"):
            if path.relative_to(home.folder / "shards").as_posix() not in needed:
                path.unlink()
        home.run(papers)

        assert len(set(worked)) == 1
        assert computed(home) == 0
        folders = [(stage, Path(name).parent) for stage, names in home.shards.items() for name in names]
        assert max(Counter(folders).values()) <= LET_BE + 3
        clean = Home(tmp_path / "clean")
        with closing(clean.ledger):
            clean.run(papers)
            assert home.rows() == clean.rows()


def test_what_was_gathered_is_let_be_where_nothing_changes(tmp_path: Path) -> None:
    papers = tmp_path / "papers"
    home = Home(tmp_path / "home")
    with closing(home.ledger):
        for number in range(ARTICLES):
            write_article(papers, number)
            home.run(papers)
        before = sorted((home.folder / "shards").rglob("*.shard"))
        home.run(papers)
        assert sorted((home.folder / "shards").rglob("*.shard")) == before
