"""Keeps feedback: each one as a JSON object in S3, the newest also in its summary's row."""

import json
import uuid
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

from service.answers_kept.archive import Archive
from service.answers_kept.feedback import Ambiguous, FeedbackTarget, Helpfulness, Recorded, SummaryRow
from service.answers_kept.record import FEEDBACK_PREFIX, time_partition, utc_text
from service.answers_kept.table import SummaryTable
from service.kit.aws.bounded import StoreThreads
from service.warehouse.events import SCHEMA_VERSION

# Must never change: the same feedback at the same moment must have the same id.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:omni-channel-insights:feedback")


class FeedbackStore:
    """Implements ``service.answers_kept.feedback.Feedback`` over the summary table and the archive."""

    def __init__(self, table: SummaryTable, archive: Archive, *, timeout_s: float, now: Callable[[], datetime]) -> None:
        self._table = table
        self._archive = archive
        self._now = now
        self._threads = StoreThreads("the feedback stores", timeout_s=timeout_s)

    async def resolve(self, shape: FeedbackTarget) -> SummaryRow | Ambiguous | None:
        """See ``Feedback.resolve``."""
        return await self._threads.run(self._table.resolve, shape, self._now())

    async def record(
        self, row: SummaryRow, verdict: Helpfulness, comment: str | None = None, edited_summary: str | None = None
    ) -> Recorded:
        """See ``Feedback.record``."""
        return await self._threads.run(self._record, row, verdict, comment, edited_summary)

    def _record(self, row: SummaryRow, verdict: Helpfulness, comment: str | None, edited: str | None) -> Recorded:
        repeated = (row.helpful_feedback, row.comment, row.edited_summary) == (verdict, comment, edited)
        # A double click counts once: the same moment gives the same id, object and row.
        at = row.feedback_timestamp if repeated and row.feedback_timestamp else utc_text(self._now())
        feedback_id = str(uuid.uuid5(_NAMESPACE, json.dumps([row.request_id, at, verdict, comment, edited])))
        key = f"{time_partition(FEEDBACK_PREFIX, at)}{feedback_id}.json"
        summary = asdict(row)
        for name in ("item_key", "helpful_feedback", "feedback_timestamp", "comment", "edited_summary"):
            del summary[name]
        verdict_fields = {"helpful_feedback": verdict, "comment": comment, "edited_summary": edited}
        written = {"feedback_id": feedback_id, "feedback_timestamp": at, "schema_version": SCHEMA_VERSION}
        body = {**written, **verdict_fields, **summary}
        # The object first: the warehouse reads only objects, so it would never see feedback that is in the row alone. If the row
        # fails, the client retries and the row is then right.
        self._archive.put_json(key, json.dumps(body, ensure_ascii=False))
        effect = "same" if repeated else self._table.set_feedback(row, verdict, at, comment, edited)
        return Recorded(feedback_id=feedback_id, object_key=key, feedback_timestamp=at, effect=effect)
