"""An agent's verdict on a summary: which summary is meant, and where the verdict is kept."""

from dataclasses import dataclass
from typing import Literal, Protocol

Helpfulness = Literal["helpful", "not_helpful"]
# What a verdict did in its summary's row: the first one there, another one than before, the same again, or none at all because
# a newer one stands there.
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
    """One answered request, with what its feedback is compared by. ``item_key`` is the table's key of the row."""

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
    """The shape names several summaries; one of these request ids has to be named instead, newest first."""

    request_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What became of a verdict. ``object_key`` is its file in S3."""

    feedback_id: str
    object_key: str
    feedback_timestamp: str
    effect: Effect

    @property
    def current(self) -> bool:
        """False when a newer verdict stands in the row."""
        return self.effect != "late"


class Feedback(Protocol):
    """The port that the endpoint talks to."""

    async def resolve(self, shape: FeedbackTarget) -> SummaryRow | Ambiguous | None:
        """Return the one summary that ``shape`` names, the several, or None when there is none (any more).

        Raises:
            StoreError: no answer in time.
        """
        ...

    async def record(
        self, row: SummaryRow, verdict: Helpfulness, comment: str | None = None, edited_summary: str | None = None
    ) -> Recorded:
        """Keep a verdict in S3 and in the summary's row. A repeat of the row's own verdict changes nothing.

        Raises:
            StoreError: a store does not take it; the caller asks again, and the row is then right.
        """
        ...
