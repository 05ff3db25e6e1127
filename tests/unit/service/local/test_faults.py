"""The fault plan: which requests it hits, how often, and that the same seed hits the same requests."""

from collections.abc import Mapping

import pytest

from service.local.engines import Latency, parse_latency
from service.local.faults import ERRORS, FaultKey, FaultKind, FaultPlan, FaultRule, InvalidRule, parse_rule
from service.local.faults import parse_rule_text as from_text

MODEL = "amazon.nova-lite-v1:0"


def hits(plan: FaultPlan, bodies: list[bytes], model: str = MODEL) -> list[bool]:
    return [plan.judge(model, body, streaming=False).kind is not None for body in bodies]


def bodies(n: int) -> list[bytes]:
    return [f"body {index}".encode() for index in range(n)]


@pytest.mark.parametrize("key", list(FaultKey))
def test_a_rate_hits_its_share_within_binomial_bounds(key: FaultKey) -> None:
    plan = FaultPlan(seed=7)
    plan.add(FaultRule(kind=FaultKind.THROTTLE, rate=0.1, key=key))
    hit = sum(hits(plan, bodies(2000)))
    # 2,000 draws at 0.1: mean 200, standard deviation 13.4; the bounds are four standard deviations away.
    assert 146 <= hit <= 254
    assert plan.statuses()[0].fired == hit
    assert plan.statuses()[0].matched == 2000


@pytest.mark.parametrize("key", list(FaultKey))
def test_the_same_seed_hits_the_same_requests_and_another_seed_does_not(key: FaultKey) -> None:
    def run(seed: int) -> list[bool]:
        plan = FaultPlan(seed=seed)
        plan.add(FaultRule(kind=FaultKind.INTERNAL, rate=0.3, key=key))
        return hits(plan, bodies(200))

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_a_body_fault_is_permanent_and_a_request_fault_is_not() -> None:
    permanent, passing = FaultPlan(seed=3), FaultPlan(seed=3)
    permanent.add(FaultRule(kind=FaultKind.INTERNAL, rate=0.2, key=FaultKey.BODY))
    passing.add(FaultRule(kind=FaultKind.INTERNAL, rate=0.2, key=FaultKey.REQUEST))
    first = hits(permanent, bodies(100))
    assert first == hits(permanent, bodies(100))
    assert any(first)
    assert not all(first)
    assert hits(passing, bodies(100)) != hits(passing, bodies(100))


def test_a_cleared_and_repeated_plan_repeats_its_hits() -> None:
    plan = FaultPlan(seed=5)
    rule = FaultRule(kind=FaultKind.THROTTLE, rate=0.5)
    plan.add(rule)
    first = hits(plan, bodies(50))
    assert plan.clear() == 1
    assert plan.statuses() == []
    plan.add(rule)
    assert hits(plan, bodies(50)) == first


def test_a_count_ends_a_rule() -> None:
    plan = FaultPlan(seed=0)
    plan.add(FaultRule(kind=FaultKind.THROTTLE, count=2))
    assert hits(plan, bodies(4)) == [True, True, False, False]


@pytest.mark.parametrize(("rate", "expected"), [(0.0, False), (1.0, True)])
def test_rates_zero_and_one_are_never_and_always(rate: float, expected: bool) -> None:
    plan = FaultPlan(seed=0)
    plan.add(FaultRule(kind=FaultKind.THROTTLE, rate=rate))
    assert set(hits(plan, bodies(300))) == {expected}


def test_a_rule_for_one_model_leaves_other_models_alone() -> None:
    plan = FaultPlan(seed=0)
    plan.add(FaultRule(kind=FaultKind.THROTTLE, model=MODEL))
    assert hits(plan, [b"x"], model="amazon.nova-micro-v1:0") == [False]
    assert hits(plan, [b"x"]) == [True]
    assert plan.statuses()[0].matched == 1


def test_delays_add_up_and_the_first_other_rule_decides() -> None:
    plan = FaultPlan(seed=0)
    plan.add(FaultRule(kind=FaultKind.DELAY, delay_ms=100))
    plan.add(FaultRule(kind=FaultKind.DELAY, delay_ms=20))
    plan.add(FaultRule(kind=FaultKind.INTERNAL, delay_ms=3))
    plan.add(FaultRule(kind=FaultKind.THROTTLE))
    verdict = plan.judge(MODEL, b"x", streaming=False)
    assert (verdict.delay_ms, verdict.kind) == (123, FaultKind.INTERNAL)
    assert [status.fired for status in plan.statuses()] == [1, 1, 1, 0]


def test_a_mid_stream_fault_applies_only_to_streams() -> None:
    plan = FaultPlan(seed=0)
    plan.add(FaultRule(kind=FaultKind.MID_STREAM_THROTTLE))
    assert plan.judge(MODEL, b"x", streaming=False).kind is None
    assert plan.statuses()[0].matched == 0
    assert plan.judge(MODEL, b"x", streaming=True).kind is FaultKind.MID_STREAM_THROTTLE


def test_a_rule_is_read_from_json_and_from_the_command_line_alike() -> None:
    data = {"kind": "delay", "model": MODEL, "rate": 0.25, "count": 3, "delay_ms": 40, "key": "body"}
    expected = FaultRule(kind=FaultKind.DELAY, model=MODEL, rate=0.25, count=3, delay_ms=40.0, key=FaultKey.BODY)
    assert parse_rule(data) == expected
    assert from_text(f"kind=delay,model={MODEL},rate=0.25,count=3,delay_ms=40,key=body") == expected
    assert parse_rule({"kind": "empty", "count": None}) == FaultRule(kind=FaultKind.EMPTY)


@pytest.mark.parametrize(
    ("data", "field", "allowed"),
    [
        ({}, "kind", "throttle"),
        ({"kind": "explode"}, "kind", "throttle, unavailable"),
        ({"kind": 3}, "kind", "mid_stream_throttle"),
        ({"kind": "throttle", "rate": 1.01}, "rate", "from 0 to 1"),
        ({"kind": "throttle", "rate": -0.1}, "rate", "from 0 to 1"),
        ({"kind": "throttle", "rate": float("nan")}, "rate", "from 0 to 1"),
        ({"kind": "throttle", "rate": True}, "rate", "from 0 to 1"),
        ({"kind": "throttle", "rate": "often"}, "rate", "from 0 to 1"),
        ({"kind": "throttle", "count": 0}, "count", "at least 1"),
        ({"kind": "throttle", "count": 1.5}, "count", "at least 1"),
        ({"kind": "throttle", "count": True}, "count", "at least 1"),
        ({"kind": "throttle", "key": "header"}, "key", "request, body"),
        ({"kind": "throttle", "model": 4}, "model", "model id or *"),
        ({"kind": "throttle", "delay_ms": -1}, "delay_ms", "from 0 to"),
        ({"kind": "delay"}, "delay_ms", "more than 0"),
        ({"kind": "throttle", "speed": 1}, "speed", "kind, model"),
    ],
)
def test_a_bad_rule_names_the_field_and_the_allowed_values(
    data: Mapping[str, object], field: str, allowed: str
) -> None:
    with pytest.raises(InvalidRule) as caught:
        parse_rule(data)
    assert caught.value.field == field
    assert allowed in str(caught.value)


def test_a_command_line_part_without_a_value_is_refused() -> None:
    with pytest.raises(InvalidRule, match="field=value"):
        from_text("kind=throttle,often")


def test_every_error_kind_has_its_own_bedrock_class() -> None:
    classes = [error.kind for error in ERRORS.values()]
    assert len(set(classes)) == len(classes) == 6


def test_echo_latency_is_read_in_both_forms() -> None:
    assert parse_latency("200") == Latency(p50_ms=200.0)
    drawn = parse_latency("lognormal:p50=1200,p95=2600")
    assert drawn.p50_ms == 1200
    # ln(2600 / 1200) / 1.644854 by hand.
    assert drawn.sigma == pytest.approx(0.470071, abs=1e-5)


@pytest.mark.parametrize("text", ["fast", "-1", "nan", "inf", "lognormal:p50=5,p95=4", "lognormal:p50=0,p95=4"])
def test_a_bad_echo_latency_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected milliseconds|lognormal needs"):
        parse_latency(text)
