"""Calling a stage the way a step does, held to its contract, against calling its `execute` directly."""

import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.figures import Figure, cpu_seconds, in_turn
from medkg_dagster.domain.documents import Block, BlockKind, Document, Section, hash_content
from medkg_dagster.registry import StageFactory, StageRegistry
from medkg_dagster.resolution import load_plan
from medkg_dagster.resolution.plan import PipelinePlan
from medkg_dagster.runtime.policies import external_calls
from medkg_dagster.runtime.progress import RunProgress
from medkg_dagster.runtime.step import StepRunner
from medkg_dagster.stage_api import StageContext, StageDefinitionView, StageMetadata, write_key
from medkg_dagster.stage_api._document_loop import InOrder

_PIPELINE = """\
name: titles
version: "2026-01-01"
stages:
  - name: read
    type: read-documents
    metadata_overrides: {state_key: articles}
  - name: titles
    type: take-titles
    depends_on: [read]
    config: {minimum_length: 5}
    metadata_overrides: {state_key: headlines}
"""
_LOG = logging.getLogger("medkg.benchmark")


class TakeTitlesConfig(BaseModel):
    """Which titles are taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minimum_length: int = Field(default=1, ge=0, description="Shorter titles are left out.")
    languages: tuple[str, ...] = Field(default=("en",), description="Languages to look at.")


class ReadDocuments:
    """The stage upstream; it is never called."""

    def execute(self, ctx: StageContext) -> tuple[Document, ...]:
        """Return no document."""
        del ctx
        return ()


class TakeTitles:
    """Takes the titles of documents.

    Args:
        config: Which titles are taken.
    """

    def __init__(self, config: TakeTitlesConfig) -> None:
        self.config = config

    def execute(self, ctx: StageContext, *, documents: tuple[Document, ...]) -> tuple[str, ...]:
        """Return the titles that are long enough."""
        titles = ctx.for_each(documents, _title, document_id=_id)
        return tuple(title for title in titles if len(title) >= self.config.minimum_length)


def measure(documents: int = 100, calls: int = 300, repeats: int = 11) -> Iterator[Figure]:
    """Measure processor time of a call: context, configuration, building, contract, renaming of keys.

    Args:
        documents: How many documents the stage is given.
        calls: Calls in one measurement.
        repeats: Rounds that count.
    """
    factory = StageFactory(_registry())
    with tempfile.TemporaryDirectory() as folder:
        pipeline = _plan(Path(folder), factory)
        given = tuple(_document(number) for number in range(documents))
        step = _as_a_step_does(pipeline, factory, given, Path(folder))
        stage = TakeTitles(TakeTitlesConfig(minimum_length=5))
        ctx = StageContext("titles", "titles", "default", Path(folder))
        direct = _microseconds(lambda: stage.execute(ctx, documents=given), calls)
        pair = in_turn(_microseconds(step, calls), direct, repeats)
    title = f"a stage on {documents} documents as a step calls it"
    yield Figure.difference(title, "us CPU", pair, 200.0, "against calling its `execute` directly")


def _as_a_step_does(
    pipeline: PipelinePlan, factory: StageFactory, documents: tuple[Document, ...], home: Path
) -> Callable[[], None]:
    """Return what a step does besides talking to Dagster and the ledger."""
    planned = next(stage for stage in pipeline.stages if stage.name == "titles")
    assert [(wire.state_key, wire.argument) for wire in planned.wires] == [("articles", "documents")]

    def call() -> None:
        progress = RunProgress(planned.name, _LOG)
        calls = external_calls(planned.policy)
        ctx = StageContext(
            pipeline.name,
            planned.name,
            "default",
            home,
            log=_LOG,
            report_progress=progress,
            calls=calls,
            extensions=factory.extensions,
        )
        definition = planned.definition.model_copy(update={"config": {**planned.definition.config}})
        runner = StepRunner(pipeline, planned, factory)
        outcome = runner.call(definition, ctx, {"documents": documents}, InOrder())
        progress.close()
        assert len(outcome.state["headlines"]) == outcome.output_count == len(documents)

    return call


def _microseconds(call: Callable[[], object], calls: int) -> Callable[[], float]:
    def work() -> None:
        for _ in range(calls):
            call()

    return lambda: cpu_seconds(work) / calls * 1e6


def _registry() -> StageRegistry:
    registry = StageRegistry()
    registry.register_stage(
        metadata=StageMetadata(
            stage_type="read-documents",
            state_key="documents",
            output_handler=write_key("documents"),
            output_counter=len,
            description="Reads documents.",
            state_types={"documents": tuple[Document, ...]},
        ),
        builder=lambda _definition: ReadDocuments(),
    )
    registry.register_stage(
        metadata=StageMetadata(
            stage_type="take-titles",
            state_key="titles",
            output_handler=write_key("titles"),
            output_counter=len,
            description="Takes the titles of documents.",
            dependencies=("read-documents",),
            config_model=TakeTitlesConfig,
            state_types={"titles": tuple[str, ...]},
        ),
        builder=_build,
    )
    return registry


def _build(definition: StageDefinitionView) -> TakeTitles:
    return TakeTitles(TakeTitlesConfig.model_validate(definition.config))


def _plan(folder: Path, factory: StageFactory) -> PipelinePlan:
    pipelines = folder / "orchestration" / "pipelines"
    pipelines.mkdir(parents=True)
    (pipelines / "titles.yaml").write_text(_PIPELINE)
    (pipeline,) = load_plan(folder, factory).pipelines
    return pipeline


def _document(number: int) -> Document:
    title = f"A randomized trial of drug {number} in melanoma"
    text = f"Patients received drug {number} once a day, and were followed for two years. " * 40
    blocks = (Block(kind=BlockKind.PARAGRAPH, start=0, end=len(text)),)
    return Document(
        id=f"PMID:{number}",
        source="infores:pubmed",
        identifiers={"PMID": str(number)},
        title=title,
        text=text,
        sections=(Section(title="", start=0, end=len(text), blocks=blocks),),
        content_hash=hash_content(title, text),
    )


def _title(document: Document) -> str:
    return document.title


def _id(document: Document) -> str:
    return document.id
