"""A stage type that splits the text of one document, changed where a test says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from medkg_dagster.domain import Value
from medkg_dagster.errors import UnreadableDocumentError
from medkg_dagster.stage_api import Document, DocumentContext, StageContext, StageMetadata, write_key
from medkg_dagster.stage_api._documents import whole_value
from medkg_dagster.stage_api._invocation import StageOutcome, invoke
from medkg_dagster.stage_api.testing import example_document


class Word(Value):
    """A word of a document."""

    document_id: str
    text: str


WORDS = tuple[Word, ...]
METADATA = StageMetadata(
    stage_type="words",
    state_key="words",
    output_handler=write_key("words"),
    output_counter=len,
    description="Splits text.",
    dependencies=("parse",),
    state_types={"words": WORDS},
    per_document=True,
)


def documents(*texts: str) -> tuple[Document, ...]:
    """Make documents that are called a, b, c, ..."""
    made = (example_document(text) for text in texts)
    return tuple(one.model_copy(update={"id": name}) for name, one in zip("abcdefghij", made, strict=False))


def split_text(document: Document) -> WORDS:
    if "broken" in document.text:
        raise UnreadableDocumentError(f"{document.id}: broken")
    return tuple(Word(document_id=document.id, text=text) for text in document.text.split())


class Work:
    """A stage of the given methods."""

    def __init__(self, execute: Callable[..., Any], **methods: Callable[..., Any]) -> None:
        self.execute = execute
        vars(self).update(methods)


def giving(output: object) -> Work:
    """Make a stage that gives the same whatever it is given."""
    return Work(lambda _ctx, **_: output)


def split_one(_ctx: DocumentContext, document: Document) -> WORDS:
    return split_text(document)


def work(
    stage: Work, inputs: Mapping[str, Any], ctx: StageContext | None = None, **changes: Any
) -> StageOutcome:
    metadata = StageMetadata(**{**{name: getattr(METADATA, name) for name in METADATA.__slots__}, **changes})
    return invoke(metadata, stage, ctx or context(), inputs)


def context() -> StageContext:
    return StageContext(pipeline="demo", stage="split", job_id="default", home=Path("unused"))


def texts(outcome: StageOutcome) -> list[str]:
    return [word.text for word in whole_value(outcome.state["words"])]
