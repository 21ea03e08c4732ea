"""Stage types that work on one document, as an entry point registers them, and runs without Dagster."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from medkg_dagster.domain import Value
from medkg_dagster.errors import ConfigError, SourceError, UnreadableDocumentError
from medkg_dagster.plugins import Origin, PluginPolicy
from medkg_dagster.resolution.plan import PlannedStage
from medkg_dagster.runtime.isolation.document_workers import DocumentWorkers
from medkg_dagster.runtime.isolation.invoke_isolated import InputSource, start_message
from medkg_dagster.runtime.isolation.kept_processes import KeptProcesses
from medkg_dagster.runtime.state.shards import ShardStore
from medkg_dagster.stage_api import (
    Config,
    CountedItems,
    Document,
    DocumentContext,
    MemoryPart,
    Secret,
    StageContext,
    StageDefinitionView,
    StageMetadata,
    StageRegistration,
    SubprocessIsolation,
    write_key,
)
from medkg_dagster.stage_api._document_loop import DocumentOutcome, DocumentTask, DocumentWork
from medkg_dagster.stage_api._documents import DocumentValues
from medkg_dagster.stage_api.testing import example_document
from medkg_dagster.topology.models import PipelineTopologyConfig, ResiliencePolicy

TARGET = "medkg_dagster_tests.runtime.document_stages:register"
ORIGIN = Origin("words", TARGET, "medkg-tests", "1")
PATIENCE = 240
"""Seconds that nothing comes to, however busy the machine is."""
LIMITS = SubprocessIsolation(memory_mb=512, timeout_seconds=PATIENCE)
LOG = logging.getLogger("medkg.test.documents")


class Word(Value):
    """A word of a document."""

    document_id: str
    text: str


class WordsConfig(Config):
    """What is done with words."""

    model_config = ConfigDict(extra="forbid")

    mark: str = ""
    token: Secret = Secret(env="MEDKG_TEST_DEFAULT_TOKEN")


def wait_for(seen: Callable[[], bool]) -> None:
    """Wait until there is something to see, with an end."""
    end = time.monotonic() + PATIENCE
    while not seen() and time.monotonic() < end:
        time.sleep(0.05)


def split(mark: str, document: Document) -> tuple[Word, ...]:
    """Split a text, or do to this process what it says."""
    first = document.text.split()[0]
    match first:
        case "broken":
            raise UnreadableDocumentError(f"{document.id}: broken")
        case "allocate":
            bytearray(4 << 30)
        case "sleep":
            time.sleep(600)
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "away":
            raise SourceError("status 503")
        case "unset":
            raise ConfigError("no model is configured")
        case "meet":
            place = Path(document.text.split()[1])
            place.with_suffix(f".{os.getpid()}").touch()
            wait_for(lambda: len(list(place.parent.glob(f"{place.name}.*"))) == 2)
        case "elsewhere":
            (_, told, step) = document.text.split()
            place = Path(told)
            if os.getpid() != int(step):
                place.write_text(str(os.getpid()))
                bytearray(4 << 30)
            wait_for(place.exists)
        case "say" | "slow" | "hostile":
            time.sleep(0.2 if first == "slow" else 0)
            logging.getLogger("some.library").warning("process %d works on %s", os.getpid(), document.id)
        case "counted":
            return CountedItems((Word(document_id=document.id, text=mark),), {"left out": len(document.text)})
    return tuple(Word(document_id=document.id, text=text + mark) for text in document.text.split())


class Words:
    """Splits the text of a document; `worked` are the ids of those it was given."""

    def __init__(self, config: WordsConfig) -> None:
        self.config = config
        self.worked: list[str] = []

    def execute(self, ctx: DocumentContext, document: Document) -> tuple[Word, ...]:
        self.worked.append(document.id)
        words = split(self.config.mark, document)
        if words[0].text in {"spending", "open"}:
            ctx.spend("tokens", len(words))
        if words[0].text == "open":
            ctx.leave_open()
        return words


class BatchWords(Words):
    """The same of several documents at once."""

    def execute(self, _ctx: DocumentContext, document: Sequence[Document]) -> Any:  # type: ignore[override] # takes several
        return [split(self.config.mark, one) for one in document]


class UnpreparedWords(Words):
    """Ends its process before it has seen a document."""

    def prepare(self, _ctx: StageContext) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)


class WaryWords(Words):
    """Holds some documents for hostile, by their titles."""

    def is_hostile(self, given: Mapping[str, Mapping[str, Any]]) -> bool:
        return "hostile" in str(given["document"]["title"])


class ReadingWords(Words):
    """Depends on what stands in a file, which it reads where its process begins."""

    def fingerprints(self, ctx: StageContext) -> Mapping[str, str]:
        return {"file": (ctx.home / "read.txt").read_text(encoding="utf-8")}


def build(kind: type[Words], definition: StageDefinitionView) -> Words:
    return kind(WordsConfig.model_validate(definition.config))


def words_type(stage_type: str, **changes: Any) -> StageMetadata:
    declared: dict[str, Any] = {
        "stage_type": stage_type,
        "state_key": "words",
        "output_handler": write_key("words"),
        "output_counter": len,
        "description": "Splits text.",
        "dependencies": ("document",),
        "config_model": WordsConfig,
        "state_types": {"words": tuple[Word, ...]},
        "per_document": True,
        "max_failure_ratio": 1.0,
    }
    return StageMetadata(**{**declared, **changes})


DOCUMENTS = StageMetadata(
    stage_type="document",
    state_key="document",
    output_handler=write_key("document"),
    output_counter=len,
    description="Writes documents.",
    state_types={"document": tuple[Document, ...]},
)
WORDS = words_type("words")
BATCH_WORDS = words_type("batch-words", batch=4)
UNPREPARED_WORDS = words_type("unprepared-words")
WARY_WORDS = words_type("wary-words")
READING_WORDS = words_type("reading-words")
_KINDS: Mapping[str, type[Words]] = {
    "words": Words,
    "batch-words": BatchWords,
    "unprepared-words": UnpreparedWords,
    "wary-words": WaryWords,
    "reading-words": ReadingWords,
}


def register() -> Iterable[StageRegistration]:
    yield StageRegistration(DOCUMENTS, partial(build, Words))
    for metadata in (WORDS, BATCH_WORDS, UNPREPARED_WORDS, WARY_WORDS, READING_WORDS):
        yield StageRegistration(metadata, partial(build, _KINDS[metadata.stage_type]))


def context(home: Path) -> StageContext:
    return StageContext("demo", "splitting", "job-1", home, log=LOG)


def topology(stage_type: str, config: Mapping[str, Any]) -> PipelineTopologyConfig:
    stage = {"name": "splitting", "type": stage_type, "config": dict(config)}
    return PipelineTopologyConfig.model_validate({"name": "demo", "version": "2026-01-01", "stages": [stage]})


def planned(
    metadata: StageMetadata = WORDS,
    *,
    name: str = "splitting",
    origin: Origin | None = ORIGIN,
) -> PlannedStage:
    return PlannedStage(
        name=name,
        definition=topology(metadata.stage_type, {}).stages[0],
        metadata=metadata,
        contract=metadata,
        origin=origin,
        isolation=None,
        builder=partial(build, Words),
        wires=(),
        order_after=(),
        policy=ResiliencePolicy(),
        code_version="1",
    )


def document(name: str, text: str) -> Document:
    return example_document(text).model_copy(update={"id": name, "title": text})


def store_documents(shards: ShardStore, *texts: str) -> DocumentValues:
    """Store documents called `document 0`, `document 1`, ... as the stage before does."""
    memo = shards.memo("inputs", DOCUMENTS.state_types)
    value_type = DOCUMENTS.state_types["document"]
    parts = [
        memo.keep_part(
            MemoryPart(f"document {n}", "document", (document(f"document {n}", text),), value_type)
        )
        for n, text in enumerate(texts)
    ]
    memo.close()
    return DocumentValues(parts, value_type)


def tasks_of(values: DocumentValues) -> list[DocumentTask]:
    return [DocumentTask(n, part.document_id, {"document": part}) for n, part in enumerate(values)]


def workers(
    number: int,
    *,
    metadata: StageMetadata = WORDS,
    limits: SubprocessIsolation = LIMITS,
    config: Mapping[str, Any] | None = None,
    is_demanded: bool = True,
    kept: KeptProcesses | None = None,
) -> DocumentWorkers:
    """Return workers whose processes find the stage types of this module."""
    pipeline = topology(metadata.stage_type, config or {})

    def start(ctx: StageContext, inputs: Sequence[str]) -> Any:
        return start_message(
            target=TARGET,
            metadata=metadata,
            input_sources={"document": InputSource(TARGET, DOCUMENTS, "document")},
            topology=pipeline,
            definition=pipeline.stages[0],
            ctx=ctx,
            inputs=inputs,
            limits=limits,
            policy=PluginPolicy(),
        )

    return DocumentWorkers(number, limits, is_demanded, start, kept or KeptProcesses())


def outcomes_of(
    engine: Any,
    values: DocumentValues,
    home: Path,
    metadata: StageMetadata = WORDS,
    config: WordsConfig = WordsConfig(),  # noqa: B008 - it is frozen
) -> dict[str, DocumentOutcome]:
    """Let an engine work on documents; return by document what came of it."""
    work = DocumentWork(metadata, _KINDS[metadata.stage_type](config), context(home))
    return {task.document_id: outcome for task, outcome in engine.run(work, tasks_of(values))}


def texts_of(outcome: DocumentOutcome) -> list[str]:
    return [word.text for word in outcome.parts["words"].load()]
