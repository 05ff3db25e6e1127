"""Learns the weights of the intents from labelled messages, and the temperature of their probabilities from others."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.spine.errors import CaseError
from figures.arrays import Floats
from service.core.knowledge.embedding import Embedder
from service.core.tasks.assistant.understanding.classifier import IntentWeights
from service.core.tasks.assistant.understanding.intents import MessageLabel
from service.core.tasks.assistant.understanding.trouble import TroubleKind

MessageKind = Literal["plain", "slang", "speech", "near_miss", "two_wishes"]


class LabelledMessage(BaseModel):
    """What a customer may say first, and its ``intent``; ``also`` are others that are as right, as in a message of two wishes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    message: str = Field(min_length=1, max_length=500)
    intent: MessageLabel
    also: tuple[MessageLabel, ...] = ()
    kind: MessageKind = "plain"

    def accepts(self, intent: str) -> bool:
        """Return whether ``intent`` is right."""
        return intent == self.intent or intent in self.also


def read_messages(file: Path) -> list[LabelledMessage]:
    """Read a file of labelled messages, one JSON object per line.

    Raises:
        CaseError: there is no such file, or a line is no labelled message.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as err:
        raise CaseError(f"{file} cannot be read: labelled messages stand there, one JSON object per line") from err
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(LabelledMessage.model_validate_json(line))
        except ValidationError as err:
            wrong = err.errors()[0]
            place = ".".join(map(str, wrong["loc"]))
            raise CaseError(f"{file}:{number}: {place or 'line'}: {wrong['msg']}") from err
    return found


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


# scikit-learn's C, the inverse of the penalty: the best log loss in cross-validation over the training messages. 2026-11-22.
PENALTY = 30.0
# Of the support vector machine: the best of gammas from 1 to 4 and softnesses from 0.3 to 30 by the area under the curve on
# messages of an author whose other messages were not learned from. 2026-11-25.
_SOFTNESS, _GAMMA = 10.0, 1.5
_TROUBLE = frozenset(get_args(TroubleKind))
_FOLDS, _PENALTIES = 5, (1.0, 3.0, 10.0, 30.0, 100.0)
_TEMPERATURES = (0.1, 10.0)


def learn(folder: Path, embedder: Embedder, *, trouble: bool = False) -> IntentWeights:
    """Learn from ``train.jsonl`` of ``folder``, and calibrate on ``dev.jsonl``; ``CaseError`` if a file is missing or damaged.

    Weights of ``trouble`` get a margin, too.
    """
    train, dev = (read_messages(folder / f"{name}.jsonl") for name in ("train", "dev"))
    vectors = _vectors(train, embedder)
    model = _fitted(vectors, _intents(train), PENALTY)
    intents = [str(name) for name in model.classes_]
    scores = _vectors(dev, embedder) @ model.coef_.T + model.intercept_
    return IntentWeights.model_validate(
        {
            "embedder": embedder.digest,
            "dimensions": embedder.dimensions,
            "trained_on": digest_of(folder / "train.jsonl"),
            "temperature": round(_temperature(scores, [intents.index(one.intent) for one in dev]), 4),
            "intents": intents,
            "intercepts": [round(float(value), 6) for value in model.intercept_],
            "coefficients": base64.b64encode(model.coef_.astype("<f4").tobytes()),
            "margin": _margin(vectors, [one.intent in _TROUBLE for one in train]) if trouble else None,
        }
    )


def _margin(vectors: Floats, in_trouble: Sequence[bool]) -> dict[str, Any]:
    from sklearn.svm import SVC

    squares = np.square(vectors).sum(1)
    near = np.exp(
        -_GAMMA * (squares[:, None] + squares - 2 * vectors @ vectors.T)
    )  # minutes sooner than libsvm's own kernel
    machine = SVC(C=_SOFTNESS, kernel="precomputed").fit(near, in_trouble)
    return {
        "gamma": _GAMMA,
        "intercept": round(float(machine.intercept_[0]), 6),
        "support": base64.b64encode(np.rint(vectors[machine.support_] * 127).astype("i1").tobytes()),
        "duals": base64.b64encode(machine.dual_coef_[0].astype("<f4").tobytes()),
    }


def cross_validated(folder: Path, embedder: Embedder) -> list[tuple[float, float, float]]:
    """Return accuracy and log loss of each penalty, over folds of the training messages alone."""
    from sklearn.model_selection import StratifiedKFold, cross_validate

    train = read_messages(folder / "train.jsonl")
    vectors, intents = _vectors(train, embedder), _intents(train)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    rows = []
    for penalty in _PENALTIES:
        found = cross_validate(_model(penalty), vectors, intents, cv=folds, scoring=("accuracy", "neg_log_loss"))
        rows.append((penalty, float(found["test_accuracy"].mean()), -float(found["test_neg_log_loss"].mean())))
    return rows


def content_of(weights: IntentWeights) -> bytes:
    """Return the weights as the bytes of their file."""
    return (weights.model_dump_json(indent=1) + "\n").encode()


def _model(penalty: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=penalty, max_iter=5_000, tol=1e-6)


def _fitted(vectors: Floats, intents: Sequence[str], penalty: float) -> Any:
    return _model(penalty).fit(vectors, intents)


def _vectors(messages: Sequence[LabelledMessage], embedder: Embedder) -> Floats:
    return embedder.embed([one.message for one in messages]).astype(np.float64)


def _intents(messages: Sequence[LabelledMessage]) -> list[str]:
    return [one.intent for one in messages]


def _temperature(scores: Floats, labels: Sequence[int]) -> float:
    """Return the temperature with the least log loss (Guo et al. 2017, temperature scaling)."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(scores / np.exp(log_temperature), axis=1)[rows, list(labels)].mean())

    low, high = np.log(_TEMPERATURES)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))
