"""A plugin as its author writes it, fully typed; type checkers accept it without a single exception."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, assert_type

from pydantic import Field

from medkg_dagster.stage_api import (
    Config,
    Document,
    Extension,
    ExtensionKind,
    JobRecord,
    NoParameters,
    Payload,
    PayloadFormat,
    QuarantinedDocument,
    Secret,
    Source,
    Stage,
    StageBuilder,
    StageContext,
    StageDefinitionView,
    StageMetadata,
    StagePlugin,
    StageRegistration,
    SubprocessIsolation,
    TopologyView,
    Value,
    write_key,
)
from medkg_dagster.stage_api.testing import (
    StageCheckError,
    StageRun,
    StageRunner,
    check_stage,
    example_chunks,
    example_document,
    example_payload,
    example_topology,
    run_stage,
)


class WordCount(Value):
    """How many words a document has."""

    document_id: str
    words: int


class WordConfig(Config):
    """How words are counted."""

    least: int = Field(default=1, ge=1, description="Shorter words are not counted.")
    token: Secret | None = Field(default=None, description="The token of the word service.")


class WordStage:
    """Counts words."""

    def __init__(self, config: WordConfig, pipeline: str = "") -> None:
        self._config = config
        self._pipeline = pipeline

    def execute(self, ctx: StageContext, *, document: tuple[Document, ...]) -> tuple[WordCount, ...]:
        """Count the words of every document."""
        counts = ctx.for_each(document, self._count, document_id=lambda one: one.id)
        assert_type(counts, list[WordCount])
        assert_type(ctx.job, JobRecord)
        assert_type(ctx.home, Path)
        ctx.describe("words", sum(item.words for item in counts))
        ctx.describe("documents", [{"id": item.document_id, "words": item.words} for item in counts])
        ctx.job.set_fields({"words.counted": True}, reason="counted")
        ctx.report_progress(len(counts), None, "documents")
        return tuple(counts)

    def _count(self, document: Document) -> WordCount:
        if self._config.token is not None:
            assert_type(self._config.token.reveal(), str)
        words = [word for word in document.text.split() if len(word) >= self._config.least]
        return WordCount(document_id=document.id, words=len(words))


def build(definition: StageDefinitionView) -> WordStage:
    """Build the stage from its YAML."""
    assert_type(definition.config, dict[str, Any])
    return WordStage(WordConfig.model_validate(definition.config))


def build_for(topology: TopologyView, definition: StageDefinitionView) -> Stage:
    """Build the stage for a pipeline."""
    assert_type(topology.name, str)
    assert_type([gate.name for gate in topology.gates], list[str])
    return WordStage(WordConfig.model_validate(definition.config), topology.name)


def write_words(state: MutableMapping[str, Any], stage_name: str, output: tuple[WordCount, ...]) -> None:
    """Write the counts and their sum."""
    state["word_counts"] = output
    state["word_total"] = {stage_name: count_words(output)}


def count_words(output: tuple[WordCount, ...]) -> int:
    """Count all words."""
    return sum(item.words for item in output)


def register() -> StageRegistration:
    """Register one stage type."""
    metadata = StageMetadata(
        stage_type="word-count",
        state_key="word_counts",
        output_handler=write_key("word_counts"),
        output_counter=len,
        description="Counts the words of documents.",
        dependencies=("parse",),
        config_model=WordConfig,
        state_types={"word_counts": tuple[WordCount, ...]},
        version="2",
        kinds=("python",),
        isolation=SubprocessIsolation(memory_mb=512, timeout_seconds=60),
    )
    assert_type(metadata.state_keys, tuple[str, ...])
    return StageRegistration(metadata=metadata, builder=build)


def register_short() -> StageRegistration:
    """Register the same stage type in the short form."""
    registration = StageRegistration.of(
        "word-count",
        WordStage,
        WordConfig,
        description="Counts the words of documents.",
        state_types={"word_counts": tuple[WordCount, ...]},
        dependencies=("parse",),
        version="2",
        kinds=("python",),
        isolation=SubprocessIsolation(memory_mb=512, timeout_seconds=60),
    )
    assert_type(registration, StageRegistration)
    return registration


def register_late() -> StageRegistration:
    """Register a stage whose class is found by a function, with a handler and a counter of its own."""
    return StageRegistration.of(
        "word-pair",
        open_late,
        WordConfig,
        description="Counts the words of documents, and all of them.",
        state_types={"word_counts": tuple[WordCount, ...], "word_total": dict[str, int]},
        output_handler=write_words,
        output_counter=count_words,
        optional_dependencies=("parse",),
    )


def open_late(config: WordConfig) -> WordStage:
    """Return the stage."""
    return WordStage(config)


def register_several() -> Iterable[StageRegistration]:
    """Register stage types one by one."""
    yield register()
    metadata = StageMetadata(
        stage_type="word-total",
        state_key=("word_counts", "word_total"),
        output_handler=write_words,
        output_counter=count_words,
        description="Counts the words of documents, and all of them.",
        optional_dependencies=("parse",),
        state_types={"word_counts": tuple[WordCount, ...], "word_total": dict[str, int]},
    )
    yield StageRegistration(metadata=metadata, builder=build_for)


class WordSource:
    """Makes documents out of words."""

    def fetch(self, ctx: StageContext) -> Iterator[Payload]:
        """Yield one text."""
        text = f"Words of {ctx.pipeline}."
        yield Payload(
            id="words:1", format=PayloadFormat.TEXT, content=text.encode(), source="words", origin="words:1"
        )


def open_words(parameters: NoParameters, home: Path) -> Source:
    """Open the source."""
    del parameters, home
    return WordSource()


WORDS = Extension(
    kind=ExtensionKind.SOURCE,
    name="words",
    description="Makes documents out of words.",
    config_model=NoParameters,
    build=open_words,
)

PLUGINS: tuple[StagePlugin, ...] = (register, register_short, register_late, register_several)
BUILDERS: tuple[StageBuilder, ...] = (build, build_for)


def test_the_stage_counts() -> None:
    """Run the stage by itself, as a test of the plugin does."""
    documents = (example_document("One two.", title="Words", identifiers={"PMID": "1"}),)
    run = run_stage(register, {"document": documents}, config={"least": 2}, fields={"reviewed": True})
    assert_type(run, StageRun)
    assert_type(run.state, Mapping[str, Any])
    assert_type(run.output_count, int)
    assert_type(run.quarantined, tuple[QuarantinedDocument, ...])
    assert run.state["word_counts"] == (WordCount(document_id=documents[0].id, words=2),)
    assert run.described["words"] == 2


def test_the_stages_hold_to_their_contract() -> None:
    """Check both stage types, with a pipeline and a source of their own."""
    inputs = {"document": (example_document(),)}
    assert_type(check_stage(register(), inputs), StageRun)
    short = check_stage(register_short, inputs)
    assert (short.state, short.output_count) == (run_stage(register, inputs).state, 1)
    assert check_stage(register_late, inputs).state["word_total"] == {"word-pair": 8}
    checked = check_stage(
        register_several,
        inputs,
        stage_type="word-total",
        topology=example_topology("words"),
        extensions=[WORDS],
    )
    assert checked.state["word_total"] == {"word-total": 8}


def test_the_fixtures_are_typed(run_stage: StageRunner, check_stage: StageRunner, tmp_path: Path) -> None:
    """Use the fixtures, which keep their data in the test's own folder."""
    inputs = {"document": (example_document(),)}
    assert_type(run_stage(register, inputs, name="words"), StageRun)
    assert_type(check_stage(register, inputs, home=tmp_path / "other"), StageRun)


def test_values_and_errors_are_typed(medkg_context: StageContext) -> None:
    """Make example values, and read what a check found."""
    assert_type(example_payload("A text."), Payload)
    assert [chunk.text for chunk in example_chunks(example_document("One.", "Two."))] == ["One.", "Two."]
    assert_type([payload.id for payload in WordSource().fetch(medkg_context)], list[str])
    try:
        check_stage(register, {"document": ()}, config={"most": 1})
    except StageCheckError as error:
        assert_type([item.message for item in error.problems], list[str])
