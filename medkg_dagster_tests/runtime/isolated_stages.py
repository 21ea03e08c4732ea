"""Stage types for the tests of isolation, as an entry point registers them."""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from medkg_dagster.errors import (
    GateConditionError,
    RejectedDocumentError,
    SourceError,
    TransientDownloadError,
    UnreadableDocumentError,
)
from medkg_dagster.stage_api import (
    EmbeddingBatch,
    FileRecord,
    FileStatus,
    GateCondition,
    Secret,
    StageContext,
    StageDefinitionView,
    StageMetadata,
    StageRegistration,
    write_key,
)

TARGET = "medkg_dagster_tests.runtime.isolated_stages:register"


class Note(BaseModel):
    """A value that can be changed, as plugins' values may be."""

    words: list[str]


class ActConfig(BaseModel):
    model_config = ConfigDict(extra="forbid")

    act: str = "upper"
    argument: str = ""
    extra: dict[str, Any] = {}
    token: Secret = Secret(env="MEDKG_TEST_DEFAULT_TOKEN")


class QuotaError(SourceError):
    """A plugin's own error."""


def upper(_config: ActConfig, _ctx: StageContext, notes: tuple[Note, ...]) -> list[str]:
    return [word.upper() for note in notes for word in note.words]


def change_inputs(_config: ActConfig, _ctx: StageContext, notes: tuple[Note, ...]) -> list[str]:
    for note in notes:
        note.words.clear()
    return ["changed"]


def modules(_config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    return sorted({name.partition(".")[0] for name in sys.modules})


def allocate(_config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    return [str(len(bytearray(200 << 20)))]


def keep_allocating(_config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    while True:
        _KEPT.append("x" * 10_000 + str(len(_KEPT)))


_KEPT: list[str] = []


def sleep(_config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    time.sleep(600)
    return []


def start_and_sleep(config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(sleep) as process, subprocess.Popen(sleep, start_new_session=True) as leaver:
        with open(config.argument, "w", encoding="utf-8") as file:  # noqa: PTH123 - one line is enough
            file.write(f"{os.getpid()} {process.pid} {leaver.pid}")
        process.wait()
    return []


def start_hoarders(config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    hoard = [sys.executable, "-c", "import time; kept = bytearray(b'x' * (150 << 20)); time.sleep(600)"]
    started = [subprocess.Popen(hoard, start_new_session=bool(number % 2)) for number in range(4)]
    with open(config.argument, "w", encoding="utf-8") as file:  # noqa: PTH123 - one line is enough
        file.write(" ".join(str(process.pid) for process in started))
    time.sleep(600)
    return []


def show_limits(_config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    kinds = (resource.RLIMIT_CPU, resource.RLIMIT_CORE)
    return [str(limit) for kind in kinds for limit in resource.getrlimit(kind)]


def spin(_config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    # A second from now on, and not the many minutes that a stage has.
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1, 60))
    while True:
        pass


def exit_politely(_config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    sys.exit(3)


def exit_at_once(_config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    print("about to leave", file=sys.stderr)
    os._exit(3)


def crash(_config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    ctypes.string_at(0)
    return []


def crash_with_a_child(_config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    if os.fork() == 0:
        time.sleep(600)
    os.abort()


def close_everything(_config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    os.closerange(3, 256)
    return []


def shut_down(_config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    for descriptor in range(3, 64):
        try:
            connection = socket.socket(fileno=os.dup(descriptor))
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            continue
    time.sleep(600)
    return []


def talk_rubbish(_config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
        except OSError:
            continue
    time.sleep(600)
    return []


def print_lines(_config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    print("from print")
    os.write(1, b"MKG1 from the descriptor\n")
    os.write(2, b"without an end")
    return ["printed"]


def print_much(config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    for number in range(int(config.argument)):
        print(number)
    return ["printed"]


def say(config: ActConfig, ctx: StageContext, _notes: object) -> list[str]:
    ctx.log.debug("details of %s", config.argument)
    ctx.log.error("it is %d o'clock", 12)
    logging.getLogger("some.library").warning("a library warns")
    try:
        raise ValueError("caught")
    except ValueError:
        ctx.log.exception("with a traceback")
    for done in range(3):
        ctx.report_progress(done + 1, 3, "words")
    return []


def tell_secrets(config: ActConfig, ctx: StageContext, _notes: object) -> list[str]:
    value = config.token.reveal()
    ctx.log.info("logged %s", value)
    print("printed", value)
    ctx.describe("note", f"described {value}")
    ctx.quarantine("doc", ValueError(f"quarantined {value}"))
    ctx.succeeded = 9
    raise RuntimeError(f"raised {value}")


def quarantine(_config: ActConfig, ctx: StageContext, notes: tuple[Note, ...]) -> list[str]:
    def check(note: Note) -> str:
        if "bad" in note.words:
            raise UnreadableDocumentError("it is bad")
        if "gone" in note.words:
            raise RejectedDocumentError("it is gone", "retracted")
        return " ".join(note.words)

    kept = ctx.for_each(notes, check, document_id=lambda note: note.words[0])
    ctx.describe("kept", len(kept))
    ctx.describe("table", [{"word": "a", "count": 1.5}, {"word": "b", "count": None}])
    return kept


def use_job(_config: ActConfig, ctx: StageContext, _notes: object) -> list[str]:
    record = FileRecord(document_id="doc:2", status=FileStatus.STORED, url="https://example.org/2", size=7)
    before = ctx.job.fields()
    ctx.job.set_fields({"probe.seen": True, "probe.names": ["a", "ü\udc80"]}, reason="told")
    ctx.job.record_files([record])
    stored = ctx.job.stored_files(["https://example.org/1", "https://example.org/2"])
    condition = GateCondition.model_validate(
        {"mode": "all", "clauses": [{"field": "probe.seen", "operator": "exists"}]}
    )
    passage = ctx.job.pass_gate("ready", condition)
    waited = ctx.job.reserve_call("example.org", 1.0)
    return [repr(before), repr(sorted(ctx.job.files())), repr(sorted(stored)), passage.because, repr(waited)]


def use_job_in_threads(_config: ActConfig, ctx: StageContext, _notes: object) -> list[str]:
    def work(number: int) -> None:
        for _ in range(20):
            ctx.job.set_fields({f"thread_{number}": ctx.job.fields().get(f"thread_{number}", 0) + 1})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(f"{name}={count}" for name, count in ctx.job.fields().items())


def set_what_is_no_json(_config: ActConfig, ctx: StageContext, _notes: object) -> list[str]:
    ctx.job.set_fields({"odd": {1, 2}})
    return []


def pass_closed_gate(_config: ActConfig, ctx: StageContext, _notes: object) -> list[str]:
    condition = GateCondition.model_validate({"field": "ready", "equals": True})
    try:
        ctx.job.pass_gate("ready", condition)
    except GateConditionError as error:
        ctx.log.info("observed %s", error.observed)
        raise
    return []


def pace(_config: ActConfig, ctx: StageContext, _notes: object) -> list[str]:
    waits = [ctx.calls.admit("example.org") for _ in range(3)]
    return [repr(ctx.calls.timeout_seconds), repr(ctx.calls.failure_threshold), repr(waits)]


def raise_error(config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    known: dict[str, Exception] = {
        "quota": QuotaError("come back tomorrow"),
        "transient": TransientDownloadError("busy", retry_after=2.5),
        "key": KeyError("absent"),
        "memory": MemoryError(),
        "path": FileNotFoundError(2, "No such file or directory", "model.bin"),
    }
    raise known[config.argument]


def ask_a_service_that_is_away(_config: ActConfig, ctx: StageContext, notes: tuple[Note, ...]) -> list[str]:
    def ask(_note: Note) -> str:
        raise SourceError("status 503")

    return ctx.for_each(notes, ask, document_id=lambda note: note.words[0])


def see_extensions(_config: ActConfig, ctx: StageContext, _notes: object) -> list[str]:
    from medkg_dagster.stage_api import ExtensionKind

    return list(ctx.extensions.names(ExtensionKind.EMBEDDER))


def write_a_wrong_type(_config: ActConfig, _ctx: StageContext, _notes: object) -> Any:
    return [1, 2]


def write_much(_config: ActConfig, _ctx: StageContext, notes: tuple[Note, ...]) -> list[str]:
    return [word + word for note in notes for word in note.words]


def wait_for_a_thread(_config: ActConfig, _ctx: StageContext, _notes: object) -> list[str]:
    threading.Thread(target=time.sleep, args=(600,)).start()
    return ["done"]


def surroundings(_config: ActConfig, ctx: StageContext, _notes: object) -> list[str]:
    return [ctx.pipeline, ctx.stage, ctx.job_id, str(ctx.home), repr(ctx.home.is_dir())]


@dataclass
class Acting:
    config: ActConfig
    topology: object

    def execute(self, ctx: StageContext, *, notes: tuple[Note, ...] = ()) -> list[str]:
        if self.config.act == "show_topology":
            return [repr(self.topology)]
        act: Callable[..., list[str]] = globals()[self.config.act]
        return act(self.config, ctx, notes)


@dataclass
class Embedding:
    def execute(self, _ctx: StageContext, *, vectors: EmbeddingBatch) -> EmbeddingBatch:
        doubled = vectors.vectors * 2
        vectors.vectors[:] = 0
        return EmbeddingBatch(vectors.chunk_ids, doubled, vectors.model, lexical=True)


def build(topology: object, definition: StageDefinitionView) -> Acting:
    return Acting(ActConfig.model_validate(definition.config), topology)


def write_notes(state: Any, _stage: str, output: Any) -> None:
    state["notes"] = output


NOTES = StageMetadata(
    stage_type="notes",
    state_key="notes",
    output_handler=write_notes,
    output_counter=len,
    description="Writes notes.",
    state_types={"notes": tuple[Note, ...]},
)
ACT = StageMetadata(
    stage_type="act",
    state_key="words",
    output_handler=write_key("words"),
    output_counter=len,
    description="Does what it is told.",
    optional_dependencies=("notes",),
    config_model=ActConfig,
    state_types={"words": list[str]},
    max_failure_ratio=0.5,
)
DOUBLE = StageMetadata(
    stage_type="double",
    state_key="vectors",
    output_handler=write_key("vectors"),
    output_counter=lambda batch: len(batch.chunk_ids),
    description="Doubles vectors.",
    state_types={"vectors": EmbeddingBatch},
)


def register() -> Iterable[StageRegistration]:
    yield StageRegistration(NOTES, build)
    yield StageRegistration(ACT, build)
    yield StageRegistration(DOUBLE, lambda _definition: Embedding())


def register_nothing() -> Iterable[StageRegistration]:
    return ()


def register_never() -> Iterable[StageRegistration]:
    raise RuntimeError("no licence")
