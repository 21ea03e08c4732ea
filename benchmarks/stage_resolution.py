"""Looking a stage type up and building its stage, with ten types and with ten thousand."""

import gc
import statistics
import time
import tracemalloc
from collections.abc import Iterator

from benchmarks.figures import Figure
from medkg_dagster.registry import Discovery, StageFactory, StageRegistry
from medkg_dagster.stage_api import StageDefinitionView, StageMetadata, write_key
from medkg_dagster.topology.models import PipelineTopologyConfig, StageDefinition

CALLS = 20_000


class _Stage:
    """A stage that does nothing."""

    def execute(self) -> None:
        """Do nothing."""


def build(definition: StageDefinitionView) -> _Stage:
    """Build the stage."""
    del definition
    return _Stage()


def measure(large: int = 10_000, repeats: int = 7) -> Iterator[Figure]:
    """Measure lookup time and memory.

    Args:
        large: Types in the large registry.
        repeats: Rounds; the median counts.
    """
    for count in (10, large):
        seconds = _extra_seconds(count, repeats)
        title = f"stage resolution beyond the builder, {count} types"
        yield Figure.value(title, "us", seconds * 1e6, 2.0, "a call")
    title = f"memory per registered type, {large} types"
    yield Figure.value(title, "bytes", _bytes_per_type(large), 1024, "without its name")


def _registry(count: int) -> StageRegistry:
    registry = StageRegistry(lambda: Discovery((), ()))
    handler = write_key("value")
    for number in range(count):
        registry.register_stage(
            metadata=StageMetadata(
                stage_type=f"type-{number}",
                state_key="value",
                output_handler=handler,
                output_counter=len,
                description="Does nothing.",
            ),
            builder=build,
        )
    return registry


def _extra_seconds(count: int, repeats: int) -> float:
    factory = StageFactory(_registry(count))
    definition = StageDefinition(name="a", type=f"type-{count // 2}")
    topology = PipelineTopologyConfig(name="p", version="2026-01-01", stages=(definition,))
    extra = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(CALLS):
            factory.resolve(topology, definition)
        middle = time.perf_counter()
        for _ in range(CALLS):
            build(definition)
        extra.append((middle - start - (time.perf_counter() - middle)) / CALLS)
    return statistics.median(extra)


def _bytes_per_type(count: int) -> float:
    gc.collect()
    tracemalloc.start()
    try:
        registry = _registry(count)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / len(registry)
    finally:
        tracemalloc.stop()
