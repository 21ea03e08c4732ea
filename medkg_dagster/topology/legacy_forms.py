"""The earlier forms of a pipeline file, read into today's; nothing else knows of them.

They are found in plain values, before anything is validated, so that the loader and `medkg migrate` share one
reading. A file that is valid as today's form is never changed.
"""

from __future__ import annotations

import itertools
import shlex
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from medkg_dagster.errors import Problem
from medkg_dagster.topology.names import dagster_name
from medkg_dagster.topology.structure import (
    GATE_TYPE,
    StageShape,
    find_gate_stage,
    mappings_at,
    upstream_masks,
)
from medkg_dagster.topology.yaml_source import SourceLines, YamlPath, YamlSource

ACCEPTED_UNTIL = "medkg-dagster 1.0"
CONDITION_KEYS = ("timeout_seconds", "poll_interval_seconds")
PARSE_TYPE = "parse"
DOWNLOAD_TYPE = "download"
READERS = frozenset({"ir-validation", "chunk", "extract"})
"""Built-in stage types that need parsed documents."""
WITHOUT_PARSED = frozenset({"ingest", "download", "gate", "embed", "index", "knowledge-graph"}) | READERS
"""Built-in stage types that make none of what they read; any other type may."""

_IN_CONDITION = "write it inside 'condition'"
_POLICY = "write 'policy: NAME', and the policy in resilience.yaml"
_ENTRY_POINT = (
    "the package registers the stage type under the entry point group 'medical_kg.orchestration.stages'"
)
_INSTEAD: dict[tuple[str, ...], str] = {
    ("stages", "phase"): "remove it: a stage belongs to the phase of the last of the 'gates' before it",
    ("stages", "retry"): _POLICY,
    ("stages", "retries"): _POLICY,
    ("stages", "callable"): f"write 'type: STAGE-TYPE'; {_ENTRY_POINT}",
    ("plugins", "stages", "callable"): f"write 'from: DISTRIBUTION'; {_ENTRY_POINT}",
    **{("gates", key): _IN_CONDITION for key in (*CONDITION_KEYS, "on_timeout", "mode", "clauses")},
}


def instead_of(location: Sequence[str | int]) -> str | None:
    """Say what to write for a key that other systems or earlier releases have; None where it is not known."""
    return _INSTEAD.get(tuple(part for part in location if isinstance(part, str)))


@dataclass(frozen=True, slots=True)
class KeyOutsideCondition:
    """A key of a condition that stands outside it, in the gate.

    Attributes:
        path: Where it stands.
        name: The gate's name, as written.
    """

    path: tuple[str, int, str]
    name: object

    def __str__(self) -> str:
        return f"'{self.path[-1]}' stands outside the condition of the gate '{self.name}'; {_IN_CONDITION}"

    def apply(self, value: dict[str, Any], lines: dict[YamlPath, int]) -> None:
        """Move it, in the pipeline and in the lines of its keys."""
        gates, index, key = self.path
        gate = value[gates][index]
        gate["condition"][key] = gate.pop(key)
        if self.path in lines:
            lines[gates, index, "condition", key] = lines[self.path]


@dataclass(frozen=True, slots=True)
class MissingParse:
    """Stages read documents right behind a download's gate: the gate was meant to bring them converted.

    Attributes:
        path: Where the first of them stands.
        gate_stage: The name of the gate's stage.
        readers: The names of those stages.
        name: What the stage that parses is called.
    """

    path: YamlPath
    gate_stage: str
    readers: tuple[str, ...]
    name: str

    def __str__(self) -> str:
        stage = f"{{name: {self.name}, type: {PARSE_TYPE}, depends_on: [{self.gate_stage}]}}"
        return (
            f"the stage '{self.readers[0]}' reads documents right behind '{self.gate_stage}', and nothing "
            f"parses them; write the stage {stage} and let it depend on that"
        )

    def apply(self, value: dict[str, Any], lines: dict[YamlPath, int]) -> None:
        """Put the stage behind the gate's, in the pipeline and in the lines of its keys."""
        stages = value["stages"]
        at = next(index for index, stage in enumerate(stages) if stage["name"] == self.gate_stage)
        gate = stages[at]
        for stage in stages:
            if stage["name"] in self.readers:
                names = stage["depends_on"]
                names[names.index(self.gate_stage)] = self.name
        for index in self._gates_that_resume_at_a_reader(value):
            value["gates"][index]["resume_stage"] = self.name
        # The lists and mappings are those of whoever read the file, with comments or without.
        parse = type(gate)({"name": self.name, "type": PARSE_TYPE})
        if "policy" in gate:
            parse["policy"] = gate["policy"]
        parse["depends_on"] = type(stages)([self.gate_stage])
        stages.insert(at + 1, parse)
        _make_room(lines, at + 1)

    def _gates_that_resume_at_a_reader(self, value: Mapping[str, Any]) -> list[int]:
        shapes = [StageShape.of(stage) for stage in mappings_at(value, "stages")]
        return [
            index
            for index, gate in enumerate(mappings_at(value, "gates"))
            if gate.get("resume_stage") in self.readers
            and find_gate_stage(str(gate.get("name")), shapes) == self.gate_stage
        ]


LegacyForm = KeyOutsideCondition | MissingParse


def legacy_forms(value: Mapping[str, Any]) -> list[LegacyForm]:
    """Return the earlier forms in the content of a pipeline file, valid or not."""
    return [*_keys_outside_conditions(value), *_missing_parses(value)]


def read_legacy_forms(source: YamlSource) -> tuple[YamlSource, tuple[Problem, ...]]:
    """Read a pipeline file's earlier forms into today's, with a `DeprecationWarning` for each.

    Args:
        source: The file; its values are left alone.

    Returns:
        The file as today's form has it, every key under the line it was written on; and what to change.
        Where warnings are errors, these are problems of the file.
    """
    today, notes = read_forms(source)
    return replace(today, problems=(*today.problems, *_refused(notes))), notes


def read_forms(source: YamlSource) -> tuple[YamlSource, tuple[Problem, ...]]:
    """Do the same without warnings."""
    forms = legacy_forms(source.value)
    if not forms:
        return source, ()
    value, lines = _copied(source.value), dict(source.lines.by_path)
    notes = []
    for form in forms:
        message = f"an earlier form, accepted until {ACCEPTED_UNTIL}: {form}"
        hint = f"or run `medkg migrate {shlex.quote(str(source.file))}`"
        notes.append(Problem(message, file=source.file, line=source.lines.line(form.path), hint=hint))
        form.apply(value, lines)
    notes.sort(key=lambda note: note.line or 0)
    return replace(source, value=value, lines=SourceLines(lines)), tuple(notes)


def _refused(notes: Iterable[Problem]) -> Iterator[Problem]:
    for note in notes:
        try:
            warnings.warn_explicit(
                f"{note.message} ({note.hint})", DeprecationWarning, str(note.file), note.line or 1
            )
        except DeprecationWarning:
            yield note


def _copied(value: Any) -> Any:
    """Return a copy in which nothing is shared, as it may be by YAML's aliases."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _make_room(lines: dict[YamlPath, int], at: int) -> None:
    behind = [path for path in lines if len(path) > 1 and path[0] == "stages" and int(path[1]) >= at]
    moved = {("stages", int(path[1]) + 1, *path[2:]): lines.pop(path) for path in behind}
    lines.update(moved)
    lines["stages", at] = lines.get(("stages", at - 1), 1)


def _keys_outside_conditions(value: Mapping[str, Any]) -> Iterator[KeyOutsideCondition]:
    for index, gate in enumerate(mappings_at(value, "gates")):
        condition = gate.get("condition")
        if not isinstance(condition, dict) or "custom" in condition:
            continue
        for key in CONDITION_KEYS:
            if key in gate and key not in condition:
                yield KeyOutsideCondition(("gates", index, key), gate.get("name"))


def _missing_parses(value: Mapping[str, Any]) -> Iterator[MissingParse]:
    raw = mappings_at(value, "stages")
    if not {DOWNLOAD_TYPE, GATE_TYPE} <= {str(stage.get("type")) for stage in raw}:
        return
    stages = [StageShape.of(stage) for stage in raw]
    upstream = upstream_masks(stages)
    taken = {dagster_name(stage.name) for stage in stages if stage.name is not None}
    if upstream is None or len(taken) < len(stages):
        return
    # What says something differently from its type may read and write anything.
    types = [None if stage.get("metadata_overrides") else stage.get("type") for stage in raw]
    left = [
        index
        for index, kind in enumerate(types)
        if _reads_what_nothing_parses(kind, _at(upstream[index], types))
    ]
    for index, gate in enumerate(stages):
        if types[index] != GATE_TYPE or gate.name is None or DOWNLOAD_TYPE not in _at(upstream[index], types):
            continue
        behind = [reader for reader in left if gate.name in stages[reader].depends_on]
        if behind:
            left = [reader for reader in left if reader not in behind]
            name = next(name for name in _parse_names() if name not in taken)
            taken.add(name)
            yield MissingParse(
                ("stages", behind[0]), gate.name, tuple(str(stages[reader].name) for reader in behind), name
            )


def _reads_what_nothing_parses(kind: object, upstream: Iterable[object]) -> bool:
    return kind in READERS and WITHOUT_PARSED.issuperset(upstream)


def _at(mask: int, types: Sequence[object]) -> list[object]:
    return [kind for index, kind in enumerate(types) if mask >> index & 1]


def _parse_names() -> Iterator[str]:
    yield PARSE_TYPE
    yield from (f"{PARSE_TYPE}_{number}" for number in itertools.count(2))
