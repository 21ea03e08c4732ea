"""A stage in a step against an op written by hand with the same body."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetIn,
    AssetKey,
    AssetSelection,
    DagsterInstance,
    Definitions,
    DynamicPartitionsDefinition,
    FilesystemIOManager,
    asset,
    define_asset_job,
    in_process_executor,
)

from benchmarks.figures import Figure, in_turn
from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.registry import StageFactory, StageRegistry
from medkg_dagster.resolution import load_plan
from medkg_dagster.settings import Settings
from medkg_dagster.stage_api import StageContext, StageMetadata, write_key

QUIET = {"telemetry": {"enabled": False}, "python_logs": {"python_log_level": "ERROR"}}
WORDS = tuple(f"word{number}" for number in range(200))


class _Pass:
    """A stage that passes its input on."""

    def execute(self, ctx: StageContext, **inputs: tuple[str, ...]) -> tuple[str, ...]:
        del ctx
        return next(iter(inputs.values()), WORDS)


def measure(stages: int = 8, repeats: int = 5, runs: int = 3) -> Iterator[Figure]:
    """Measure a run of a chain of stages that do next to nothing.

    Args:
        stages: Stages in the chain.
        repeats: Rounds that count.
        runs: Runs of each side in a round.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as home,
        DagsterInstance.local_temp(home, overrides=QUIET) as instance,
    ):
        ours = _seconds(_stages(Path(folder), stages), instance, runs)
        hand = _seconds(_by_hand(Path(folder), stages), instance, runs)
        pair = in_turn(ours, hand, repeats)
    title = f"a run of {stages} stages against ops by hand, in process"
    yield Figure.ratio(title, "s", pair, 1.1, "on a SQLite instance")


def _stages(folder: Path, count: int) -> Definitions:
    registry = StageRegistry()
    for number in range(count):
        registry.register_stage(
            metadata=StageMetadata(
                stage_type=f"pass{number}",
                state_key=f"words{number}",
                output_handler=write_key(f"words{number}"),
                output_counter=len,
                description="Passes its input on.",
                dependencies=(f"pass{number - 1}",) if number else (),
                state_types={f"words{number}": tuple[str, ...]},
            ),
            builder=lambda _definition: _Pass(),
        )
    pipelines = folder / "config" / "orchestration" / "pipelines"
    pipelines.mkdir(parents=True)
    lines = ["name: chain", "version: '2026-01-01'", "stages:"]
    for number in range(count):
        before = f"[s{number - 1}]" if number else "[]"
        lines.append(f"  - {{name: s{number}, type: pass{number}, depends_on: {before}}}")
    (pipelines / "chain.yaml").write_text("\n".join(lines))
    factory = StageFactory(registry)
    plan = load_plan(folder / "config", factory)
    return compile_plan(plan, factory, Settings(folder / "home", folder / "config"))


def _by_hand(folder: Path, count: int) -> Definitions:
    partitions = DynamicPartitionsDefinition(name="hand")

    def make(number: int) -> Any:
        def first(context: AssetExecutionContext) -> Any:
            context.add_output_metadata({"output_count": len(WORDS), "preview": str(WORDS[:3])})
            return WORDS

        def next_(context: AssetExecutionContext, words: Any) -> Any:
            context.add_output_metadata({"output_count": len(words), "preview": str(words[:3])})
            return words

        ins = {"words": AssetIn(AssetKey(["hand", f"s{number - 1}"]))} if number else None
        return asset(name=f"s{number}", key_prefix="hand", ins=ins, partitions_def=partitions)(
            next_ if number else first
        )

    assets = [make(number) for number in range(count)]
    return Definitions(
        assets=assets,
        jobs=[
            define_asset_job(
                "chain", selection=AssetSelection.assets(*assets), tags={"dagster/partition": "default"}
            )
        ],
        resources={"io_manager": FilesystemIOManager(base_dir=str(folder / "pickles"))},
        executor=in_process_executor,
    )


def _seconds(definitions: Definitions, instance: DagsterInstance, runs: int) -> Callable[[], float]:
    job = definitions.resolve_job_def("chain")
    for name in ("chain", "hand"):
        instance.add_dynamic_partitions(name, ["default"])

    def run() -> float:
        start = time.perf_counter()
        result = job.execute_in_process(instance=instance)
        assert result.success
        return time.perf_counter() - start

    return lambda: statistics.median(run() for _ in range(runs))
