"""Guesses a message's intent from its meaning: multinomial logistic regression over the vector that MiniLM gives it."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.core.knowledge.embedding import Embedder, Vectors
from service.core.tasks.assistant.understanding.intents import Guess, Intent
from service.kit.frame.errors import ConfigurationError

_TRAIN = "train with `omni intents train`"


class IntentWeights(BaseModel):
    """What `omni intents train` learned; a pair names its file as the artifact ``intents``.

    ``embedder`` is the digest of the model whose vectors are classified, ``trained_on`` the SHA-256 of the messages.
    Probabilities are those of the scores divided by ``temperature``, which the dev messages chose. ``coefficients`` are
    little-endian 32-bit floats, one row per intent and one column per dimension.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["multinomial-logistic-regression-v1"] = "multinomial-logistic-regression-v1"
    embedder: str = Field(pattern="^[0-9a-f]{64}$")
    dimensions: int = Field(ge=1)
    trained_on: str = Field(pattern="^[0-9a-f]{64}$")
    temperature: float = Field(gt=0)
    intents: tuple[Intent, ...] = Field(min_length=2)
    intercepts: tuple[float, ...]
    coefficients: Base64Bytes

    @model_validator(mode="after")
    def _fits(self) -> "IntentWeights":
        rows = len(set(self.intents))
        if not rows == len(self.intents) == len(self.intercepts):
            raise ValueError("each intent needs one intercept and may stand there once")
        if len(self.coefficients) != 4 * rows * self.dimensions:
            raise ValueError("there must be one coefficient per intent and dimension")
        return self

    def matrix(self) -> Vectors:
        """Return the coefficients, shape ``(intents, dimensions)``."""
        return np.frombuffer(self.coefficients, "<f4").astype(np.float32).reshape(len(self.intents), self.dimensions)


def read_weights(content: bytes) -> IntentWeights:
    """Read the weights. Raises ``ConfigurationError``: the bytes hold no weights."""
    try:
        return IntentWeights.model_validate_json(content)
    except ValidationError as err:
        raise ConfigurationError(f"the intents' weights: {err.errors()[0]['msg']}; {_TRAIN}") from err


class IntentClassifier:
    """Guesses intents. May be called from several threads."""

    def __init__(self, weights: IntentWeights, embedder: Embedder) -> None:
        """Take weights that were learned from vectors of ``embedder``.

        Raises:
            ConfigurationError: they were learned from another model's vectors.
        """
        if weights.embedder != embedder.digest:
            raise ConfigurationError(f"the intents' weights are for another embedding model; {_TRAIN}")
        self._weights, self._embedder = weights, embedder
        self._matrix, self._intercepts = weights.matrix(), np.array(weights.intercepts)
        self.guess = lru_cache(maxsize=2_048)(self._guess)  # each turn reads the messages before it again

    def probabilities(self, messages: Sequence[str]) -> NDArray[np.float64]:
        """Return the probability of each intent, in the order of the weights' ``intents``; one row per message."""
        scores = self._embedder.embed(messages).astype(np.float64) @ self._matrix.T + self._intercepts
        scores /= self._weights.temperature
        likely = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = likely / likely.sum(axis=1, keepdims=True)
        return shares

    def _guess(self, message: str) -> Guess:
        (shares,) = self.probabilities([message])
        best = int(shares.argmax())
        return Guess(intent=self._weights.intents[best], confidence=float(shares[best]))
