"""Feedback of agents on summaries: the ways to name a summary, and the port to the stores."""

from dataclasses import dataclass
from typing import Literal, Protocol

Helpfulness = Literal["helpful", "not_helpful"]
# The effect of a feedback on its summary's row: the first one, a different one than before, the same again, or none because the
# row holds a newer one.
Effect = Literal["first", "changed", "same", "late"]


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
    """Shape C: exactly the summary that one request got."""

    request_id: str


FeedbackTarget = ByProcess | ByContact | ByRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """One answered request with the fields that feedback is reported by. ``item_key`` is the row's key in the table."""

    item_key: str
    unique_process_id: str
    request_id: str
    account_number: str
    contact_id: str
    initial_contact_id: str
    generated_at: str
    model_used: str
    answered_by: str
    prompt_version: str
    pair: str
    pair_digest: str
    latency_ms: int
    cache_hit: bool
    degraded: bool
    helpful_feedback: Helpfulness | None = None
    feedback_timestamp: str | None = None
    comment: str | None = None
    edited_summary: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguous:
    """The shape fits several summaries; the client must name one of these request ids (newest first) instead."""

    request_ids: tuple[str, ...]


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


class Feedback(Protocol):
    """The endpoint's port to the feedback stores."""

    async def resolve(self, shape: FeedbackTarget) -> SummaryRow | Ambiguous | None:
        """Return the one summary that ``shape`` names, ``Ambiguous`` for several, or None for a missing or expired one.

        Raises:
            StoreError: no answer in time.
        """
        ...

    async def record(
        self, row: SummaryRow, verdict: Helpfulness, comment: str | None = None, edited_summary: str | None = None
    ) -> Recorded:
        """Keep a feedback in S3 and in the summary's row. Repeating the row's current feedback changes nothing.

        Raises:
            StoreError: a store failed. The client must retry; a retry also repairs the row.
        """
        ...
