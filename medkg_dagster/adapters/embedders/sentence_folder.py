"""What a folder says of its sentence model, as sentence-transformers writes it: pooling, length, prefixes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from medkg_dagster.errors import ConfigError

_FEWEST_TOKENS, _MOST_TOKENS = 8, 32_768
_DEFAULT_TOKENS = 512
_QUERY_PROMPTS = ("query", "search_query", "web_search_query")
_DOCUMENT_PROMPTS = ("document", "passage", "search_document", "corpus")
_PADDED_PLACES = ("roberta", "xlm-roberta", "camembert")
_MODULES = ("Transformer", "Pooling", "Normalize")


class Pooling(StrEnum):
    """How the vectors of a text's tokens become one: by the names of `1_Pooling/config.json`."""

    CLS = "cls"
    MEAN = "mean"
    MAX = "max"
    MEAN_SQRT_LEN = "mean_sqrt_len_tokens"
    WEIGHTED_MEAN = "weightedmean"
    LAST = "lasttoken"


@dataclass(frozen=True, slots=True)
class SentenceSettings:
    """How texts become vectors.

    Attributes:
        pooling: How the vectors of tokens become one; of several the vectors stand one behind the other.
        normalized: Whether vectors are scaled to length 1.
        max_tokens: Texts are cut to so many tokens, those that stand for begin and end counted.
        lower_case: Whether texts are made lower case first.
        query_prefix: What is put before a query.
        document_prefix: What is put before a text that is looked for.
    """

    pooling: tuple[Pooling, ...] = (Pooling.MEAN,)
    normalized: bool = True
    max_tokens: int = _DEFAULT_TOKENS
    lower_case: bool = False
    query_prefix: str = ""
    document_prefix: str = ""

    @classmethod
    def read(cls, folder: Path) -> SentenceSettings:
        """Read what a folder says; where it says nothing, the mean of all tokens is taken.

        Raises:
            ConfigError: A file is damaged, or asks for what is not supported.
        """
        pooling, is_normalized = _modules(folder)
        bert = read_json(folder / "sentence_bert_config.json")
        own = read_json(folder / "config_sentence_transformers.json")
        prompts = own.get("prompts") or {}
        default = prompts.get(own.get("default_prompt_name"), "")
        return cls(
            pooling=pooling,
            normalized=is_normalized or own.get("similarity_fn_name") not in ("dot", "dot_product"),
            max_tokens=_max_tokens(folder, bert),
            lower_case=bool(bert.get("do_lower_case", False)),
            query_prefix=next((prompts[name] for name in _QUERY_PROMPTS if name in prompts), default),
            document_prefix=next((prompts[name] for name in _DOCUMENT_PROMPTS if name in prompts), default),
        )

    def changed(self, **changes: Any) -> SentenceSettings:
        """Return them with others in the place of some; None leaves one as it is."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})

    def digest(self, files: Iterable[Path]) -> str:
        """Return the SHA-256 of these settings and some files."""
        found = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode())
        for file in files:
            found.update(sha256_of(file).encode())
        return found.hexdigest()


def read_json(file: Path) -> Mapping[str, Any]:
    """Read a file of settings; nothing where there is none.

    Raises:
        ConfigError: It cannot be read, or is no JSON object.
    """
    if not file.is_file():
        return {}
    found = _json(file)
    if not isinstance(found, dict):
        raise ConfigError(f"{file} is no JSON object; fetch the folder again")
    return found


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file (hex)."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {error}; fetch the folder again") from error


def _modules(folder: Path) -> tuple[tuple[Pooling, ...], bool]:
    """Return how is pooled, and whether vectors are normalized."""
    file = folder / "modules.json"
    if not file.is_file():
        return _pooling(folder / "1_Pooling"), True
    try:
        modules = [(entry["type"].rpartition(".")[2], entry.get("path", "")) for entry in _json(file)]
    except (TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{file} is no list of modules: {error}; fetch the folder again") from error
    names = [name for name, _ in modules]
    if unknown := [name for name in names if name not in _MODULES]:
        raise ConfigError(
            f"{file} names the module {unknown[0]}; only {', '.join(_MODULES)} are supported; choose another "
            "model, or serve this one behind an OpenAI-compatible endpoint"
        )
    pooled = next((path for name, path in modules if name == "Pooling"), None)
    pooling = (Pooling.MEAN,) if pooled is None else _pooling(folder / pooled)
    return pooling, "Normalize" in names


def _pooling(folder: Path) -> tuple[Pooling, ...]:
    config = read_json(folder / "config.json")
    if config.get("include_prompt") is False:
        raise ConfigError(
            f"{folder / 'config.json'} leaves the prompt out of pooling, which is not supported; choose "
            "another model"
        )
    named = config.get("pooling_mode")
    wanted = [named] if isinstance(named, str) else list(named or ())
    for key, value in config.items():
        if key.startswith("pooling_mode_") and value:
            name = key.removeprefix("pooling_mode_")
            wanted.append(
                name if name == Pooling.MEAN_SQRT_LEN else name.removesuffix("_token").removesuffix("_tokens")
            )
    try:
        return tuple(map(Pooling, wanted)) or (Pooling.MEAN,)
    except ValueError as error:
        raise ConfigError(
            f"{folder / 'config.json'}: {error}; supported are {', '.join(Pooling)}; choose another model"
        ) from error


def most_tokens(folder: Path) -> int | None:
    """Return for how many tokens a model has places; None where it does not say."""
    config = read_json(folder / "config.json")
    places = config.get("max_position_embeddings")
    return places - first_place(folder) if isinstance(places, int) else None


def _max_tokens(folder: Path, bert: Mapping[str, Any]) -> int:
    """Return the length that a folder states, as far as the model has places for it."""
    stated = bert.get("max_seq_length") or read_json(folder / "tokenizer_config.json").get("model_max_length")
    places = most_tokens(folder)
    known = [
        int(value) for value in (stated, places) if isinstance(value, int | float) and value <= _MOST_TOKENS
    ]
    return max(_FEWEST_TOKENS, min(known, default=_DEFAULT_TOKENS))


def first_place(folder: Path) -> int:
    """Return the number of the place of a text's first token: some families begin behind that of padding."""
    config = read_json(folder / "config.json")
    return int(config.get("pad_token_id", 1)) + 1 if config.get("model_type") in _PADDED_PLACES else 0
