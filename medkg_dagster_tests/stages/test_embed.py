from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from medkg_dagster.adapters.embedders.hashing import HASHING
from medkg_dagster.domain.chunks import embedded_text
from medkg_dagster.errors import BatchInterruptedError, ConfigError
from medkg_dagster.stage_api import (
    Chunk,
    EmbeddingBatch,
    Extension,
    ExtensionKind,
    ExternalCalls,
    NoParameters,
    StageContext,
)
from medkg_dagster.stage_api._extensions import GivenExtensions
from medkg_dagster.stages.embed import EmbedConfig, EmbedStage, register
from medkg_dagster_tests.stages.installed import EXTENSIONS, INSTALLED
from medkg_dagster_tests.stages.running import run


def make_chunk(
    name: str, text: str, title: str = "Title", section: str = "", document_id: str = "PMID:1"
) -> Chunk:
    return Chunk(
        id=name,
        document_id=document_id,
        document_hash="h",
        title=title,
        section=section,
        ordinal=0,
        start=0,
        end=len(text),
        text=text,
    )


class Watched:
    """The built-in embedder; it keeps what it is given."""

    def __init__(self) -> None:
        self._embedder = HASHING.open({}, Path())
        self.model, self.lexical = self._embedder.model, self._embedder.lexical
        self.given: list[list[str]] = []

    def embed(self, texts: list[str]) -> Any:
        self.given.append(texts)
        return self._embedder.embed(texts)


def context(home: Path, embedder: Watched | None = None) -> StageContext:
    watched = Extension(ExtensionKind.EMBEDDER, "hashing", "Watched.", NoParameters, lambda *_: embedder)
    extensions = EXTENSIONS if embedder is None else GivenExtensions([watched])
    return StageContext("auto", "embed", "default", home, extensions=extensions)


def execute(
    chunks: tuple[Chunk, ...], ctx: StageContext, embedder: str = "hashing", **config: object
) -> EmbeddingBatch:
    config = {"embedder": embedder, **config}
    batch: EmbeddingBatch = run(register, ctx, config, chunks=chunks)["embedding_batch"]
    return batch


def test_every_chunk_gets_its_vector_and_equal_texts_the_same_one(tmp_path: Path) -> None:
    chunks = tuple(make_chunk(str(number), f"word{number % 3} melanoma") for number in range(7))
    watched = Watched()

    batch = execute(chunks, context(tmp_path, watched), batch_size=2)

    assert batch.chunk_ids == tuple("0123456")
    assert batch.vectors.shape == (7, 1024)
    assert np.array_equal(batch.vectors[0], batch.vectors[6])
    assert not np.array_equal(batch.vectors[0], batch.vectors[1])
    assert [len(texts) for texts in watched.given] == [2, 1]
    assert batch.lexical
    assert batch.model.startswith("hashing:")


def test_the_texts_of_several_documents_are_embedded_together_and_the_documents_are_counted(
    tmp_path: Path,
) -> None:
    texts = {"a": ("PMID:1", "melanoma"), "b": ("PMID:1", "colitis"), "c": ("PMID:2", "melanoma")}
    chunks = tuple(make_chunk(name, text, document_id=home) for name, (home, text) in texts.items())
    watched = Watched()
    ctx = context(tmp_path, watched)
    progress: list[tuple[int, int | None, str]] = []
    ctx.report_progress = lambda done, total, unit: progress.append((done, total, unit))

    batch = execute(chunks, ctx)

    assert watched.given == [["Title\nmelanoma", "Title\ncolitis"]]
    assert batch.chunk_ids == ("a", "b", "c")
    assert np.array_equal(batch.vectors[0], batch.vectors[2])
    assert ctx.succeeded == 2
    assert progress == [(1, 2, "documents"), (2, 2, "documents")]


def test_vectors_are_made_anew_with_another_model(tmp_path: Path) -> None:
    stage = EmbedStage(EmbedConfig(embedder="hashing", params={"dimension": 64}))

    assert stage.fingerprints(context(tmp_path)) == {"model": HASHING.open({"dimension": 64}, tmp_path).model}
    assert stage.fingerprints(context(tmp_path)) != EmbedStage(EmbedConfig()).fingerprints(context(tmp_path))


def test_the_size_of_batches_changes_no_vector(tmp_path: Path) -> None:
    chunks = tuple(make_chunk(str(number), f"word{number}") for number in range(9))

    one = execute(chunks, context(tmp_path), batch_size=1)
    many = execute(chunks, context(tmp_path), batch_size=100)

    assert np.array_equal(one.vectors, many.vectors)


def test_by_default_there_are_no_vectors_and_none_are_counted(tmp_path: Path) -> None:
    batch = execute((make_chunk("1", "x"), make_chunk("2", "y")), context(tmp_path), embedder="none")

    assert EmbedConfig().embedder == "none"
    assert batch.chunk_ids == ("1", "2")
    assert batch.vectors.shape == (2, 0)
    assert register().metadata.output_counter(batch) == 0


def test_no_chunks_give_an_empty_batch(tmp_path: Path) -> None:
    batch = execute((), context(tmp_path))

    assert batch.chunk_ids == ()
    assert register().metadata.output_counter(batch) == 0


def test_title_and_heading_are_embedded_with_the_text() -> None:
    assert embedded_text(make_chunk("1", "text", "A title", "Methods")) == "A title\nMethods\ntext"
    assert embedded_text(make_chunk("1", "A title", "A title", "")) == "A title"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"embedder": "hashin"}, "did you mean 'hashing'"),
        ({"embedder": "hashing", "params": {"dimensions": 3}}, "did you mean 'dimension'"),
        ({"embedder": "hashing", "params": {"dimension": 3}}, "greater than or equal to 16"),
        ({"params": {"dimension": 64}}, "takes no parameters, but has 'dimension'; name the embedder"),
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
        execute((make_chunk("1", "x"),), context(tmp_path), embedder="openai", params={"model": "m"})


def test_an_embedder_behind_a_service_keeps_to_the_policy_with_every_attempt(tmp_path: Path) -> None:
    params = {"base_url": "http://127.0.0.1:1/v1", "model": "m", "api_key": None}
    ctx = context(tmp_path)
    ctx.calls = ExternalCalls(max_attempts=1, failure_threshold=1)

    with pytest.raises(
        BatchInterruptedError, match=r"at PMID:1: RetriedSourceError: .*the connection failed.*\(attempt 1\)"
    ):
        execute((make_chunk("1", "text"),), ctx, embedder="openai", params=params)
    with pytest.raises(
        BatchInterruptedError, match=r"at PMID:1: CircuitOpenError: 127\.0\.0\.1 failed 1 time "
    ):
        execute((make_chunk("1", "text"),), ctx, embedder="openai", params=params)
