"""A warehouse of 74 answers on three days; their figures are worked out by hand in the tests that use it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa

from service.loading.arrow_tables import schema_of
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import AuditEvent, FeedbackEvent, FindingEvent, SummaryEvent


def write_warehouse(path):
    rows = _answers()
    unhappy = [row for row in rows if row["helpful_feedback"] == "not_helpful"]
    silent = [row for row in rows if row["helpful_feedback"] is None]
    edits = [_edit(row) for row in (*unhappy[:2], silent[0])]
    path.parent.mkdir(parents=True, exist_ok=True)
    warehouse = DuckWarehouse(path)
    warehouse.migrate()
    warehouse.merge(SummaryEvent, pa.Table.from_pylist(rows))
    warehouse.merge(FeedbackEvent, pa.Table.from_pylist(edits))
    warehouse.merge(AuditEvent, pa.Table.from_pylist(_conversations(), schema=schema_of(AuditEvent)))
    warehouse.merge(FindingEvent, pa.Table.from_pylist([_finding()], schema=schema_of(FindingEvent)))
    warehouse.close()
    return path


def _answers():
    """Nov 16: 40 of alpha (30 helpful, 10 not). Nov 17: 20 of alpha (16, 2, 2 silent), 10 of beta (5, 5). Nov 18: 4 empty ones.

    The n-th answer took 10 n ms. Of alpha's silent ones on Nov 17 both are transfers, the first with a reused summary. Nov 16
    asked a model for all 40, with a cached prefix for 30. Three of beta's came from the backup, one is a digest. Alpha's model is
    nova-lite ($0.008 to 0.012 in the plan (R-COST)), beta's claude-3-5-haiku ($0.025 to 0.035).
    """
    rows = []

    def add(count, day, pair="alpha", verdict=None, intent="billing", client="salesforce", cost="0.0002", **more):
        for _ in range(count):
            number = len(rows)
            when = datetime(2026, 11, day, 8, tzinfo=UTC) + timedelta(minutes=number)
            row = dict.fromkeys(SummaryEvent.model_fields)
            row |= {name: "x" for name, field in SummaryEvent.model_fields.items() if field.annotation is str}
            row |= {name: 0 for name, field in SummaryEvent.model_fields.items() if field.annotation is int}
            row |= {name: False for name, field in SummaryEvent.model_fields.items() if field.annotation is bool}
            row |= {"contact_id": f"c{number}", "account_number": f"a{number}", "initial_contact_id": f"i{number}"}
            row |= {"request_id": f"req-{number:012x}", "generation_timestamp": when, "latency_ms": 10 * (number + 1)}
            row |= {"pair": pair, "ivr_intent": intent, "client": client, "cost_usd": Decimal(cost), "arm": "primary"}
            row |= {"helpful_feedback": verdict, "feedback_timestamp": when if verdict else None}
            row |= {"model_used": "nova-lite" if pair == "alpha" else "claude-3-5-haiku"}
            row |= {"last_channel": "ivr", "rollout_arm": "production", "environment": "local", "task": "summarize"}
            rows.append(row | more)

    add(30, 16, verdict="helpful", input_tokens=1000, prompt_cache_read_tokens=500)
    add(10, 16, verdict="not_helpful", input_tokens=1000)
    add(16, 17, verdict="helpful")
    add(2, 17, verdict="not_helpful")
    first = rows[40]
    same = {"account_number": first["account_number"], "initial_contact_id": first["initial_contact_id"]}
    for minutes, reused in ((1, True), (5, False)):
        when = first["generation_timestamp"] + timedelta(minutes=minutes)
        add(1, 17, cache_hit=reused, **same)
        rows[-1]["generation_timestamp"] = when
    add(3, 17, pair="beta", verdict="helpful", intent="outage", client="connect", cost="0.0005", arm="backup")
    add(2, 17, pair="beta", verdict="helpful", intent="outage", client="connect", cost="0.0005")
    add(4, 17, pair="beta", verdict="not_helpful", intent="outage", client="connect", cost="0.0005")
    add(1, 17, pair="beta", verdict="not_helpful", intent="outage", client="connect", cost="0.0005", arm="fallback",
        degraded=True)  # fmt: skip
    add(4, 18, cost="0", arm="none", last_channel=None)
    return rows


def _conversations():
    """Task assistant. Nov 16: 10 conversations of two turns, each with one use of a tool; 6 closed, 3 handed over, 1 abandoned.

    One turn of the 20 had a hallucination and was corrected; one use failed. Nov 17: one more, handed over after a callback.
    """
    rows = []

    def add(session, minute, kind, day=16, **more):
        row = dict.fromkeys(AuditEvent.model_fields)
        row |= {"event_id": f"e{len(rows)}", "session_id": f"s{session}", "level": "INFO", "event_type": kind}
        row |= {"event_timestamp": datetime(2026, 11, day, 9, minute, session, tzinfo=UTC), "task": "assistant"}
        row |= {"correlation_id": f"req-{session}-{minute}", "environment": "local", "schema_version": 1}
        rows.append(row | {"data": "{}", "source_key": "k"} | more)

    for session in range(11):
        day = 16 if session < 10 else 17
        handed = session in (6, 7, 8, 10)
        add(session, 0, "conversation_start", day, channel="chat")
        for minute in (1, 2):
            wrong = (session, minute) == (4, 1)
            add(session, minute, "validation_check", day, validation_passed=True, hallucination_detected=wrong)
            triggered = handed and minute == 2
            reason = ("explicit_request" if session != 8 else "customer_frustration") if triggered else None
            add(
                session,
                minute,
                "handover_decision",
                day,
                handover_triggered=triggered,
                reason=reason,
                total_turns=minute,
            )
        tool = "transfer_to_agent" if handed else "get_debit_card_info"
        add(
            session,
            2,
            "tool_invocation",
            day,
            tool_name=tool,
            latency_ms=20.0,
            level="WARN" if session == 3 else "INFO",
        )
        if session == 10:
            add(session, 2, "tool_invocation", day, tool_name="request_callback", latency_ms=20.0)
        status = "transferred" if handed else "abandoned" if session == 9 else "resolved"
        add(session, 3, "conversation_end", day, resolution_status=status, duration_seconds=180.0, total_turns=2)
    return rows


def _finding():
    found = dict.fromkeys(FindingEvent.model_fields, "x") | {
        "finding_timestamp": datetime(2026, 11, 16, 9, 1, tzinfo=UTC)
    }
    found |= {"task": "assistant", "hallucination_type": "fabricated_data", "severity": "medium", "schema_version": 1}
    return found | {"action_taken": "regenerated"}


def _edit(row):
    edit = {name: row.get(name, "x") for name in FeedbackEvent.model_fields}
    return edit | {
        "feedback_id": f"f-{row['request_id']}",
        "helpful_feedback": "not_helpful",
        "feedback_timestamp": row["generation_timestamp"],
        "summary_timestamp": row["generation_timestamp"],
        "comment": None,
        "reason": None,
        "edited_summary": "better words",
    }
