"""The port to a model that turns texts into vectors of meaning, and two models as one."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.kit.frame.canonical import canonical_json, sha256_hex

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Turns texts into vectors of length 1; texts of like meaning have a large dot product."""

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides a vector: weights, vocabulary, and how much of a text is read."""

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector per text, shape ``(len(texts), dimensions)``.

        Any text has a vector, the empty one too, and what stands beyond the embedder's bound is not read. The same text gives
        the same vector, whatever stands beside it. May be called from several threads.
        """


class JoinedEmbedder:
    """Implements ``Embedder`` by two others, whose vectors stand one behind the other."""

    def __init__(self, first: Embedder, second: Embedder) -> None:
        """Take embedders; a dot product is the mean of theirs."""
        self._both = (first, second)
        self.digest = sha256_hex(canonical_json([each.digest for each in self._both]))
        self.dimensions = first.dimensions + second.dimensions

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See ``Embedder.embed``."""
        vectors = np.concatenate([each.embed(texts) for each in self._both], axis=1)
        return vectors * np.float32(0.5**0.5)
