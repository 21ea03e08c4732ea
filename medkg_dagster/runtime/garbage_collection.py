"""How often Python looks for cyclic garbage while a step works."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_ALLOCATIONS = 20_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """Have the collector look at new objects less often than Python does by default, as long as this lasts.

    Documents are trees of many small objects without cycles: looking through them whenever 700 more were made
    takes a sixth of the time to load them.
    """
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], _ALLOCATIONS), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
