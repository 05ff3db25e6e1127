"""Checks every row before it is loaded, with pandera schemas over whole batches, and reports broken rows with their failures.

The checks cover ranges, allowed values and relations between columns. Types were already checked when the record was read.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, get_args

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.compute as pc
from pandera.errors import SchemaErrors

from service.audit.record import DATA_OF, AuditLevel, FindingAction, ResolutionStatus
from service.core.run.task import Arm
from service.core.statements.answers.finding import Severity
from service.core.unit.channel import RECORDED
from service.warehouse.events import (
    AnswerDetailEvent,
    AuditEvent,
    CustomerEvent,
    FeedbackEvent,
    FindingEvent,
    InteractionEvent,
    PromiseEvent,
    ReleaseEvent,
    SummaryEvent,
    WarehouseEvent,
)

CLOCK_SKEW = timedelta(minutes=5)  # the largest accepted difference between two machines' clocks
# The service is younger: an earlier time comes from a clock that was not set.
OLDEST = pd.Timestamp("2020-01-01", tz="UTC")
_LONGEST_ANSWER_MS = 600_000
_MOST_TOKENS = 10_000_000
_MOST_USD = 100.0
_LONGEST_TEXT_BYTES = 65_535  # Redshift's VARCHAR
_LONGEST_ID_BYTES = 128


_Columns = dict[str, pandera.Column]


def _each(names: Sequence[str], *checks: pandera.Check, nullable: bool = False) -> _Columns:
    return {name: pandera.Column(None, list(checks), nullable=nullable) for name in names}


def _between(low: float, high: float, *names: str, nullable: bool = False) -> _Columns:
    return _each(names, pandera.Check.in_range(low, high, error=f"{low:g} to {high:g}"), nullable=nullable)


def _one_of(values: Sequence[str], *names: str, nullable: bool = False) -> _Columns:
    return _each(names, pandera.Check.isin(values, error="one of " + ", ".join(values)), nullable=nullable)


def _bytes(most: int, *names: str, least: int = 0, nullable: bool = False) -> _Columns:
    return _each(names, pandera.Check.in_range(least, most, error=f"{least} to {most} bytes"), nullable=nullable)


def _not_after(limit: pd.Timestamp, *names: str) -> _Columns:
    return _each(
        names,
        pandera.Check.less_than_or_equal_to(limit, error="not in the future"),
        pandera.Check.greater_than_or_equal_to(OLDEST, error=f"not before {OLDEST.year}"),
    )


def _rule(name: str, holds: Callable[[pd.DataFrame], Any]) -> pandera.Check:
    return pandera.Check(holds, error=name)


def _summary(limit: pd.Timestamp) -> pandera.DataFrameSchema:
    tokens = [name for name in SummaryEvent.model_fields if name.endswith("_tokens")]
    return pandera.DataFrameSchema(
        _not_after(limit, "generation_timestamp")
        | _between(0, _LONGEST_ANSWER_MS, "latency_ms")
        | _between(0, _MOST_USD, "cost_usd", nullable=True)
        | _one_of(get_args(Arm), "arm")
        | _one_of(("production", "candidate"), "rollout_arm")
        | _one_of(("local", "aws", "unknown"), "environment")
        | _between(0, 10_000, "interactions_considered", "guard_findings")
        | _between(0, 36_500, "history_days")
        | _between(0, 3_650, "max_history_days")
        | _between(0, 200, "max_interactions")
        | _between(0, 1_000_000, "registry_version")
        | _between(0, 20_000, "summary_words")
        | _bytes(_LONGEST_TEXT_BYTES, "summary_text", least=1)
        | _bytes(2 * _LONGEST_ID_BYTES, "contact_id", "unique_process_id", "initial_contact_id", least=1)
        | _bytes(_LONGEST_ID_BYTES, "ivr_intent")
        | _bytes(_LONGEST_ID_BYTES, "request_id", "pair_digest", least=1)
        | _bytes(64, "task", least=1)
        | _between(0, _MOST_TOKENS, *tokens),
        checks=[
            _rule("as many interactions as are listed", lambda f: f["interactions_considered"] == f["interactions"]),
            _rule("at most max_interactions", lambda f: f["interactions_considered"] <= f["max_interactions"]),
        ],
        unique_column_names=True,
    )


def _interaction(limit: pd.Timestamp) -> pandera.DataFrameSchema:
    return pandera.DataFrameSchema(
        _between(0, 199, "position") | _one_of(RECORDED, "channel") | _bytes(_LONGEST_ID_BYTES, "intent"),
        checks=[
            _rule(
                "not newer than its summary",
                lambda f: f["interaction_timestamp"] <= f["generation_timestamp"] + CLOCK_SKEW,
            )
        ],
    )


def _feedback(limit: pd.Timestamp) -> pandera.DataFrameSchema:
    return pandera.DataFrameSchema(
        _one_of(("helpful", "not_helpful"), "helpful_feedback")
        | _not_after(limit, "feedback_timestamp", "summary_timestamp")
        | _bytes(_LONGEST_ID_BYTES, "feedback_id", "request_id", least=1)
        | _bytes(2 * _LONGEST_ID_BYTES, "contact_id", least=1)
        | _bytes(_LONGEST_TEXT_BYTES, "comment", "edited_summary", nullable=True)
        | _bytes(64, "task", least=1),
        checks=[
            _rule("not before its summary", lambda f: f["feedback_timestamp"] >= f["summary_timestamp"] - CLOCK_SKEW)
        ],
    )


def _answer_detail(limit: pd.Timestamp) -> pandera.DataFrameSchema:
    return pandera.DataFrameSchema(
        _not_after(limit, "generation_timestamp")
        | _bytes(_LONGEST_ID_BYTES, "request_id", least=1)
        | _bytes(64, "task", least=1)
        | _bytes(64, "conversation", least=1, nullable=True)
        | _bytes(_LONGEST_TEXT_BYTES, "inputs", nullable=True)
        | _bytes(_LONGEST_TEXT_BYTES, "tools")
    )


def _audit_event(limit: pd.Timestamp) -> pandera.DataFrameSchema:
    return pandera.DataFrameSchema(
        _not_after(limit, "event_timestamp")
        | _bytes(160, "event_id", least=1)
        | _bytes(64, "session_id", "task", least=1)
        | _one_of(tuple(DATA_OF), "event_type")
        | _one_of(get_args(AuditLevel), "level")
        | _bytes(_LONGEST_ID_BYTES, "tool_name", nullable=True)
        | _bytes(256, "reason", nullable=True)
        | _one_of(get_args(ResolutionStatus), "resolution_status", nullable=True)
        | _bytes(_LONGEST_TEXT_BYTES, "data", nullable=True)
    )


def _finding(limit: pd.Timestamp) -> pandera.DataFrameSchema:
    return pandera.DataFrameSchema(
        _not_after(limit, "finding_timestamp")
        | _bytes(160, "log_id", least=1)
        | _bytes(64, "hallucination_type", least=1)
        | _one_of(get_args(Severity), "severity")
        | _one_of(get_args(FindingAction), "action_taken")
        | _bytes(_LONGEST_TEXT_BYTES, "tool_results", nullable=True)
        | _bytes(_LONGEST_TEXT_BYTES, "user_query", "model_response", "validation_details")
    )


def _customer_event(limit: pd.Timestamp) -> pandera.DataFrameSchema:
    # A customer's history is older than the service.
    times = [pandera.Check.less_than_or_equal_to(limit, error="not in the future")]
    return pandera.DataFrameSchema(
        _each(("occurred_at", "known_at"), *times)
        | _one_of(("customer", "service", "payment"), "event_type")
        | _bytes(2 * _LONGEST_ID_BYTES, "event_id", least=1)
        | _bytes(200, "service", least=1, nullable=True)
        | _between(1, 5, "satisfaction", nullable=True)
        | _between(-1e6, 1e6, "amount", nullable=True)
        | _between(1500, 2100, "home_built", nullable=True),
        checks=[
            _rule("a service names what was done", lambda f: (f["event_type"] != "service") | f["service"].notna()),
            _rule("a payment has an amount", lambda f: (f["event_type"] != "payment") | f["amount"].notna()),
            _rule("only a service has a mark", lambda f: (f["event_type"] == "service") | f["satisfaction"].isna()),
        ],
    )


def _release(limit: pd.Timestamp) -> pandera.DataFrameSchema:
    return pandera.DataFrameSchema(
        _not_after(limit, "released_at") | _one_of(("promote", "rollback", "restore"), "kind") | _bytes(4096, "why")
    )


def _promise(limit: pd.Timestamp) -> pandera.DataFrameSchema:
    return pandera.DataFrameSchema(
        _between(0, 1_000_000_000, "n") | _bytes(_LONGEST_ID_BYTES, "metric", least=1),
        checks=[_rule("low is not above high", lambda f: ~(f["low"] > f["high"]))],
    )


_SCHEMAS: Mapping[type[WarehouseEvent], Callable[[pd.Timestamp], pandera.DataFrameSchema]] = {
    SummaryEvent: _summary,
    InteractionEvent: _interaction,
    FeedbackEvent: _feedback,
    AnswerDetailEvent: _answer_detail,
    AuditEvent: _audit_event,
    FindingEvent: _finding,
    ReleaseEvent: _release,
    CustomerEvent: _customer_event,
    PromiseEvent: _promise,
}


def broken_rows(
    event: type[WarehouseEvent], rows: pa.Table, now: datetime, *, interactions: pa.Array | None = None
) -> dict[int, str]:
    """Return the rows that fail a check: row number to failed columns and rules; no value is quoted.

    Args:
        event: the event class of the rows.
        rows: the event's columns.
        now: aware; a time more than five minutes after it fails.
        interactions: for summaries, how many interactions each record listed.
    """
    if rows.num_rows == 0:
        return {}
    schema = _SCHEMAS[event](pd.Timestamp(now + CLOCK_SKEW))
    frame = _frame(schema, rows, interactions)
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as err:
        return _by_row(err.failure_cases, rows.num_rows)
    return {}


def _frame(schema: pandera.DataFrameSchema, rows: pa.Table, interactions: pa.Array | None) -> pd.DataFrame:
    # Only the checked columns, and only the lengths of texts, so that pandera's error report cannot quote a customer's text.
    columns: dict[str, Any] = {}
    for name in rows.column_names:
        values = rows[name]
        checks = schema.columns[name].checks if name in schema.columns else []
        if checks and str(checks[0].error).endswith(" bytes"):
            values = pc.binary_length(values)
        elif pa.types.is_decimal(values.type):
            values = pc.cast(values, pa.float64())
        elif name not in schema.columns and not pa.types.is_timestamp(values.type) and name not in ("low", "high"):
            continue
        columns[name] = values.to_pandas()
    if interactions is not None:
        columns["interactions"] = interactions.to_pandas()
    return pd.DataFrame(columns)


def _by_row(failures: pd.DataFrame, count: int) -> dict[int, str]:
    found: dict[int, list[str]] = {}
    for context, column, check, index in zip(
        failures["schema_context"], failures["column"], failures["check"], failures["index"], strict=True
    ):
        # pandera reports a rule about a whole row once for each column of the row.
        what = f"{column}: {check}" if context == "Column" else str(check)
        # A check that could not run at all reports no row; then every row of the batch fails.
        for row in range(count) if pd.isna(index) else (int(index),):
            reasons = found.setdefault(row, [])
            if what not in reasons:
                reasons.append(what)
    return {row: "; ".join(reasons) for row, reasons in found.items()}
