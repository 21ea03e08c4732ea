"""Events by which a step is stopped: whatever becomes of the step's process, they can be set."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.synchronize import Event

import pytest

from medkg_dagster.runtime.pipe_events import PipeEvent, pipe_events

CONTEXT = multiprocessing.get_context("forkserver")
PATIENCE = 240


def end_like_a_step(event: Event, steps: int) -> None:
    """End as a step's process does, whose thread waits for the event, so many instructions later."""
    threading.Thread(target=event.wait, daemon=True).start()
    event.set()
    for _ in range(steps):
        pass
    os._exit(0)


def take_what_it_has_along(event: Event) -> None:
    """End in the middle of waiting and setting, wherever that may be."""
    for _ in range(4):
        threading.Thread(target=lambda: [event.is_set() for _ in range(100_000)], daemon=True).start()
    event.set()
    os._exit(0)


def test_an_event_is_set_across_processes() -> None:
    with pipe_events("forkserver"):
        event = CONTEXT.Event()
    assert isinstance(event, PipeEvent)
    assert (event.is_set(), event.wait(0)) == (False, False)

    process = CONTEXT.Process(target=event.set)
    process.start()

    assert event.wait(PATIENCE)
    process.join()
    assert event.is_set()
    event.clear()
    assert not event.is_set()


@pytest.mark.parametrize("steps", [0, 1_000, 100_000])
def test_who_ends_while_it_waits_keeps_nobody_from_setting_it(steps: int) -> None:
    for _ in range(5):
        event = PipeEvent(ctx=CONTEXT)
        process = CONTEXT.Process(target=end_like_a_step, args=(event, steps))
        process.start()
        process.join()

        event.set()

        assert event.is_set()


def test_who_ends_while_it_looks_keeps_nobody_from_setting_it() -> None:
    event = PipeEvent(ctx=CONTEXT)
    process = CONTEXT.Process(target=take_what_it_has_along, args=(event,))
    process.start()
    process.join()

    event.set()

    assert event.is_set()


def test_other_contexts_and_later_runs_have_the_events_of_python() -> None:
    with pipe_events("forkserver"):
        assert not isinstance(multiprocessing.get_context("spawn").Event(), PipeEvent)

    assert not isinstance(CONTEXT.Event(), PipeEvent)
