"""Whole requests against scripted models in simulated time: seconds pass without waiting, and the same way every time."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from simulation import (
    DOWN,
    HANGS,
    MODELS_HAVE_S,
    PAIR,
    PROMPT_TOKENS,
    Inputs,
    ListGuard,
    Models,
    Plain,
    context,
    lognormal,
    many,
    simulate,
)
from structlog.testing import capture_logs

from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.llm.reliability import Reliability
from service.kit.delivery.breaker import BreakerState
from service.kit.frame.errors import QuotaExceeded, RequestRejected

ONE_REPLY = Decimal("0.0012")


def one(task=None, pair=PAIR, **script):
    """Answer one request on a fresh service."""

    async def run(loop):
        models = Models(loop, **script)
        reliability = Reliability(loop.time)
        result = await (task or Plain()).run(Inputs(text="x"), context(loop, models, reliability, pair))
        return result, models, loop.time()

    return simulate(run)


@pytest.mark.parametrize(
    ("script", "arm", "seconds", "asked"),
    [
        ({"main": 1.0, "spare": 1.0}, "primary", 1.0, ["main"]),
        ({"main": (0.5, DOWN), "spare": 1.0}, "backup", 1.5, ["main", "spare"]),
        ({"main": HANGS, "spare": 1.0}, "backup", 3.0, ["main", "spare"]),
        ({"main": 2.5, "spare": 1.0}, "primary", 2.5, ["main", "spare"]),
        ({"main": 2.5, "spare": DOWN}, "primary", 2.5, ["main", "spare"]),
        ({"main": 3.0, "spare": 1.0}, "primary", 3.0, ["main", "spare"]),
        ({"main": (2.5, DOWN), "spare": 1.0}, "backup", 3.0, ["main", "spare"]),
        ({"main": DOWN, "spare": DOWN}, "fallback", 0.0, ["main", "spare"]),
        ({"main": HANGS, "spare": HANGS}, "fallback", MODELS_HAVE_S, ["main", "spare"]),
        ({"main": (0.1, RequestRejected("no")), "spare": HANGS}, "fallback", MODELS_HAVE_S, ["main", "spare"]),
    ],
)
@pytest.mark.acceptance("promise-01")
def test_who_answers_and_when(script, arm, seconds, asked):
    result, models, took = one(**script)
    assert (result.arm, models.asked()) == (arm, asked)
    assert took == pytest.approx(seconds, abs=0.03)
    assert result.degraded is (arm == "fallback")


def test_the_loser_of_a_hedge_is_cancelled_and_paid_for_by_estimate():
    result, models, _ = one(main=HANGS, spare=1.0)
    assert models.cancelled == ["main"]
    assert result.usage == Usage(input_tokens=1000, output_tokens=100)
    assert result.estimated_usage == Usage(input_tokens=PROMPT_TOKENS)
    assert result.cost_estimated
    assert result.cost.metered_usd == ONE_REPLY + Decimal(PROMPT_TOKENS) / 1_000_000


def test_models_that_time_out_are_paid_for_under_the_digest_too():
    result, _, _ = one(main=HANGS, spare=HANGS)
    assert result.estimated_usage == Usage(input_tokens=2 * PROMPT_TOKENS)
    assert result.cost.metered_usd == Decimal(2 * PROMPT_TOKENS) / 1_000_000


def test_an_error_that_nobody_charges_for_costs_nothing():
    result, _, _ = one(main=QuotaExceeded("busy"), spare=1.0)
    assert (result.cost.metered_usd, result.cost_estimated) == (ONE_REPLY, False)


def test_a_model_that_ignores_its_timeout_and_its_cancellation_holds_nobody_up():
    async def run(loop):
        models = Models(loop, honours_timeout=False, main=HANGS, spare=HANGS)
        complete = models.complete

        async def stubborn(call):
            task = asyncio.ensure_future(complete(call))
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                await asyncio.sleep(60)
                task.cancel()
                raise

        models.complete = stubborn
        result = await Plain().run(Inputs(text="x"), context(loop, models, Reliability(loop.time)))
        took = loop.time()
        await asyncio.sleep(100)
        return result, took

    result, took = simulate(run)
    assert result.arm == "fallback"
    assert took < 5


@pytest.mark.acceptance("promise-03")
def test_throttles_are_waited_out_once_and_never_past_the_budget():
    result, models, took = one(pair=replace(PAIR, backup=None), main=QuotaExceeded("busy"), spare=HANGS)
    assert models.asked() == ["main", "main"]
    assert result.arm == "fallback"
    assert took <= 0.6


@pytest.mark.acceptance("promise-01")
def test_every_request_is_answered_in_time_whatever_the_models_do():
    def script(loop, random):
        def any_way(call):
            draw = random.random()
            if draw < 0.3:
                return (random.random(), QuotaExceeded("busy"))
            if draw < 0.4:
                return HANGS
            if draw < 0.5:
                return (random.random() * 4, DOWN)
            return lognormal(random)

        return {"main": any_way, "spare": any_way}

    for seed in range(3):
        answered, _, _ = many(400, every_s=0.05, script_of=script, seed=seed)
        assert all(result.output is not None for result, _ in answered)
        assert max(seconds for _, seconds in answered) < 5


def test_hedges_stay_within_their_share_when_all_models_slow_down():
    def script(loop, random):
        return {"main": lambda _: 2.2 + random.random(), "spare": lambda _: 2.2 + random.random()}

    answered, models, _ = many(600, every_s=0.1, script_of=script)
    further = len(models.calls) - 600
    assert 3 <= further <= 72
    assert all(result.arm in ("primary", "backup") for result, _ in answered)


def test_a_hung_primary_is_left_alone_and_found_again():
    def script(loop, random):
        return {"main": lambda _: HANGS if loop.time() < 60 else 1.0, "spare": 1.0}

    answered, models, reliability = many(1200, every_s=0.1, script_of=script)
    during = answered[100:600]  # once the breaker has opened
    asked_main = [at for at, call in models.calls if call.model == "main" and 10 < at < 60]
    assert len(asked_main) <= 5  # probes only, one each 15 s
    assert sum(result.arm == "backup" for result, _ in during) >= 495
    assert sorted(seconds for _, seconds in during)[int(0.95 * len(during))] < 1.2
    after = answered[900:]
    assert all(result.arm == "primary" for result, _ in after)
    assert reliability.breakers.states()["main"] is BreakerState.CLOSED


def test_whoever_waits_when_the_primary_is_found_to_be_down_gets_the_backup():
    # Forty requests a second meet a primary that hangs from the first one on: three hedges are allowed at once, and what they
    # find out helps all those who wait.
    def script(loop, random):
        return {"main": HANGS, "spare": 1.0}

    answered, _, _ = many(400, every_s=0.025, script_of=script)
    assert sum(result.arm == "backup" for result, _ in answered) == 400
    assert max(seconds for _, seconds in answered) < 5


def test_with_both_models_down_the_digest_comes_at_once():
    answered, models, _ = many(300, every_s=0.1, script_of=lambda loop, random: {"main": DOWN, "spare": DOWN})
    assert all(result.arm == "fallback" for result, _ in answered)
    assert len(models.calls) < 30


def test_a_request_without_time_says_nothing_about_the_model():
    async def run(loop):
        models = Models(loop, main=0.5, spare=0.5)
        reliability = Reliability(loop.time)
        for _ in range(20):
            result = await Plain().run(Inputs(text="x"), context(loop, models, reliability, patience=0.03))
            assert result.arm == "fallback"
        return reliability.breakers.states()

    assert simulate(run)["main"] is BreakerState.CLOSED


@pytest.mark.parametrize("armed", [True, False])
def test_while_the_process_loads_no_hedge_starts_and_no_breaker_opens(armed):
    async def run(loop):
        models = Models(loop, main=HANGS, spare=HANGS)
        reliability = Reliability(loop.time)
        reliability.breakers.armed = armed
        for _ in range(8):
            result = await Plain().run(Inputs(text="x"), context(loop, models, reliability))
            assert result.arm == "fallback"
        return "spare" in models.asked(), reliability.breakers.states().get("main")

    assert simulate(run) == ((True, BreakerState.OPEN) if armed else (False, BreakerState.CLOSED))


def test_an_evaluated_arm_knows_no_breaker_and_no_hedge():
    async def run(loop):
        models = Models(loop, main=DOWN, spare=1.0)
        for _ in range(20):
            await Plain().run(Inputs(text="x"), context(loop, models, None, chain="primary"))
        return models.asked()

    assert simulate(run) == ["main"] * 20


class Careful(Plain):
    forbidden = ("Zoe",)


def says(first, second, seconds=0.5):
    """A model whose first answer is ``first`` and whose answer to a correction is ``second``."""
    return lambda call: (seconds, second if len(call.messages) > 1 else first)


@pytest.mark.acceptance("event.GUARD_TRIGGERED")
def test_a_finding_is_repaired_by_the_same_model():
    with capture_logs() as logs:
        result, models, took = one(Careful(), main=says("Zoe paid", "it was paid"), spare=1.0)
    assert [(entry["arm"], entry["kinds"]) for entry in logs if entry["event"] == "GUARD_TRIGGERED"] == [
        ("primary", "name")
    ]
    assert "Zoe" not in str(logs)
    assert (result.output, result.arm, result.repaired, result.guarded) == ("it was paid", "primary", True, ("name",))
    assert models.asked() == ["main", "main"]
    asked = models.calls[1][1].messages
    assert [message.role for message in asked] == ["user", "assistant", "user"]
    assert asked[1].content == "Zoe paid"
    assert 'name "Zoe"' in asked[2].content
    assert result.cost.metered_usd == 2 * ONE_REPLY
    assert took == pytest.approx(1.0)


def test_a_finding_that_stays_goes_to_the_backup_and_then_to_the_digest():
    result, models, _ = one(Careful(), main=says("Zoe paid", "Zoe again"), spare=0.5)
    assert (result.output, result.arm, result.repaired) == ("by spare", "backup", False)
    assert result.guarded == ("name",)
    result, models, _ = one(Careful(), main=says("Zoe", "Zoe"), spare=says("Zoe", "Zoe"))
    assert (result.output, result.arm, models.asked()) == ("digest", "fallback", ["main", "main", "spare", "spare"])
    assert result.cost.metered_usd == 4 * ONE_REPLY


def test_without_time_for_a_repair_the_next_link_answers():
    late = replace(PAIR, backup=None)
    result, models, took = one(Careful(), pair=late, main=says("Zoe paid", "fine", 3.0), spare=1.0)
    assert (result.arm, models.asked()) == ("fallback", ["main"])
    assert took == pytest.approx(3.0)


def test_the_digest_is_never_guarded_away():
    class Strict(Careful):
        forbidden = ("digest", "by")

    result, _, _ = one(Strict(), main=1.0, spare=1.0)
    assert result.output == "digest"
    as_code = replace(PAIR, model="code", backup=None)

    async def run(loop):
        class Code(Models):
            async def complete(self, call):
                return ModelReply(
                    text="digest", usage=Usage(), stop_reason="end_turn", latency_ms=1, answered_by="code"
                )

        return await Strict().run(Inputs(text="x"), context(loop, Code(loop), Reliability(loop.time), as_code))

    assert simulate(run).arm == "primary"


def test_a_guard_that_breaks_shows_nothing():
    class Broken(Plain):
        def guard(self, inputs, seen=()):
            class Guard(ListGuard):
                def __call__(self, text):
                    raise RuntimeError("bug")

            return Guard(())

    result, _, _ = one(Broken(), main=1.0, spare=1.0)
    assert result.output == "digest"


def test_an_evaluation_sees_the_answer_as_the_model_gave_it():
    async def run(loop):
        models = Models(loop, main=says("Zoe paid", "fine"))
        return await Careful().run(Inputs(text="x"), context(loop, models, None, chain="primary")), models.asked()

    result, asked = simulate(run)
    assert (result.output, asked) == ("Zoe paid", ["main"])
