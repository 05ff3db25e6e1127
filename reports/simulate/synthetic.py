"""Generates weeks of answers and feedback with known ground truth, for simulations, benchmarks and tests of the report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from reports.read.weeks import Week

INTENTS = ("billing", "outage", "payment_arrangement", "service_move", "complaint", "solar", "deposit", "fraud")
_INTENT_SHARES = (0.28, 0.16, 0.15, 0.12, 0.10, 0.08, 0.06, 0.05)
CHANNELS = ("agent", "chat", "email", "ivr", "sms")
_CHANNEL_SHARES = (0.34, 0.24, 0.14, 0.20, 0.08)
CLIENTS = ("salesforce", "connect")
_CANDIDATE_SHARE = 0.2
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


PlantedFigure = Literal["helpful", "degraded", "degraded and late", "latency", "grounding", "cost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A planted fault: from ``day`` on (0.5 is noon of the report's Monday), ``figure`` has ``level``.

    ``level`` is a rate, for latency and cost a factor. The fault strikes the answers with ``dimension`` = ``value``, where
    ``dimension`` is "" all of them, and with ``by_candidate`` only those of the candidate.
    """

    figure: PlantedFigure = "helpful"
    level: float
    dimension: str = ""
    value: str = ""
    day: float = 0.0
    by_candidate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What to generate: ``answers`` over ``weeks`` weeks up to the report's ``week``.

    A release starts on ``release_day`` (0 is the week's Monday), a rollout of a candidate to a fifth of the answers on
    ``candidate_day``; None for no release or no rollout.
    """

    week: Week
    answers: int = 20_000
    weeks: int = 6
    rated_share: float = 0.2
    helpful_rate: float = 0.85
    release_day: float | None = 0.0
    candidate_day: float | None = None
    planted: tuple[Planted, ...] = ()
    seed: int = 0
    task: str = "summarize"
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first(self) -> datetime:
        """The first instant of the first week."""
        return self.week.shifted(1 - self.weeks).start

    def after(self, day: float | None) -> int:
        """Return the milliseconds from ``first`` to ``day``; more than any answer's for None."""
        if day is None:
            return 2**62
        return int((self.week.start - self.first + timedelta(days=day)).total_seconds() * 1000)


def rows(scenario: Scenario) -> dict[str, pa.Table]:
    """Return the warehouse's tables by name, with columns as in ``service.warehouse.events``."""
    rng = np.random.default_rng(scenario.seed)
    drawn = _draw(scenario, rng)
    columns = _columns(scenario, drawn, rng)
    below = drawn.helpful_rate < scenario.helpful_rate
    return {
        "omni_summaries": pa.table(columns),
        "omni_feedback": _feedback(columns, drawn.rated, drawn.helpful, below, drawn.feedback_at, rng),
        **_releases(scenario),
    }


def _draw(scenario: Scenario, rng: np.random.Generator) -> SimpleNamespace:
    """Return the random draws for each answer, in arrays of one length; intent, channel, client and arm are indices."""
    n = scenario.answers
    at_ms = np.sort(rng.integers(0, scenario.after(7), n))
    intent = rng.choice(len(INTENTS), n, p=_INTENT_SHARES)
    channel = rng.choice(len(CHANNELS), n, p=_CHANNEL_SHARES)
    client = rng.choice(len(CLIENTS), n, p=(0.8, 0.2))
    considered = np.minimum(rng.geometric(0.16, n) - 1, 80)
    reused = rng.random(n) < 0.12
    arm = np.where(rng.random(n) < 0.03, 1, 0)
    arm = np.where(rng.random(n) < 0.008, 2, arm)
    latency = np.rint(np.where(reused, rng.gamma(4, 12, n), rng.lognormal(7.0, 0.45, n) + 1500 * (arm == 1)))
    drawn = SimpleNamespace(
        at_ms=at_ms,
        intent=intent,
        channel=channel,
        client=client,
        considered=considered,
        new=at_ms >= scenario.after(scenario.release_day),  # the second pair answers
        reused=reused,
        arm=arm,
        latency_ms=latency,
        tokens_in=300 + 70 * considered,
        tokens_out=rng.poisson(110, n),
        cost_factor=np.ones(n),
        helpful_rate=np.full(n, scenario.helpful_rate),
        flagged_rate=np.zeros(n),
        generated=np.datetime64(scenario.first.replace(tzinfo=None), "ms") + at_ms.astype("timedelta64[ms]"),
    )
    # Of a generator of their own, so that a scenario without them has the same answers.
    further = np.random.default_rng((scenario.seed, 1))
    drawn.candidate = (at_ms >= scenario.after(scenario.candidate_day)) & (further.random(n) < _CANDIDATE_SHARE)
    for planted in scenario.planted:
        _plant(planted, scenario, drawn, further)
    drawn.rated, drawn.helpful = rng.random(n) < scenario.rated_share, rng.random(n) < drawn.helpful_rate
    paid = (0.06 * drawn.tokens_in + 0.24 * drawn.tokens_out) / 1e6 * drawn.cost_factor
    drawn.cost_usd = np.where(reused | (drawn.arm == 2), 0.0, paid)
    drawn.feedback_at = drawn.generated + rng.integers(20_000, 400_000, n).astype("timedelta64[ms]")
    return drawn


def _plant(planted: Planted, scenario: Scenario, drawn: SimpleNamespace, rng: np.random.Generator) -> None:
    """Change the drawn answers that ``planted`` strikes."""
    names = {
        "intent": np.asarray(INTENTS)[drawn.intent],
        "channel": np.asarray(CHANNELS)[drawn.channel],
        "client": np.asarray(CLIENTS)[drawn.client],
    }
    struck = drawn.at_ms >= scenario.after(planted.day)
    if planted.dimension:
        struck &= names[planted.dimension] == planted.value
    if planted.by_candidate:
        struck &= drawn.candidate
    written = struck & ~drawn.reused
    if planted.figure == "helpful":
        drawn.helpful_rate[struck] = planted.level
    elif planted.figure in ("degraded", "degraded and late"):
        lost = written & (rng.random(len(struck)) < planted.level)
        drawn.arm[lost] = 2
        if planted.figure != "degraded":
            drawn.latency_ms[lost] = np.rint(rng.normal(4_800, 150, int(lost.sum())))
    elif planted.figure == "latency":
        drawn.latency_ms[written] = np.rint(drawn.latency_ms[written] * planted.level)
    elif planted.figure == "grounding":
        drawn.flagged_rate[written] = planted.level
    else:
        drawn.cost_factor[written] = planted.level


def _columns(scenario: Scenario, drawn: SimpleNamespace, rng: np.random.Generator) -> dict[str, Any]:
    n = scenario.answers
    ids = np.char.add(f"r{scenario.seed}-", np.arange(n).astype("U9"))
    texts = np.array([[_SUMMARY.format(intent=i, channel=c) for c in CHANNELS] for i in INTENTS], dtype=object)
    model = np.where(drawn.arm == 2, "extractive-digest", np.where(drawn.arm == 1, "nova-micro", "nova-lite"))
    channels = np.asarray(CHANNELS)[drawn.channel]
    flagged = np.random.default_rng((scenario.seed, 2)).random(n) < drawn.flagged_rate
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
        "prompt_version": np.where(drawn.candidate, "v1.2.0", np.where(drawn.new, "v1.1.0", "v1.0.0")),
        "pair_digest": np.where(drawn.candidate, "c" * 64, np.where(drawn.new, "b" * 64, "a" * 64)),
        "registry_version": np.where(drawn.candidate, 3, np.where(drawn.new, 2, 1)),
        "rollout_arm": np.where(drawn.candidate, "candidate", "production"),
        "interactions_considered": drawn.considered,
        "history_days": np.minimum(drawn.considered * 9, 365),
        "last_channel": channels,
        "channels": channels,
        "input_tokens": drawn.tokens_in,
        "output_tokens": drawn.tokens_out,
        "prompt_cache_read_tokens": np.where(rng.random(n) < 0.6, 250, 0),
        "cost_usd": pa.array(drawn.cost_usd).cast(pa.float64()),
        "guard_findings": np.where(drawn.reused, 0, np.maximum(rng.poisson(0.04, n), flagged)),
        "summary_words": np.maximum(rng.normal(55, 12, n), 5).astype(np.int64),
    }
    constants = {
        "task": scenario.task, "pair": "nova-lite", "environment": "local", "date_range": "",
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


def _releases(scenario: Scenario) -> dict[str, pa.Table]:
    times = [scenario.first - timedelta(days=1)]
    if scenario.release_day is not None:
        times.append(scenario.week.start + timedelta(days=scenario.release_day))
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
