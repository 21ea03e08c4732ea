from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from medkg_dagster.errors import CircuitOpenError, ConfigError, SourceError
from medkg_dagster.stage_api import Chunk, EmbeddingBatch, ExternalCalls, StageContext
from medkg_dagster.stages.embed import EmbedConfig, EmbedStage, embedded_text, register
from medkg_dagster_tests.stages.installed import EXTENSIONS, INSTALLED


def make_chunk(name: str, text: str, title: str = "Title", section: str = "") -> Chunk:
    return Chunk(
        id=name,
        document_id="PMID:1",
        document_hash="h",
        title=title,
        section=section,
        ordinal=0,
        start=0,
        end=len(text),
        text=text,
    )


def execute(
    chunks: tuple[Chunk, ...], home: Path, **config: object
) -> tuple[EmbeddingBatch, list[tuple[int, int | None]]]:
    progress: list[tuple[int, int | None]] = []
    ctx = StageContext("auto", "embed", "default", home, extensions=EXTENSIONS)
    ctx.report_progress = lambda done, total, unit: progress.append((done, total))  # noqa: ARG005 - the protocol's names
    return EmbedStage(EmbedConfig.model_validate(config)).execute(ctx, chunks), progress


def test_every_chunk_gets_its_vector_and_equal_texts_the_same_one(tmp_path: Path) -> None:
    chunks = tuple(make_chunk(str(number), f"word{number % 3} melanoma") for number in range(7))

    batch, progress = execute(chunks, tmp_path, batch_size=2)

    assert batch.chunk_ids == tuple("0123456")
    assert batch.vectors.shape == (7, 1024)
    assert np.array_equal(batch.vectors[0], batch.vectors[6])
    assert not np.array_equal(batch.vectors[0], batch.vectors[1])
    assert progress == [(2, 3), (3, 3)]
    assert batch.lexical
    assert batch.model.startswith("hashing:")


def test_the_size_of_batches_changes_no_vector(tmp_path: Path) -> None:
    chunks = tuple(make_chunk(str(number), f"word{number}") for number in range(9))

    one, _ = execute(chunks, tmp_path, batch_size=1)
    many, _ = execute(chunks, tmp_path, batch_size=100)

    assert np.array_equal(one.vectors, many.vectors)


def test_no_chunks_give_an_empty_batch(tmp_path: Path) -> None:
    batch, _ = execute((), tmp_path)

    assert batch.chunk_ids == ()
    assert register().metadata.output_counter(batch) == 0


def test_title_and_heading_are_embedded_with_the_text() -> None:
    assert embedded_text(make_chunk("1", "text", "A title", "Methods")) == "A title\nMethods\ntext"
    assert embedded_text(make_chunk("1", "A title", "A title", "")) == "A title"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"embedder": "hashin"}, "did you mean 'hashing'"),
        ({"params": {"dimensions": 3}}, "did you mean 'dimension'"),
        ({"params": {"dimension": 3}}, "greater than or equal to 16"),
        ({"embedder": "onnx"}, "folder"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_an_embedder_that_cannot_be_is_an_error_of_the_configuration(
    config: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        EmbedConfig.model_validate(config, context=INSTALLED)


def test_a_missing_key_is_an_error_of_the_run_and_not_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set"):
        execute((make_chunk("1", "x"),), tmp_path, embedder="openai", params={"model": "m"})


def test_an_embedder_behind_a_service_keeps_to_the_policy_with_every_attempt(tmp_path: Path) -> None:
    params = {"base_url": "http://127.0.0.1:1/v1", "model": "m", "api_key": None}
    stage = EmbedStage(EmbedConfig.model_validate({"embedder": "openai", "params": params}))
    ctx = StageContext("auto", "embed", "default", tmp_path, extensions=EXTENSIONS)
    ctx.calls = ExternalCalls(max_attempts=1, failure_threshold=1)

    with pytest.raises(SourceError, match=r"the connection failed.*\(attempt 1\)"):
        stage.execute(ctx, (make_chunk("1", "text"),))
    with pytest.raises(CircuitOpenError, match=r"127\.0\.0\.1 failed 1 times"):
        stage.execute(ctx, (make_chunk("1", "text"),))
