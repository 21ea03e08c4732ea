import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from medkg_dagster.adapters.index.sqlite import SQLITE_INDEX
from medkg_dagster.adapters.index.sqlite_store import SqliteIndex
from medkg_dagster.domain.holdings import DocumentStatus, UsedForm
from medkg_dagster.errors import StoreError
from medkg_dagster.stage_api import (
    Chunk,
    DocumentValues,
    EmbeddingBatch,
    IndexReceipt,
    InMemoryJobRecord,
    MemoryPart,
    StageContext,
)
from medkg_dagster.stage_api._extensions import GivenExtensions
from medkg_dagster.stages.index import IndexConfig, register
from medkg_dagster_tests.adapters.test_sqlite_index import CHUNKS, dump, embed, hits, make_chunk
from medkg_dagster_tests.stages.installed import EXTENSIONS, INSTALLED
from medkg_dagster_tests.stages.running import run
from medkg_dagster_tests.stages.test_ir_validation import document


def index(
    ctx: StageContext,
    chunks: list[Chunk],
    embedded: list[Chunk] | DocumentValues | None = None,
    **inputs: object,
) -> IndexReceipt:
    vectors = (
        embedded if isinstance(embedded, DocumentValues) else embed(chunks if embedded is None else embedded)
    )
    state = run(register, ctx, chunks=tuple(chunks), embedding_batch=vectors, **inputs)
    receipt: IndexReceipt = state["index_receipt"]
    return receipt


def by_document(chunks: Sequence[Chunk]) -> DocumentValues:
    parts = [MemoryPart(one.document_id, "embedding_batch", embed([one]), EmbeddingBatch) for one in chunks]
    return DocumentValues(parts, EmbeddingBatch)


def test_a_batch_is_indexed_and_indexing_it_again_changes_nothing(tmp_path: Path) -> None:
    ctx = StageContext(
        "auto", "index", "default", tmp_path, log=logging.getLogger("test"), extensions=EXTENSIONS
    )

    receipt = index(ctx, CHUNKS)
    before = dump(tmp_path)
    again = index(ctx, CHUNKS)

    assert again == receipt
    assert dump(tmp_path) == before
    assert register().metadata.output_counter(receipt) == len(CHUNKS)
    assert str(tmp_path) not in receipt.model_dump_json()


def test_vectors_of_other_chunks_fail_the_step(tmp_path: Path) -> None:
    ctx = StageContext("auto", "index", "default", tmp_path, extensions=EXTENSIONS)

    with pytest.raises(StoreError, match="no vector for 1 chunk and no chunk for"):
        index(ctx, CHUNKS, CHUNKS[:2])


def test_vectors_by_document_give_the_same_index_as_those_of_the_batch(tmp_path: Path) -> None:
    receipts = []
    for name, vectors in (("whole", None), ("parts", by_document(CHUNKS))):
        ctx = StageContext("auto", "index", "default", tmp_path / name, extensions=EXTENSIONS)
        receipts.append(index(ctx, CHUNKS, vectors))

    assert receipts[0] == receipts[1]
    assert dump(tmp_path / "parts") == dump(tmp_path / "whole")


@pytest.mark.parametrize(
    ("chunks", "embedded"), [(CHUNKS, CHUNKS[:2]), (CHUNKS[:2], CHUNKS)], ids=["no vectors", "no chunks"]
)
def test_a_document_with_chunks_or_vectors_alone_fails_the_step_and_is_named(
    tmp_path: Path, chunks: list[Chunk], embedded: list[Chunk]
) -> None:
    ctx = StageContext("auto", "index", "default", tmp_path, extensions=EXTENSIONS)

    with pytest.raises(
        StoreError, match=f"{CHUNKS[2].document_id} has only one of them; run the embed stage"
    ):
        index(ctx, chunks, by_document(embedded))
    with closing(SqliteIndex(tmp_path)) as store:
        assert store.held() == {}


@pytest.mark.parametrize(
    ("config", "message"),
    [({"store": "sqlit"}, "did you mean 'sqlite'"), ({"params": {"path": "x"}}, "unknown parameter 'path'")],
)
def test_a_store_that_cannot_be_is_an_error_of_the_configuration(
    config: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        IndexConfig.model_validate(config, context=INSTALLED)


def test_only_what_the_store_does_not_hold_is_written(tmp_path: Path) -> None:
    ctx = StageContext("auto", "index", "default", tmp_path, extensions=EXTENSIONS)
    index(ctx, CHUNKS[:2])
    renamed = CHUNKS[0].model_copy(update={"section": "Discussion"})
    batch = [renamed, *CHUNKS[1:]]

    receipt = index(ctx, batch)

    assert (ctx.described["documents_new"], ctx.described["documents_changed"]) == (1, 1)
    assert (receipt.documents, receipt.chunks_indexed) == (3, 3)


def test_a_document_whose_chunks_are_gone_is_indexed_without_any(tmp_path: Path) -> None:
    ctx = StageContext("auto", "index", "default", tmp_path, extensions=EXTENSIONS)
    index(ctx, CHUNKS[:1])

    receipt = index(ctx, [], document=(document(""),))

    assert (receipt.documents, receipt.chunks_indexed, receipt.chunks_removed) == (1, 0, 1)


def test_a_store_that_does_not_know_its_documents_is_given_the_whole_batch(tmp_path: Path) -> None:
    def build(_: object, home: Path) -> object:
        known = SqliteIndex(home)
        return SimpleNamespace(upsert=known.upsert, close=known.close)

    older = replace(SQLITE_INDEX, build=build, keeps_documents=False)
    ctx = StageContext("auto", "index", "default", tmp_path, extensions=GivenExtensions([older]))

    for _ in range(2):
        receipt = index(ctx, CHUNKS)

    assert (receipt.documents, receipt.chunks_indexed) == (3, 3)
    assert ctx.described == {}


class WatchedJob(InMemoryJobRecord):
    """A ledger job that says at each call how documents stand then."""

    def __init__(self, *answers: dict[str, DocumentStatus]) -> None:
        super().__init__()
        self.answers = list(answers)

    def standing(self, document_ids: Sequence[str]) -> dict[str, DocumentStatus]:
        answer = self.answers.pop(0)
        return {name: status for name, status in answer.items() if name in document_ids}

    def used_forms(self, document_ids: Sequence[str]) -> dict[str, UsedForm]:
        standing = self.standing(document_ids)
        return {name: UsedForm(status, "job.item.form", is_own=True) for name, status in standing.items()}


def write_index(home: Path, job: WatchedJob) -> tuple[StageContext, IndexReceipt]:
    ctx = StageContext("auto", "index", "default", home, job=job, extensions=EXTENSIONS)
    return ctx, index(ctx, CHUNKS)


def test_what_is_not_current_is_taken_out_and_not_written(tmp_path: Path) -> None:
    known = dict.fromkeys(("PMID:1", "PMID:2", "PMID:3"), DocumentStatus.CURRENT)
    write_index(tmp_path, WatchedJob(known, known))
    gone = known | {"PMID:1": DocumentStatus.RETRACTED}

    ctx, receipt = write_index(tmp_path, WatchedJob(gone, gone))

    assert (receipt.documents, receipt.chunks_indexed, receipt.chunks_removed) == (2, 2, 1)
    counts = {name: ctx.described[f"documents_{name}"] for name in ("current", "new", "changed", "withdrawn")}
    assert counts == {"current": 2, "new": 0, "changed": 0, "withdrawn": 1}


def test_what_somebody_withdraws_while_it_is_written_does_not_stay(tmp_path: Path) -> None:
    known = dict.fromkeys(("PMID:1", "PMID:2", "PMID:3"), DocumentStatus.CURRENT)

    _, receipt = write_index(tmp_path, WatchedJob(known, known | {"PMID:1": DocumentStatus.WITHDRAWN}))

    assert (receipt.documents, receipt.chunks_indexed) == (2, 2)
    with closing(SqliteIndex(tmp_path)) as store:
        assert store.held().keys() == {"PMID:2", "PMID:3"}


def test_what_nobody_is_known_to_hold_stays_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(SqliteIndex(tmp_path)) as store:
        old = [make_chunk("An article of an earlier release.", "PMID:old")]
        store.upsert(old, embed(old))
    known = dict.fromkeys(("PMID:1", "PMID:2", "PMID:3"), DocumentStatus.CURRENT)

    ctx, _ = write_index(tmp_path, WatchedJob(known, known))

    assert ctx.described["documents_held_by_nobody"] == 1
    assert "no source is known to hold, the first is PMID:old" in caplog.text
    with closing(SqliteIndex(tmp_path)) as store:
        assert "PMID:old" in store.held()


def test_documents_are_found_by_what_their_source_says_of_them(tmp_path: Path) -> None:
    ctx = StageContext("auto", "index", "default", tmp_path, extensions=EXTENSIONS)
    said = {"id": "PMID:1", "source": "infores:pubmed", "date": "2016-03", "language": "fr"}
    known = document("Nivolumab treats melanoma.").model_copy(update=said | {"phases": ("PHASE2",)})

    run(register, ctx, chunks=tuple(CHUNKS[:1]), embedding_batch=embed(CHUNKS[:1]), document=(known,))

    with closing(SqliteIndex(tmp_path)) as store:
        (hit,) = hits(store, "melanoma")
    found = hit.document
    assert (found.source, found.year, found.language, found.phases) == (
        "infores:pubmed",
        2016,
        "fr",
        ("PHASE2",),
    )


def test_what_is_found_in_an_invented_document_says_so(tmp_path: Path) -> None:
    ctx = StageContext("auto", "index", "default", tmp_path, extensions=EXTENSIONS)
    invented = document("Nivolumab treats melanoma.").model_copy(update={"id": "PMID:1", "synthetic": True})

    run(register, ctx, chunks=tuple(CHUNKS), embedding_batch=embed(CHUNKS), document=(invented,))

    with closing(SqliteIndex(tmp_path)) as store:
        found = [hit.document for chunk in CHUNKS for hit in hits(store, chunk.text)]
    assert {one.id: one.synthetic for one in found} == {
        chunk.document_id: chunk.document_id == "PMID:1" for chunk in CHUNKS
    }
