"""What is a kind of what must not lead in a circle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def find_cycle(parents: Mapping[str, tuple[str, ...]], done: set[str] | None = None) -> tuple[str, ...]:
    """Return the CURIEs of a cycle, each a kind of the next, the first once more at the end; none, empty.

    Args:
        parents: By CURIE what it is a kind of.
        done: CURIEs from which no cycle is reached; those that are found to be such are added.
    """
    return next((cycle for cycle in _cycles(parents, set() if done is None else done)), ())


def _cycles(parents: Mapping[str, tuple[str, ...]], done: set[str]) -> Iterable[tuple[str, ...]]:
    for start in parents:
        if start in done:
            continue
        # Where each on the path stands, and what of its parents is still to be followed.
        places, path = {start: 0}, [(start, iter(parents[start]))]
        while path:
            curie, rest = path[-1]
            above = next((one for one in rest if one in parents and one not in done), None)
            if above is None:
                done.add(curie)
                del places[curie]
                path.pop()
            elif above in places:
                yield (*(one for one, _ in path[places[above] :]), above)
                return
            else:
                places[above] = len(path)
                path.append((above, iter(parents[above])))
