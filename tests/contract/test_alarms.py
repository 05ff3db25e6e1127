"""Each alarm is tried on the lines that the service writes: it fires above its bound, is quiet at the bound, and clears."""

from pathlib import Path

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
NOT_HELPFUL = (Event.FEEDBACK_RECORDED, {"feedback": "not_helpful"})
FAILED_LOOK, GOOD_LOOK = ("registry", "true"), ("registry", "false")
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
    "rollout-stopped": ([(Event.ROLLOUT_STOPPED, {"reason": "failures"})], _requests(5)),
    "registry-down": (
        [("registry", "true")] * 21 + [("registry", "false")] * 19,
        [("registry", "true"), ("registry", "false")] * 20,
    ),
    "cost-spike": ([_answer(0.5)] * 9, [_answer(0.5)] * 8),
    "feedback-collapse": ([NOT_HELPFUL] * 41 + [HELPFUL] * 159, [NOT_HELPFUL] * 40 + [HELPFUL] * 160),
    "audit-unkept": ([(Event.AUDIT_UNKEPT, {"reason": "table"})], [TRUE_TURN]),
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
        elif event == "aws":
            self.data.add(self.alarm["metric"], frozenset(), self.at_s, [fields])
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


@pytest.mark.acceptance("alarm-08", "alarm-10", "operation-01", "call-operation-01", "call-operation-08")
def test_an_alarm_fires_above_its_bound_and_clears(tried):
    telemetry, above, at_bound, periods = tried
    assert telemetry.state(periods) == "OK"  # no data
    for period in range(periods):
        assert telemetry.state(period) == "OK"
        telemetry.happens(above, period)
    assert telemetry.state(periods) == "ALARM"
    telemetry.happens(at_bound, periods)
    assert telemetry.state(periods + 1) == "OK"
    assert telemetry.state(periods + 2) == "OK"  # nothing happens any more


@pytest.mark.acceptance("operation-01")
def test_an_alarm_is_quiet_at_its_bound(tried):
    telemetry, _, at_bound, periods = tried
    for period in range(periods + 1):
        telemetry.happens(at_bound, period)
        assert telemetry.state(period + 1) == "OK"


def test_an_alarm_over_several_periods_is_quiet_after_a_gap():
    alarm = next(alarm for alarm in ALARMS if alarm.get("periods", 1) > 1)
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
    }
    few = own.get(alarm["metric"], [*_requests(1, 9000), FAILED, DIGEST, NOTHING_KNOWN])
    telemetry = Telemetry(alarm)
    telemetry.happens(few * (alarm["minimum"] - 1), 0)
    assert telemetry.state(1) == "OK"
    telemetry.happens(few, 0)
    fires = alarm["name"] != "unkept-answers"  # none of these was left unkept
    assert telemetry.state(1) == ("ALARM" if fires else "OK")
