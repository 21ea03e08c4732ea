"""A process that works on documents: `python -m medkg_dagster.runtime.isolation.document_worker DESCRIPTOR`.

It reads the parts of a document where they are stored, works on it, and sends what came of it. What breaks a
limit costs the document it was at; the step then starts another process.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medkg_dagster.errors import StageLimitError
from medkg_dagster.io.child_process import limit_cpu
from medkg_dagster.runtime.garbage_collection import rare_collections
from medkg_dagster.runtime.isolation.child import begin, build, flush, free_memory, send_failure
from medkg_dagster.runtime.isolation.messages import (
    MadeDocument,
    MadePart,
    PartPlace,
    Ready,
    Start,
    Work,
    Worked,
    is_out_of_memory,
)
from medkg_dagster.runtime.state.shard_files import Shard
from medkg_dagster.runtime.state.shards import StoredPart
from medkg_dagster.stage_api import DocumentPart, MemoryPart, QuarantinedDocument
from medkg_dagster.stage_api._document_loop import DocumentOutcome, DocumentTask, DocumentWork
from medkg_dagster.stage_api._documents import EmptyPart, header_of, version_of
from medkg_dagster.stage_api._redaction import redacted, revealed_names
from medkg_dagster.stage_api._serialization import compress, encode_value, load_value


def main() -> None:
    """Work on documents until the step has no more."""
    channel, start, contents, ctx = begin()
    try:
        metadata, stage, types = build(start)
        units: dict[str, DocumentPart] = {
            key: MemoryPart("", key, load_value(key, content, types[key]), types[key])
            for key, content in contents.items()
            if content
        }
        work = DocumentWork(metadata, stage, ctx)
        work.prepare()
        channel.send(Ready())
        while True:
            asked = channel.work.get()
            limit_cpu(start.timeout_seconds, for_good=False)
            with rare_collections():
                worked, content = _work(work, start, asked, types, units)
            flush()
            channel.send(worked, content)
            if not all(one.is_remembered for one in worked.documents):
                # Memory that was taken to its limit is not to be trusted with the next document.
                os._exit(0)
    except BaseException as error:  # noqa: BLE001 - whatever a plugin raises, the step must be told
        send_failure(channel, ctx, error)


def _work(
    work: DocumentWork,
    start: Start,
    asked: Work,
    types: Mapping[str, Any],
    units: Mapping[str, DocumentPart],
) -> tuple[Worked, bytes]:
    tasks = []
    for position, (document_id, places) in enumerate(asked.documents):
        parts = {
            name: None if place is None else _placed(place, name, types[name])
            for name, place in places.items()
        }
        tasks.append(DocumentTask(position, document_id, {**parts, **units}))
    try:
        outcomes = work.compute(tasks)
        made = [_made(work, task, outcome) for task, outcome in zip(tasks, outcomes, strict=True)]
    except Exception as error:
        if len(tasks) > 1 or not is_out_of_memory(error):
            raise
        free_memory(error)
        fault = limit_fault(
            work.ctx.stage,
            tasks[0].document_id,
            f"the work on it took more than {start.memory_mb} MB (memory_mb of the stage's isolation)",
        )
        made = [(_document(DocumentOutcome(fault=fault, is_remembered=False), {}), b"")]
    worked = Worked(documents=tuple(one for one, _ in made), revealed=revealed_names())
    return worked, b"".join(content for _, content in made)


def _placed(place: PartPlace, key: str, value_type: Any) -> DocumentPart:
    """Return a part where it is stored; its version and header are not known here, and not needed."""
    if not place.path:
        return EmptyPart()
    shard = Shard(Path(), place.path)
    return StoredPart(place.document_id, "", {}, key, value_type, shard, place.offset, place.length)


def limit_fault(stage: str, document_id: str, message: str) -> QuarantinedDocument:
    """Return what is held against a document that broke a limit."""
    return QuarantinedDocument(document_id, stage, StageLimitError.__name__, message)


def _made(work: DocumentWork, task: DocumentTask, outcome: DocumentOutcome) -> tuple[MadeDocument, bytes]:
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
    )


if __name__ == "__main__":
    main()
