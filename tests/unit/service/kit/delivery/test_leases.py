"""A lease is renewed several times while its holder works, through an outage, and not once more after it was lost."""

import asyncio
from datetime import timedelta

from service.kit.delivery.leases import renewed
from service.kit.frame.errors import StoreError


async def slept_through(*answers, lease=timedelta(seconds=8), rounds=6):
    left, slept, asked = list(answers), [], []

    async def sleep(seconds):
        slept.append(seconds)
        await asyncio.sleep(0)

    async def renew():
        asked.append(answer := left.pop(0) if left else True)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with renewed(renew, lease, sleep=sleep):
        for _ in range(rounds):
            await asyncio.sleep(0)
    before = len(asked)
    await asyncio.sleep(0)
    assert len(asked) == before
    return slept, asked


async def test_it_is_renewed_four_times_a_lease_and_through_an_outage():
    slept, asked = await slept_through(StoreError("down"))
    assert set(slept) == {2.0}
    assert len(asked) >= 4


async def test_what_is_lost_is_not_renewed_again():
    assert len((await slept_through(True, False))[1]) == 2


async def test_a_lease_of_no_length_is_not_renewed():
    assert await slept_through(lease=timedelta()) == ([], [])
