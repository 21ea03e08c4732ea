"""The loop over the documents of a stage that works on one at a time; the stage itself has none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from medkg_dagster.domain.documents import Document
from medkg_dagster.domain.payloads import Payload
from medkg_dagster.errors import IsolatedStageError, StageContractError, counted
from medkg_dagster.io.faults import is_of_document
from medkg_dagster.stage_api._context import (
    QuarantinedDocument,
    StageContext,
    judge_fault,
    raise_interruption,
    set_aside,
)
from medkg_dagster.stage_api._contract import ScopedState, count_of, execute_stage, handle_output
from medkg_dagster.stage_api._documents import (
    DocumentAccount,
    DocumentContext,
    DocumentPart,
    DocumentResult,
    DocumentValues,
    EmptyPart,
    EndOfFile,
    MemoryPart,
    by_document,
    content_hash_of,
    is_one_per_document,
    item_type,
    parts_of,
)
from medkg_dagster.stage_api._stage_types.metadata import StageMetadata, qualified_name
from medkg_dagster.stage_api._stage_types.registration import Stage


@dataclass(frozen=True, slots=True)
class DocumentTask:
    """The work on one document.

    Attributes:
        position: Its place among the documents.
        document_id: Its id, as the first input has it.
        parts: By argument of `execute`: its part of each input, None where there is none; an input that is
            one unit is a part of every document.
    """

    position: int
    document_id: str
    parts: Mapping[str, DocumentPart | None]

    @property
    def content_hash(self) -> str | None:
        """The hash that the document or payload says it has; None where it has none."""
        found = (content_hash_of(part) for part in self.parts.values() if part is not None)
        return next((one for one in found if one is not None), None)

    def inputs_version(self) -> str:
        """Return the hash of all that the work on it reads."""
        versions = [
            f"{name}\x00{part.document_id}\x00{part.version}" if part is not None else name
            for name, part in sorted(self.parts.items())
        ]
        return hashlib.sha256("\x01".join(versions).encode("utf-8", "backslashreplace")).hexdigest()


@dataclass(frozen=True, slots=True)
class DocumentOutcome:
    """What came of one document.

    Attributes:
        parts: By state key: its part; empty where it was set aside or left out.
        count: What the type's counter says of it.
        fault: Why it was set aside.
        is_left_out: Whether the stage returned None: there is nothing to be done with it.
        is_reused: Whether it was made by an earlier run.
        is_remembered: Whether the same work would come to the same.
        spent: By name, what the work took.
    """

    parts: Mapping[str, DocumentPart] = field(default_factory=dict)
    count: int = 0
    fault: QuarantinedDocument | None = None
    is_left_out: bool = False
    is_reused: bool = False
    is_remembered: bool = True
    spent: Mapping[str, float] = field(default_factory=dict)


class DocumentWork:
    """The work of one stage on documents, as it is done in any process.

    Args:
        metadata: The stage type.
        stage: What its builder returned.
        ctx: The surroundings of the stage in this process.
    """

    def __init__(self, metadata: StageMetadata, stage: Stage, ctx: StageContext) -> None:
        self.metadata = metadata
        self.stage = stage
        self.ctx = ctx
        self._context = DocumentContext(ctx.log, ctx.calls, ctx.home)
        self._is_prepared = False

    def prepare(self) -> None:
        """Let the stage open what it needs, once in a process and before its first document."""
        if not self._is_prepared and (prepare := getattr(self.stage, "prepare", None)) is not None:
            prepare(self.ctx)
        self._is_prepared = True

    def compute(self, tasks: Sequence[DocumentTask]) -> list[DocumentOutcome]:
        """Work on some documents, at once where the stage type takes several, else one after the other.

        Raises:
            StageContractError: The stage broke its contract.
            BatchInterruptedError: The work met what is worth another try; it names the documents.
            Exception: It met what is wrong whatever the document.
        """
        self.prepare()
        if self.metadata.batch == 1:
            return [self._one(task) for task in tasks]
        try:
            inputs = [_inputs(task) for task in tasks]
            given = {name: [one[name] for one in inputs] for name in inputs[0]}
            outputs = execute_stage(self.metadata, self.stage, self._context, given)
            if not isinstance(outputs, Sequence) or len(outputs) != len(tasks):
                raise StageContractError(
                    f"stage type {self.metadata.stage_type!r} was given {counted(len(tasks), 'document')} "
                    f"and returned {_described(outputs)}; a type with `batch` returns a list "
                    "with one output for each"
                )
            made = [
                self._outcome(task, one, output)
                for task, one, output in zip(tasks, inputs, outputs, strict=True)
            ]
            account = self._take_account()
            if account.is_open:
                made = [replace(one, is_remembered=False) for one in made]
            # What is spent is shown by this run alone, so any of them can stand for all.
            return [_accounted(made[0], account), *made[1:]]
        except Exception as error:  # noqa: BLE001 - what is no document's fault is raised again
            if len(tasks) == 1 and is_of_document(error):
                fault = judge_fault(self.ctx.stage, tasks[0].document_id, error)
                return [DocumentOutcome(fault=fault)]
            if not is_of_document(error):
                raise_interruption([task.document_id for task in tasks], error)
            # Which of them is at fault shows when each is alone.
            return [outcome for task in tasks for outcome in self.compute([task])]

    def _one(self, task: DocumentTask) -> DocumentOutcome:
        try:
            inputs = _inputs(task)
            output = execute_stage(self.metadata, self.stage, self._context, inputs)
            return _accounted(self._outcome(task, inputs, output), self._take_account())
        except Exception as error:  # noqa: BLE001 - one bad document must not stop the batch; `judge_fault` judges
            fault = judge_fault(self.ctx.stage, task.document_id, error)
            return DocumentOutcome(fault=fault, spent=dict(self._take_account().spent))

    def _take_account(self) -> DocumentAccount:
        """Return what was told of the work since the last time."""
        account = self._context.account
        if account.spent or account.is_open:
            self._context = replace(self._context, account=DocumentAccount())
        return account

    def _outcome(self, task: DocumentTask, inputs: Mapping[str, Any], output: Any) -> DocumentOutcome:
        if output is None:
            return DocumentOutcome(is_left_out=True)
        metadata = self.metadata
        state = ScopedState(metadata)
        handle_output(metadata, state, self.ctx.stage, output)
        parts: dict[str, DocumentPart] = {}
        for key, value in state.items():
            value_type = metadata.state_types[key]
            if unchanged := next((name for name, given in inputs.items() if given is value), None):
                # What a stage passes on need not be stored a second time.
                passed = task.parts[unchanged]
                assert passed is not None
                parts[key] = passed
                continue
            part = self._as_part(key, value, value_type)
            parts[key] = MemoryPart(self._document_id(key, task, part, value_type), key, part, value_type)
        return DocumentOutcome(parts, count_of(metadata, output))

    def _as_part(self, key: str, value: Any, value_type: Any) -> Any:
        item = item_type(value_type)
        if item is None:
            return value
        if isinstance(value, item) and not isinstance(value, tuple):
            return (value,)
        if not isinstance(value, tuple | list):
            raise StageContractError(
                f"stage type {self.metadata.stage_type!r}: {key!r} is a {qualified_name(type(value))} for a "
                f"document; return a tuple of {item.__name__}"
            )
        return value if isinstance(value, tuple) else tuple(value)

    def _document_id(self, key: str, task: DocumentTask, part: Any, value_type: Any) -> str:
        if is_one_per_document(value_type):
            if not isinstance(part, tuple) or len(part) != 1:
                raise StageContractError(
                    f"stage type {self.metadata.stage_type!r}: {key!r} is {_described(part)} for "
                    f"{task.document_id}; return the one document, or None to leave it out"
                )
            return str(part[0].id)
        if item_type(value_type) is not None:
            ids = {getattr(item, "document_id", task.document_id) for item in part}
            if strange := ids - {task.document_id}:
                raise StageContractError(
                    f"stage type {self.metadata.stage_type!r}: {key!r} of the document {task.document_id} "
                    f"holds items of {min(map(str, strange))}; return what is of this document only"
                )
        return task.document_id


def _inputs(task: DocumentTask) -> dict[str, Any]:
    """Return what `execute` gets of a document, by argument: the document itself, or what is of it."""
    given = {}
    for name, part in task.parts.items():
        value = None if part is None else part.load()
        given[name] = _item(value)
    return given


def _item(part: Any) -> Any:
    is_document = isinstance(part, tuple) and len(part) == 1 and isinstance(part[0], Document | Payload)
    return part[0] if is_document else part


class DocumentEngine(Protocol):
    """Does the work on documents: here or elsewhere, or finds that it was done before."""

    def run(
        self, work: DocumentWork, tasks: Sequence[DocumentTask]
    ) -> Iterable[tuple[DocumentTask, DocumentOutcome]]:
        """Yield what comes of each document, in any order."""

    def keep(self, parts: Iterator[DocumentPart | EndOfFile]) -> list[DocumentPart]:
        """Keep what a stage gives part by part, so that no more than one has to be in memory."""


class InOrder:
    """Does the work in this process, one document after the other."""

    def run(
        self, work: DocumentWork, tasks: Sequence[DocumentTask]
    ) -> Iterator[tuple[DocumentTask, DocumentOutcome]]:
        """Yield what comes of each document, in order."""
        size = work.metadata.batch
        for start in range(0, len(tasks), size):
            some = tasks[start : start + size]
            yield from zip(some, work.compute(some), strict=True)

    def keep(self, parts: Iterator[DocumentPart | EndOfFile]) -> list[DocumentPart]:
        """Return the parts."""
        return parts_of(parts)


def document_tasks(metadata: StageMetadata, inputs: Mapping[str, Any]) -> list[DocumentTask]:
    """Return the work to be done; the first input says on which documents.

    Args:
        metadata: The stage type.
        inputs: By argument of `execute`, in the order of the type's dependencies: the value.

    Raises:
        StageContractError: No input is kept by document.
    """
    values = {name: value for name, value in inputs.items() if isinstance(value, DocumentValues)}
    units: dict[str, DocumentPart] = {
        name: value if isinstance(value, MemoryPart) else MemoryPart("", name, value, type(value))
        for name, value in inputs.items()
        if name not in values
    }
    if not values:
        raise StageContractError(
            f"stage type {metadata.stage_type!r} works on one document at a time, and none of its inputs "
            f"({', '.join(inputs) or 'it has none'}) is kept by document"
        )
    first, *others = values
    known = {name: values[name].by_id() for name in others}
    empty = {name: _empty(values[name].value_type) for name in others}
    tasks = []
    for position, part in enumerate(values[first]):
        parts: dict[str, DocumentPart | None] = {first: part}
        for name in others:
            parts[name] = known[name].get(part.document_id, empty[name])
        tasks.append(DocumentTask(position, part.document_id, {**parts, **units}))
    return tasks


def run_documents(
    metadata: StageMetadata,
    stage: Stage,
    ctx: StageContext,
    inputs: Mapping[str, Any],
    engine: DocumentEngine,
) -> tuple[dict[str, DocumentValues], int]:
    """Let a stage work on every document, and put what comes of it in order.

    Returns:
        By state key the values by document, and what the counter says of all of them.
    """
    given = {name: _given(name, value) for name, value in inputs.items()}
    tasks = document_tasks(metadata, given)
    work = DocumentWork(metadata, stage, ctx)
    outcomes: list[DocumentOutcome | None] = [None] * len(tasks)
    for done, (task, outcome) in enumerate(engine.run(work, tasks), start=1):
        outcomes[task.position] = outcome
        ctx.report_progress(done, len(tasks), "documents")
    finished = [outcome for outcome in outcomes if outcome is not None]
    finished = _conclude(work, tasks, finished)
    pairs = zip(tasks, finished, strict=True)
    review(work, (result_of(task, end.parts, is_reused=end.is_reused) for task, end in pairs if end.parts))
    for task, outcome in zip(tasks, finished, strict=True):
        if outcome.fault is not None:
            set_aside(ctx, replace(outcome.fault, content_hash=task.content_hash))
    made = [outcome for outcome in finished if outcome.parts or not (outcome.fault or outcome.is_left_out)]
    ctx.succeeded += len(made)
    reused = sum(outcome.is_reused for outcome in finished)
    ctx.describe("computed", len(finished) - reused)
    ctx.describe("reused", reused)
    if left_out := sum(outcome.is_left_out for outcome in finished):
        ctx.describe("left_out", left_out)
    _describe_spent(ctx, finished)
    state = {
        key: DocumentValues([outcome.parts[key] for outcome in made], metadata.state_types[key])
        for key in metadata.state_keys
    }
    return state, sum(outcome.count for outcome in made)


def _accounted(outcome: DocumentOutcome, account: DocumentAccount) -> DocumentOutcome:
    if not account.spent and not account.is_open:
        return outcome
    return replace(outcome, spent=account.spent, is_remembered=not account.is_open)


def _describe_spent(ctx: StageContext, outcomes: Sequence[DocumentOutcome]) -> None:
    """Show what was spent on the documents that were worked on."""
    totals: dict[str, float] = {}
    for outcome in outcomes:
        for name, amount in outcome.spent.items():
            totals[name] = totals.get(name, 0) + amount
    for name in sorted(totals):
        ctx.describe(name, totals[name] if isinstance(totals[name], int) else round(totals[name], 3))


def review(work: DocumentWork, results: Iterable[DocumentResult]) -> None:
    """Let the stage show figures over all documents of which something came, by their headers."""
    if (shows := getattr(work.stage, "review", None)) is not None:
        shows(work.ctx, list(results))


def result_of(task: DocumentTask, parts: Mapping[str, DocumentPart], *, is_reused: bool) -> DocumentResult:
    """Return what came of one document as the stage may look at it, across all of them."""
    return DocumentResult(
        task.document_id,
        {name: part.header for name, part in task.parts.items() if part is not None},
        {key: part.header for key, part in parts.items()},
        is_reused,
    )


def _conclude(
    work: DocumentWork, tasks: Sequence[DocumentTask], outcomes: Sequence[DocumentOutcome]
) -> list[DocumentOutcome]:
    """Let the stage look across its documents, by their headers, and set some of them aside."""
    conclude = getattr(work.stage, "conclude", None)
    if conclude is None:
        return list(outcomes)
    places = [place for place, outcome in enumerate(outcomes) if outcome.parts]
    results = [
        result_of(tasks[place], outcomes[place].parts, is_reused=outcomes[place].is_reused)
        for place in places
    ]
    refused = conclude(work.ctx, results) or {}
    concluded = list(outcomes)
    for number, error in refused.items():
        place = places[number]
        fault = judge_fault(work.ctx.stage, tasks[place].document_id, error)
        concluded[place] = replace(outcomes[place], parts={}, count=0, fault=fault)
    return concluded


def _given(name: str, value: Any) -> Any:
    return value if isinstance(value, MemoryPart) else by_document(name, value)


def _empty(value_type: Any) -> EmptyPart | None:
    """Return the part of a document that an input says nothing of."""
    # Of an empty tuple no more is known than that its writer ran; None says that there is no writer.
    if value_type is not Any and (item_type(value_type) is None or is_one_per_document(value_type)):
        return None
    return EmptyPart()


def _described(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return counted(len(value), "item")
    return qualified_name(type(value))


def fingerprint_of(work: DocumentWork) -> dict[str, str]:
    """Return what the stage's results depend on beside its configuration and inputs, by name.

    Raises:
        IsolatedStageError: It is not what it was where the step began.
    """
    fingerprints = getattr(work.stage, "fingerprints", None)
    if fingerprints is None:
        return {}
    found: Mapping[str, str] = fingerprints(work.ctx)
    before = work.ctx.fingerprints
    if before and dict(before) != dict(found):
        changed = sorted(name for name in {*before, *found} if before.get(name) != found.get(name))
        raise IsolatedStageError(
            f"stage '{work.ctx.stage}': {', '.join(changed)} changed while it ran; what was made before is "
            "kept under what it was made with, so run it again"
        )
    work.ctx.fingerprints = dict(found)
    return dict(found)
