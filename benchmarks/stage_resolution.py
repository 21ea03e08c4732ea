"""Looking stage types up, building stages and resolving a pipeline, with ten types and with ten thousand."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator

from benchmarks.figures import Figure, cpu_seconds, in_turn
from medkg_dagster.registry import StageFactory, StageRegistry
from medkg_dagster.resolution import resolve_pipeline
from medkg_dagster.stage_api import StageDefinitionView, StageMetadata, write_key
from medkg_dagster.topology.models import PipelineTopologyConfig, ResiliencePolicy, StageDefinition

SMALL = 10
CHAIN = 8


class _Stage:
    """A stage that does nothing."""

    def execute(self) -> None:
        """Do nothing."""


def build(definition: StageDefinitionView) -> _Stage:
    """Build the stage."""
    del definition
    return _Stage()


def measure(large: int = 10_000, calls: int = 20_000, repeats: int = 9) -> Iterator[Figure]:
    """Measure time in a large registry against a small one, time beyond the builder, and memory.

    Args:
        large: Types in the large registry.
        calls: Calls in one measurement.
        repeats: Rounds that count.
    """
    few, many = StageFactory(_registry(SMALL)), StageFactory(_registry(large))
    for count, factory in ((SMALL, few), (large, many)):
        pair = in_turn(_resolving(factory, calls), _building(calls), repeats)
        title = f"stage resolution beyond the builder, {count} types"
        yield Figure.difference(title, "us CPU", pair, 2.0, "a call")
    compared: tuple[tuple[str, Callable[[StageFactory, int], Callable[[], float]], int], ...] = (
        ("lookup of a stage type", _looking_up, calls * 20),
        ("resolution of a stage", _resolving, calls),
        (f"resolution of a pipeline of {CHAIN} stages", _planning, max(1, calls // 100)),
    )
    for what, measuring, times in compared:
        pair = in_turn(measuring(many, times), measuring(few, times), repeats)
        yield Figure.ratio(f"{what}, {large} types against {SMALL}", "us CPU", pair, 1.1, "a call")
    title = f"memory per registered type, {large} types"
    note = "its own name, state key and handler with it"
    yield Figure.value(title, "bytes", _bytes_per_type(large), 1024, note)


def _name(number: int) -> str:
    # Of one length, so that comparing two names takes as long in either registry.
    return f"type-{number:05}"


def _registry(count: int) -> StageRegistry:
    """Return chains of types of which each reads what the one before it writes."""
    registry = StageRegistry()
    for number in range(count):
        registry.register_stage(
            metadata=StageMetadata(
                stage_type=_name(number),
                state_key=f"value_{number}",
                output_handler=write_key(f"value_{number}"),
                output_counter=len,
                description="Does nothing.",
                dependencies=(_name(number - 1),) if number % CHAIN else (),
            ),
            builder=build,
        )
    return registry


def _spread(factory: StageFactory) -> tuple[str, ...]:
    """Return as many names in a large registry as in a small one, from all over it."""
    step = len(factory.registry) // SMALL
    return tuple(_name(number * step) for number in range(SMALL))


def _looking_up(factory: StageFactory, calls: int) -> Callable[[], float]:
    names, find = _spread(factory), factory.registry.find

    def work() -> None:
        for _ in range(calls // SMALL):
            for name in names:
                find(name)

    return lambda: cpu_seconds(work) / calls * 1e6


def _definitions(names: tuple[str, ...]) -> tuple[StageDefinition, ...]:
    return tuple(StageDefinition(name=name, type=name) for name in names)


def _resolving(factory: StageFactory, calls: int) -> Callable[[], float]:
    definitions = _definitions(_spread(factory))
    topology = PipelineTopologyConfig(name="p", version="2026-01-01", stages=definitions)
    resolve = factory.resolve

    def work() -> None:
        for _ in range(calls // SMALL):
            for definition in definitions:
                resolve(topology, definition)

    return lambda: cpu_seconds(work) / calls * 1e6


def _building(calls: int) -> Callable[[], float]:
    definitions = _definitions(tuple(_name(number) for number in range(SMALL)))

    def work() -> None:
        for _ in range(calls // SMALL):
            for definition in definitions:
                build(definition)

    return lambda: cpu_seconds(work) / calls * 1e6


def _planning(factory: StageFactory, calls: int) -> Callable[[], float]:
    first = len(factory.registry) // 2 // CHAIN * CHAIN
    stages = tuple(
        StageDefinition(
            name=f"stage-{number}",
            type=_name(first + number),
            depends_on=(f"stage-{number - 1}",) if number else (),
        )
        for number in range(CHAIN)
    )
    topology = PipelineTopologyConfig(name="p", version="2026-01-01", stages=stages)
    policies = {"default": ResiliencePolicy()}

    def work() -> None:
        for _ in range(calls):
            resolve_pipeline(topology, factory, policies)

    return lambda: cpu_seconds(work) / calls * 1e6


def _bytes_per_type(count: int) -> float:
    gc.collect()
    tracemalloc.start()
    try:
        registry = _registry(count)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / len(registry)
    finally:
        tracemalloc.stop()
