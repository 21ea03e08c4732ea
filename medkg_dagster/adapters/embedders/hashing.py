"""An embedder that needs no model: feature hashing of words and word parts. Close means shared words.

Every word and every run of 3 to 5 characters of it (a character n-gram) is hashed to one dimension and a
sign. A word counts with one plus the logarithm of its occurrences, its n-grams together with a fixed share
of that, so that `melanoma` and `melanomas` lie close. Nothing is learned, downloaded or random: the same
text has the same vector on every machine.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

from pydantic import Field

from medkg_dagster.adapters.embedders import model_name
from medkg_dagster.stage_api import Config, Extension, ExtensionKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WORD = re.compile(r"[^\W_]+")
_SHORTEST_NGRAM, _LONGEST_NGRAM = 3, 5
_LONGEST_HASHED_WORD = 64
_CACHED_WORDS = 200_000
_FUNCTION_WORDS = (
    "a an and are as at be been but by can did do does for from had has have he her his how if in into is it "
    "its may more most no nor not of on or our she should so such than that the their them then there these "
    "they this those to was we were what when where which while who will with would you"
)
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""English words that say nothing about a text's subject."""


class HashingParameters(Config):
    """Parameters of the lexical embedder `hashing`."""

    dimension: int = Field(
        default=1024,
        ge=16,
        le=65_536,
        description="Length of the (lexical) vectors; more dimensions, fewer clashes.",
    )
    ngram_share: float = Field(
        default=1.0,
        ge=0,
        le=10,
        description="Weight of all character n-grams of a word together, relative to the word itself.",
    )


class HashingEmbedder:
    """Makes lexical vectors by signed feature hashing."""

    lexical = True

    def __init__(self, parameters: HashingParameters) -> None:
        self._dimension = parameters.dimension
        self._ngram_share = parameters.ngram_share
        self.model = model_name("hashing", parameters.model_dump())
        self._features = lru_cache(maxsize=_CACHED_WORDS)(self._word_features)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the lexical vectors of texts.

        Returns:
            float32 of shape (texts, dimension); rows of length 1, or 0 for a text without words.
        """
        import numpy as np

        vectors = np.zeros((len(texts), self._dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            counts = Counter(_words(text))
            if not counts:
                continue
            features = [self._features(word) for word in counts]
            weights = np.array([1.0 + math.log(count) for count in counts.values()])
            places = np.concatenate([places for places, _ in features])
            values = np.concatenate([values for _, values in features])
            values = values * np.repeat(weights, [len(places) for places, _ in features])
            vector = np.bincount(places, weights=values, minlength=self._dimension)
            length = math.sqrt(float(np.dot(vector, vector)))
            if length > 0:
                vectors[row] = vector / length
        return vectors

    def _word_features(self, word: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the dimensions and signed weights of a word and its n-grams."""
        import numpy as np

        ngrams = _ngrams(word) if self._ngram_share else []
        hashes = [_hash(f"w {word}"), *(_hash(f"n {ngram}") for ngram in ngrams)]
        signs = np.array([1.0 if value & 1 else -1.0 for value in hashes])
        signs[1:] *= self._ngram_share / math.sqrt(max(1, len(ngrams)))
        return np.array([(value >> 1) % self._dimension for value in hashes], dtype=np.int64), signs


def _words(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = _WORD.findall(folded)
    content_words = [word for word in words if word not in FUNCTION_WORDS]
    return content_words or words


def _ngrams(word: str) -> list[str]:
    marked = f"<{word[:_LONGEST_HASHED_WORD]}>"
    return [
        marked[start : start + length]
        for length in range(_SHORTEST_NGRAM, _LONGEST_NGRAM + 1)
        for start in range(len(marked) - length + 1)
    ]


def _hash(feature: str) -> int:
    return int.from_bytes(blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


HASHING = Extension(
    kind=ExtensionKind.EMBEDDER,
    name="hashing",
    description="Lexical vectors by feature hashing of words and character n-grams; needs no model.",
    config_model=HashingParameters,
    build=lambda parameters, _home: HashingEmbedder(parameters),
)
