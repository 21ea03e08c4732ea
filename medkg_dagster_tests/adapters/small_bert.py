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
_HEADS_OF = {"bert": ("pooler.dense", "classifier"), "roberta": ("classifier.dense", "classifier.out_proj")}

Weights = dict[str, NDArray[np.float64]]


def write_tokenizer(folder: Path, vocabulary: Sequence[str] = VOCABULARY) -> None:
    """Write a tokenizer that splits at spaces."""
    words = {word: number for number, word in enumerate(vocabulary)}
    model = {"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"}
    content = {"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"}, "model": model}
    (folder / "tokenizer.json").write_text(json.dumps(content))


def write_bert(folder: Path, family: str, dtype: str = "F32", classes: int = 0) -> Weights:
    """Write a folder with a model of drawn weights, which are returned; with a head for classes, if any."""
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
    weights = _drawn(family, classes)
    prefix = "roberta." if family == "roberta" else ""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    content = b""
    for name, array in weights.items():
        data = _encoded(array, dtype)
        places = [len(content), len(content) + len(data)]
        header[name if name.startswith("classifier") else prefix + name] = {
            "dtype": dtype,
            "shape": array.shape,
            "data_offsets": places,
        }
        content += data
    table = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(table).to_bytes(8, "little") + table + content)
    return weights


def expected_vectors(weights: Weights, texts: Sequence[str], family: str) -> NDArray[np.float64]:
    """Return the means over tokens, of length 1; of a text of more than 32 words that of all its parts."""
    means = np.array([_states(weights, text.split(), _FIRST[family]).mean(axis=0) for text in texts])
    vectors: NDArray[np.float64] = means / np.linalg.norm(means, axis=1, keepdims=True)
    return vectors


def expected_scores(weights: Weights, query: str, texts: Sequence[str], family: str) -> list[float]:
    """Return the score of a query with each text, of two classes the difference."""
    pooler, out = _HEADS_OF[family]
    scores = []
    for text in texts:
        words = query.split()
        first = _states(weights, [*words, *text.split()], _FIRST[family], len(words))[:1]
        classes = _linear(weights, out, np.tanh(_linear(weights, pooler, first)))[0]
        scores.append(float(classes[-1] - classes[0]) if len(classes) == 2 else float(classes[0]))
    return scores


def _states(
    weights: Weights, words: Sequence[str], first: int, of_query: int | None = None
) -> NDArray[np.float64]:
    tokens = np.array([VOCABULARY.index(word) for word in words])
    states = weights["embeddings.word_embeddings.weight"][tokens]
    states = states + weights["embeddings.position_embeddings.weight"][first : first + len(tokens)]
    kinds = [0 if of_query is None or place < of_query else 1 for place in range(len(words))]
    states = states + weights["embeddings.token_type_embeddings.weight"][kinds]
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
    return states


def _linear(weights: Weights, name: str, states: NDArray[np.float64]) -> NDArray[np.float64]:
    moved: NDArray[np.float64] = states @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return moved


def _normalized(weights: Weights, name: str, states: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = states - states.mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    moved: NDArray[np.float64] = scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return moved


def _drawn(family: str, classes: int) -> Weights:
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
    if classes:
        pooler, out = _HEADS_OF[family]
        shapes |= {f"{pooler}.weight": (_WIDTH, _WIDTH), f"{pooler}.bias": (_WIDTH,)}
        shapes |= {f"{out}.weight": (classes, _WIDTH), f"{out}.bias": (classes,)}
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
