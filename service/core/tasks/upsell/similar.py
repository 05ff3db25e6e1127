"""Approved messages to similar customers of the same tenant, as examples for the next one.

Customers are compared by what is known without a person: the home, the services and their figures. Neither names nor notes are
kept or compared. A message counts from the day after its approval, so that an evaluation finds what was known then.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.core.knowledge.embedding import Embedder, Vectors
from service.core.tasks.upsell.customer import Example, UpsellInputs
from service.core.unit.customer import TenantId
from service.kit.frame.errors import KnowledgeError
from service.kit.frame.files import OWNER_ONLY, write_whole
from service.kit.telemetry.fields import account_hash

MOST_EXAMPLES = 3
_GOOD = frozenset({"bought", "answered"})
_MOST_OWN = 50  # messages to one customer, which are left out
_NAME = "[name]"
_BATCH = 64
_MODEL_DIGITS = 16


class PastMessage(BaseModel):
    """An approved message with what came of it. ``customer`` is a keyed hash, ``known`` what ``known_text`` said of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$")
    tenant: TenantId
    customer: str
    approved_on: date
    known: str = Field(min_length=1, max_length=2_000)
    message: str = Field(min_length=1, max_length=2_000)
    outcome: Literal["bought", "answered", "ignored", "complained"]

    @classmethod
    def of(cls, inputs: UpsellInputs, message: str, outcome: str, *, id: str) -> "PastMessage":
        """Return the past message to the customer of ``inputs``, approved on their day; the customer's name is taken out."""
        return cls.model_validate(
            {
                "id": id,
                "tenant": inputs.tenant,
                "customer": account_hash(inputs.customer_id),
                "approved_on": inputs.as_of,
                "known": known_text(inputs),
                "message": message.replace(inputs.first_name, _NAME),
                "outcome": outcome,
            }
        )


def known_text(inputs: UpsellInputs) -> str:
    """Return what customers are compared by."""
    home, features = inputs.home, inputs.features
    parts = [f"{home.kind}{' with a garden' if home.garden else ''}{f', built {home.built}' if home.built else ''}"]
    services = dict.fromkeys(visit.service for visit in sorted(inputs.visits, key=lambda visit: visit.on, reverse=True))
    parts.append(f"services: {', '.join(services) or 'none'}")
    parts.append(f"{features.total_services} services, {features.services_last_year} in the last year")
    if features.average_satisfaction is not None:
        parts.append(f"satisfaction {features.average_satisfaction:.1f} of 5")
    return ". ".join(parts)[:2_000]


def build_similar(
    past: Iterable[PastMessage], embedder: Embedder, file: Path, progress: Callable[[int], None] = lambda done: None
) -> int:
    """Write the index of ``past`` to ``file``, whole or not at all; return how many messages it holds.

    A line holds a message with its vector, so that erasing a customer's line leaves nothing of it behind.
    """
    lines: list[str] = []
    for part in _parts(past):
        vectors = embedder.embed([one.known for one in part])
        for one, vector in zip(part, vectors, strict=True):
            extra = {"model": embedder.digest[:_MODEL_DIGITS], "vector": _packed(vector)}
            lines.append(json.dumps(one.model_dump(mode="json") | extra, ensure_ascii=False))
        progress(len(lines))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(str(file), "".join(f"{line}\n" for line in lines).encode(), mode=OWNER_ONLY)
    return len(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shelf:
    """One tenant's good messages: ``vectors`` (n, dimensions), and their days as ordinals (n,)."""

    messages: Sequence[PastMessage]
    vectors: Vectors
    days: "np.ndarray[Any, np.dtype[np.int64]]"


class SimilarMessages:
    """An opened index. Searches exactly: a tenant's vectors are few enough. Threads may share it."""

    def __init__(self, messages: Sequence[PastMessage], vectors: Vectors, embedder: Embedder) -> None:
        """``vectors``: (n, dimensions), of length 1, in the order of ``messages``."""
        self._embedder = embedder
        by_tenant: dict[str, list[int]] = {}
        for number, one in enumerate(messages):
            if one.outcome in _GOOD:
                by_tenant.setdefault(one.tenant, []).append(number)
        self._shelves = {
            tenant: _Shelf(
                messages=[messages[number] for number in numbers],
                vectors=vectors[numbers],
                days=np.array([messages[number].approved_on.toordinal() for number in numbers]),
            )
            for tenant, numbers in by_tenant.items()
        }

    def find(self, inputs: UpsellInputs, *, limit: int = MOST_EXAMPLES) -> tuple[Example, ...]:
        """Return messages to the most similar other customers of the tenant, approved before ``as_of``, the nearest first."""
        shelf = self._shelves.get(inputs.tenant)
        if shelf is None:
            return ()
        near = shelf.vectors @ self._embedder.embed([known_text(inputs)])[0]
        near = np.where(shelf.days < inputs.as_of.toordinal(), near, -np.inf)
        own = account_hash(inputs.customer_id)
        found: list[Example] = []
        # Equals in the order of their ids: the same index gives the same examples.
        best = _nearest(near, limit + _MOST_OWN)
        for number in best:
            one = shelf.messages[number]
            if len(found) == limit or near[number] == -np.inf:
                break
            if one.customer != own:
                found.append(Example(id=one.id, tenant=one.tenant, message=one.message, outcome=one.outcome))
        return tuple(found)

    def with_examples(self, inputs: UpsellInputs) -> UpsellInputs:
        """Return ``inputs`` with the examples that are found for them, in place of any that were given."""
        return UpsellInputs.model_validate(
            inputs.model_dump() | {"examples": [one.model_dump() for one in self.find(inputs)]}
        )


def open_similar(file: Path, embedder: Embedder) -> SimilarMessages:
    """Open an index.

    Raises:
        KnowledgeError: it is missing, damaged, or was built with another model.
    """
    remedy = f"build it again, or write without examples ({file})"
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise KnowledgeError(f"the index of past messages is gone: {remedy}") from None
    messages, vectors = [], []
    for number, line in enumerate(lines, 1):
        try:
            found = json.loads(line)
            model, vector = found.pop("model"), _unpacked(found.pop("vector"), embedder.dimensions)
            messages.append(PastMessage.model_validate(found))
        except (ValueError, KeyError, TypeError, AttributeError, ValidationError):
            raise KnowledgeError(f"line {number} of the index of past messages is damaged: {remedy}") from None
        if model != embedder.digest[:_MODEL_DIGITS]:
            raise KnowledgeError(f"the index of past messages was built with another embedding model: {remedy}")
        vectors.append(vector)
    if len({one.id for one in messages}) < len(messages):
        raise KnowledgeError(f"two past messages have one id: {remedy}")
    ordered = sorted(range(len(messages)), key=lambda place: messages[place].id)
    matrix = np.array([vectors[place] for place in ordered], dtype=np.float32).reshape(-1, embedder.dimensions)
    return SimilarMessages([messages[place] for place in ordered], matrix, embedder)


def _nearest(near: "np.ndarray[Any, Any]", count: int) -> "np.ndarray[Any, Any]":
    """Return the positions of the ``count`` largest values, the largest first, of equals the first."""
    if count < len(near):
        bound = np.partition(near, -count)[-count]
        places = np.flatnonzero(near >= bound)
    else:
        places = np.arange(len(near))
    return places[np.argsort(-near[places], kind="stable")]


def _parts(past: Iterable[PastMessage]) -> Iterator[list[PastMessage]]:
    part: list[PastMessage] = []
    for one in past:
        part.append(one)
        if len(part) == _BATCH:
            yield part
            part = []
    if part:
        yield part


def _packed(vector: Vectors) -> str:
    return base64.b64encode(vector.astype("<f2").tobytes()).decode()


def _unpacked(text: str, dimensions: int) -> Vectors:
    vector = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f2").astype(np.float32)
    length = float(np.linalg.norm(vector))
    if len(vector) != dimensions or not 0.9 < length < 1.1:
        raise ValueError("no vector of this model")
    return vector / np.float32(length)
