from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster_tests.end_to_end.running import processes

PROCESSES = 4
UPDATES = 100


def write_fields(url: str, worker: int, start: Barrier) -> None:
    start.wait(240)
    with JobLedger.connect(url) as ledger:
        ledger.jobs.ensure(JobKey("auto", "shared"), {"worker": worker}, actor=f"worker {worker}")
        for number in range(UPDATES):
            ledger.jobs.set_fields(
                JobKey("auto", "shared"), {f"w{worker}.n{number}": number}, actor=f"worker {worker}"
            )


def run_workers(url: str) -> None:
    start = processes.Barrier(PROCESSES)
    workers = [processes.Process(target=write_fields, args=(url, n, start)) for n in range(PROCESSES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(240)
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES


def check_nothing_lost(url: str) -> None:
    with JobLedger.connect(url) as ledger:
        fields = ledger.jobs.get(JobKey("auto", "shared")).fields
        history = ledger.jobs.history(JobKey("auto", "shared"))
    expected = {f"n{number}": number for number in range(UPDATES)}
    assert fields == {f"w{worker}": expected for worker in range(PROCESSES)}
    assert len(history) == PROCESSES * UPDATES + 1
    times = [entry.at for entry in history]
    assert times == sorted(times)


def test_processes_that_open_migrate_and_write_at_once_lose_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    run_workers(url)
    check_nothing_lost(url)


@pytest.mark.usefixtures("postgresql_url")
def test_processes_lose_nothing_on_postgresql(postgresql_url: str) -> None:
    run_workers(postgresql_url)
    check_nothing_lost(postgresql_url)
