"""The files of a model in a folder, opened: its tokenizer, and a session that runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkg_dagster.adapters.embedders.bert_graph import FAMILY, encoder_model
from medkg_dagster.adapters.embedders.sentence_folder import (
    SentenceSettings,
    first_place,
    read_json,
    sha256_of,
)
from medkg_dagster.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "model.safetensors"
ONNX_FILES = ("model.onnx", "onnx/model.onnx")
_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids", "position_ids"})


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a model is.

    Attributes:
        name: The extension that asks for it, for messages.
        folder: The folder.
        model: The model's file.
    """

    name: str
    folder: Path
    model: Path

    @classmethod
    def find(cls, name: str, folder: Path, file: str | None) -> ModelFiles:
        """Find the files of a model.

        Args:
            name: The extension that asks for it: `onnx` reads no safetensors.
            folder: The folder.
            file: The model's file in it; None for that which is there.

        Raises:
            ConfigError: There is no such file, or no tokenizer.
        """
        wanted: tuple[str, ...] = ONNX_FILES
        if file is not None:
            wanted = (file,)
        elif name != "onnx":
            readable = read_json(folder / "config.json").get("model_type") in FAMILY
            wanted = (WEIGHTS_FILE, *ONNX_FILES) if readable else (*ONNX_FILES, WEIGHTS_FILE)
        model = next((folder / one for one in wanted if (folder / one).is_file()), None)
        lacking = " or ".join(wanted) if model is None else TOKENIZER_FILE
        if model is None or not (folder / TOKENIZER_FILE).is_file():
            raise ConfigError(
                f"{name}: {folder} has no {lacking}; name a folder that holds model and tokenizer"
            )
        return cls(name, folder, model)

    @property
    def tokenizer(self) -> Path:
        """The tokenizer's file."""
        return self.folder / TOKENIZER_FILE

    def stated(self, settings: SentenceSettings) -> dict[str, str]:
        """Return the hashes of the model, and of all else that vectors depend on."""
        return {"sha256": sha256_of(self.model), "settings_sha256": settings.digest([self.tokenizer])}


class ModelSession:
    """Runs a model on one text at a time.

    Args:
        session: The model.
        first: The number of the place of the first token.
        where: What to name in messages.
    """

    def __init__(self, session: Any, first: int, where: str) -> None:
        self._session = session
        self._first = first
        self._where = where
        self._inputs = {entry.name for entry in session.get_inputs()}
        if "input_ids" not in self._inputs:
            raise ConfigError(f"{where} has no input 'input_ids'; it is no text model")
        if unknown := self._inputs - _INPUTS:
            raise ConfigError(f"{where} asks for {', '.join(sorted(unknown))}; such models are not supported")
        outputs = session.get_outputs()
        by_token = (entry.name for entry in outputs if entry.shape is None or len(entry.shape) == 3)
        self._output: str = next(by_token, outputs[0].name)

    def run(self, ids: Sequence[int], kinds: Sequence[int]) -> NDArray[np.float32]:
        """Return the vectors of a text's tokens, or that of the text where the model pools by itself.

        Raises:
            ConfigError: It gives something else.
        """
        import numpy as np

        tokens = np.array([ids], dtype=np.int64)
        feeds = {
            "input_ids": tokens,
            "attention_mask": np.ones_like(tokens),
            "token_type_ids": np.array([kinds], dtype=np.int64),
            "position_ids": np.arange(self._first, self._first + len(ids), dtype=np.int64)[None],
        }
        (found,) = self._session.run([self._output], {name: feeds[name] for name in self._inputs})
        if found.ndim not in (2, 3) or found.shape[0] != 1 or found.shape[1:-1] not in ((), (len(ids),)):
            raise ConfigError(
                f"{self._where}: the output {self._output} has shape {found.shape}; expected (texts, tokens, "
                "dimension)"
            )
        vectors: NDArray[np.float32] = found[0]
        return vectors


def open_tokenizer(files: ModelFiles, max_tokens: int) -> Any:
    """Open the tokenizer of a model, so that longer texts come in parts.

    Raises:
        ConfigError: The extra is not installed, or the file is no tokenizer.
    """
    _, tokenizers = _import_runtime(files.name)
    tokenizer = _load(files.name, files.tokenizer, tokenizers.Tokenizer.from_file, str(files.tokenizer))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def open_session(files: ModelFiles, *, classifies: bool = False) -> ModelSession:
    """Open a model.

    Args:
        files: Its files.
        classifies: Whether weights without a graph are those of a model that classifies.

    Raises:
        ConfigError: The extra is not installed, or the file is no model that can be run.
    """
    runtime, _ = _import_runtime(files.name)
    options = runtime.SessionOptions()
    # A text is run on one thread, and several texts at the same time: threads in a text wait for each other.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    model: str | bytes = str(files.model)
    first = 0
    if files.model.suffix == ".safetensors":
        model = encoder_model(files.model, read_json(files.folder / "config.json"), classifies=classifies)
        folder = "session.model_external_initializers_file_folder_path"
        options.add_session_config_entry(folder, str(files.model.parent))
        first = first_place(files.folder)
    session = _load(files.name, files.model, runtime.InferenceSession, model, options)
    return ModelSession(session, first, f"{files.name}: {files.model}")


def _import_runtime(name: str) -> tuple[Any, Any]:
    try:
        import onnxruntime
        import tokenizers
    except ImportError as error:
        raise ConfigError(
            f"'{name}' needs {error.name}; install it: pip install 'medkg-dagster[onnx]'"
        ) from error
    return onnxruntime, tokenizers


def _load(name: str, path: Path, loader: Any, *arguments: Any) -> Any:
    try:
        return loader(*arguments)
    except Exception as error:  # both libraries raise exceptions that derive from Exception only
        raise ConfigError(f"{name}: {path} cannot be loaded: {error}; export or fetch it again") from error
