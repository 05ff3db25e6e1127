"""Generates weeks of answers and feedback with known ground truth, for simulations, benchmarks and tests of the report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from reports.read.weeks import Week

INTENTS = ("billing", "outage", "payment_arrangement", "service_move", "complaint", "solar", "deposit", "fraud")
_INTENT_SHARES = (0.28, 0.16, 0.15, 0.12, 0.10, 0.08, 0.06, 0.05)
CHANNELS = ("agent", "chat", "email", "ivr", "sms")
_CHANNEL_SHARES = (0.34, 0.24, 0.14, 0.20, 0.08)
CLIENTS = ("salesforce", "connect")
_PLAIN = (
    "missed the open case",
    "too long, I had no time to read it",
    "the amount was not the one on the bill",
    "did not say what was promised to the customer",
    "repeats what the customer already told me",
)
_PLANTED = (
    "outage ticket number and restoration time left out",
    "no restoration time for the outage",
    "crew visit for the outage is missing",
)
_SUMMARY = (
    "Customer called about {intent}. Last contact was by {channel}. A ticket is open and a call back was promised."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A planted slice: from ``week`` (0 is the report's) on, answers with ``dimension`` = ``value`` have ``helpful_rate``."""

    dimension: str
    value: str
    helpful_rate: float
    week: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What to generate: ``answers`` over ``weeks`` weeks up to the report's ``week``; a release starts ``release_week``."""

    week: Week
    answers: int = 20_000
    weeks: int = 6
    rated_share: float = 0.2
    helpful_rate: float = 0.85
    release_week: int | None = 0
    planted: tuple[Planted, ...] = ()
    seed: int = 0
    task: str = "summarize"
    extra: Mapping[str, Any] = field(default_factory=dict)


def rows(scenario: Scenario) -> dict[str, pa.Table]:
    """Return the warehouse's tables by name, with columns as in ``service.warehouse.events``."""
    rng = np.random.default_rng(scenario.seed)
    first = scenario.week.shifted(1 - scenario.weeks).start
    drawn = _draw(scenario, first, rng)
    columns = _columns(scenario, drawn, rng)
    below = drawn.helpful_rate < scenario.helpful_rate
    return {
        "omni_summaries": pa.table(columns),
        "omni_feedback": _feedback(columns, drawn.rated, drawn.helpful, below, drawn.feedback_at, rng),
        **_releases(scenario, first),
    }


def _draw(scenario: Scenario, first: datetime, rng: np.random.Generator) -> SimpleNamespace:
    """Return the random draws for each answer, in arrays of one length; intent, channel, client and arm are indices."""
    n = scenario.answers
    span_ms = int((scenario.week.end - first).total_seconds() * 1000)
    at_ms = np.sort(rng.integers(0, span_ms, n))
    intent = rng.choice(len(INTENTS), n, p=_INTENT_SHARES)
    channel = rng.choice(len(CHANNELS), n, p=_CHANNEL_SHARES)
    client = rng.choice(len(CLIENTS), n, p=(0.8, 0.2))
    considered = np.minimum(rng.geometric(0.16, n) - 1, 80)
    released_ms = _release_ms(scenario, first)
    reused = rng.random(n) < 0.12
    arm = np.where(rng.random(n) < 0.03, 1, 0)
    arm = np.where(rng.random(n) < 0.008, 2, arm)
    latency = np.rint(np.where(reused, rng.gamma(4, 12, n), rng.lognormal(7.0, 0.45, n) + 1500 * (arm == 1)))
    tokens_in, tokens_out = 300 + 70 * considered, rng.poisson(110, n)
    helpful_rate = np.full(n, scenario.helpful_rate)
    for planted in scenario.planted:
        since = int((scenario.week.shifted(planted.week).start - first).total_seconds() * 1000)
        names = {"intent": np.asarray(INTENTS)[intent], "channel": np.asarray(CHANNELS)[channel]}
        names["client"] = np.asarray(CLIENTS)[client]
        helpful_rate[(names[planted.dimension] == planted.value) & (at_ms >= since)] = planted.helpful_rate
    rated, helpful = rng.random(n) < scenario.rated_share, rng.random(n) < helpful_rate
    generated = np.datetime64(first.replace(tzinfo=None), "ms") + at_ms.astype("timedelta64[ms]")
    return SimpleNamespace(
        intent=intent,
        channel=channel,
        client=client,
        considered=considered,
        new=at_ms >= released_ms,  # the second pair answers
        reused=reused,
        arm=arm,
        latency_ms=latency,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost_usd=np.where(reused | (arm == 2), 0.0, (0.06 * tokens_in + 0.24 * tokens_out) / 1e6),
        helpful_rate=helpful_rate,
        rated=rated,
        helpful=helpful,
        generated=generated,
        feedback_at=generated + rng.integers(20_000, 400_000, n).astype("timedelta64[ms]"),
    )


def _columns(scenario: Scenario, drawn: SimpleNamespace, rng: np.random.Generator) -> dict[str, Any]:
    n = scenario.answers
    ids = np.char.add(f"r{scenario.seed}-", np.arange(n).astype("U9"))
    texts = np.array([[_SUMMARY.format(intent=i, channel=c) for c in CHANNELS] for i in INTENTS], dtype=object)
    model = np.where(drawn.arm == 2, "extractive-digest", np.where(drawn.arm == 1, "nova-micro", "nova-lite"))
    channels = np.asarray(CHANNELS)[drawn.channel]
    columns: dict[str, Any] = {
        "contact_id": np.char.add("c-", ids),
        "account_number": np.char.add("acct:", (np.arange(n) // 3).astype("U9")),
        "summary_text": texts[drawn.intent, drawn.channel],
        "model_used": model,
        "generation_timestamp": _times(drawn.generated),
        "latency_ms": drawn.latency_ms.astype(np.int64),
        "cache_hit": drawn.reused,
        "helpful_feedback": pa.array(np.where(drawn.helpful, "helpful", "not_helpful"), mask=~drawn.rated),
        "feedback_timestamp": _times(drawn.feedback_at, mask=~drawn.rated),
        "request_id": ids,
        "unique_process_id": np.char.add("p-", ids),
        "initial_contact_id": np.where(drawn.reused, np.char.add("first-", ids), np.char.add("c-", ids)),
        "summary_id": ids,
        "client": np.asarray(CLIENTS)[drawn.client],
        "ivr_intent": np.asarray(INTENTS)[drawn.intent],
        "answered_by": model,
        "arm": np.asarray(["primary", "backup", "fallback"])[drawn.arm],
        "degraded": drawn.arm == 2,
        "prompt_version": np.where(drawn.new, "v1.1.0", "v1.0.0"),
        "pair_digest": np.where(drawn.new, "b" * 64, "a" * 64),
        "registry_version": np.where(drawn.new, 2, 1),
        "interactions_considered": drawn.considered,
        "history_days": np.minimum(drawn.considered * 9, 365),
        "last_channel": channels,
        "channels": channels,
        "input_tokens": drawn.tokens_in,
        "output_tokens": drawn.tokens_out,
        "prompt_cache_read_tokens": np.where(rng.random(n) < 0.6, 250, 0),
        "cost_usd": pa.array(drawn.cost_usd).cast(pa.float64()),
        "guard_findings": np.where(drawn.reused, 0, rng.poisson(0.04, n)),
        "summary_words": np.maximum(rng.normal(55, 12, n), 5).astype(np.int64),
    }
    constants = {
        "task": scenario.task, "pair": "nova-lite", "rollout_arm": "production", "environment": "local", "date_range": "",
        "max_history_days": 365, "max_interactions": 50, "channel_filter": None, "prompt_cache_write_tokens": 0,
        "guard_kinds": "",
        "repaired": False, "schema_version": 1, "source_key": "omni-channel/processed/x.json",
    }  # fmt: skip
    columns |= {
        name: pa.array([value] * n, pa.string() if value is None else None) for name, value in constants.items()
    }
    return columns | dict(scenario.extra)


def _times(values: Any, mask: Any = None) -> pa.Array:
    return pa.array(values.astype("datetime64[ms]"), pa.timestamp("ms", "UTC"), mask=mask)


def _release_ms(scenario: Scenario, first: datetime) -> int:
    if scenario.release_week is None:
        return 2**62
    return int((scenario.week.shifted(scenario.release_week).start - first).total_seconds() * 1000)


def _feedback(columns: Mapping[str, Any], rated: Any, helpful: Any, planted: Any, at: Any, rng: Any) -> pa.Table:
    chosen = np.flatnonzero(rated)
    n = len(chosen)
    unhelpful = ~helpful[chosen]
    said = np.where(
        planted[chosen], np.asarray(_PLANTED, dtype=object)[rng.integers(0, len(_PLANTED), n)],
        np.asarray(_PLAIN, dtype=object)[rng.integers(0, len(_PLAIN), n)],
    )  # fmt: skip
    edited = rng.random(n) < 0.06
    texts = np.asarray(columns["summary_text"], dtype=object)[chosen]
    copied = ("request_id", "contact_id", "initial_contact_id", "unique_process_id", "account_number", "pair_digest",
              "prompt_version", "model_used")  # fmt: skip
    return pa.table(
        {name: np.asarray(columns[name])[chosen] for name in copied}
        | {
            "feedback_id": np.char.add("f-", np.asarray(columns["request_id"])[chosen]),
            "helpful_feedback": np.where(unhelpful, "not_helpful", "helpful"),
            "feedback_timestamp": _times(at[chosen]),
            "comment": pa.array(said, mask=~(unhelpful & (rng.random(n) < 0.6))),
            "edited_summary": pa.array(texts + " Crew is on its way.", mask=~edited),
            "summary_timestamp": pa.array(columns["generation_timestamp"]).take(pa.array(chosen)),
            "pair": pa.array(["nova-lite"] * n),
            "schema_version": pa.array([1] * n),
            "source_key": pa.array(["omni-channel/feedback/x.json"] * n),
            "task": np.asarray(columns["task"])[chosen],
            "reason": pa.array([None] * n, pa.string()),
        }
    )


def _releases(scenario: Scenario, first: datetime) -> dict[str, pa.Table]:
    times = [first - timedelta(days=1)]
    if scenario.release_week is not None:
        times.append(scenario.week.shifted(scenario.release_week).start)
    numbers = range(1, len(times) + 1)
    releases = {
        "task": [scenario.task for _ in numbers],
        "environment": ["local" for _ in numbers],
        "sequence": list(numbers),
        "kind": ["promote" for _ in numbers],
        "pair": ["nova-lite" for _ in numbers],
        "pair_digest": ["ab"[number - 1] * 64 for number in numbers],
        "prompt_version": [f"v1.{number - 1}.0" for number in numbers],
        "registry_version": list(numbers),
        "released_at": pa.array([at.astimezone(UTC) for at in times], pa.timestamp("us", "UTC")),
        "released_by": ["dana" for _ in numbers],
        "why": ["shorter prompt" for _ in numbers],
        "attestation_digest": ["d" * 64 for _ in numbers],
    }
    figures = {
        "latency_p50": (1100.0, 1060.0, 1150.0, "ms"), "latency_p95": (2300.0, 2150.0, 2500.0, "ms"),
        "guard_clear": (0.965, 0.93, 0.98, "rate"), "answered": (0.97, 0.94, 0.99, "rate"),
        "cost_cold": (0.00007, 0.000066, 0.000074, "usd"), "chrf": (31.0, 29.0, 33.0, "score"),
    }  # fmt: skip
    promises: list[dict[str, Any]] = [
        {"task": scenario.task, "environment": "local", "sequence": number, "pair_digest": "ab"[number - 1] * 64,
         "metric": name, "value": value, "low": low, "high": high, "n": 200, "unit": unit}
        for number in numbers for name, (value, low, high, unit) in figures.items()
    ]  # fmt: skip
    return {"omni_releases": pa.table(releases), "omni_promises": pa.Table.from_pylist(promises)}
