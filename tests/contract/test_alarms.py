"""Each alarm is tried on the lines that the service writes: it fires beyond its bound, is quiet at the bound, and clears.

What writes a figure is taken away, too: a silence that nobody hears is an outage. A simulated quiet month counts false alarms.
"""

from pathlib import Path

import numpy as np
import pytest
import yaml

from service.kit.telemetry import event_metrics, metrics
from service.kit.telemetry.alarm_state import Datapoints, state
from service.kit.telemetry.emf import EmfSink
from service.kit.telemetry.log import Event

ROOT = Path(__file__).resolve().parents[2]
ALARMS = yaml.safe_load((ROOT / "infra" / "observability.yaml").read_text(encoding="utf-8"))["alarms"]
START_S = 1_800_000_000 - 1_800_000_000 % 86_400  # a whole period of the longest one
TIMEOUT = (Event.BEDROCK_INVOKE_TIMEOUT, {"model": "m", "latency_ms": 2000})
THROTTLED = (Event.BEDROCK_INVOKE_FAILURE, {"model": "m", "latency_ms": 9, "failure_code": "QUOTA_EXCEEDED"})
FAILED = (Event.REQUEST_FAILED, {"failure_code": "DEADLINE"})
NOTHING_KNOWN = (Event.REQUEST_COMPLETED, {"model_used": "none", "arm": "none"})
DIGEST = (Event.REQUEST_COMPLETED, {"model_used": "digest", "arm": "fallback", "degraded": True})
FALSE_TURN = (Event.TURN_VALIDATED, {"hallucination": True, "outcome": "refused"})
TRUE_TURN = (Event.TURN_VALIDATED, {"hallucination": False, "outcome": "passed"})
BROKEN_TOOL = (Event.TOOL_USED, {"tool": "balance", "outcome": "failed", "latency_ms": 10})
LEFT = (Event.HANDOVER_ENDED, {"outcome": "abandoned", "state": "waiting", "latency_ms": 90_000})
GOOD_CALL = (Event.CALL_SETTLED, {"tenant": "acme", "state": "done"})
BAD_CALL = (Event.CALL_SETTLED, {"tenant": "acme", "state": "failed", "reason": "unreadable"})
WAITING_CALL = (Event.CALL_SETTLED, {"state": "waiting"})
HELPFUL = (Event.FEEDBACK_RECORDED, {"feedback": "helpful"})
APPROVED = (Event.REQUEST_COMPLETED, {"model_used": "m", "arm": "primary", "approved": True})
REFUSED = (Event.REQUEST_COMPLETED, {"model_used": "m", "arm": "primary", "approved": False})
NOT_HELPFUL = (Event.FEEDBACK_RECORDED, {"feedback": "not_helpful"})
FAILED_LOOK, GOOD_LOOK = ("registry", "true"), ("registry", "false")
GATEWAY, ALLOWED = "AWS/ApiGateway:Count", "AWS/WAFV2:AllowedRequests"
SERVED = (Event.HANDOVER_ENDED, {"outcome": "resolved", "state": "taken", "latency_ms": 9_000})


def _requests(count, latency_ms=900):
    return [("request", latency_ms)] * count


def _waiting(*counts):
    return [(Event.HANDOVERS_CHECKED, {"waiting": count}) for count in counts]


def _waited(*waits_ms):
    return [(Event.HANDOVER_TAKEN, {"latency_ms": wait}) for wait in waits_ms]


def _stuck(*counts):
    return [(Event.CALLS_CHECKED, {"stuck": count}) for count in counts]


def _priced(*costs, seconds):
    """Calls of two tenants that cost so much and lasted so long each."""
    tenants = ("acme", "brand")
    return [
        (Event.CALL_SCORED, {"tenant": tenant, "duration_s": seconds, "cost_usd": cost})
        for tenant, cost in zip(tenants, costs, strict=True)
    ]


def _answer(cost_usd):
    return (Event.REQUEST_COMPLETED, {"model_used": "m", "arm": "primary", "cost_usd": cost_usd})


def _looks(finding):
    """A daily look that found this alone, and one that found everything else."""
    every = {"drift": 1, "refusals": 1, "confirmed": 1, "cost": 1}
    return [(Event.APPROVALS_CHECKED, {finding: 1})], [(Event.APPROVALS_CHECKED, every | {finding: 0})]


# By alarm: what happens in one period so that it fires, and what may happen without.
PLANTS = {
    "failure-rate": ([*_requests(100), *[FAILED] * 6], [*_requests(100), *[FAILED] * 5]),
    "bedrock-timeouts": ([TIMEOUT] * 11, [TIMEOUT] * 10),
    "bedrock-throttles": ([THROTTLED], _requests(5)),
    "dynamodb-throttle": ([("aws", 1)], [("aws", 0)]),
    "summary-misses": ([*_requests(50), *[NOTHING_KNOWN] * 11], [*_requests(50), *[NOTHING_KNOWN] * 10]),
    "degraded": ([*_requests(50), *[DIGEST] * 6], [*_requests(50), *[DIGEST] * 5]),
    "unkept-answers": (
        [*_requests(40), *[(Event.SUMMARY_UNKEPT, {"reason": "slow"})] * 3],
        [*_requests(40), *[(Event.SUMMARY_UNKEPT, {"reason": "slow"})] * 2],
    ),
    "latency-p95": ([*_requests(90), *_requests(10, 7000)], [*_requests(98), *_requests(2, 7000)]),
    "hallucination-rate-critical": ([FALSE_TURN] * 3 + [TRUE_TURN] * 17, [FALSE_TURN] * 2 + [TRUE_TURN] * 18),
    "hallucination-rate-warning": ([FALSE_TURN] * 3 + [TRUE_TURN] * 37, [FALSE_TURN] * 2 + [TRUE_TURN] * 38),
    "tool-failures": ([BROKEN_TOOL] * 11, [BROKEN_TOOL] * 10),
    "validation-timeouts": ([(Event.VALIDATION_TIMEOUT, {})] * 6, [(Event.VALIDATION_TIMEOUT, {})] * 5),
    "queue-size": (_waiting(11, 14, 12), _waiting(30, 10, 30)),
    "queue-wait": (_waited(200_000, 500_000), _waited(200_000, 400_000)),
    "abandonment": ([LEFT] * 3 + [SERVED] * 7, [LEFT] * 2 + [SERVED] * 8),
    "callbacks-overdue": ([(Event.CALLBACKS_CHECKED, {"overdue": 1})], [(Event.CALLBACKS_CHECKED, {"overdue": 0})]),
    "calls-failed": ([BAD_CALL] * 3 + [GOOD_CALL] * 37, [BAD_CALL] * 2 + [GOOD_CALL] * 38 + [WAITING_CALL] * 9),
    "calls-stuck": (_stuck(2, 1, 3), _stuck(2, 0, 3)),
    "calls-queue-age": ([("aws", 3601)], [("aws", 3600)]),
    "calls-cost": (_priced(0.13, 0.12, seconds=3600), _priced(0.12, 0.11, seconds=3600)),
    "calls-agreement": (
        [(Event.AGREEMENT_CHECKED, {"fallen": 1})],
        [(Event.AGREEMENT_CHECKED, {"fallen": 0})],
    ),
    "approval-rate": ([REFUSED] * 41 + [APPROVED] * 159, [REFUSED] * 40 + [APPROVED] * 160),
    "approval-drift": _looks("drift"),
    "approval-refusals": _looks("refusals"),
    "approval-confirmed": _looks("confirmed"),
    "approval-cost": _looks("cost"),
    "judge-drift": ([(Event.JUDGE_MEASURED, {"fallen": 1})], [(Event.JUDGE_MEASURED, {"fallen": 0})]),
    "rollout-stopped": ([(Event.ROLLOUT_STOPPED, {"reason": "failures"})], _requests(5)),
    "registry-down": (
        [("registry", "true")] * 21 + [("registry", "false")] * 19,
        [("registry", "true"), ("registry", "false")] * 20,
    ),
    "cost-spike": ([_answer(0.5)] * 9, [_answer(0.5)] * 8),
    "feedback-collapse": ([NOT_HELPFUL] * 41 + [HELPFUL] * 159, [NOT_HELPFUL] * 40 + [HELPFUL] * 160),
    "audit-unkept": ([(Event.AUDIT_UNKEPT, {"reason": "table"})], [TRUE_TURN]),
    "failure-rate-slow": ([*_requests(100), *[FAILED] * 6], [*_requests(100), *[FAILED] * 5]),
    "canary-silent": ([("canary", 0)], [("canary", 1), ("canary", 0)]),
    "key-unusable": ([("keys", 1)], [("keys", 0)]),
    "balancer-empty": ([("aws", 0)], [("aws", 1)]),
    "gateway-errors": ([("aws", 6), (GATEWAY, 100)], [("aws", 5), (GATEWAY, 100)]),
    "waf-blocks": ([("aws", 6), (ALLOWED, 94)], [("aws", 5), (ALLOWED, 95)]),
    "calls-worker-silent": ([("round", "callbacks")], [("round", "calls")]),
    "callbacks-worker-silent": ([("round", "calls")], [("round", "callbacks")]),
    "registry-task": ([("aws", 0)], [("aws", 1)]),
    "registry-database": ([("aws", 1.9e9)], [("aws", 2e9)]),
    "certificate-expiry": ([("aws", 29)], [("aws", 30)]),
}
RATIOS = [alarm for alarm in ALARMS if "minimum" in alarm]


class Telemetry:
    """The metrics of a service whose clock a test sets, as CloudWatch has them."""

    def __init__(self, alarm):
        self.alarm, self.data, self.lines, self.at_s = alarm, Datapoints(), [], START_S
        self.sink = EmfSink(self.lines.append, environment="aws", now=lambda: self.at_s)

    def happens(self, what, period):
        """Let ``what`` happen in the middle of a period, counted from the start."""
        self.at_s = START_S + (period + 0.5) * self.alarm["period_s"]
        metrics.add_sink(self.sink)
        try:
            for event, fields in what:
                self._one(event, fields)
        finally:
            metrics.remove_sink(self.sink)
        self.sink.flush()
        self.data.read(self.lines)
        self.lines.clear()

    def _one(self, event, fields):
        if event == "request":
            metrics.count(metrics.REQUESTS, "/v1/summarize", "200")
            metrics.observe(metrics.LATENCY, fields, "/v1/summarize")
        elif event == "registry":
            metrics.count(metrics.REGISTRY_LOOKS, fields)
        elif event == "canary":
            metrics.observe(metrics.CANARY_ANSWERED, fields)
        elif event == "keys":
            metrics.observe(metrics.KEYS_UNUSABLE, fields)
        elif event == "round":
            metrics.count(metrics.WORKER_ROUNDS, fields)
        elif event == "aws":
            self.data.add(self.alarm["metric"], frozenset(), self.at_s, [fields])
        elif ":" in event:
            self.data.add(event, frozenset(), self.at_s, [fields])
        else:
            event_metrics.record(event, fields)

    def state(self, periods):
        """Return the alarm's state when so many periods are over."""
        return state(self.alarm, self.data, START_S + periods * self.alarm["period_s"])


@pytest.fixture(params=ALARMS, ids=lambda alarm: alarm["name"])
def tried(request):
    alarm = request.param
    above, at_bound = PLANTS[alarm["name"]]
    return Telemetry(alarm), above, at_bound, alarm.get("periods", 1)


@pytest.mark.acceptance("operation-01")
def test_every_alarm_has_a_plant():
    assert PLANTS.keys() == {alarm["name"] for alarm in ALARMS}


@pytest.mark.acceptance("alarm-08", "alarm-10", "alarm-13", "operation-01", "call-operation-01", "call-operation-08")
def test_an_alarm_fires_beyond_its_bound_and_clears(tried):
    telemetry, beyond, at_bound, periods = tried
    silent = "ALARM" if telemetry.alarm["missing"] == "breaches" else "OK"
    assert telemetry.state(periods) == silent
    for period in range(periods):
        telemetry.happens(at_bound, period)
    for period in range(periods, 2 * periods):
        assert telemetry.state(period) == "OK"
        telemetry.happens(beyond, period)
    assert telemetry.state(2 * periods) == "ALARM"
    telemetry.happens(at_bound, 2 * periods)
    assert telemetry.state(2 * periods + 1) == "OK"
    assert telemetry.state(3 * periods + 1) == silent  # nothing happens any more


@pytest.mark.acceptance("operation-01")
def test_an_alarm_is_quiet_at_its_bound(tried):
    telemetry, _, at_bound, periods = tried
    for period in range(periods + 1):
        telemetry.happens(at_bound, period)
        assert telemetry.state(period + 1) == "OK"


def test_an_alarm_over_several_periods_is_quiet_after_a_gap():
    alarm = next(alarm for alarm in ALARMS if alarm.get("periods", 1) > 1 and alarm["missing"] == "fine")
    telemetry = Telemetry(alarm)
    for period in (0, 1, 3, 4):
        telemetry.happens(PLANTS[alarm["name"]][0], period)
        assert telemetry.state(period + 1) == "OK"


@pytest.mark.parametrize("alarm", RATIOS, ids=lambda alarm: alarm["name"])
def test_a_ratio_of_too_few_raises_no_alarm(alarm):
    own = {
        "ConversationTurns": [FALSE_TURN],
        "CallsEnded": [BAD_CALL],
        "CallCost": _priced(0.1, 0.1, seconds=0.5),
        "RegistryLooks": [FAILED_LOOK],
        "Ratings": [NOT_HELPFUL],
        "Approvals": [REFUSED],
        "AWS/ApiGateway:5XXError": [("aws", 1), (GATEWAY, 1)],
        "AWS/WAFV2:BlockedRequests": [("aws", 1)],
    }
    few = own.get(alarm["metric"], [*_requests(1, 9000), FAILED, DIGEST, NOTHING_KNOWN])
    telemetry = Telemetry(alarm)
    telemetry.happens(few * (alarm["minimum"] - 1), 0)
    assert telemetry.state(1) == "OK"
    telemetry.happens(few, 0)
    fires = alarm["name"] != "unkept-answers"  # none of these was left unkept
    assert telemetry.state(1) == ("ALARM" if fires else "OK")


@pytest.mark.parametrize("metric", ["AWS/DynamoDB:ReadThrottleEvents", "AWS/DynamoDB:WriteThrottleEvents"])
def test_a_throttled_write_rings_like_a_throttled_read(metric):
    telemetry = Telemetry(next(alarm for alarm in ALARMS if alarm["name"] == "dynamodb-throttle"))
    telemetry.happens([(metric, 1)], 0)
    assert telemetry.state(1) == "ALARM"


@pytest.mark.acceptance("alarm-12")
def test_every_alarm_says_what_silence_means():
    assert {alarm["missing"] for alarm in ALARMS} == {"fine", "breaches"}


def ringing(data, now_s):
    return {(alarm["severity"], alarm["name"]) for alarm in ALARMS if state(alarm, data, now_s) == "ALARM"}


@pytest.mark.acceptance("alarm-11")
def test_a_total_outage_rings_within_five_minutes_and_a_dead_worker_within_the_hour():
    data, hours = month(days=1), 3600
    healthy = START_S + 12 * hours
    assert ringing(data, healthy) == set()
    for series in data.of.values():  # all that writes stops at noon
        series[:] = [(at_s, value) for at_s, value in series if at_s < healthy]
    after = ringing(data, healthy + 300)
    assert {("critical", "canary-silent"), ("critical", "balancer-empty")} <= after
    assert {name for _, name in ringing(data, healthy + hours)} == {
        alarm["name"] for alarm in ALARMS if alarm["missing"] == "breaches"
    }


def test_failures_at_night_ring_although_few_ask():
    data, night = month(days=1), START_S + 4 * 3600
    own = data.of["Failures", ENVIRONMENT]
    asked = [(at_s, count) for at_s, count in data.of["Requests", ENVIRONMENT] if at_s < night]
    own[:] = [(at_s, max(0.0, count - 1)) for at_s, count in asked]  # all fail but the canary
    assert ("critical", "failure-rate") not in ringing(data, night)
    assert ("critical", "failure-rate-slow") in ringing(data, night)


ENVIRONMENT = frozenset({("environment", "aws")})


def month(days=30, seed=1):
    """Figures of quiet days, minute by minute; assumed, not measured: 600 requests an hour by day and 6 by night, of which one in
    a thousand fails; a canary that one model call in 200 fails; a deployment a week, which leaves workers and MLflow away for
    three minutes."""
    chance, data, minutes = np.random.default_rng(seed), Datapoints(), days * 1440
    at = START_S + 60 * np.arange(minutes) + 30
    hour = np.arange(minutes) // 60 % 24
    asked = chance.poisson(np.where((hour >= 8) & (hour < 20), 10, 0.1))
    runs = np.arange(minutes) % 10_080 >= 3

    def write(metric, values, where=ENVIRONMENT, when=None):
        kept = np.ones(minutes, bool) if when is None else when
        data.of[metric, where] = list(
            zip(at[kept].tolist(), np.broadcast_to(values, minutes)[kept].tolist(), strict=True)
        )

    def share(of, rate):
        return chance.binomial(of, rate).astype(float)

    answered = chance.random(minutes) > 1 / 200
    write("Requests", asked + 1.0)
    write("Failures", share(asked, 0.001))
    write("CanaryAnswered", answered.astype(float))
    write("KeysUnusable", 0.0)
    for worker in ("calls", "callbacks"):
        write("WorkerRounds", 2.0, ENVIRONMENT | {("worker", worker)}, when=runs)
    for name in ("QueueSize", "CallbacksOverdue"):
        write(name, 0.0)
    write("CallsStuck", 0.0, when=np.arange(minutes) % 15 == 1 + chance.integers(0, 3))
    looks = chance.poisson(20, minutes)
    write("RegistryLooks", looks + 1.0)
    write("RegistryLooks", np.where(runs, share(looks, 0.005), looks), ENVIRONMENT | {("failed", "true")})
    write("AWS/NetworkELB:HealthyHostCount", 3.0, frozenset())
    write("AWS/ApiGateway:Count", asked + 1.0, frozenset())
    write("AWS/ApiGateway:5XXError", share(asked, 0.001) + ~answered, frozenset())
    write("AWS/WAFV2:AllowedRequests", asked + 1.0, frozenset())
    write("AWS/WAFV2:BlockedRequests", share(asked, 0.002), frozenset(), when=asked > 0)
    write("ECS/ContainerInsights:RunningTaskCount", runs.astype(float), frozenset())
    write("AWS/RDS:FreeStorageSpace", 40e9, frozenset(), when=runs)
    return data


def false_alarms(data, days):
    """How often each alarm goes off, by its name."""
    found = {}
    for alarm in ALARMS:
        period = alarm["period_s"]
        moments = range(START_S + alarm.get("periods", 1) * period, START_S + days * 86_400 + 1, period)
        states = [state(alarm, data, moment) for moment in moments]
        times = sum(before == "OK" and now == "ALARM" for before, now in zip(["OK", *states], states, strict=False))
        if times:
            found[alarm["name"]] = times
    return found


@pytest.mark.slow
def test_a_quiet_month_rings_at_most_once():
    counted = [false_alarms(month(30, seed), 30) for seed in range(3)]
    assert all(sum(found.values()) <= 1 for found in counted), counted
