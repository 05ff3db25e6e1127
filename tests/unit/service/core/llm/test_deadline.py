import asyncio

import pytest

from service.core.llm.deadline import Budget, complete_within, first_good
from service.core.llm.model_call import ModelCall, ModelReply
from service.core.llm.pricing import Usage
from service.core.unit.pair import Sampling
from service.kit.frame.errors import DeadlineExceeded, QuotaExceeded, UpstreamUnavailable
from service.kit.frame.retries import RetryPlan

CALL = ModelCall(model="m", messages=(), sampling=Sampling(max_output_tokens=1), timeout_s=9)
REPLY = ModelReply(text="ok", usage=Usage(), stop_reason="end_turn", latency_ms=1, answered_by="m")


class Scripted:
    """Gateway that raises or returns what its script says, in order, and remembers the timeouts it was given."""

    def __init__(self, *script):
        self.script = list(script)
        self.timeouts = []

    async def complete(self, call):
        self.timeouts.append(call.timeout_s)
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


class Clock:
    def __init__(self, *times):
        self.times = list(times)

    def __call__(self):
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("service.core.llm.deadline._THROTTLE_RETRIES", RetryPlan(first_s=0, longest_s=0))


@pytest.mark.acceptance("turn-20")
async def test_a_throttled_call_is_retried():
    gateway = Scripted(QuotaExceeded("x"), QuotaExceeded("x"), REPLY)
    assert await complete_within(gateway, CALL, Budget(5, Clock(0.0)), throttle_retries=3) == (REPLY, 3)


@pytest.mark.acceptance("turn-20")
async def test_retries_are_bounded():
    gateway = Scripted(QuotaExceeded("x"), QuotaExceeded("x"), REPLY)
    with pytest.raises(QuotaExceeded):
        await complete_within(gateway, CALL, Budget(5, Clock(0.0)), throttle_retries=1)


@pytest.mark.acceptance("bot-test-02")
async def test_only_throttles_are_retried():
    gateway = Scripted(UpstreamUnavailable("x"), REPLY)
    with pytest.raises(UpstreamUnavailable):
        await complete_within(gateway, CALL, Budget(5, Clock(0.0)), throttle_retries=3)


async def test_the_timeout_of_a_call_is_the_remaining_budget():
    gateway = Scripted(REPLY)
    await complete_within(gateway, CALL, Budget(5, Clock(0.0, 2.0)), throttle_retries=0)
    assert gateway.timeouts == [3.0]


@pytest.mark.acceptance("bot-test-02")
async def test_no_call_is_started_without_time():
    gateway = Scripted(REPLY)
    with pytest.raises(DeadlineExceeded):
        await complete_within(gateway, CALL, Budget(5, Clock(0.0, 6.0)), throttle_retries=0)
    assert gateway.timeouts == []


def answer(value, *, after=0, log=None):
    async def _answer():
        try:
            for _ in range(after):
                await asyncio.sleep(0)
            if after < 0:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            if log is not None:
                log.append("cancelled")
            raise
        if isinstance(value, Exception):
            raise value
        return value

    return _answer


async def test_a_good_primary_never_starts_the_backup():
    def never():
        raise AssertionError("the backup was started")

    assert await first_good(answer("primary"), never, hedge_delay_s=5) == "primary"


async def test_a_failing_primary_starts_the_backup_at_once():
    assert await first_good(answer(UpstreamUnavailable("x")), answer("backup"), hedge_delay_s=3600) == "backup"


async def test_a_hanging_primary_is_hedged_and_cancelled():
    log = []
    assert await first_good(answer("primary", after=-1, log=log), answer("backup"), hedge_delay_s=0.01) == "backup"
    assert log == ["cancelled"]


async def test_a_failing_hedge_does_not_hide_a_slow_primary():
    assert await first_good(answer("primary", after=50), answer(UpstreamUnavailable("b")), hedge_delay_s=0) == "primary"


async def test_when_both_fail_the_primarys_error_counts():
    with pytest.raises(UpstreamUnavailable, match="primary"):
        await first_good(answer(UpstreamUnavailable("primary")), answer(QuotaExceeded("backup")), hedge_delay_s=1)


async def test_an_exception_that_is_no_model_error_is_raised():
    with pytest.raises(KeyError):
        await first_good(answer(KeyError("bug")), answer("backup"), hedge_delay_s=1)
