"""Feedback on kept answers: the ways to name one, and the store that keeps each feedback in S3 and the newest in its row."""

import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, Protocol, TypeVar

from service.answers_kept.answer_record import AnswerVerdict, FeedbackReason, KeptAnswer, ServedRecord
from service.answers_kept.archive import Archive
from service.answers_kept.record import FeedbackRecord, Helpfulness, SummaryRecord, utc_text
from service.core.redaction.persons import Persons, without_pseudonyms
from service.core.redaction.texts import WITHHELD
from service.kit.aws.bounded import StoreThreads
from service.warehouse.events import SCHEMA_VERSION

# The effect of a feedback on its answer's row: the first one, a different one than before, the same again, or none because the
# row holds a newer one.
Effect = Literal["first", "changed", "same", "late"]
FeedbackVerdict = FeedbackRecord | AnswerVerdict
Record = TypeVar("Record", bound=ServedRecord)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByProcess:
    """Shape A: the newest summary of one process."""

    unique_process_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ByContact:
    """Shape B: the summary of one contact of one customer."""

    contact_id: str
    account_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ByRequest:
    """Shape C: exactly the answer that one request got; an answer of a task has no other name."""

    request_id: str


FeedbackTarget = ByProcess | ByContact | ByRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguous:
    """The shape fits several summaries; the client must name one of these request ids (newest first) instead."""

    request_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidFeedback:
    """What somebody said about an answer; ``by`` is their client. A summary's feedback has neither a reason nor a client."""

    rating: Helpfulness
    reason: FeedbackReason | None = None
    comment: str | None = None
    edited: str | None = None
    by: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedRow(Generic[Record]):
    """The row of an answered request under ``key``, with its newest feedback, None without one."""

    key: str
    record: Record
    said: SaidFeedback | None = None
    said_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The outcome of keeping a feedback. ``object_key`` is its object in S3."""

    feedback_id: str
    object_key: str
    feedback_timestamp: str
    effect: Effect

    @property
    def current(self) -> bool:
        """False when the row holds a newer feedback."""
        return self.effect != "late"


class RatedTable(Protocol[Record]):
    """The table of the answers that are rated; blocking."""

    def find(self, target: FeedbackTarget, now: datetime) -> RatedRow[Record] | Ambiguous | None:
        """See ``FeedbackStore.find``."""
        ...

    def set_feedback(self, row: RatedRow[Record], verdict: Any) -> Effect:
        """Write feedback into its answer's row and return its effect; ``late`` also when the row is gone."""
        ...


class FeedbackStore(ABC, Generic[Record]):
    """Keeps the feedback on one kind of answers: each as a JSON object in S3, the newest also in its answer's row."""

    def __init__(
        self, table: RatedTable[Record], archive: Archive, *, timeout_s: float, now: Callable[[], datetime]
    ) -> None:
        self._table = table
        self._archive = archive
        self._now = now
        self._threads = StoreThreads("the feedback stores", timeout_s=timeout_s)

    async def find(self, target: FeedbackTarget) -> RatedRow[Record] | Ambiguous | None:
        """Return the one answer that ``target`` names, ``Ambiguous`` for several, or None for a missing or expired one.

        Raises:
            StoreError: no answer in time.
        """
        return await self._threads.run(self._table.find, target, self._now())

    async def record(self, row: RatedRow[Record], said: SaidFeedback) -> Recorded:
        """Keep a feedback in S3 and in the answer's row. Repeating the row's current feedback changes nothing.

        Raises:
            StoreError: a store failed. The client must retry; a retry also repairs the row.
        """
        return await self._threads.run(self._record, row, said)

    def _record(self, row: RatedRow[Record], said: SaidFeedback) -> Recorded:
        said = self._cleaned(said, row.record)
        repeated = row.said == said
        # A double click counts once: the same moment gives the same id, object and row.
        at = row.said_at if repeated else utc_text(self._now())
        verdict = self._verdict(row.record, said, at)
        # The object first: the warehouse reads only objects, so it would never see feedback that is in the row alone. If the row
        # fails, the client retries and the row is then right.
        self._archive.put_json(verdict.object_key, verdict.to_json())
        effect = "same" if repeated else self._table.set_feedback(row, verdict)
        return Recorded(
            feedback_id=verdict.feedback_id, object_key=verdict.object_key, feedback_timestamp=at, effect=effect
        )

    @staticmethod
    def _cleaned(said: SaidFeedback, about: Record) -> SaidFeedback:
        """Return what may be stored of a feedback."""
        return said

    @staticmethod
    @abstractmethod
    def _verdict(about: Record, said: SaidFeedback, at: str) -> FeedbackVerdict:
        """Return the object that a feedback is kept as."""


class SummaryFeedback(FeedbackStore[SummaryRecord]):
    """Feedback on summaries of ``POST /omni-channel-insights``; the warehouse's loader takes persons out of it."""

    @staticmethod
    def _verdict(about: SummaryRecord, said: SaidFeedback, at: str) -> FeedbackRecord:
        texts = (said.comment, said.edited)
        return FeedbackRecord(
            **_named("feedback", about.request_id, at, said.rating, *texts),
            **_copied(about, FeedbackRecord),
            helpful_feedback=said.rating,
            comment=said.comment,
            edited_summary=said.edited,
        )


class AnswerFeedback(FeedbackStore[KeptAnswer]):
    """Feedback on answers of ``POST /v1/<task>``, without the persons that the answer's record knows."""

    @staticmethod
    def _cleaned(said: SaidFeedback, about: KeptAnswer) -> SaidFeedback:
        comment, edited = (_without_persons(text, about) for text in (said.comment, said.edited))
        return SaidFeedback(rating=said.rating, reason=said.reason, comment=comment, edited=edited, by=said.by)

    @staticmethod
    def _verdict(about: KeptAnswer, said: SaidFeedback, at: str) -> AnswerVerdict:
        texts = (said.comment, said.edited)
        return AnswerVerdict(
            **_named("answer-feedback", about.request_id, at, said.rating, said.reason, *texts),
            **_copied(about, AnswerVerdict),
            helpful_feedback=said.rating,
            reason=said.reason,
            comment=said.comment,
            edited_output=said.edited,
            by=said.by,
        )


def _named(kind: str, request_id: str, at: str, *said: str | None) -> Mapping[str, Any]:
    """Return the fields that identify a feedback. Must never change: the same one at the same moment must have the same id."""
    names = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:omni-channel-insights:{kind}")
    feedback_id = str(uuid.uuid5(names, json.dumps([request_id, at, *said])))
    return {"feedback_id": feedback_id, "feedback_timestamp": at, "schema_version": SCHEMA_VERSION}


def _copied(about: ServedRecord, kind: type[FeedbackVerdict]) -> Mapping[str, Any]:
    """Return the fields of the answer that its feedback is reported by."""
    shared = kind.model_fields.keys() & type(about).model_fields.keys() - {"schema_version"}
    return {name: getattr(about, name) for name in shared}


def _without_persons(text: str | None, about: KeptAnswer) -> str | None:
    """Return a text without the persons that the answer's record knows, and without what the patterns find."""
    if text is None:
        return None
    try:
        return Persons().clean_output(without_pseudonyms(text, about.persons))
    except Exception:  # fail closed: if redaction fails in any way, the text is not kept
        return WITHHELD
