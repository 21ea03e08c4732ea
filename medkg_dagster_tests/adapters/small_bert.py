"""A small encoder of the BERT family as a folder, and what its formulas give, reckoned apart."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

VOCABULARY = ("[UNK]", "skin", "kidney", "lung")
_WIDTH, _HEADS, _INNER, _LAYERS, _PLACES = 12, 3, 20, 2, 34
_FIRST = {"bert": 0, "roberta": 2}

Weights = dict[str, NDArray[np.float64]]


def write_tokenizer(folder: Path, vocabulary: Sequence[str] = VOCABULARY) -> None:
    """Write a tokenizer that splits at spaces."""
    words = {word: number for number, word in enumerate(vocabulary)}
    model = {"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"}
    content = {"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"}, "model": model}
    (folder / "tokenizer.json").write_text(json.dumps(content))


def write_bert(folder: Path, family: str, dtype: str = "F32") -> Weights:
    """Write a folder with a model of drawn weights, which are returned."""
    folder.mkdir(exist_ok=True)
    write_tokenizer(folder)
    config = {
        "model_type": family,
        "num_attention_heads": _HEADS,
        "hidden_size": _WIDTH,
        "num_hidden_layers": _LAYERS,
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": _PLACES if family == "roberta" else 32,
        "pad_token_id": 1,
    }
    (folder / "config.json").write_text(json.dumps(config))
    weights = _drawn()
    prefix = "roberta." if family == "roberta" else ""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    content = b""
    for name, array in weights.items():
        data = _encoded(array, dtype)
        places = [len(content), len(content) + len(data)]
        header[prefix + name] = {"dtype": dtype, "shape": array.shape, "data_offsets": places}
        content += data
    table = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(table).to_bytes(8, "little") + table + content)
    return weights


def expected_vectors(weights: Weights, texts: Sequence[str], family: str) -> NDArray[np.float64]:
    """Return the means over tokens, of length 1; of a text of more than 32 words that of all its parts."""
    return np.array([_vector(weights, text.split(), _FIRST[family]) for text in texts])


def _vector(weights: Weights, words: Sequence[str], first: int) -> NDArray[np.float64]:
    tokens = np.array([VOCABULARY.index(word) for word in words])
    states = weights["embeddings.word_embeddings.weight"][tokens]
    states = states + weights["embeddings.position_embeddings.weight"][first : first + len(tokens)]
    states = states + weights["embeddings.token_type_embeddings.weight"][0]
    states = _normalized(weights, "embeddings.LayerNorm", states)
    for number in range(_LAYERS):
        layer = f"encoder.layer.{number}"
        query, key, value = (
            _linear(weights, f"{layer}.attention.self.{name}", states).reshape(len(tokens), _HEADS, -1)
            for name in ("query", "key", "value")
        )
        seen = np.zeros_like(query)
        for head in range(_HEADS):
            scores = query[:, head] @ key[:, head].T / math.sqrt(_WIDTH / _HEADS)
            shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
            seen[:, head] = shares @ value[:, head]
        out = _linear(weights, f"{layer}.attention.output.dense", seen.reshape(len(tokens), -1))
        states = _normalized(weights, f"{layer}.attention.output.LayerNorm", states + out)
        inner = _linear(weights, f"{layer}.intermediate.dense", states)
        inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        out = _linear(weights, f"{layer}.output.dense", inner)
        states = _normalized(weights, f"{layer}.output.LayerNorm", states + out)
    mean: NDArray[np.float64] = states.mean(axis=0)
    return mean / np.linalg.norm(mean)


def _linear(weights: Weights, name: str, states: NDArray[np.float64]) -> NDArray[np.float64]:
    moved: NDArray[np.float64] = states @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return moved


def _normalized(weights: Weights, name: str, states: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = states - states.mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    moved: NDArray[np.float64] = scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return moved


def _drawn() -> Weights:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(VOCABULARY), _WIDTH),
        "embeddings.position_embeddings.weight": (_PLACES, _WIDTH),
        "embeddings.token_type_embeddings.weight": (2, _WIDTH),
    }
    sizes = {"intermediate.dense": (_INNER, _WIDTH), "output.dense": (_WIDTH, _INNER)}
    own = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
    sizes |= dict.fromkeys(own, (_WIDTH, _WIDTH))
    norms = ["embeddings.LayerNorm"]
    for number in range(_LAYERS):
        for name, shape in sizes.items():
            shapes[f"encoder.layer.{number}.{name}.weight"] = shape
            shapes[f"encoder.layer.{number}.{name}.bias"] = shape[:1]
        norms += [f"encoder.layer.{number}.{name}.LayerNorm" for name in ("attention.output", "output")]
    for name in norms:
        shapes |= {f"{name}.weight": (_WIDTH,), f"{name}.bias": (_WIDTH,)}
    chance = np.random.default_rng(7)
    # As 32-bit numbers, so that what is written is what is reckoned with.
    return {
        name: chance.normal(0.1, 0.5, shape).astype(np.float32).astype(float)
        for name, shape in shapes.items()
    }


def _encoded(array: NDArray[np.float64], dtype: str) -> bytes:
    if dtype == "F16":
        return array.astype("<f2").tobytes()
    single = array.astype("<f4")
    if dtype == "BF16":
        return (single.view("<u4") >> 16).astype("<u2").tobytes()
    return single.tobytes()
