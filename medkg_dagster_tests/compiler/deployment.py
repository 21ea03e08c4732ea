"""A deployment of test stages: configuration, registry, data folder and a Dagster instance."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from dagster import DagsterInstance, Definitions, ExecuteInProcessResult
from dagster._core.storage.event_log import in_memory as events
from dagster._core.storage.runs import in_memory as runs
from pydantic import BaseModel, Field

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.registry import StageFactory, StageRegistry
from medkg_dagster.resolution import load_plan
from medkg_dagster.settings import Settings
from medkg_dagster.stage_api import StageContext, StageDefinitionView, StageMetadata, write_key

POLICIES = """\
policies:
  default:
    max_attempts: 3
    timeout_seconds: 5
    backoff: {strategy: none, initial: 0.0, maximum: 0.0, jitter: false}
"""

PIPELINE = """\
name: word-count
version: "2026-01-01"
metadata: {owner: text-team, description: Counts words.}
stages:
  - {name: read, type: read, config: {separator: "-", adapter: from_yaml}}
  - {name: count, type: count, depends_on: [read]}
"""


class ReadConfig(BaseModel):
    """What the test source reads."""

    adapter: str = "default"
    separator: str = Field(default=" ", description="Between words.")
    params: dict[str, Any] = {}


Execute = Callable[..., Any]


@contextmanager
def instance_in_memory() -> Iterator[DagsterInstance]:
    """Make Dagster's ephemeral instance without the marks by which Alembic would migrate it.

    They take five times as long as all the rest of it.
    """
    with mock.patch.object(runs, "stamp_alembic_rev"), mock.patch.object(events, "stamp_alembic_rev"):
        made = DagsterInstance.ephemeral()
    with made:
        yield made


class Stage:
    """A stage whose `execute` is the given function."""

    def __init__(self, execute: Execute) -> None:
        self.execute = execute


class Deployment:
    """A configuration folder, a registry of test stages, a data folder and a Dagster instance."""

    def __init__(self, folder: Path, instance: DagsterInstance) -> None:
        self.home = folder / "home"
        self.config = folder / "config"
        self.instance = instance
        self.seen: list[Any] = []
        self.registry = StageRegistry()
        (self.config / "orchestration" / "pipelines").mkdir(parents=True)
        (self.config / "orchestration" / "resilience.yaml").write_text(POLICIES)
        self.register("read", "words", self._read, config_model=ReadConfig)
        self.register("count", "total", self._count, dependencies=("read",), value_type=int, counter=int)

    def register(
        self,
        stage_type: str,
        key: str | None,
        execute: Execute,
        *,
        dependencies: tuple[str, ...] = (),
        value_type: Any = tuple[str, ...],
        counter: Callable[[Any], int] = len,
        config_model: type[BaseModel] | None = None,
    ) -> None:
        def build(definition: StageDefinitionView) -> Stage:
            def call(ctx: StageContext, **inputs: Any) -> Any:
                return execute(ctx, definition.config, **inputs)

            return Stage(call)

        def write_nothing(_state: Any, _stage: str, _output: Any) -> None:
            return

        self.registry.register_stage(
            metadata=StageMetadata(
                stage_type=stage_type,
                state_key=key,
                output_handler=write_key(key) if key else write_nothing,
                output_counter=counter,
                description=f"The test stage {stage_type}.",
                dependencies=dependencies,
                state_types={key: value_type} if key else {},
                config_model=config_model,
                kinds=("python",),
            ),
            builder=build,
            replace=True,
        )

    def definitions(self, pipeline: str = PIPELINE) -> Definitions:
        (self.config / "orchestration" / "pipelines" / "pipeline.yaml").write_text(pipeline)
        factory = StageFactory(self.registry)
        plan = load_plan(self.config, factory)
        assert plan.problems == ()
        return compile_plan(plan, factory, Settings(self.home, self.config))

    def run(
        self, job: str = "word_count", *, pipeline: str = PIPELINE, check: bool = True, **kwargs: Any
    ) -> ExecuteInProcessResult:
        resolved = self.definitions(pipeline).resolve_job_def(job)
        return resolved.execute_in_process(instance=self.instance, raise_on_error=check, **kwargs)

    def _read(self, _ctx: StageContext, config: dict[str, Any]) -> tuple[str, ...]:
        self.seen.append(config)
        return ("a", "b", "c")

    def _count(self, _ctx: StageContext, _config: dict[str, Any], words: tuple[str, ...]) -> int:
        return len(words)
