"""Weights in the safetensors format as an ONNX model: encoders of the BERT family.

The graph is made here, and its weights stay where they are: nothing is converted, and torch is not needed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medkg_dagster.adapters.embedders.onnx_messages import BFLOAT16, FLOAT, FLOAT16, OnnxGraph
from medkg_dagster.errors import ConfigError

FAMILY = ("bert", "roberta", "xlm-roberta", "camembert")
"""The `model_type` of `config.json` that are understood."""

_KINDS = {"F32": FLOAT, "F16": FLOAT16, "BF16": BFLOAT16}
_MOST_HEADER = 100_000_000
_PREFIXES = ("", "bert.", "roberta.")
_WORDS = "embeddings.word_embeddings.weight"


@dataclass(frozen=True, slots=True)
class SafeTensors:
    """What is in a file of weights.

    Attributes:
        file: The file.
        begin: Where its tensors begin.
        tensors: By name their type, shape and place behind that.
    """

    file: Path
    begin: int
    tensors: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, file: Path) -> SafeTensors:
        """Read what a file says of its tensors.

        Raises:
            ConfigError: It is no such file.
        """
        try:
            with file.open("rb") as stream:
                length = int.from_bytes(stream.read(8), "little")
                header: Any = json.loads(stream.read(length)) if length < _MOST_HEADER else None
            size = file.stat().st_size
            tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
            for name, entry in tensors.items():
                start, end = entry["data_offsets"]
                if not 0 <= start <= end <= size - 8 - length or not isinstance(entry["shape"], list):
                    raise ValueError(f"{name} lies outside the file")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{file} is no safetensors file: {error}; fetch it again") from error
        return cls(file, 8 + length, tensors)


def encoder_model(file: Path, config: Mapping[str, Any], *, classifies: bool = False) -> bytes:
    """Return an encoder as an ONNX model with the inputs `input_ids`, `token_type_ids` and `position_ids`.

    It gives one text's vectors at a time: there is no mask.

    Args:
        file: Its weights, in a safetensors file.
        config: Its `config.json`.
        classifies: Whether it is to give the scores of its classes, in the place of the vectors of tokens.

    Raises:
        ConfigError: It is of another family, or its weights are not those that its configuration says.
    """
    if (
        config.get("model_type") not in FAMILY
        or config.get("position_embedding_type", "absolute") != "absolute"
    ):
        raise ConfigError(
            f"{file} holds a model of type {config.get('model_type')!r}; only {', '.join(FAMILY)} are read "
            "as safetensors; export it as ONNX, such as with `optimum-cli export onnx`, and use that folder"
        )
    try:
        return _Encoder(SafeTensors.read(file), config).model(classifies=classifies)
    except KeyError as error:
        raise ConfigError(
            f"{file} or the config.json beside it lacks {error}; fetch the folder again"
        ) from error


class _Encoder:
    """Writes the graph."""

    def __init__(self, weights: SafeTensors, config: Mapping[str, Any]) -> None:
        self._weights = weights
        self._prefix = next((one for one in _PREFIXES if one + _WORDS in weights.tensors), "")
        self._heads: int = config["num_attention_heads"]
        self._width: int = config["hidden_size"] // self._heads
        self._layers: int = config["num_hidden_layers"]
        self._epsilon = float(config.get("layer_norm_eps", 1e-12))
        self._activation: str = config.get("hidden_act", "gelu")
        self._graph = OnnxGraph(("input_ids", "token_type_ids", "position_ids"))
        graph = self._graph
        self._split = graph.numbers("split", (0, 0, self._heads, self._width))
        self._whole = graph.numbers("whole", (0, 0, self._heads * self._width))
        self._scale = graph.number("scale", self._width**-0.5)

    def model(self, *, classifies: bool) -> bytes:
        graph = self._graph
        words = graph.node("Gather", self._tensor(_WORDS), "input_ids")
        places = graph.node("Gather", self._tensor("embeddings.position_embeddings.weight"), "position_ids")
        kinds = graph.node(
            "Gather", self._tensor("embeddings.token_type_embeddings.weight"), "token_type_ids"
        )
        tokens = graph.node("Add", graph.node("Add", words, kinds), places)
        tokens = self._normalized(tokens, "embeddings.LayerNorm")
        for number in range(self._layers):
            layer = f"encoder.layer.{number}"
            seen = self._attention(tokens, f"{layer}.attention.self")
            seen = self._linear(seen, f"{layer}.attention.output.dense")
            tokens = self._normalized(graph.node("Add", seen, tokens), f"{layer}.attention.output.LayerNorm")
            inner = self._activated(self._linear(tokens, f"{layer}.intermediate.dense"))
            inner = self._linear(inner, f"{layer}.output.dense")
            tokens = self._normalized(graph.node("Add", inner, tokens), f"{layer}.output.LayerNorm")
        if classifies:
            return graph.model(self._classified(tokens), ("texts", "classes"))
        return graph.model(tokens, ("texts", "tokens", "dimension"))

    def _classified(self, tokens: str) -> str:
        """Add what makes scores of the first token; in RoBERTa the pooler is a part of the classifier."""
        graph = self._graph
        first = graph.node("Gather", tokens, graph.numbers("first", (0,)), axis=1)
        first = graph.node("Reshape", first, graph.numbers("flat", (0, -1)))
        is_bert = "classifier.weight" in self._weights.tensors
        pooler = f"{self._prefix}pooler.dense" if is_bert else "classifier.dense"
        pooled = graph.node("Tanh", self._linear(first, pooler, prefix=""))
        return self._linear(pooled, "classifier" if is_bert else "classifier.out_proj", prefix="")

    def _tensor(self, name: str, prefix: str | None = None) -> str:
        entry = self._weights.tensors[(self._prefix if prefix is None else prefix) + name]
        start, end = entry["data_offsets"]
        kind = _KINDS[entry["dtype"]]
        place = (self._weights.begin + start, end - start)
        named = self._graph.weights(name, kind, entry["shape"], self._weights.file.name, place)
        return named if kind == FLOAT else self._graph.node("Cast", named, to=FLOAT)

    def _linear(self, tokens: str, name: str, prefix: str | None = None) -> str:
        turned = self._graph.node("Transpose", self._tensor(f"{name}.weight", prefix), perm=(1, 0))
        moved = self._graph.node("MatMul", tokens, turned)
        return self._graph.node("Add", moved, self._tensor(f"{name}.bias", prefix))

    def _normalized(self, tokens: str, name: str) -> str:
        scale, bias = self._tensor(f"{name}.weight"), self._tensor(f"{name}.bias")
        return self._graph.node("LayerNormalization", tokens, scale, bias, axis=-1, epsilon=self._epsilon)

    def _attention(self, tokens: str, name: str) -> str:
        graph = self._graph
        query, key, value = (
            graph.node("Reshape", self._linear(tokens, f"{name}.{one}"), self._split)
            for one in ("query", "key", "value")
        )
        query = graph.node("Mul", graph.node("Transpose", query, perm=(0, 2, 1, 3)), self._scale)
        key = graph.node("Transpose", key, perm=(0, 2, 3, 1))
        value = graph.node("Transpose", value, perm=(0, 2, 1, 3))
        weights = graph.node("Softmax", graph.node("MatMul", query, key), axis=-1)
        seen = graph.node("Transpose", graph.node("MatMul", weights, value), perm=(0, 2, 1, 3))
        return graph.node("Reshape", seen, self._whole)

    def _activated(self, inner: str) -> str:
        graph = self._graph
        if self._activation == "relu":
            return graph.node("Relu", inner)
        if self._activation != "gelu":
            raise ConfigError(
                f"{self._weights.file} has the activation {self._activation!r}; only gelu and relu are read "
                "as safetensors; export it as ONNX and use that folder"
            )
        root = graph.node("Div", inner, graph.number(f"root_{inner}", 2**0.5))
        one = graph.number(f"one_{inner}", 1.0)
        half = graph.number(f"half_{inner}", 0.5)
        turned = graph.node("Add", graph.node("Erf", root), one)
        return graph.node("Mul", graph.node("Mul", inner, turned), half)
