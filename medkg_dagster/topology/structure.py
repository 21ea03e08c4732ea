"""Whether stages and gates make a graph: names, dependencies, cycles, gates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from medkg_dagster.errors import did_you_mean
from medkg_dagster.topology.names import dagster_name

GATE_TYPE = "gate"
MAX_STAGES = 1000


@dataclass(frozen=True, slots=True)
class StageShape:
    """What the graph needs of a stage; None where the file has no valid value."""

    name: str | None
    type: str | None = None
    depends_on: tuple[str | None, ...] = ()
    gate: str | None = None

    @classmethod
    def of(cls, stage: Mapping[str, Any]) -> Self:
        """Return that of a stage as written."""
        depends_on = stage.get("depends_on")
        names = depends_on if isinstance(depends_on, list) else []
        return cls(
            _text(stage.get("name")),
            _text(stage.get("type")),
            tuple(map(_text, names)),
            _text(stage.get("gate")),
        )


@dataclass(frozen=True, slots=True)
class GateShape:
    """What the graph needs of a gate."""

    name: str | None
    resume_stage: str | None = None

    @classmethod
    def of(cls, gate: Mapping[str, Any]) -> Self:
        """Return that of a gate as written."""
        return cls(_text(gate.get("name")), _text(gate.get("resume_stage")))


def mappings_at(value: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the list under a key as written; an empty mapping stands for what is none."""
    items = value.get(key)
    return [item if isinstance(item, dict) else {} for item in items] if isinstance(items, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at a place in a file.

    Attributes:
        path: Keys and list positions from the file's top.
        message: What is wrong.
        hint: The way out.
        first: The place of the earlier one of two that clash.
    """

    path: tuple[str | int, ...]
    message: str
    hint: str | None = None
    first: tuple[str | int, ...] | None = None


def structure_findings(stages: Sequence[StageShape], gates: Sequence[GateShape]) -> list[Finding]:
    """Return everything that keeps stages and gates from making a graph."""
    if len(stages) > MAX_STAGES or len(gates) > MAX_STAGES:
        return [Finding(("stages",), f"a pipeline has at most {MAX_STAGES} stages and gates", "split it")]
    findings = [
        *_name_clashes("stage", "stages", [stage.name for stage in stages]),
        *_name_clashes("gate", "gates", [gate.name for gate in gates]),
        *_wrong_dependencies(stages),
    ]
    masks, cycles = _graph(stages)
    findings += cycles
    findings += _wrong_gates(stages, gates, masks)
    return findings


def find_gate_stage(gate: str, stages: Sequence[StageShape]) -> str | None:
    """Return the stage that checks a gate: by its key `gate`, else by the name `gate_<gate>`."""
    found = _stages_of_gate(gate, stages)
    return stages[found[0]].name if found else None


def _stages_of_gate(gate: str, stages: Sequence[StageShape]) -> list[int]:
    named = [index for index, stage in enumerate(stages) if stage.gate == gate]
    if named:
        return named
    matching = f"gate_{dagster_name(gate)}"
    return [
        index
        for index, stage in enumerate(stages)
        if stage.gate is None and stage.name is not None and dagster_name(stage.name) == matching
    ]


def _name_clashes(kind: str, key: str, names: Sequence[str | None]) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if name is None:
            continue
        mapped = dagster_name(name)
        earlier = first.setdefault(mapped, index)
        if earlier == index:
            continue
        other = names[earlier]
        if other == name:
            message = f"{kind} '{name}' is defined twice"
        else:
            message = f"{kind}s '{other}' and '{name}' both become '{mapped}' in Dagster"
        yield Finding((key, index, "name"), message, "give one another name", (key, earlier, "name"))


def _wrong_dependencies(stages: Sequence[StageShape]) -> Iterator[Finding]:
    known = [stage.name for stage in stages if stage.name is not None]
    for index, stage in enumerate(stages):
        seen: set[str] = set()
        for position, dependency in enumerate(stage.depends_on):
            if dependency is None:
                continue
            path = ("stages", index, "depends_on", position)
            if dependency == stage.name:
                yield Finding(path, f"stage '{stage.name}' depends on itself", "remove the dependency")
            elif dependency not in known:
                yield Finding(
                    path,
                    f"stage '{stage.name}' depends on '{dependency}', which is no stage of this pipeline",
                    did_you_mean(dependency, [name for name in known if name != stage.name]),
                )
            elif dependency in seen:
                yield Finding(
                    path, f"stage '{stage.name}' names the dependency '{dependency}' twice", "remove one"
                )
            seen.add(dependency)


def upstream_masks(stages: Sequence[StageShape]) -> list[int] | None:
    """Return for each stage a bit mask of those upstream of it; None where there is a cycle."""
    return ancestor_masks(_edges(stages))


def _edges(stages: Sequence[StageShape]) -> list[list[int]]:
    position = {
        stage.name: index for index, stage in reversed(list(enumerate(stages))) if stage.name is not None
    }
    return [
        sorted({position[name] for name in stage.depends_on if name in position and position[name] != index})
        for index, stage in enumerate(stages)
    ]


def _graph(stages: Sequence[StageShape]) -> tuple[list[int] | None, list[Finding]]:
    edges = _edges(stages)
    masks = ancestor_masks(edges)
    if masks is not None:
        return masks, []
    findings = []
    for cycle in find_cycles(edges):
        members = [str(stages[index].name) for index in cycle]
        shown = " -> ".join([*members, members[0]])
        findings.append(
            Finding(
                ("stages", min(cycle), "depends_on"),
                f"the stages {shown} wait for one another (each arrow reads 'depends on')",
                "remove one of these dependencies",
            )
        )
    return None, findings


def _wrong_gates(
    stages: Sequence[StageShape], gates: Sequence[GateShape], masks: list[int] | None
) -> Iterator[Finding]:
    known = [gate.name for gate in gates if gate.name is not None]
    claimed: set[int] = set()
    for index, gate in enumerate(gates):
        if gate.name is None:
            continue
        found = _stages_of_gate(gate.name, stages)
        claimed.update(found)
        yield from _wrong_gate(index, gate.name, found, stages)
        if gate.resume_stage is not None:
            yield from _wrong_resume_stage(index, gate, found, stages, masks)
    for index, stage in enumerate(stages):
        if stage.gate is not None and stage.gate not in known:
            yield Finding(
                ("stages", index, "gate"),
                f"stage '{stage.name}' checks the gate '{stage.gate}', which is not defined",
                did_you_mean(stage.gate, known),
            )
        elif stage.type == GATE_TYPE and index not in claimed:
            yield Finding(
                ("stages", index),
                f"stage '{stage.name}' is a gate stage, and no gate belongs to it",
                "name its gate with `gate:` and define it under `gates:`",
            )


def _wrong_gate(index: int, gate: str, found: list[int], stages: Sequence[StageShape]) -> Iterator[Finding]:
    if not found:
        yield Finding(
            ("gates", index, "name"),
            f"no stage checks the gate '{gate}'",
            f"write `gate: {gate}` in a stage, or name it gate_{dagster_name(gate)}",
        )
    for other in found[1:]:
        yield Finding(
            ("stages", other, "gate"),
            f"the stages '{stages[found[0]].name}' and '{stages[other].name}' both check the gate '{gate}'",
            "a gate has one stage; define another gate",
            ("stages", found[0]),
        )


def _wrong_resume_stage(
    index: int, gate: GateShape, found: list[int], stages: Sequence[StageShape], masks: list[int] | None
) -> Iterator[Finding]:
    path = ("gates", index, "resume_stage")
    names = [stage.name for stage in stages]
    if gate.resume_stage not in names:
        yield Finding(
            path,
            f"gate '{gate.name}' resumes at '{gate.resume_stage}', which is no stage of this pipeline",
            did_you_mean(str(gate.resume_stage), [name for name in names if name is not None]),
        )
        return
    if masks is None or not found:
        return
    if not masks[names.index(gate.resume_stage)] >> found[0] & 1:
        yield Finding(
            path,
            f"gate '{gate.name}' resumes at '{gate.resume_stage}', which does not lie behind its stage "
            f"'{names[found[0]]}'",
            f"let '{gate.resume_stage}' depend on '{names[found[0]]}', directly or not",
        )


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


def furthest_downstream(positions: Sequence[int], ancestors: Sequence[int]) -> list[int]:
    """Return those of the positions that have no other of them downstream; `ancestors` are masks as above."""
    hidden = 0
    for at in positions:
        hidden |= ancestors[at]
    return [at for at in positions if not hidden >> at & 1]


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
