import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from medkg_dagster.adapters.index.sqlite import SQLITE_INDEX
from medkg_dagster.adapters.index.sqlite_store import SqliteIndex
from medkg_dagster.errors import StoreError
from medkg_dagster.stage_api import StageContext
from medkg_dagster.stage_api._extensions import GivenExtensions
from medkg_dagster.stages.index import IndexConfig, IndexStage, register
from medkg_dagster_tests.adapters.test_sqlite_index import CHUNKS, dump, embed
from medkg_dagster_tests.stages.installed import EXTENSIONS, INSTALLED
from medkg_dagster_tests.stages.test_ir_validation import document


def test_a_batch_is_indexed_and_indexing_it_again_changes_nothing(tmp_path: Path) -> None:
    ctx = StageContext(
        "auto", "index", "default", tmp_path, log=logging.getLogger("test"), extensions=EXTENSIONS
    )
    stage = IndexStage(IndexConfig())

    receipt = stage.execute(ctx, tuple(CHUNKS), embed(CHUNKS))
    before = dump(tmp_path)
    again = stage.execute(ctx, tuple(CHUNKS), embed(CHUNKS))

    assert again == receipt
    assert dump(tmp_path) == before
    assert register().metadata.output_counter(receipt) == len(CHUNKS)
    assert str(tmp_path) not in receipt.model_dump_json()


def test_vectors_of_other_chunks_fail_the_step(tmp_path: Path) -> None:
    ctx = StageContext("auto", "index", "default", tmp_path, extensions=EXTENSIONS)

    with pytest.raises(StoreError, match="1 chunks have no vector"):
        IndexStage(IndexConfig()).execute(ctx, tuple(CHUNKS), embed(CHUNKS[:2]))


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
    stage = IndexStage(IndexConfig())
    stage.execute(ctx, tuple(CHUNKS[:2]), embed(CHUNKS[:2]))
    renamed = CHUNKS[0].model_copy(update={"section": "Discussion"})
    batch = [renamed, *CHUNKS[1:]]

    receipt = stage.execute(ctx, tuple(batch), embed(batch))

    assert (ctx.described["documents_new"], ctx.described["documents_changed"]) == (1, 1)
    assert (receipt.documents, receipt.chunks_indexed) == (3, 3)


def test_a_document_whose_chunks_are_gone_is_indexed_without_any(tmp_path: Path) -> None:
    ctx = StageContext("auto", "index", "default", tmp_path, extensions=EXTENSIONS)
    stage = IndexStage(IndexConfig())
    stage.execute(ctx, tuple(CHUNKS[:1]), embed(CHUNKS[:1]))

    receipt = stage.execute(ctx, (), embed([]), document=(document(""),))

    assert (receipt.documents, receipt.chunks_indexed, receipt.chunks_removed) == (1, 0, 1)


def test_a_store_that_does_not_know_its_documents_is_given_the_whole_batch(tmp_path: Path) -> None:
    def build(_: object, home: Path) -> object:
        known = SqliteIndex(home)
        return SimpleNamespace(upsert=known.upsert, close=known.close)

    older = replace(SQLITE_INDEX, build=build, keeps_documents=False)
    ctx = StageContext("auto", "index", "default", tmp_path, extensions=GivenExtensions([older]))

    for _ in range(2):
        receipt = IndexStage(IndexConfig()).execute(ctx, tuple(CHUNKS), embed(CHUNKS))

    assert (receipt.documents, receipt.chunks_indexed) == (3, 3)
    assert ctx.described == {}
