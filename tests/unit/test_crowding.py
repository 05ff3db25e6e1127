"""Crowded is a process whose event loop is late; then nobody waits for a model, and the answer says so."""

import asyncio
import time

from service.crowding import Crowding


def watched(from_s, blocked_s):
    async def run():
        crowding = Crowding(from_s=from_s, clock=time.monotonic)
        crowding.start()
        before = crowding.crowded
        await asyncio.sleep(0.15)
        time.sleep(blocked_s)  # noqa: ASYNC251 - a loop that does not get to what is due
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        found = crowding.crowded
        crowding.stop()
        return before, found

    return asyncio.run(run())


def test_a_loop_that_is_late_makes_the_process_crowded():
    assert watched(0.3, 0.6) == (False, True)


def test_zero_switches_it_off():
    assert watched(0, 0.6) == (False, False)


def test_it_is_over_a_second_after_the_last_lateness():
    now = [100.0]

    async def run():
        crowding = Crowding(from_s=0.5, clock=lambda: now[0])
        crowding._look(asyncio.get_running_loop(), due=99.4)
        found = [crowding.crowded]
        now[0] = 101.1
        found.append(crowding.crowded)
        crowding._look(asyncio.get_running_loop(), due=101.0)
        found.append(crowding.crowded)
        crowding.stop()
        return found

    assert asyncio.run(run()) == [True, False, False]


def test_without_a_loop_there_is_nothing_to_watch():
    crowding = Crowding(from_s=0.5, clock=time.monotonic)
    crowding.start()
    assert crowding.crowded is False
