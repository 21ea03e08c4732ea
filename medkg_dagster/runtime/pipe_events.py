"""Events between processes that none of them can keep from being set."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from multiprocessing.synchronize import Event


class PipeEvent(Event):
    """An event that is set by what lies in a pipe.

    The event of `multiprocessing` has a lock, which a process that ends at the wrong moment takes along: then
    whoever sets the event waits for ever. Of the events by which Dagster's executor stops a step both sides
    do: the run to stop it, and the step's process as it ends.

    Args:
        ctx: The context of the processes.
    """

    def __init__(self, *, ctx: BaseContext) -> None:
        self._reader, self._writer = ctx.Pipe(duplex=False)

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._reader.poll()

    def set(self) -> None:
        """Set it; nobody is waited for."""
        self._writer.send_bytes(b".")

    def clear(self) -> None:
        """Take back that it is set."""
        while self._reader.poll():
            self._reader.recv_bytes()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or so many seconds; return whether it is."""
        return self._reader.poll(timeout)


@contextmanager
def pipe_events(start_method: str) -> Iterator[None]:
    """Have a context of processes make such events, as Dagster's executor makes its own from it.

    Args:
        start_method: Names the context.
    """
    context = multiprocessing.get_context(start_method)
    context.Event = lambda: PipeEvent(ctx=context)  # type: ignore[method-assign] # of this object alone
    try:
        yield
    finally:
        del context.Event
