"""Pauses double up to their longest, and nothing is tried beyond its attempts, its time or its reason."""

import pytest

from service.kit.frame.retries import RetryPlan

PLAN = RetryPlan(first_s=1, longest_s=5)


class Down(Exception):
    pass


class World:
    """Time that only sleeping moves, and an access that fails so many times."""

    def __init__(self, failures, error=Down):
        self.left, self.error, self.slept = failures, error, []

    def __call__(self):
        if self.left:
            self.left -= 1
            raise self.error(f"{self.left} left")
        return "there"

    def run(self, plan, **more):
        return plan.run(self, on=Down, sleep=self.slept.append, clock=lambda: float(sum(self.slept)), **more)


@pytest.fixture
def no_sleep(monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    return slept


def test_pauses_double_up_to_the_longest():
    assert [PLAN.pause_s(failures) for failures in (1, 2, 3, 4, 5000)] == [1, 2, 4, 5, 5]
    world = World(5)
    assert world.run(PLAN) == "there"
    assert world.slept == [1, 2, 4, 5, 5]


def test_attempts_and_time_bound_what_is_tried():
    world = World(3)
    with pytest.raises(Down, match="1 left"):
        world.run(RetryPlan(first_s=1, longest_s=5, attempts=2))
    assert world.slept == [1]
    world = World(9)
    with pytest.raises(Down):
        world.run(PLAN, timeout_s=7.5)
    assert world.slept == [1, 2, 4]  # a fourth pause would end after 12 s


def test_what_a_retry_cannot_mend_is_raised_at_once():
    world = World(1, error=ValueError)
    with pytest.raises(ValueError, match="0 left"):
        world.run(PLAN)
    picky = World(3)
    with pytest.raises(Down, match="1 left"):
        picky.run(PLAN, if_=lambda err: "2" in str(err))
    assert (world.slept, picky.slept) == ([], [1])


def test_chance_lengthens_a_pause_within_its_bounds():
    world = World(40)
    world.run(RetryPlan(first_s=1, longest_s=2, jitter_s=0.5))
    assert 1 <= world.slept[0] <= 1.5
    assert len(set(world.slept)) >= 1
    assert max(world.slept) <= 2


async def test_on_the_event_loop_it_is_the_same(no_sleep):
    world = World(3)

    async def access():
        return world()

    assert await PLAN.run_async(access, on=Down) == "there"
    assert no_sleep == [1, 2, 4]
    world.left = 3
    with pytest.raises(Down):
        await PLAN.run_async(access, on=Down, timeout_s=0.5)
