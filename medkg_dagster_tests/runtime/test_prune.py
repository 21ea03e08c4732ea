"""Pruning the state: what is needed or in use stays, what is not goes, whatever else happens meanwhile."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from medkg_dagster.errors import StateError
from medkg_dagster.runtime.run_processes import this_process
from medkg_dagster.runtime.state import leases as leases_module
from medkg_dagster.runtime.state.archives import archive_state, find_archives, read_archive, use_shards
from medkg_dagster.runtime.state.leases import LEASE_SECONDS, LEASES, leased, read_leases
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
            outcome = memo.find(text) or self._made(memo, text)
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
        return [text for text in texts if memo.find(text)]

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


def test_what_kills_have_left_goes_when_it_is_old(deployment: Deployment) -> None:
    deployment.run("job", "one")
    left = [
        deployment.shards / ".x.shard.0.partial",
        deployment.shards / "x.damaged",
        deployment.archive("job").with_name(".x.state.zip.0.partial"),
    ]
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


def test_a_lease_ends_with_its_step_and_after_a_kill_by_age(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, pathlib\n"
        "from medkg_dagster.runtime.state.leases import leased\n"
        "with leased(pathlib.Path(sys.argv[1])):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, timeout=480)

    now = time.time()
    assert [lease.is_live for lease in read_leases(tmp_path, now)] == [True]
    assert [lease.is_live for lease in read_leases(tmp_path, now + LEASE_SECONDS + 1)] == [False]
    with leased(tmp_path):
        assert len(read_leases(tmp_path, now)) == 2
    assert len(read_leases(tmp_path, now)) == 1


def test_a_step_that_was_stopped_for_long_and_is_still_there_keeps_its_lease(tmp_path: Path) -> None:
    with leased(tmp_path):
        (lease,) = tmp_path.iterdir()
        assert lease.read_text() == this_process()
        (later,) = read_leases(tmp_path, time.time() + 10 * DAY)

    assert later.is_live


def test_a_lease_is_touched_while_the_step_works_and_written_again_where_it_was_taken_for_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases_module, "BEAT_SECONDS", 0.01)
    with leased(tmp_path):
        (lease,) = tmp_path.iterdir()
        os.utime(lease, (0, 0))
        wait_until(lambda: lease.stat().st_mtime > 0)
        lease.unlink()
        wait_until(lease.exists)


def test_leases_that_have_ended_are_removed(deployment: Deployment) -> None:
    folder = deployment.home / LEASES
    folder.mkdir(parents=True)
    (folder / "1-0.lease").write_text("1+1@elsewhere")
    os.utime(folder / "1-0.lease", (0, 0))

    assert deployment.prune().running == 0
    assert list(folder.iterdir()) == []


def wait_until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        time.sleep(0.005)


MANY = 100
"""More lines than this a prune of the smallest state runs."""


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


def scene(home: Path) -> Deployment:
    """Return a home where something of everything is to be removed."""
    made = Deployment(home)
    made.run("gone", "of a job that is gone")
    made.run("job", "before", "always")
    made.run("job", "always", "now")
    made.age()
    return made


def interrupted(
    tmp_path: Path, action: Callable[[Deployment], None], memo_bytes: int = 0
) -> Iterator[Deployment]:
    """Prune again and again, each time with something that happens one line later; yield what is left."""
    made = scene(tmp_path / "scene")
    for number in itertools.count(1):
        # With the times of its files.
        deployment = Deployment(shutil.copytree(made.home, tmp_path / str(number)))
        with contextlib.suppress(Killed):
            lines = at_line(
                number,
                partial(action, deployment),
                partial(deployment.prune, memo_bytes=memo_bytes),
            )
            if lines < number:
                assert number > MANY
                return
        yield deployment


def die(_deployment: Deployment) -> None:
    raise Killed


def test_killed_anywhere_it_leaves_what_is_needed_and_the_next_one_finishes(tmp_path: Path) -> None:
    for deployment in interrupted(tmp_path, die):
        assert deployment.texts("job") == ["always", "now"]
        deployment.age()
        deployment.prune(memo_bytes=0)
        assert sorted(path.suffix for path in deployment.files) == [".shard", ".shard", ".zip"]
        assert deployment.texts("job") == ["always", "now"]


def test_killed_anywhere_it_takes_nothing_from_a_step_at_work(tmp_path: Path) -> None:
    used: list[DocumentValues] = []

    def work_and_die(deployment: Deployment) -> None:
        with leased(deployment.home / LEASES):
            used.append(deployment.work("before")[0])
        raise Killed

    for deployment in interrupted(tmp_path, work_and_die):
        deployment.prune(memo_bytes=0)
        assert texts_of(used.pop()) == ["before"]


@pytest.mark.parametrize("memo_bytes", [0, 1 << 40])
def test_a_run_at_any_moment_of_it_loses_nothing_that_it_writes(tmp_path: Path, memo_bytes: int) -> None:
    def run(deployment: Deployment) -> None:
        with leased(deployment.home / LEASES):
            deployment.run("other", "before", "of a job that is gone")

    for deployment in interrupted(tmp_path, run, memo_bytes):
        assert deployment.texts("other") == ["before", "of a job that is gone"]
        assert deployment.texts("job") == ["always", "now"]


def test_a_step_that_begins_at_any_moment_of_it_keeps_what_it_reads_though_another_run_replaces_it(
    tmp_path: Path,
) -> None:
    read: list[DocumentValues] = []

    def read_and_replace(deployment: Deployment) -> None:
        # This step does not end.
        (deployment.home / LEASES).mkdir()
        (deployment.home / LEASES / f"{time.time_ns()}-0.lease").touch()
        read.append(deployment.read("job"))
        deployment.run("job", "replaced")

    for deployment in interrupted(tmp_path, read_and_replace):
        deployment.prune(memo_bytes=0, grace=0)
        assert texts_of(read.pop()) == ["always", "now"]
        assert deployment.texts("job") == ["replaced"]


def test_another_one_at_any_moment_of_it_removes_the_same(tmp_path: Path) -> None:
    def prune_too(deployment: Deployment) -> None:
        deployment.prune(memo_bytes=0)

    for deployment in interrupted(tmp_path, prune_too):
        assert sorted(path.suffix for path in deployment.files) == [".shard", ".shard", ".zip"]
        assert deployment.texts("job") == ["always", "now"]


def test_several_at_once_beside_runs_lose_nothing(deployment: Deployment) -> None:
    stopped = threading.Event()
    failed: list[BaseException] = []

    def again(work: Callable[[], Any]) -> Callable[[], None]:
        def loop() -> None:
            try:
                while not stopped.is_set():
                    work()
            except BaseException as error:  # noqa: BLE001 - the test shows it
                failed.append(error)

        return loop

    for number in range(5):
        deployment.run("job", f"{number}", f"{number + 1}")
    threads = [threading.Thread(target=again(partial(deployment.prune, memo_bytes=0))) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(60):
            with leased(deployment.home / LEASES):
                deployment.run("job", *(str(n % 7) for n in range(number, number + 3)))
                assert deployment.texts("job") == [str(n % 7) for n in range(number, number + 3)]
            deployment.age_shards()
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert failed == []


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
