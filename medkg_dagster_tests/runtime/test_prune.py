"""Pruning the state: what is needed or in use stays, and what is not goes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from medkg_dagster.errors import StateError
from medkg_dagster.io.kept_answers import KeptAnswers
from medkg_dagster.runtime.state.archives import archive_state, find_archives
from medkg_dagster.runtime.state.leases import LEASES, leased
from medkg_dagster.runtime.state.work_account import WorkAccount
from medkg_dagster.stage_api._document_loop import DocumentOutcome
from medkg_dagster.stage_api._documents import DocumentValues
from medkg_dagster_tests.runtime.prunable_state import DAY, TYPES, Deployment, at_line, texts_of


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "home")


def test_shards_that_no_job_needs_go_when_the_grace_period_is_over(deployment: Deployment) -> None:
    deployment.run("job", "old", "kept")
    deployment.run("job", "kept", "new")
    deployment.age()
    deployment.run("other", "young")
    deployment.archive("other").unlink()

    pruned = deployment.prune()

    assert (pruned.shards.files, pruned.needed.files, pruned.remembered.files) == (1, 2, 1)
    assert deployment.texts("job") == ["kept", "new"]
    assert deployment.remembers("old", "kept", "new", "young") == ["kept", "new", "young"]


def test_state_of_jobs_that_there_are_not_goes_and_what_it_alone_needs(deployment: Deployment) -> None:
    deployment.run("gone", "one", "two")
    deployment.run("job", "two", "three")
    deployment.age()

    pruned = deployment.prune()

    assert (pruned.archives.files, pruned.shards.files, pruned.needed.files) == (1, 1, 2)
    assert not deployment.archive("gone").exists()
    assert deployment.texts("job") == ["two", "three"]


def test_state_of_a_job_that_the_ledger_does_not_know_yet_stays_for_the_grace_period(
    deployment: Deployment,
) -> None:
    deployment.run("gone", "one")

    assert deployment.prune().archives.files == 0
    assert deployment.texts("gone") == ["one"]


def test_work_that_made_nothing_is_remembered_as_long_as_the_state_it_is_part_of(
    deployment: Deployment,
) -> None:
    memo = deployment.memo()
    memo.keep("left out", DocumentOutcome(is_left_out=True))
    memo.close()
    path = deployment.archive("job")
    path.parent.mkdir(parents=True)
    nothing = {"words": DocumentValues((), TYPES["words"])}
    path.write_bytes(archive_state(nothing, TYPES, WorkAccount(memo.work)))
    deployment.age()

    deployment.prune()

    assert deployment.remembers("left out") == ["left out"]


def test_a_dry_run_tells_the_same_and_removes_nothing(deployment: Deployment) -> None:
    deployment.run("gone", "one")
    deployment.run("job", "two")
    deployment.work("three")
    deployment.age()
    deployment.work("four")
    (deployment.shards / "x.shard.damaged").touch()
    before = deployment.files

    dry = deployment.prune(is_dry=True, memo_bytes=0)

    assert deployment.files == before
    assert dry == deployment.prune(memo_bytes=0)
    assert (dry.archives.files, dry.shards.files) == (1, 2)


def test_of_what_is_remembered_what_was_used_last_stays_within_the_budget(deployment: Deployment) -> None:
    deployment.run("job", "needed")
    deployment.age(0.9)
    deployment.work("one", "two", "three")
    for days, text in ((0.5, "one"), (0.7, "two"), (0.6, "three")):
        (shard,) = {deployment.shards / name for name in deployment.work(text)[1]}
        os.utime(shard, (time.time() - days * DAY,) * 2)
        size = shard.stat().st_size

    pruned = deployment.prune(memo_bytes=2 * size + size // 2)

    assert (pruned.over_budget.files, pruned.shards.files) == (1, 0)
    assert deployment.remembers("one", "two", "three", "needed") == ["one", "three", "needed"]


def test_answers_of_services_go_for_nothing_but_the_budget_those_used_longest_ago_first(
    deployment: Deployment,
) -> None:
    answers = KeptAnswers(deployment.home)
    for number in range(3):
        answers.keep("http://x/", {"number": number}, b"answer")
    deployment.age()
    answers.find("http://x/", {"number": 1})

    pruned = deployment.prune(), deployment.prune(memo_bytes=len(b"answer"))

    assert [one.over_budget.files for one in pruned] == [0, 2]
    assert [answers.find("http://x/", {"number": number}) for number in range(3)] == [None, b"answer", None]


def test_what_kills_have_left_goes_when_it_is_old(deployment: Deployment) -> None:
    deployment.run("job", "one")
    left = [
        deployment.shards / ".x.shard.0.partial",
        deployment.shards / "x.damaged",
        deployment.archive("job").with_name(".x.state.zip.0.partial"),
        deployment.home / "answers" / ".x.json.0.partial",
    ]
    left[-1].parent.mkdir()
    for path in left:
        path.touch()
    assert deployment.prune().leftovers.files == 0
    deployment.age()

    assert deployment.prune().leftovers.files == len(left)
    assert not any(path.exists() for path in left)
    assert deployment.texts("job") == ["one"]


def test_a_damaged_archive_is_named(deployment: Deployment) -> None:
    deployment.run("job", "one")
    deployment.archive("job").write_bytes(b"no archive")

    assert deployment.prune().unreadable == [str(deployment.archive("job"))]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_folder_that_cannot_be_looked_into_ends_it_before_anything_is_removed(
    deployment: Deployment,
) -> None:
    deployment.run("job", "one")
    deployment.age()
    folder = deployment.archive("job").parent
    folder.chmod(0)

    with pytest.raises(StateError, match=r"cannot be pruned: Permission denied: .*prune again"):
        deployment.prune()

    folder.chmod(0o755)
    assert deployment.texts("job") == ["one"]


def test_what_a_running_step_has_used_stays_however_long_ago(deployment: Deployment) -> None:
    deployment.run("job", "one", "two")
    deployment.age()
    with leased(deployment.home / LEASES):
        read = deployment.read("job")
        remembered, _ = deployment.work("one", "two")
        deployment.run("job", "three")
        (lease,) = (deployment.home / LEASES).iterdir()
        # It has been at work for five days, and said so just now.
        lease.rename(lease.with_name(f"{time.time_ns() - int(5 * DAY * 1e9)}-0.lease"))
        deployment.age(4)
        os.utime(next((deployment.home / LEASES).iterdir()))

        pruned = deployment.prune(memo_bytes=0)

        assert (pruned.running, pruned.shards.files, pruned.over_budget.files) == (1, 0, 0)
        assert texts_of(read) == texts_of(remembered) == ["one", "two"]
        for path in (deployment.home / LEASES).iterdir():
            path.unlink()

    assert deployment.prune().shards.files == 2
    assert deployment.texts("job") == ["three"]


def test_leases_that_have_ended_are_removed(deployment: Deployment) -> None:
    folder = deployment.home / LEASES
    folder.mkdir(parents=True)
    (folder / "1-0.lease").write_text("1+1@elsewhere")
    os.utime(folder / "1-0.lease", (0, 0))

    assert deployment.prune().running == 0
    assert list(folder.iterdir()) == []


def test_its_cost_grows_with_what_is_there_and_not_with_its_square(tmp_path: Path) -> None:
    def lines(size: int) -> int:
        deployment = Deployment(tmp_path / str(size))
        for number in range(size):
            deployment.run(f"job {number}", str(number), str(number + 1))
            deployment.work(f"{number} again")
        deployment.age(0.5)
        return at_line(None, lambda: None, lambda: deployment.prune(memo_bytes=1000))

    assert lines(80) < 4.5 * lines(20)


@pytest.mark.parametrize("prefix", ["", "lab/oncology"])
def test_archives_of_a_job_are_found_whatever_prefix_the_deployment_gives_its_assets(
    tmp_path: Path, prefix: str
) -> None:
    folder = tmp_path / "state" / prefix / "word_count"
    for stage, job in (("read", "one"), ("count_all", "one"), ("read", "two")):
        path = folder / stage / f"{job}.state.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    assert sorted(path.parent.name for path in find_archives(tmp_path, "word-count", "one")) == [
        "count_all",
        "read",
    ]
    assert find_archives(tmp_path, "word-count", "one", "count-all") == [
        folder / "count_all" / "one.state.zip"
    ]
    assert find_archives(tmp_path, "another", "one") == []
