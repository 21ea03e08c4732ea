"""The half of a batch stage that is work on one document: it goes where that of other stages is done."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from medkg_dagster.stage_api._context import StageContext, set_aside
from medkg_dagster.stage_api._document_loop import DocumentOutcome, DocumentTask, DocumentWork, InOrder
from medkg_dagster.stage_api._documents import DocumentPart
from medkg_dagster.stage_api._stage_types.registration import Stage, StageRegistration


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a batch stage lets be made of each document before it works on all of them.

    Nothing of it is stored or remembered: the stage itself knows what it has to make anew.

    Attributes:
        register: Returns its stage type, which is per document and writes one key. It is a function of a
            module, so that other processes find it by its name; no entry point need name it.
        config: The configuration with which another process builds it.
        stage: The stage that does it in this process.
    """

    register: Callable[[], StageRegistration]
    config: Mapping[str, Any]
    stage: Stage

    @property
    def target(self) -> str:
        """Where another process finds the stage type, as `module:attribute`."""
        return f"{self.register.__module__}:{self.register.__qualname__}"


def prepare_documents(
    ctx: StageContext,
    preparation: Preparation,
    names: Sequence[str],
    parts: Callable[[str], Mapping[str, DocumentPart | None]],
) -> Generator[tuple[str, tuple[Any, ...] | None], None, None]:
    """Yield each document with what is made of it, in order, while others are worked on.

    Args:
        ctx: The surroundings of the batch stage.
        preparation: What is to be made.
        names: The documents.
        parts: Returns the parts of a document by argument of `execute`, named as those of the batch stage.

    Yields:
        A document and what is made of it: nothing where the stage left it out, None where it was set aside.

    Raises:
        BatchInterruptedError: The work met what is worth another try.
        Exception: It met what is wrong whatever the document.
    """
    metadata = preparation.register().metadata
    work = DocumentWork(metadata, preparation.stage, ctx)
    tasks = [DocumentTask(number, name, parts(name)) for number, name in enumerate(names)]
    engine = InOrder() if ctx.engine_of is None else ctx.engine_of(preparation)
    done: dict[int, DocumentOutcome] = {}
    following = 0
    for task, outcome in engine.run(work, tasks):
        done[task.position] = outcome
        while following in done:
            yield tasks[following].document_id, _made(ctx, tasks[following], done.pop(following))
            following += 1


def _made(ctx: StageContext, task: DocumentTask, outcome: DocumentOutcome) -> tuple[Any, ...] | None:
    if outcome.fault is not None:
        set_aside(ctx, replace(outcome.fault, content_hash=task.content_hash))
        return None
    return tuple(item for part in outcome.parts.values() for item in part.load())
