"""Records as the service writes them, for the loader: ``summary``, ``feedback`` and ``release``, and each as an object."""

from datetime import UTC, datetime, timedelta

from builders import summary_record

from service.answers_kept.answer_record import AnswerVerdict, KeptAnswer
from service.answers_kept.record import FeedbackRecord, utc_text
from service.loading.objects import Fetched, ReleasePromise, ReleaseRecord

NOW = datetime(2025, 11, 21, 13, 0, tzinfo=UTC)  # past for every clock that runs these tests


def summary(number=1, **changes):
    at = NOW - timedelta(hours=2) + timedelta(seconds=number)
    fields = {
        "unique_process_id": f"p-{number}",
        "request_id": f"req-{number:06}",
        "account_number": f"{3308126945 + number}",
        "contact_id": f"c-{number}",
        "initial_contact_id": f"i-{number}",
        "summary": f"Delphine Marchetti disputes ${number}.50 of the last bill.",
        "generated_at": utc_text(at),
        "prompt_version": "1.0.0",
        "pair": "nova-lite-v1",
        "cost_usd": "0.0002340000",
        "interactions_considered": 2,
        "interactions": [
            {"channel": channel, "timestamp": utc_text(at - timedelta(days=days)), "intent": "billing"}
            for channel, days in (("ivr", 30), ("agent", 3))
        ],
        "client": "salesforce",
        "environment": "aws",
        "input_tokens": 900,
        "output_tokens": 120,
        "guard_kinds": ("number", "amount"),
        "schema_version": 1,
    }
    return summary_record(**fields | changes)


def feedback(number=1, *, minutes=10, verdict="helpful", of=None, **changes):
    about = of or summary(number)
    same = (
        "unique_process_id request_id account_number contact_id initial_contact_id generated_at model_used answered_by "
        "prompt_version pair pair_digest latency_ms cache_hit degraded"
    ).split()
    at = datetime.fromisoformat(about.generated_at) + timedelta(minutes=minutes)
    fields = {
        "feedback_id": f"fb-{number}-{minutes}-{verdict}",
        "feedback_timestamp": utc_text(at),
        "helpful_feedback": verdict,
        "schema_version": 1,
    }
    return FeedbackRecord(**fields | {name: getattr(about, name) for name in same} | changes)


def answer(number=1, **changes):
    at = NOW - timedelta(hours=2) + timedelta(seconds=number)
    fields = {
        "task": "desk",
        "request_id": f"req-{number:012}",
        "client": "phone",
        "tenant": "acme",
        "customer": "0123456789abcdef",
        "conversation": "id-abcdefghijklmnop",
        "persons": ("id-abcdefghijklmnop",),
        "generated_at": utc_text(at),
        "inputs": {"conversation_id": "id-abcdefghijklmnop", "question": "Where is Delphine Marchetti?", "order": 3},
        "output": '{"reply":"Delphine Marchetti paid $4.20.","conversation":"id-abcdefghijklmnop"}',
        "tools": [{"name": "orders", "status": "done", "reason": None}],
        "model_used": "nova-lite",
        "answered_by": "nova-lite",
        "arm": "primary",
        "degraded": False,
        "pair": "desk-v1",
        "pair_digest": "d" * 64,
        "prompt_version": "v1.0.0",
        "registry_version": 3,
        "rollout_arm": "production",
        "environment": "aws",
        "latency_ms": 812,
        "cost_usd": "0.0002",
        "schema_version": 1,
    }
    return KeptAnswer(**fields | changes)


def answer_verdict(number=1, *, minutes=10, verdict="helpful", of=None, **changes):
    about = of or answer(number)
    same = "task request_id customer conversation generated_at model_used prompt_version pair pair_digest".split()
    at = datetime.fromisoformat(about.generated_at) + timedelta(minutes=minutes)
    fields = {
        "feedback_id": f"afb-{number}-{minutes}-{verdict}",
        "feedback_timestamp": utc_text(at),
        "helpful_feedback": verdict,
        "by": "phone",
        "schema_version": 1,
    }
    return AnswerVerdict(**fields | {name: getattr(about, name) for name in same} | changes)


def release(sequence=1, **changes):
    fields = {
        "task": "summarize",
        "environment": "local",
        "sequence": sequence,
        "kind": "promote",
        "pair": "nova-lite-v1",
        "pair_digest": "d" * 64,
        "prompt_version": "1.0.0",
        "registry_version": 3,
        "released_at": NOW,
        "released_by": "dana",
        "why": "better than Haiku on 2025-11-20",
        "attestation_digest": "a" * 64,
        "promises": (ReleasePromise(metric="supported", value=0.97, low=0.95, high=0.99, n=200, unit="rate"),),
        "schema_version": 1,
    }
    return ReleaseRecord(**fields | changes)


def item(record, *, key=None, etag="e1"):
    return Fetched(key=key or record.object_key, etag=etag, body=record.model_dump_json().encode())
