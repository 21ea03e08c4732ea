"""Child processes with real kills: nothing is left, whoever ends first."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from medkg_dagster.io.child_process import ChildProcess, describe_end
from medkg_dagster.io.child_supervisor import PARENT_CHECK_SECONDS

# Starts a grandchild in a session of its own and one whose parent ends, then writes the ids of all.
FAMILY = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
sleep = [sys.executable, "-c", stubborn]
pids = [os.getpid(), subprocess.Popen(sleep, start_new_session=True).pid]
readable, writable = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(writable, str(os.getpid()).encode())
        time.sleep(600)
    os._exit(0)
os.wait()
pids.append(int(os.read(readable, 20)))
with open(sys.argv[1] + ".new", "w") as file:
    file.write(" ".join(map(str, pids)))
os.rename(sys.argv[1] + ".new", sys.argv[1])
"""
SLEEPING_FAMILY = FAMILY + "time.sleep(600)\n"
# Whoever started the tests may have told their processes to ignore signals, as shells do in the background.
PARENT = """
import signal, sys, time
from medkg_dagster.io.child_process import ChildProcess
signal.signal(signal.SIGTERM, signal.SIG_DFL)
with ChildProcess([sys.executable, "-c", sys.argv[1], sys.argv[2]]) as child:
    child.wait()
"""


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def until(condition: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def family(file: Path) -> list[int]:
    """Return the processes of a family once all of them run."""
    until(file.exists)
    pids = [int(pid) for pid in file.read_text().split()]
    assert all(map(is_running, pids))
    return pids


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell of grandchildren")


@linux
def test_stopping_a_child_ends_all_that_it_started(tmp_path: Path) -> None:
    with ChildProcess(python(SLEEPING_FAMILY, str(tmp_path / "pids"))):
        pids = family(tmp_path / "pids")

    assert not any(map(is_running, pids))


@linux
def test_a_child_that_ends_takes_along_all_that_it_started(tmp_path: Path) -> None:
    code = FAMILY + "sys.stdin.read(); os._exit(7)\n"

    with ChildProcess(python(code, str(tmp_path / "pids")), stdin=subprocess.PIPE) as child:
        pids = family(tmp_path / "pids")
        assert child.stdin is not None
        child.stdin.close()

        assert child.wait(240) == 7
        assert not any(map(is_running, pids))


@linux
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_parent_that_is_killed_takes_the_whole_family_along(tmp_path: Path, how: signal.Signals) -> None:
    command = python(PARENT, SLEEPING_FAMILY, str(tmp_path / "pids"))
    with subprocess.Popen(command, start_new_session=True) as parent:
        pids = family(tmp_path / "pids")

        parent.send_signal(how)
        parent.wait(240)

    until(lambda: not any(map(is_running, pids)))


@linux
def test_a_kill_of_the_parents_process_group_does_too(tmp_path: Path) -> None:
    command = python(PARENT, SLEEPING_FAMILY, str(tmp_path / "pids"))
    with subprocess.Popen(command, start_new_session=True) as parent:
        pids = family(tmp_path / "pids")

        os.killpg(parent.pid, signal.SIGKILL)
        parent.wait(240)

    until(lambda: not any(map(is_running, pids)))


@linux
def test_a_parent_killed_at_any_moment_of_the_start_leaves_nothing(tmp_path: Path) -> None:
    mark = f"time.sleep(600)  # {tmp_path}"
    started = "import sys; from medkg_dagster.io.child_process import ChildProcess; print(flush=True); "
    code = started + f"ChildProcess([sys.executable, '-c', 'import time; {mark}']).wait()"
    for delay in (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.07):
        with subprocess.Popen(python(code), stdout=subprocess.PIPE) as parent:
            assert parent.stdout is not None
            parent.stdout.readline()
            time.sleep(delay)
            parent.kill()

    until(lambda: not running_with(str(tmp_path)))


def running_with(argument: str) -> list[str]:
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(file.read_bytes().decode(errors="replace"))
        except OSError:  # it has ended
            continue
    return [line for line in lines if argument in line]


@linux
def test_a_child_does_not_outlive_a_killed_supervisor() -> None:
    code = "import os, sys; print(os.getpid(), os.getppid(), flush=True); sys.stdin.read()"
    with ChildProcess(python(code), stdin=subprocess.PIPE) as child:
        assert child.stdout is not None
        pid, supervisor = map(int, child.stdout.readline().split())

        os.kill(supervisor, signal.SIGKILL)

        until(lambda: not is_running(pid))
        assert child.wait(240) == -signal.SIGKILL


def run_in_a_daemonic_process(file: str) -> None:
    assert multiprocessing.current_process().daemon
    with ChildProcess(python("print('from the child')")) as child:
        assert child.stdout is not None
        Path(file).write_bytes(child.stdout.read())


def test_it_works_inside_a_daemonic_process_as_workers_of_celery_are(tmp_path: Path) -> None:
    worker = multiprocessing.get_context("spawn").Process(
        target=run_in_a_daemonic_process, args=(str(tmp_path / "said"),), daemon=True
    )
    worker.start()
    worker.join(240)

    assert (tmp_path / "said").read_text() == "from the child\n"


def test_the_end_of_the_thread_that_started_it_does_not_end_the_child() -> None:
    children: list[ChildProcess] = []
    thread = threading.Thread(target=lambda: children.append(ChildProcess(["sleep", "600"])))
    thread.start()
    thread.join()
    with children[0] as child, pytest.raises(subprocess.TimeoutExpired):
        child.wait(3 * PARENT_CHECK_SECONDS)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; sys.exit(3)", "with exit code 3"),
        ("import os; os.abort()", "by signal SIGABRT"),
        ("import os; os.kill(os.getpid(), 9)", "by signal SIGKILL"),
        ("import os, signal; os.killpg(0, signal.SIGKILL)", "by signal SIGKILL"),
        ("import os; os.kill(os.getpid(), 40)", "by signal 40"),
    ],
)
def test_it_is_told_how_a_child_ended(code: str, said: str) -> None:
    with ChildProcess(python(code)) as child:
        assert describe_end(child.wait(240)) == said


def test_a_command_that_does_not_exist_says_so() -> None:
    with ChildProcess(["/no/such/program"]) as child:
        assert child.stderr is not None
        assert b"/no/such/program cannot be started" in child.stderr.read()
        assert child.wait(240) == 127


def test_descriptors_are_handed_on_and_closed_where_the_child_closes_them() -> None:
    readable, writable = os.pipe()
    code = f"import os, time; os.write({writable}, b'hello'); os.close({writable}); time.sleep(600)"
    with ChildProcess(python(code), inherited=[writable]):
        os.close(writable)
        with os.fdopen(readable, "rb") as stream:
            assert stream.read() == b"hello"


LIMITED = """
import sys
from medkg_dagster.io.child_process import address_space, limit_cpu, limit_memory
"""


@linux
@pytest.mark.parametrize("for_good", [True, False])
def test_too_much_processor_time_ends_a_child(for_good: bool) -> None:
    code = LIMITED + f"limit_cpu(1, for_good={for_good})\nwhile True: pass"

    with ChildProcess(python(code)) as child:
        assert describe_end(child.wait(240)) == "by signal SIGXCPU"


@linux
def test_processor_time_is_counted_from_the_last_limit_on() -> None:
    spend = "end = time.process_time() + 0.7\nwhile time.process_time() < end: pass\n"
    code = LIMITED + "import time\n" + f"limit_cpu(1, for_good=False)\n{spend}" * 3

    with ChildProcess(python(code)) as child:
        assert child.wait(240) == 0


@linux
def test_more_memory_than_allowed_is_not_given() -> None:
    code = LIMITED + "limit_memory(address_space() + (100 << 20))\nbytearray(50 << 20)\nbytearray(200 << 20)"

    with ChildProcess(python(code)) as child:
        assert child.stderr is not None
        assert b"MemoryError" in child.stderr.read()
        assert child.wait(240) == 1
