"""Feedback on answers of any task: the port of the endpoint, and the store behind it."""

import json
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from service.answers_kept.answer_record import AnswerVerdict, FeedbackReason, KeptAnswer
from service.answers_kept.answer_table import AnswerRow, AnswerTable
from service.answers_kept.archive import Archive
from service.answers_kept.feedback import Helpfulness, Recorded
from service.answers_kept.record import utc_text
from service.core.redaction.persons import Persons, without_pseudonyms
from service.core.redaction.texts import WITHHELD
from service.kit.aws.bounded import StoreThreads
from service.warehouse.events import SCHEMA_VERSION

# Must never change: the same feedback at the same moment must have the same id.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:omni-channel-insights:answer-feedback")


class AnswerFeedback(Protocol):
    """The endpoint's port to the answers of all tasks and the feedback on them."""

    async def find(self, request_id: str) -> AnswerRow | None:
        """Return the answer of a request; None for a missing or expired one.

        Raises:
            StoreError: no answer in time.
        """
        ...

    async def record(
        self,
        row: AnswerRow,
        rating: Helpfulness,
        *,
        by: str,
        reason: FeedbackReason | None = None,
        comment: str | None = None,
        edited_output: str | None = None,
    ) -> Recorded:
        """Keep a feedback of the client ``by`` in S3 and in the answer's row. Repeating the row's current one changes nothing.

        Raises:
            StoreError: a store failed. The client must retry; a retry also repairs the row.
        """
        ...


class AnswerFeedbackStore:
    """Implements ``AnswerFeedback`` over the answers' table and the archive."""

    def __init__(self, table: AnswerTable, archive: Archive, *, timeout_s: float, now: Callable[[], datetime]) -> None:
        self._table = table
        self._archive = archive
        self._now = now
        self._threads = StoreThreads("the feedback stores", timeout_s=timeout_s)

    async def find(self, request_id: str) -> AnswerRow | None:
        """See ``AnswerFeedback.find``."""
        return await self._threads.run(self._table.get, request_id, self._now())

    async def record(
        self,
        row: AnswerRow,
        rating: Helpfulness,
        *,
        by: str,
        reason: FeedbackReason | None = None,
        comment: str | None = None,
        edited_output: str | None = None,
    ) -> Recorded:
        """See ``AnswerFeedback.record``."""
        return await self._threads.run(self._record, row, rating, by, reason, comment, edited_output)

    def _record(
        self,
        row: AnswerRow,
        rating: Helpfulness,
        by: str,
        reason: FeedbackReason | None,
        comment: str | None,
        edited: str | None,
    ) -> Recorded:
        about, before = row.answer, row.verdict
        said = (rating, reason, _clean(comment, about), _clean(edited, about))
        repeated = before is not None and said == (
            before.helpful_feedback,
            before.reason,
            before.comment,
            before.edited_output,
        )
        # A double click counts once: the same moment gives the same id, object and row.
        at = before.feedback_timestamp if repeated and before is not None else utc_text(self._now())
        verdict = AnswerVerdict(
            feedback_id=str(uuid.uuid5(_NAMESPACE, json.dumps([about.request_id, at, *said]))),
            feedback_timestamp=at,
            helpful_feedback=rating,
            reason=reason,
            comment=said[2],
            edited_output=said[3],
            by=by,
            schema_version=SCHEMA_VERSION,
            **{name: getattr(about, name) for name in _COPIED},
        )
        # The object first, as for summaries: the warehouse reads only objects.
        self._archive.put_json(verdict.object_key, verdict.model_dump_json())
        effect = "same" if repeated else self._table.set_feedback(verdict)
        return Recorded(
            feedback_id=verdict.feedback_id, object_key=verdict.object_key, feedback_timestamp=at, effect=effect
        )


_COPIED = (
    "task",
    "request_id",
    "customer",
    "conversation",
    "generated_at",
    "model_used",
    "prompt_version",
    "pair",
    "pair_digest",
)


def _clean(text: str | None, about: KeptAnswer) -> str | None:
    """Return a text without the persons that the answer's record knows, and without what the patterns find."""
    if text is None:
        return None
    try:
        return Persons().clean_output(without_pseudonyms(text, about.persons))
    except Exception:  # fail closed: if redaction fails in any way, the text is not kept
        return WITHHELD
