"""Sentence models from a local folder, safetensors or ONNX, run on the processor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from medkg_dagster.adapters.embedders import model_name, of_unit_length
from medkg_dagster.adapters.embedders.model_files import ModelFiles, open_session, open_tokenizer
from medkg_dagster.adapters.embedders.sentence_folder import Pooling, SentenceSettings, most_tokens
from medkg_dagster.errors import ConfigError
from medkg_dagster.settings import usable_processors
from medkg_dagster.stage_api import Config, Extension, ExtensionKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_SAID = {"sha256": "model", "settings_sha256": "tokenizer or settings of"}


class SentenceParameters(Config):
    """Parameters of the embedders `sentence-transformers` and `onnx`."""

    folder: Path = Field(
        description=(
            "Folder with the model, tokenizer.json, and what sentence-transformers writes beside them; a "
            "relative path starts at MEDKG_HOME."
        )
    )
    file: str | None = Field(
        default=None,
        description="The model's file in the folder, such as onnx/model_quint8_avx2.onnx; else "
        "model.safetensors, model.onnx or onnx/model.onnx.",
    )
    max_tokens: int | None = Field(
        default=None,
        ge=8,
        le=32_768,
        description="Longer texts are embedded in parts of so many tokens; else the folder's own limit.",
    )
    query_prefix: str | None = Field(
        default=None,
        description="What is put before a query, such as 'query: '; else the folder's own prompt.",
    )
    document_prefix: str | None = Field(
        default=None, description="What is put before a text of a document; else the folder's own prompt."
    )
    threads: int | None = Field(
        default=None, ge=1, le=256, description="Texts embedded at the same time; else one for each core."
    )
    sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of the model's file; where given, another model in the folder is refused.",
    )
    settings_sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of tokenizer and settings; an index remembers it, so that others are refused.",
    )


class SentenceEmbedder:
    """Runs a sentence model as its folder says: pooling, length, prefixes, normalisation.

    A text is embedded alone, several at the same time: so they take the least memory and time of processors,
    and a text has the same vector whatever is embedded with it. One that is longer than the model takes is
    embedded in parts, and its vector is their mean, weighed by their length.

    Args:
        name: The extension's.
        parameters: Which model, and what of its settings is to be otherwise.
        home: The folder for all data.

    Raises:
        ConfigError: The extra is not installed, a file is missing, damaged or of an unsupported kind.
    """

    lexical = False

    def __init__(self, name: str, parameters: SentenceParameters, home: Path) -> None:
        files = ModelFiles.find(name, home / parameters.folder, parameters.file)
        places = most_tokens(files.folder)
        if places is not None and (parameters.max_tokens or 0) > places:
            raise ConfigError(
                f"{name}: max_tokens is {parameters.max_tokens}, and the model in {files.folder} has places "
                f"for {places}; give a smaller number, or leave it out"
            )
        settings = SentenceSettings.read(files.folder).changed(
            max_tokens=parameters.max_tokens,
            query_prefix=parameters.query_prefix,
            document_prefix=parameters.document_prefix,
        )
        stated = files.stated(settings)
        for key, found in stated.items():
            if (expected := getattr(parameters, key)) not in (None, found):
                raise ConfigError(
                    f"{name}: the {_SAID[key]} {files.model} has the SHA-256 {found}, expected {expected}; "
                    "put the expected one back, or change the parameter and embed everything again"
                )
        self._settings = settings
        self._threads = parameters.threads or usable_processors()
        self._tokenizer = open_tokenizer(files, settings.max_tokens)
        self._session = open_session(files)
        self.model = model_name(
            name, parameters.model_copy(update=stated).model_dump(mode="json", exclude={"threads"})
        )

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of texts of documents, see `Embedder.embed`.

        Returns:
            float32 of shape (texts, dimension); rows of length 1, unless the folder says that vectors are not
            normalised and compared by their product, or 0 for an empty text.

        Raises:
            ConfigError: The model gives what is no vector for each token.
        """
        return self._embed(texts, self._settings.document_prefix)

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of queries, see `embed`."""
        return self._embed(texts, self._settings.query_prefix)

    def _embed(self, texts: Sequence[str], prefix: str) -> NDArray[np.float32]:
        import numpy as np

        told = [index for index, text in enumerate(texts) if text.strip()]
        if not told:
            return np.zeros((len(texts), self._dimension if texts else 0), dtype=np.float32)
        given = [prefix + texts[index] for index in told]
        if self._settings.lower_case:
            given = [text.lower() for text in given]
        encoded = self._tokenizer.encode_batch(given)
        rows: list[NDArray[np.float32]]
        if len(encoded) == 1 or self._threads == 1:
            rows = [self._vector(one) for one in encoded]
        else:
            with ThreadPoolExecutor(self._threads) as threads:
                rows = list(threads.map(self._vector, encoded))
        vectors = np.zeros((len(texts), rows[0].shape[0]), dtype=np.float32)
        vectors[told] = rows
        return vectors

    @property
    def _dimension(self) -> int:
        """How long vectors are, as an example has them."""
        return int(self._vector(self._tokenizer.encode("a")).shape[0])

    def _vector(self, encoded: Any) -> NDArray[np.float32]:
        parts = [encoded, *encoded.overflowing]
        vectors = [self._pooled(part) for part in parts]
        if len(vectors) == 1:
            return vectors[0]
        import numpy as np

        weights = np.array([len(part.ids) for part in parts], np.float32)
        mean = np.average(vectors, axis=0, weights=weights).astype(np.float32)
        return of_unit_length(mean[None])[0] if self._settings.normalized else mean

    def _pooled(self, encoded: Any) -> NDArray[np.float32]:
        import numpy as np

        found = self._session.run(encoded.ids, encoded.type_ids)
        if found.ndim == 1:
            vector = found.astype(np.float32)
        else:
            vector = np.concatenate([_POOLED[one](found) for one in self._settings.pooling]).astype(
                np.float32
            )
        return of_unit_length(vector[None])[0] if self._settings.normalized else vector


def _weighted_mean(tokens: NDArray[np.float32]) -> Any:
    import numpy as np

    return np.average(tokens, axis=0, weights=np.arange(1, len(tokens) + 1))


_POOLED: dict[Pooling, Callable[[NDArray[np.float32]], Any]] = {
    Pooling.CLS: lambda tokens: tokens[0],
    Pooling.LAST: lambda tokens: tokens[-1],
    Pooling.MEAN: lambda tokens: tokens.mean(axis=0),
    Pooling.MAX: lambda tokens: tokens.max(axis=0),
    Pooling.MEAN_SQRT_LEN: lambda tokens: tokens.sum(axis=0) / len(tokens) ** 0.5,
    Pooling.WEIGHTED_MEAN: _weighted_mean,
}


SENTENCE_TRANSFORMERS = Extension(
    kind=ExtensionKind.EMBEDDER,
    name="sentence-transformers",
    description="Sentence model from a local folder, safetensors or ONNX; needs medkg-dagster[onnx].",
    config_model=SentenceParameters,
    build=partial(SentenceEmbedder, "sentence-transformers"),
)
ONNX = Extension(
    kind=ExtensionKind.EMBEDDER,
    name="onnx",
    description="Sentence model in the ONNX format from a local folder; needs medkg-dagster[onnx].",
    config_model=SentenceParameters,
    build=partial(SentenceEmbedder, "onnx"),
)
