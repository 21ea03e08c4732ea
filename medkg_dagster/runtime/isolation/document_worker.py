"""A process that works on documents.

    python -m medkg_dagster.runtime.isolation.document_worker CHANNEL BEGUN

CHANNEL is the descriptor of the channel to the step, BEGUN that of a pipe that gets a byte for each unit of
documents that it begins. It reads the parts of a document where they are stored, works on it, and sends what
came of it. What breaks a limit costs the document it was at; the step then starts another process.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medkg_dagster.errors import StageLimitError
from medkg_dagster.io.child_process import address_space, limit_cpu
from medkg_dagster.runtime.garbage_collection import rare_collections
from medkg_dagster.runtime.isolation.channel import Channel, Stage
from medkg_dagster.runtime.isolation.child import begin, build, enter, flush, free_memory, send_failure
from medkg_dagster.runtime.isolation.messages import (
    MadeDocument,
    MadePart,
    PartPlace,
    PlacedDocument,
    Ready,
    Start,
    Work,
    Worked,
    is_out_of_memory,
)
from medkg_dagster.runtime.state.shard_files import Shard
from medkg_dagster.runtime.state.shards import StoredPart
from medkg_dagster.stage_api import DocumentPart, MemoryPart, QuarantinedDocument, StageContext
from medkg_dagster.stage_api._document_loop import (
    DocumentOutcome,
    DocumentTask,
    DocumentWork,
    fingerprint_of,
)
from medkg_dagster.stage_api._documents import EmptyPart, header_of, version_of
from medkg_dagster.stage_api._redaction import redacted, revealed_names
from medkg_dagster.stage_api._serialization import compress, encode_value, load_value

_TOGETHER_SECONDS = 0.05
_GROWN_SHARE = 0.25

Made = tuple[MadeDocument, bytes]
"""What came of a document, and the bytes of its parts."""


def main() -> None:
    """Work on documents until the step has no more."""
    channel, start, contents, ctx = begin()
    begun = int(sys.argv[2])
    # Processes that a stage starts must not speak for it.
    os.set_inheritable(begun, False)
    results = _Results(channel, (address_space() or 0) + (start.memory_mb << 20) * _GROWN_SHARE)
    while True:
        try:
            start, contents = _Worker(channel, results, begun, start, ctx).work(contents)
        except BaseException as error:  # noqa: BLE001 - whatever a plugin raises, the step must be told
            results.send()
            send_failure(channel, ctx, error)
            return
        ctx = enter(start, channel)


class _Worker:
    """Works on the documents of one stage."""

    def __init__(
        self, channel: Channel, results: _Results, begun: int, start: Start, ctx: StageContext
    ) -> None:
        self._channel = channel
        self._results = results
        self._begun = begun
        self._start = start
        self._ctx = ctx

    def work(self, contents: dict[str, bytes]) -> Stage:
        """Work until the step tells another stage.

        Args:
            contents: The bytes of inputs that are one unit.
        """
        metadata, stage, types = build(self._start)
        wholes: dict[str, DocumentPart] = {
            key: MemoryPart("", key, load_value(key, content, types[key]), types[key])
            for key, content in contents.items()
            if content
        }
        work = DocumentWork(metadata, stage, self._ctx)
        work.prepare()
        # What another process opens later may be something else, of which nothing is to be remembered here.
        fingerprint_of(work)
        self._channel.send(Ready())
        while True:
            if self._channel.work.empty():
                self._results.send()
            asked = self._channel.work.get()
            if not isinstance(asked, Work):
                return asked
            with rare_collections():
                for unit in asked.units:
                    self._work_on(work, [_task(n, one, types, wholes) for n, one in enumerate(unit)])

    def _work_on(self, work: DocumentWork, tasks: Sequence[DocumentTask]) -> None:
        limit_cpu(self._start.timeout_seconds, for_good=False)
        os.write(self._begun, b".")
        made = self._made(work, tasks)
        self._results.add(made)
        if any(document.broke_a_limit for document, _ in made):
            # Memory that was taken to its limit is not to be trusted with the next document.
            self._results.send()
            os._exit(0)

    def _made(self, work: DocumentWork, tasks: Sequence[DocumentTask]) -> Sequence[Made]:
        try:
            outcomes = work.compute(tasks)
            return [_made(work, task, outcome) for task, outcome in zip(tasks, outcomes, strict=True)]
        except Exception as error:
            if len(tasks) > 1 or not is_out_of_memory(error):
                raise
            free_memory(error)
            limit = f"{self._start.memory_mb} MB (memory_mb of the stage's isolation)"
            fault = limit_fault(
                self._ctx.stage, tasks[0].document_id, f"the work on it took more than {limit}"
            )
            return [(_document(DocumentOutcome(fault=fault, is_remembered=False), {}), b"")]


class _Results:
    """Sends what came of documents, of several at once where they are done fast.

    Args:
        channel: The channel to the step.
        most: How many bytes of address space this process may have for another stage to go on with it.
    """

    def __init__(self, channel: Channel, most: float) -> None:
        self._channel = channel
        self._most = most
        self._sending = threading.Lock()
        self._some = threading.Event()
        self._made: deque[Sequence[Made]] = deque()
        threading.Thread(target=self._send_on, name="medkg-results", daemon=True).start()

    def add(self, made: Sequence[Made]) -> None:
        """Take what came of the documents of a unit."""
        self._made.append(made)
        self._some.set()

    def send(self) -> None:
        """Send what is there."""
        with self._sending:
            made: list[Made] = []
            while self._made:
                made += self._made.popleft()
            if made:
                flush()
                worked = Worked(
                    documents=tuple(document for document, _ in made),
                    revealed=revealed_names(),
                    has_grown=(address_space() or 0) > self._most,
                )
                self._channel.send(worked, b"".join(content for _, content in made))

    def _send_on(self) -> None:
        # While this waits for the step to read, the work goes on.
        while True:
            self._some.wait()
            time.sleep(_TOGETHER_SECONDS)
            self._some.clear()
            self.send()


def _task(
    position: int,
    document: PlacedDocument,
    types: Mapping[str, Any],
    wholes: Mapping[str, DocumentPart],
) -> DocumentTask:
    document_id, places = document
    parts = {
        name: None if place is None else _placed(place, name, types[name]) for name, place in places.items()
    }
    return DocumentTask(position, document_id, {**parts, **wholes})


def _placed(place: PartPlace, key: str, value_type: Any) -> DocumentPart:
    """Return a part where it is stored; its version and header are not known here, and not needed."""
    if not place.path:
        return EmptyPart()
    shard = Shard(Path(), place.path)
    return StoredPart(place.document_id, "", {}, key, value_type, shard, place.offset, place.length)


def limit_fault(stage: str, document_id: str, message: str) -> QuarantinedDocument:
    """Return what is held against a document that broke a limit."""
    return QuarantinedDocument(document_id, stage, StageLimitError.__name__, message)


def _made(work: DocumentWork, task: DocumentTask, outcome: DocumentOutcome) -> Made:
    parts: dict[str, MadePart] = {}
    contents = []
    for key, part in outcome.parts.items():
        passed = next((name for name, given in task.parts.items() if given is part), None)
        if passed is not None:
            parts[key] = MadePart(document_id=part.document_id, passed=passed)
            continue
        value, value_type = part.load(), work.metadata.state_types[key]
        encoded = encode_value(key, value, value_type)
        content = compress(encoded, value_type)
        contents.append(content)
        parts[key] = MadePart(
            document_id=part.document_id,
            version=version_of(encoded),
            header=dict(header_of(value)),
            length=len(content),
        )
    return _document(outcome, parts), b"".join(contents)


def _document(outcome: DocumentOutcome, parts: dict[str, MadePart]) -> MadeDocument:
    return MadeDocument(
        parts=parts,
        count=outcome.count,
        fault=redacted(outcome.fault),
        is_left_out=outcome.is_left_out,
        is_remembered=outcome.is_remembered,
        spent=dict(outcome.spent),
    )


if __name__ == "__main__":
    atexit.register(gc.freeze)  # no last search for garbage, which takes a fifth of a short process
    main()
