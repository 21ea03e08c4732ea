"""A cross-encoder from a local folder, safetensors or ONNX: it reads query and document together."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pydantic import Field

from medkg_dagster.adapters.embedders.model_files import ModelFiles, open_session, open_tokenizer
from medkg_dagster.adapters.embedders.sentence_folder import SentenceSettings
from medkg_dagster.errors import ConfigError
from medkg_dagster.settings import usable_processors
from medkg_dagster.stage_api import Config, Extension, ExtensionKind


class CrossEncoderParameters(Config):
    """Parameters of the reranker `cross-encoder`."""

    folder: Path = Field(
        description="Folder with a model that classifies pairs of texts, and tokenizer.json; a relative path "
        "starts at MEDKG_HOME."
    )
    file: str | None = Field(
        default=None,
        description="The model's file in the folder; else model.safetensors, model.onnx or onnx/model.onnx.",
    )
    depth: int = Field(default=50, ge=2, le=1000, description="So many of the best documents are reranked.")
    max_tokens: int | None = Field(
        default=None,
        ge=8,
        le=32_768,
        description="Query and document together are cut to this many tokens; else the folder's own limit.",
    )


class CrossEncoder:
    """Runs a model on a query with each document, several at the same time.

    Args:
        parameters: Which model.
        home: The folder for all data.

    Raises:
        ConfigError: The extra is not installed, a file is missing, damaged or of an unsupported kind.
    """

    def __init__(self, parameters: CrossEncoderParameters, home: Path) -> None:
        files = ModelFiles.find("cross-encoder", home / parameters.folder, parameters.file)
        settings = SentenceSettings.read(files.folder)
        self.depth = parameters.depth
        self._where = f"cross-encoder: {files.model}"
        self._tokenizer = open_tokenizer(files, parameters.max_tokens or settings.max_tokens)
        self._session = open_session(files, classifies=True)

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return how well each text answers a query, see `Reranker.scores`.

        Raises:
            ConfigError: The model gives no score for a pair.
        """
        pairs = self._tokenizer.encode_batch([(query, text) for text in texts])
        with ThreadPoolExecutor(usable_processors()) as threads:
            return list(threads.map(self._score, pairs))

    def _score(self, pair: Any) -> float:
        found = self._session.run(pair.ids, pair.type_ids)
        if found.shape == (1,):
            return float(found[0])
        if found.shape == (2,):  # irrelevant and relevant
            return float(found[1] - found[0])
        raise ConfigError(
            f"{self._where} gives an array of shape {found.shape} for a pair; expected 1 score or 2"
        )


CROSS_ENCODER = Extension(
    kind=ExtensionKind.RERANKER,
    name="cross-encoder",
    description="Cross-encoder from a local folder, safetensors or ONNX; needs medkg-dagster[onnx].",
    config_model=CrossEncoderParameters,
    build=CrossEncoder,
)
