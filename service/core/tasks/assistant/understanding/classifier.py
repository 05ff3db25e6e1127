"""Guesses a message's intent from its meaning: multinomial logistic regression over the vector of an embedding model."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.core.knowledge.embedding import Embedder, Vectors
from service.core.tasks.assistant.understanding.intents import Guess, Intent, MessageLabel
from service.core.tasks.assistant.understanding.trouble import TroubleKind
from service.kit.frame.errors import ConfigurationError

_TRAIN = "train with `omni intents train`"
_TRAIN_TROUBLE = "train with `omni intents train --trouble`"
_TROUBLE = frozenset(get_args(TroubleKind))
# From the first margin on a message tells of trouble, below the second one its words of trouble are not believed. Chosen on
# messages of two authors, before the set that measures was looked at (docs/benchmarks.md). 2026-11-25.
LEAST_TROUBLE, LEAST_OF_WORDS = -0.1, -0.3
LEAST_PICTURE = 0.4  # a message that is this likely a picture of speech tells of trouble by its words alone
_STEPS = 127  # of a component's size: vectors are kept as bytes


class TroubleMargin(BaseModel):
    """A support vector machine with a Gaussian kernel: how far a message lies on the side of trouble.

    ``support`` are the support vectors times 127 as signed bytes, one row each, ``duals`` their weights as little-endian 32-bit
    floats.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    gamma: float = Field(gt=0)
    intercept: float
    support: Base64Bytes
    duals: Base64Bytes

    @cached_property
    def _rows(self) -> Vectors:
        rows = np.frombuffer(self.support, "i1").reshape(len(self.duals) // 4, -1)
        return (rows / _STEPS).astype(np.float32)

    def of(self, vectors: Vectors) -> NDArray[np.float64]:
        """Return the margin of each vector; above 0 lies trouble."""
        squares = np.square(vectors).sum(1)[:, None] + np.square(self._rows).sum(1) - 2 * (vectors @ self._rows.T)
        near = np.exp(-self.gamma * squares)
        margins: NDArray[np.float64] = near.astype(np.float64) @ np.frombuffer(self.duals, "<f4") + self.intercept
        return margins


class IntentWeights(BaseModel):
    """What `omni intents train` learned; a pair names its file as the artifact ``intents``.

    ``embedder`` is the digest of the model whose vectors are classified, ``trained_on`` the SHA-256 of the messages.
    Probabilities are those of the scores divided by ``temperature``, which the dev messages chose. ``coefficients`` are
    little-endian 32-bit floats, one row per intent and one column per dimension. ``margin`` tells whether a message tells of
    trouble at all; only weights of trouble have it.
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
    margin: TroubleMargin | None = None

    @model_validator(mode="after")
    def _fits(self) -> "IntentWeights":
        rows = len(set(self.intents))
        if not rows == len(self.intents) == len(self.intercepts):
            raise ValueError("each intent needs one intercept and may stand there once")
        if len(self.coefficients) != 4 * rows * self.dimensions:
            raise ValueError("there must be one coefficient per intent and dimension")
        if self.margin is not None and 4 * len(self.margin.support) != len(self.margin.duals) * self.dimensions:
            raise ValueError("each support vector needs one weight and one byte per dimension")
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

    def __init__(self, weights: IntentWeights, embedder: Embedder, trouble: "TroubleReader | None" = None) -> None:
        """Take weights that were learned from vectors of ``embedder``; ``ConfigurationError``: they were learned from others."""
        if weights.embedder != embedder.digest:
            raise ConfigurationError(f"the intents' weights are for another embedding model; {_TRAIN}")
        self._weights, self._embedder, self._trouble = weights, embedder, trouble
        self.guess = lru_cache(maxsize=2_048)(self._guess)  # each turn reads the messages before it again

    def probabilities(self, messages: Sequence[str]) -> NDArray[np.float64]:
        """Return the probability of each intent, in the order of the weights' ``intents``; one row per message."""
        return self._weights.probabilities(self._embedder.embed(messages))

    def _guess(self, message: str) -> Guess:
        (shares,) = self.probabilities([message])
        best = int(shares.argmax())
        guess = Guess(intent=cast(Intent, self._weights.intents[best]), confidence=float(shares[best]))
        return guess if self._trouble is None else self._trouble.read_into(guess, message)


class TroubleReader:
    """Tells whether a message tells of trouble, and of which kind, in each language of its embedding model."""

    def __init__(self, weights: IntentWeights, embedder: Embedder) -> None:
        """Take weights that were learned from vectors of ``embedder``.

        Raises:
            ConfigurationError: they were learned from another model's vectors, or lack the margin.
        """
        if weights.embedder != embedder.digest:
            raise ConfigurationError("the weights of trouble are for another embedding model; " + _TRAIN_TROUBLE)
        if weights.margin is None:
            raise ConfigurationError("the weights of trouble have no margin; " + _TRAIN_TROUBLE)
        self._weights, self._margin, self._embedder = weights, weights.margin, embedder

    def read_into(self, guess: Guess, message: str) -> Guess:
        """Return ``guess`` with what the meaning of ``message`` says of trouble."""
        vectors = self._embedder.embed([message])
        (margin,) = self._margin.of(vectors)
        if margin < LEAST_TROUBLE:
            return replace(guess, no_trouble=bool(margin < LEAST_OF_WORDS))
        (shares,) = self._weights.probabilities(vectors)
        likely = {label: float(share) for label, share in zip(self._weights.intents, shares, strict=True)}
        if likely.get("picture", 0.0) >= LEAST_PICTURE:
            return guess
        kinds = {label: share for label, share in likely.items() if label in _TROUBLE}
        return replace(guess, trouble=cast(TroubleKind, max(kinds, key=lambda kind: kinds[kind])))
