"""Pruning the state at any line of which something else happens: a kill, a run, another prune."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from medkg_dagster.runtime.state.leases import LEASES, leased
from medkg_dagster.stage_api._documents import DocumentValues
from medkg_dagster_tests.runtime.prunable_state import Deployment, Killed, at_line, texts_of

MANY = 100
"""More lines than this a prune of the smallest state runs."""


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


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "home")


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
