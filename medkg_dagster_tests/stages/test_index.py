import logging
from pathlib import Path

import pytest
from pydantic import ValidationError

from medkg_dagster.errors import StoreError
from medkg_dagster.stage_api import StageContext
from medkg_dagster.stages.index import IndexConfig, IndexStage, register
from medkg_dagster_tests.adapters.test_sqlite_index import CHUNKS, dump, embed
from medkg_dagster_tests.stages.installed import EXTENSIONS, INSTALLED


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
