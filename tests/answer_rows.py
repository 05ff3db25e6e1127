"""Rows of the warehouse's answers and feedback for tests: summaries, and answers of other tasks."""

from datetime import timedelta
from decimal import Decimal

from service.warehouse.events import FeedbackEvent, SummaryEvent

_COUNT = iter(range(10**6))
_SUMMARY = {
    "account_number": "acct:1", "summary_text": "Customer called.", "model_used": "nova-lite", "latency_ms": 1000,
    "cache_hit": False, "helpful_feedback": None, "feedback_timestamp": None, "unique_process_id": "p", "task": "summarize",
    "client": "salesforce",
    "ivr_intent": "billing", "answered_by": "nova-lite", "arm": "primary", "degraded": False, "prompt_version": "v1.0.0",
    "pair": "nova-lite", "pair_digest": "a" * 64, "registry_version": 1, "rollout_arm": "production", "environment": "local",
    "date_range": None, "interactions_considered": 5, "history_days": 30, "channels": "chat", "last_channel": "chat",
    "max_history_days": 365, "max_interactions": 50, "channel_filter": None, "input_tokens": 1000, "output_tokens": 100,
    "prompt_cache_read_tokens": 0, "prompt_cache_write_tokens": 0, "cost_usd": Decimal("0.0001"), "guard_findings": 0,
    "guard_kinds": "", "repaired": False, "summary_words": 50, "schema_version": 1, "source_key": "omni-channel/processed/x.json",
}  # fmt: skip


# What a row of a task without contacts and interactions holds there.
_OF_TASK = {
    "ivr_intent": "", "last_channel": None, "channels": "", "interactions_considered": 0, "history_days": 0,
    "max_history_days": 0, "max_interactions": 0, "summary_text": "an answer",
}  # fmt: skip


def answer(at, verdict=None, *, task, conversation=None, **changes):
    """Return the row of an answer of ``POST /v1/<task>``, in its conversation if it has one."""
    given = _OF_TASK | {"task": task, "summary_id": "", "contact_id": ""} | changes
    row = summary(at, verdict, **given)
    ids = {
        "summary_id": row.request_id,
        "contact_id": row.request_id,
        "initial_contact_id": conversation or row.request_id,
    }
    return row.model_copy(update=ids)


def summary(at, verdict=None, **changes):
    number = next(_COUNT)
    given = {
        "contact_id": f"c{number}", "initial_contact_id": f"c{number}", "request_id": f"r{number}", "summary_id": f"r{number}",
        "generation_timestamp": at, "helpful_feedback": verdict,
        "feedback_timestamp": at + timedelta(minutes=5) if verdict else None,
    }  # fmt: skip
    return SummaryEvent(**(_SUMMARY | given | changes))


def feedback(of, **changes):
    given = {
        "feedback_id": f"f-{of.request_id}", "helpful_feedback": of.helpful_feedback or "not_helpful", "comment": None,
        "feedback_timestamp": of.feedback_timestamp or of.generation_timestamp, "edited_summary": None,
        "reason": None, "summary_timestamp": of.generation_timestamp, "schema_version": 1,
        "source_key": "omni-channel/feedback/x.json",
    }  # fmt: skip
    copied = {
        name: getattr(of, name)
        for name in FeedbackEvent.model_fields
        if name in SummaryEvent.model_fields and name not in given
    }
    return FeedbackEvent(**(copied | given | changes))
