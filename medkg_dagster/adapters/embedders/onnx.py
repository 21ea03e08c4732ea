"""An embedder for sentence models in the ONNX format, run locally; needs the extra `onnx`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from medkg_dagster.adapters.embedders import model_name, of_unit_length
from medkg_dagster.errors import ConfigError
from medkg_dagster.stage_api import Config, Extension, ExtensionKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"


class OnnxParameters(Config):
    """Parameters of the embedder `onnx`."""

    folder: Path = Field(
        description=(
            "Folder with model.onnx (inputs input_ids, attention_mask; first output a vector per token) and "
            "tokenizer.json; a relative path starts at MEDKG_HOME."
        )
    )
    max_tokens: int = Field(
        default=512, ge=8, le=32_768, description="Texts are cut to this many tokens, the model's own limit."
    )
    sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of model.onnx; where given, another model in the folder is refused.",
    )


class OnnxEmbedder:
    """Runs a sentence model; vectors are means over its tokens, of unit length.

    Raises:
        ConfigError: The extra is not installed, a file is missing or is no model.
    """

    lexical = False

    def __init__(self, parameters: OnnxParameters, home: Path) -> None:
        folder = home / parameters.folder
        runtime, tokenizers = _import_runtime()
        for name in (MODEL_FILE, TOKENIZER_FILE):
            if not (folder / name).is_file():
                raise ConfigError(f"onnx: {folder} has no {name}; name a folder that holds both files")
        digest = _sha256(folder / MODEL_FILE)
        if parameters.sha256 not in (None, digest):
            raise ConfigError(
                f"onnx: {folder / MODEL_FILE} has the SHA-256 {digest}, expected {parameters.sha256}; "
                "put the expected model back, or change the parameter and embed everything again"
            )
        self._session = _load(folder / MODEL_FILE, runtime.InferenceSession)
        self._inputs = {entry.name for entry in self._session.get_inputs()}
        if "input_ids" not in self._inputs:
            raise ConfigError(f"onnx: {folder / MODEL_FILE} has no input 'input_ids'; it is no text model")
        self._tokenizer = _load(folder / TOKENIZER_FILE, tokenizers.Tokenizer.from_file)
        self._tokenizer.enable_truncation(parameters.max_tokens)
        self._tokenizer.enable_padding()
        stated = parameters.model_copy(update={"sha256": digest}).model_dump(mode="json")
        self.model = model_name("onnx", stated)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of texts, see `Embedder.embed`.

        Returns:
            float32 of shape (texts, dimension), rows of length 1, or 0 for an empty text.

        Raises:
            ConfigError: The model's first output is not one vector per token.
        """
        import numpy as np

        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        encoded = self._tokenizer.encode_batch(list(texts))
        mask = np.array([entry.attention_mask for entry in encoded], dtype=np.int64)
        feeds = {
            "input_ids": np.array([entry.ids for entry in encoded], dtype=np.int64),
            "attention_mask": mask,
            "token_type_ids": np.array([entry.type_ids for entry in encoded], dtype=np.int64),
        }
        tokens = self._session.run(None, {name: feeds[name] for name in self._inputs if name in feeds})[0]
        if tokens.ndim != 3 or tokens.shape[:2] != mask.shape:
            raise ConfigError(
                f"onnx: the first output has shape {tokens.shape}; expected (texts, tokens, dimension)"
            )
        pooled = mean_pool(tokens, mask)
        pooled[[index for index, text in enumerate(texts) if not text.strip()]] = 0
        return pooled


def mean_pool(tokens: NDArray[Any], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the mean of each text's token vectors, padding left out, scaled to unit length.

    Args:
        tokens: Shape (texts, tokens, dimension).
        mask: Shape (texts, tokens), 1 for a token and 0 for padding.

    Returns:
        float32 of shape (texts, dimension); a row without tokens, or whose tokens cancel out, is 0.
    """
    import numpy as np

    weights = mask[:, :, None].astype(np.float32)
    means = (tokens.astype(np.float32) * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
    return of_unit_length(means)


def _import_runtime() -> tuple[Any, Any]:
    try:
        import onnxruntime
        import tokenizers
    except ImportError as error:
        raise ConfigError(
            f"the embedder 'onnx' needs {error.name}; install it: pip install 'medkg-dagster[onnx]'"
        ) from error
    return onnxruntime, tokenizers


def _load(path: Path, loader: Any) -> Any:
    try:
        return loader(str(path))
    except Exception as error:  # both libraries raise exceptions that derive from Exception only
        raise ConfigError(f"onnx: {path} cannot be loaded: {error}; export or fetch it again") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


ONNX = Extension(
    kind=ExtensionKind.EMBEDDER,
    name="onnx",
    description="Sentence model in the ONNX format from a local folder; needs medkg-dagster[onnx].",
    config_model=OnnxParameters,
    build=OnnxEmbedder,
)
