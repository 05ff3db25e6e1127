"""Guesses a message's intent from its meaning: multinomial logistic regression over the vector that MiniLM gives it."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.core.knowledge.embedding import Embedder, Vectors
from service.core.tasks.assistant.understanding.intents import Guess, Intent, MessageLabel
from service.core.tasks.assistant.understanding.trouble import TroubleKind
from service.kit.frame.errors import ConfigurationError

_TRAIN = "train with `omni intents train`"
_TROUBLE = frozenset(get_args(TroubleKind))
# At this probability of any kind of trouble, 1.3% of 6,388 ordinary messages of CLINC150's and Banking77's training halves, which
# the weights have not seen, are taken for it. 2026-11-25.
LEAST_TROUBLE = 0.7


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
    intents: tuple[MessageLabel, ...] = Field(min_length=2)
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

    def probabilities(self, vectors: Vectors) -> NDArray[np.float64]:
        """Return the probability of each of ``intents``, in their order; one row per vector."""
        scores = vectors.astype(np.float64) @ self.matrix().T + np.array(self.intercepts)
        scores /= self.temperature
        likely = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = likely / likely.sum(axis=1, keepdims=True)
        return shares

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
    """Guesses intents, and trouble where it has weights for that. May be called from several threads."""

    def __init__(self, weights: IntentWeights, embedder: Embedder, trouble: IntentWeights | None = None) -> None:
        """Take weights that were learned from vectors of ``embedder``.

        Raises:
            ConfigurationError: they were learned from another model's vectors.
        """
        if any(each.embedder != embedder.digest for each in (weights, trouble) if each is not None):
            raise ConfigurationError(f"the intents' weights are for another embedding model; {_TRAIN}")
        self._weights, self._embedder, self._trouble = weights, embedder, trouble
        self.guess = lru_cache(maxsize=2_048)(self._guess)  # each turn reads the messages before it again

    def probabilities(self, messages: Sequence[str]) -> NDArray[np.float64]:
        """Return the probability of each intent, in the order of the weights' ``intents``; one row per message."""
        return self._weights.probabilities(self._embedder.embed(messages))

    def _guess(self, message: str) -> Guess:
        vectors = self._embedder.embed([message])
        (shares,) = self._weights.probabilities(vectors)
        best = int(shares.argmax())
        trouble = None if self._trouble is None else _trouble_of(self._trouble, vectors)
        return Guess(intent=cast(Intent, self._weights.intents[best]), confidence=float(shares[best]), trouble=trouble)


def _trouble_of(weights: IntentWeights, vectors: Vectors) -> TroubleKind | None:
    (shares,) = weights.probabilities(vectors)
    kinds = {label: float(share) for label, share in zip(weights.intents, shares, strict=True) if label in _TROUBLE}
    return cast(TroubleKind, max(kinds, key=lambda kind: kinds[kind])) if sum(kinds.values()) >= LEAST_TROUBLE else None
