"""Random stage types, pipelines, renames and gates: whatever resolves also compiles and runs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import event, given, note, settings
from hypothesis import strategies as st

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster.registry import StageFactory, StageRegistry
from medkg_dagster.resolution import Plan, resolve_topologies
from medkg_dagster.settings import Settings
from medkg_dagster.stage_api import (
    StageContext,
    StageDefinitionView,
    StageMetadata,
    StageRegistration,
)
from medkg_dagster.topology.models import ResiliencePolicy
from medkg_dagster.topology.pipeline_files import LoadedPolicies, LoadedTopologies, parse_pipeline
from medkg_dagster_tests.compiler.deployment import Stage, instance_in_memory

# `make soak` looks at more of them.
MORE = 1 if settings().derandomize else 25
KEYS = "abcd"
NEW_KEYS = "abwxyz"
POLICIES = {"default": ResiliencePolicy(max_attempts=1)}
Value = tuple[str, ...]


@dataclass(frozen=True)
class DrawnType:
    """A stage type."""

    name: str
    keys: tuple[str, ...]
    needs: tuple[str, ...]
    likes: tuple[str, ...]


@dataclass(frozen=True)
class DrawnStage:
    """A stage; `stored` are the names its type's keys are stored under."""

    name: str
    drawn: DrawnType
    upstream: tuple[str, ...]
    stored: tuple[str, ...]


@dataclass(frozen=True)
class Drawn:
    """Stage types and one pipeline of them; a gate stands before the stage of that position."""

    types: tuple[DrawnType, ...]
    stages: tuple[DrawnStage, ...]
    gate_before: int | None

    @property
    def yaml(self) -> str:
        lines = ["name: random", 'version: "2026-01-01"', "stages:"]
        for index, stage in enumerate(self.stages):
            upstream = list(stage.upstream)
            if self.gate_before is not None and index >= self.gate_before:
                upstream.append("gate")
            if index == self.gate_before:
                before = [item.name for item in self.stages[:index]]
                lines.append(f"  - {{name: gate, type: gate, gate: open, depends_on: [{', '.join(before)}]}}")
            overrides = ""
            if stage.stored != stage.drawn.keys:
                overrides = f", metadata_overrides: {{state_key: [{', '.join(stage.stored)}]}}"
            depends = f", depends_on: [{', '.join(upstream)}]" if upstream else ""
            lines.append(f"  - {{name: {stage.name}, type: {stage.drawn.name}{depends}{overrides}}}")
        if self.gate_before is not None:
            lines.append("gates: [{name: open, condition: {field: open, equals: true}}]")
        return "\n".join(lines) + "\n"


@st.composite
def pipelines(draw: st.DrawFn) -> Drawn:
    types: list[DrawnType] = []
    for number in range(draw(st.integers(1, 4))):
        keys = draw(st.permutations(KEYS))[: draw(st.sampled_from([0, 1, 1, 1, 2]))]
        before = [item.name for item in types]
        needs = draw(st.lists(st.sampled_from(before), max_size=2, unique=True)) if before else []
        likes = [name for name in before if name not in needs and draw(st.booleans())][:1]
        types.append(DrawnType(f"t{number}", tuple(keys), tuple(needs), tuple(likes)))
    stages: list[DrawnStage] = []
    for number in range(draw(st.integers(1, 6))):
        before = [stage.name for stage in stages]
        upstream = draw(st.lists(st.sampled_from(before), max_size=2, unique=True)) if before else []
        drawn = draw(st.sampled_from(types))
        renamed = draw(st.permutations(NEW_KEYS))[: len(drawn.keys)]
        stored = tuple(renamed) if draw(st.sampled_from([False, False, True])) else drawn.keys
        stages.append(DrawnStage(f"s{number}", drawn, tuple(upstream), stored))
    gate = draw(st.integers(1, len(stages) - 1)) if len(stages) > 1 and draw(st.booleans()) else None
    return Drawn(tuple(types), tuple(stages), gate)


@dataclass
class Laboratory:
    """A registry of drawn types whose stages write where they come from and remember what they were given."""

    drawn: Drawn
    given: dict[str, dict[str, Value]] = field(default_factory=dict)

    def factory(self) -> StageFactory:
        registry = StageRegistry()
        gate = StageFactory.load_plugins().registry.get("gate")
        registry.add(StageRegistration(gate.metadata, gate.builder))
        for drawn in self.drawn.types:
            registry.add(StageRegistration(self._metadata(drawn), self._build))
        return StageFactory(registry)

    def _build(self, definition: StageDefinitionView) -> Stage:
        def execute(_ctx: StageContext, **inputs: Value) -> str:
            self.given[definition.name] = inputs
            return definition.name

        return Stage(execute)

    @staticmethod
    def _metadata(drawn: DrawnType) -> StageMetadata:
        def write(state: Any, stage: str, output: str) -> None:
            assert stage == output
            for key in drawn.keys:
                state[key] = (stage, key)

        return StageMetadata(
            drawn.name,
            drawn.keys or None,
            write,
            len,
            "A type that was drawn.",
            drawn.needs,
            drawn.likes,
            state_types=dict.fromkeys(drawn.keys, Value),
        )


def upstream_of(drawn: Drawn) -> dict[str, set[str]]:
    """Everything upstream of each stage, the gate's effect included, by walking."""
    names = [stage.name for stage in drawn.stages]
    found: dict[str, set[str]] = {}
    for index, stage in enumerate(drawn.stages):
        direct = set(stage.upstream)
        if drawn.gate_before is not None and index >= drawn.gate_before:
            direct |= set(names[: drawn.gate_before])
        found[stage.name] = direct.union(*(found[name] for name in direct))
    return found


def expected_writers(drawn: Drawn, reader: DrawnStage, key: str) -> set[str]:
    """The nearest upstream writers of a key; of several, those that store it under its own name."""
    upstream = upstream_of(drawn)
    writers = {
        stage.name: stage
        for stage in drawn.stages
        if stage.name in upstream[reader.name] and (key in stage.stored or key in stage.drawn.keys)
    }
    nearest = {name for name in writers if not any(name in upstream[other] for other in writers)}
    own = {name for name in nearest if key in writers[name].stored}
    return own if len(nearest) > 1 and own else nearest


def inputs_of(drawn: Drawn, stage: DrawnStage) -> Iterator[tuple[str, bool]]:
    keys = {item.name: item.keys for item in drawn.types}
    seen = set()
    for is_needed, names in ((True, stage.drawn.needs), (False, stage.drawn.likes)):
        for key in (key for name in names for key in keys[name]):
            if key not in seen:
                seen.add(key)
                yield key, is_needed


def resolve(drawn: Drawn, factory: StageFactory) -> Plan:
    loaded, problems = parse_pipeline(
        drawn.yaml, Path("random.yaml"), LoadedPolicies(POLICIES, frozenset(), ())
    )
    assert not problems
    assert loaded is not None
    return resolve_topologies(LoadedTopologies((loaded,), POLICIES, ()), factory, problems=())


def is_resolvable(drawn: Drawn) -> bool:
    """Say by brute force whether every input is clear, and every type that writes nothing stands upstream."""
    upstream = upstream_of(drawn)
    kinds = {stage.name: stage.drawn for stage in drawn.stages}
    for stage in drawn.stages:
        for key, is_needed in inputs_of(drawn, stage):
            count = len(expected_writers(drawn, stage, key))
            if count > 1 or (is_needed and not count):
                return False
        silent = {item.name for item in drawn.types if not item.keys and item.name in stage.drawn.needs}
        if not silent <= {kinds[name].name for name in upstream[stage.name]}:
            return False
    return True


def run(plan: Plan, factory: StageFactory, home: Path) -> None:
    (pipeline,) = plan.pipelines
    deployment = Settings(home, home / "config")
    definitions = compile_plan(plan, factory, deployment)
    with instance_in_memory() as instance:
        for phase in pipeline.phases:
            if phase.after_gate is not None:
                with JobLedger.of(deployment) as ledger:
                    ledger.jobs.set_fields(JobKey(pipeline.name, "default"), {"open": True}, actor="test")
            result = definitions.resolve_job_def(phase.job_name).execute_in_process(instance=instance)
            assert result.success
    with JobLedger.of(deployment) as ledger:
        assert ledger.jobs.get(JobKey(pipeline.name, "default")).status.value == "succeeded"


@settings(max_examples=50 * MORE)
@given(pipelines())
def test_a_pipeline_resolves_just_where_every_input_has_one_nearest_writer(drawn: Drawn) -> None:
    note(drawn.yaml)

    plan = resolve(drawn, Laboratory(drawn).factory())

    assert bool(plan.pipelines) == is_resolvable(drawn), [str(problem) for problem in plan.problems]
    for pipeline in plan.pipelines:
        wires = {
            stage.name: {wire.argument: wire.source for wire in stage.wires} for stage in pipeline.stages
        }
        for stage in drawn.stages:
            expected = {key: expected_writers(drawn, stage, key) for key, _ in inputs_of(drawn, stage)}
            assert wires[stage.name] == {key: next(iter(names)) for key, names in expected.items() if names}


@settings(max_examples=6 * MORE)
@given(pipelines().filter(is_resolvable))
def test_what_resolves_compiles_and_runs_and_every_stage_gets_what_its_nearest_writer_wrote(
    drawn: Drawn,
) -> None:
    note(drawn.yaml)
    event(f"{len(drawn.stages)} stages, gate: {drawn.gate_before is not None}")
    laboratory = Laboratory(drawn)
    factory = laboratory.factory()
    home = Path(tempfile.mkdtemp())
    try:
        run(resolve(drawn, factory), factory, home)
    finally:
        shutil.rmtree(home)

    by_name = {stage.name: stage for stage in drawn.stages}
    assert set(laboratory.given) == set(by_name)
    for stage in drawn.stages:
        got = laboratory.given[stage.name]
        for key, _ in inputs_of(drawn, stage):
            writers = expected_writers(drawn, stage, key)
            assert (key in got) == bool(writers)
            for name in writers:
                writer = by_name[name]
                original = writer.drawn.keys[writer.stored.index(key)] if key in writer.stored else key
                assert got[key] == (name, original)


def test_the_drawn_pipelines_are_worth_testing() -> None:
    seen: list[Drawn] = []

    @settings(max_examples=200, database=None, derandomize=True)
    @given(pipelines())
    def collect(drawn: Drawn) -> None:
        seen.append(drawn)

    collect()
    good = [drawn for drawn in seen if is_resolvable(drawn)]
    assert len(good) > 20
    assert any(drawn.gate_before is not None for drawn in good)
    assert any(stage.stored != stage.drawn.keys for drawn in good for stage in drawn.stages)
    assert any(stage.drawn.needs and len(drawn.stages) > 3 for drawn in good for stage in drawn.stages)
