"""Crowded is a process whose event loop is late; then nobody waits for a model, and the answer says so."""

import asyncio
import time

from service.kit.telemetry.loop_lag import Crowding


def watched(from_s, blocked_s):
    async def run():
        crowding = Crowding(from_s=from_s, clock=time.monotonic)
        crowding.start()
        before = crowding.crowded
        await asyncio.sleep(0.15)
        for _ in range(3):
            time.sleep(blocked_s)  # noqa: ASYNC251 - a loop that does not get to what is due
            await asyncio.sleep(0.01)
        found = crowding.crowded
        crowding.stop()
        return before, found

    return asyncio.run(run())


def test_a_loop_that_is_late_makes_the_process_crowded():
    assert watched(0.05, 0.25) == (False, True)


def test_zero_switches_it_off():
    assert watched(0, 0.25) == (False, False)


def looks(*latenesses, from_s=0.1):
    """Whether it was crowded after each of the looks, which come every 0.1 s and their lateness apart."""
    now, found = [100.0], []

    async def run():
        crowding = Crowding(from_s=from_s, clock=lambda: now[0])
        for late in latenesses:
            now[0] += 0.1 + late
            crowding._measure(asyncio.get_running_loop(), due=now[0] - late)
            found.append(crowding.crowded)
            crowding.stop()

    asyncio.run(run())
    return found


def test_only_lasting_lateness_counts_as_crowded():
    assert not any(looks(*[0.0] * 10, 0.3, *[0.0] * 10))
    assert looks(*[0.0] * 10, *[0.15] * 5)[-1]
    assert not any(looks(*[0.05] * 30))


def test_it_is_over_when_the_last_second_was_on_time():
    found = looks(*[0.2] * 5, *[0.0] * 11)
    assert found[4]
    assert not found[-1]


def test_without_a_loop_there_is_nothing_to_watch():
    crowding = Crowding(from_s=0.5, clock=time.monotonic)
    crowding.start()
    assert crowding.crowded is False
