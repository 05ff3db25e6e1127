"""From request and answer to reuse scope and stored record; the counts that metrics read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from builders import make_pair

from service.answers_kept.record import time_partition
from service.answers_kept.store import Summaries
from service.api.answer_path import Answered, answer_facts
from service.api.insights import InsightsRequest, SummaryFace, reuse_scope
from service.core.llm.pricing import Usage
from service.core.release.served import ServedPair
from service.core.run.task import TaskResult
from service.core.unit.interaction import Interaction
from service.core.unit.pair import Pair
from service.interactions.reader import InteractionPage
from service.warehouse.events import SCHEMA_VERSION

NOW = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)
PAIR = make_pair("summarize")


def _scope(pair: Pair = PAIR, **changes: Any) -> str:
    fields = {"account_number": "1234", "contact_id": "i", "ivr_intent": "billing"} | changes
    return reuse_scope(InsightsRequest(**fields), pair).digest()


@pytest.mark.acceptance("request.ivr_intent")
def test_the_reason_counts_only_where_the_prompt_holds_it() -> None:
    assert _scope() == _scope(ivr_intent="outage")
    with_reason = replace(PAIR, variables=("contact_reason", "history"))
    assert _scope(with_reason) != _scope(with_reason, ivr_intent="outage")
    assert _scope() != _scope(with_reason)


@pytest.mark.acceptance("record-07", "record.arm", "record.query", "record.interactions")
async def test_the_record_holds_the_answer_the_query_and_what_was_seen_without_its_text(api_runtime: Any) -> None:
    seen = Interaction(
        interaction_id="a", channel="ivr", timestamp=NOW - timedelta(hours=1), intent="billing", text="Hi"
    )

    class History:
        async def history(self, *_: Any) -> InteractionPage:
            return InteractionPage(interactions=(seen,), query="Query t: one account")

    result = TaskResult(
        output="x",
        arm="backup",
        model="m",
        answered_by="m",
        latency_ms=1.0,
        usage=Usage(input_tokens=30, output_tokens=4, cache_write_tokens=5, cache_read_tokens=6),
        guarded=("secret", "amount"),
        guard_findings=3,
        repaired=True,
    )

    async def ask() -> TaskResult:
        return result

    served = ServedPair(
        pair=PAIR, registry_version=1, sequence=1, released_at="t", released_by="d", source="registry", rollout_arm="candidate"
    )  # fmt: skip
    runtime = api_runtime(interactions=History(), now=lambda: NOW)
    caller = SimpleNamespace(client_id="salesforce")
    request: Any = SimpleNamespace(state=SimpleNamespace(caller=caller))
    face = SummaryFace(InsightsRequest(account_number="1234", contact_id="c", ivr_intent="billing"), runtime)
    await face.read(served)
    await face.once(ask, request_id="x", patience_s=1.0)
    facts = answer_facts(result, served, request, runtime) | {"request_id": "x", "latency_ms": 3}
    answered = Answered(request_id="x", result=result, output="x", served=served, facts=facts)
    assert await face.keep(answered, patience_s=1.0) is False
    record = face.record
    assert record.model_dump(exclude={"unique_process_id", "interactions"}) == {
        "request_id": "x",
        "account_number": "1234",
        "contact_id": "c",
        "initial_contact_id": "c",
        "ivr_intent": "billing",
        "summary": "x",
        "date_range": "2026-11-21 to 2026-11-21",
        "model_used": "m",
        "answered_by": "m",
        "arm": "backup",
        "cache_hit": False,
        "reused_from": None,
        "reuse_key": None,
        "prompt_cache_read_tokens": 6,
        "latency_ms": 3,
        "generated_at": "2026-11-21T23:59:00.000Z",
        "max_history_days": 90,
        "max_interactions": 10,
        "channel_filter": None,
        "prompt_version": f"v{PAIR.version}",
        "pair": PAIR.name,
        "pair_digest": PAIR.digest,
        "registry_version": 1,
        "degraded": False,
        "cost_usd": "0",
        "interactions_considered": 1,
        "client": "salesforce",
        "rollout_arm": "candidate",
        "environment": "local",
        "input_tokens": 30,
        "output_tokens": 4,
        "prompt_cache_write_tokens": 5,
        "guard_findings": 3,
        "guard_kinds": ("amount", "secret"),
        "repaired": True,
        "schema_version": SCHEMA_VERSION,
        "query": "Query t: one account",
    }
    assert [item.model_dump() for item in record.interactions] == [
        {"channel": "ivr", "timestamp": "2026-11-21T22:59:00.000Z", "intent": "billing"}
    ]
    assert record.object_key == "omni-channel/processed/year=2026/month=11/day=21/hour=23/x.json"


def test_partitions_are_hours_of_utc() -> None:
    assert time_partition("p/", "2026-01-02T03:04:05.000Z") == "p/year=2026/month=01/day=02/hour=03/"


def test_summaries_made_of_nothing_count_nothing() -> None:
    summaries = Summaries()
    summaries.open()
    summaries.close()
    assert set(summaries.snapshot().values()) == {0}
