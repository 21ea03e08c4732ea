"""Directed graphs of stages, as lists of upstream positions."""

from __future__ import annotations

from collections.abc import Sequence


def topological_order(upstream: Sequence[Sequence[int]]) -> list[int]:
    """Return positions so that what comes first is upstream; as close to the given order as that allows.

    Args:
        upstream: For each position the positions it depends on.

    Returns:
        The order; positions on a cycle, and all behind them, are left out.
    """
    import heapq

    downstream: list[list[int]] = [[] for _ in upstream]
    waiting = [len(edges) for edges in upstream]
    for index, edges in enumerate(upstream):
        for edge in edges:
            downstream[edge].append(index)
    ready = [index for index, count in enumerate(waiting) if not count]
    order = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for behind in downstream[index]:
            waiting[behind] -= 1
            if not waiting[behind]:
                heapq.heappush(ready, behind)
    return order


def ancestor_masks(upstream: Sequence[Sequence[int]]) -> list[int] | None:
    """Return for each position a bit mask of everything upstream of it; None where there is a cycle."""
    order = topological_order(upstream)
    if len(order) < len(upstream):
        return None
    masks = [0] * len(upstream)
    for index in order:
        for edge in upstream[index]:
            masks[index] |= masks[edge] | 1 << edge
    return masks


def find_cycles(upstream: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return cycles that have no position in common, enough of them that breaking all of them leaves none.

    Each begins at its first position and follows the edges.
    """
    left = set(range(len(upstream))).difference(topological_order(upstream))
    cycles: list[list[int]] = []
    while True:
        _peel(upstream, left)
        if not left:
            return cycles
        seen: dict[int, int] = {}
        walk: list[int] = []
        at = min(left)
        while at not in seen:
            seen[at] = len(walk)
            walk.append(at)
            at = next(edge for edge in upstream[at] if edge in left)
        cycle = walk[seen[at] :]
        start = cycle.index(min(cycle))
        cycles.append(cycle[start:] + cycle[:start])
        left.difference_update(cycle)


def _peel(upstream: Sequence[Sequence[int]], left: set[int]) -> None:
    """Remove what has nothing upstream that is left, until nothing of the kind is left."""
    while True:
        loose = {index for index in left if not any(edge in left for edge in upstream[index])}
        if not loose:
            return
        left -= loose
