"""From request and answer to reuse scope and stored record; the counts that metrics read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from builders import make_pair

from service.answers_kept.record import SummaryRecord, time_partition, utc_text
from service.answers_kept.reuse import ReuseOutcome
from service.answers_kept.store import Summaries
from service.api.kept import reuse_scope, summary_record
from service.core.llm.pricing import Usage
from service.core.run.task import TaskResult
from service.core.tasks.summarize import SummarizeInputs
from service.core.unit.interaction import HistoryFilter, Interaction
from service.core.unit.pair import Pair
from service.interactions.reader import InteractionPage
from service.warehouse.events import SCHEMA_VERSION

NOW = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)
PAIR = make_pair("summarize")


def _scope(pair: Pair = PAIR, **changes: Any) -> str:
    fields = {"account_number": "1234", "initial_contact_id": "i", "ivr_intent": "billing"} | changes
    return reuse_scope(HistoryFilter(), pair=pair, **fields).digest()


def test_the_reason_counts_only_where_the_prompt_holds_it() -> None:
    assert _scope() == _scope(ivr_intent="outage")
    with_reason = replace(PAIR, variables=("contact_reason", "history"))
    assert _scope(with_reason) != _scope(with_reason, ivr_intent="outage")
    assert _scope() != _scope(with_reason)


def test_the_record_holds_the_answer_the_query_and_what_was_seen_without_its_text() -> None:
    seen = Interaction(
        interaction_id="a", channel="ivr", timestamp=NOW - timedelta(hours=1), intent="billing", text="Hi"
    )
    inputs = SummarizeInputs(
        as_of=NOW, account_number="1234", contact_id="c", ivr_intent="billing", interactions=(seen,)
    )
    response = dict.fromkeys(SummaryRecord.model_fields, "x") | {
        "cache_hit": True,
        "prompt_cache_read_tokens": 0,
        "latency_ms": 3,
        "generated_at": utc_text(NOW),
        "max_history_days": 90,
        "max_interactions": 10,
        "channel_filter": None,
        "registry_version": 1,
        "degraded": False,
        "interactions_considered": 1,
        "failure_code": None,
    }
    later = {name for name, field in SummaryRecord.model_fields.items() if not field.is_required()}
    for name in {"ivr_intent", "arm"} | later - {"prompt_cache_read_tokens"}:
        del response[name]
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
    record = summary_record(
        response,
        inputs,
        InteractionPage(interactions=(seen,), query="Query t: one account"),
        ReuseOutcome(result=result, reuse_key=None, reused_from="req-0"),
        client="salesforce",
        rollout_arm="candidate",
        environment="local",
    )
    assert (record.arm, record.reused_from, record.summary_id, record.query) == (
        "backup",
        "req-0",
        "req-0",
        "Query t: one account",
    )
    assert record.model_dump(include=later - {"reused_from", "reuse_key", "query", "interactions"}) == {
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
