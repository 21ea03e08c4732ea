"""The half of a batch stage that is work on one document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from medkg_dagster.errors import UnreadableDocumentError
from medkg_dagster.stage_api import (
    Config,
    Document,
    DocumentContext,
    MemoryPart,
    StageContext,
    StageRegistration,
)
from medkg_dagster.stage_api._document_loop import DocumentOutcome, DocumentTask, DocumentWork, InOrder
from medkg_dagster.stage_api._preparation import Preparation, prepare_documents
from medkg_dagster.stage_api.testing import example_document

NAMES = [f"PMID:{number}" for number in range(5)]


class Title(Config):
    """A title."""

    text: str


class Titles(Config):
    """The configuration."""


class TitleStage:
    """Takes the title of a document; the third is unreadable, the fourth is left out."""

    def __init__(self, config: Titles) -> None:
        self.config = config

    def execute(self, ctx: DocumentContext, document: Document) -> Title | None:
        del ctx
        if document.id == NAMES[2]:
            raise UnreadableDocumentError("unreadable")
        return None if document.id == NAMES[3] else Title(text=document.id)


def register() -> StageRegistration:
    return StageRegistration.of(
        "title",
        TitleStage,
        Titles,
        description="Takes titles.",
        state_types={"title": tuple[Title, ...]},
        dependencies=("parse",),
        per_document=True,
    )


class LastFirst(InOrder):
    """Comes to the last document first."""

    def run(
        self, work: DocumentWork, tasks: Sequence[DocumentTask]
    ) -> Iterator[tuple[DocumentTask, DocumentOutcome]]:
        return super().run(work, tasks[::-1])


def parts(name: str) -> dict[str, MemoryPart | None]:
    document = example_document().model_copy(update={"id": name})
    return {"document": MemoryPart(name, "document", (document,), tuple[Document, ...])}


def test_what_is_made_comes_in_the_order_of_the_documents_whichever_is_done_first() -> None:
    ctx = StageContext("p", "s", "j", Path("unused"))
    ctx.engine_of = lambda _half: LastFirst()
    half = Preparation(register, {}, TitleStage(Titles()))

    made = list(prepare_documents(ctx, half, NAMES, parts))

    assert made == [
        (NAMES[0], (Title(text=NAMES[0]),)),
        (NAMES[1], (Title(text=NAMES[1]),)),
        (NAMES[2], None),
        (NAMES[3], ()),
        (NAMES[4], (Title(text=NAMES[4]),)),
    ]
    assert [(item.document_id, item.message) for item in ctx.quarantined] == [(NAMES[2], "unreadable")]


def test_another_process_finds_the_work_by_the_name_of_what_registers_it() -> None:
    assert Preparation(register, {}, TitleStage(Titles())).target == f"{__name__}:register"
