"""Renews the lease of what a worker holds while it works, so that leases can be short: what a dead worker held is free soon."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from service.kit.frame.errors import StoreError

_RENEWALS = 4  # within one lease, so that it outlives a store that does not answer for a while


@asynccontextmanager
async def renewed(
    renew: Callable[[], Awaitable[bool]],
    lease: timedelta,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[None]:
    """Call ``renew`` several times in each lease while the context is open, until it returns that nothing is held any more.

    A store that does not answer is asked again at the next time. A lease of no length is not renewed.
    """

    async def keep() -> None:
        held = bool(lease)
        while held:
            await sleep(lease.total_seconds() / _RENEWALS)
            with suppress(StoreError):
                held = await renew()

    renewing = asyncio.create_task(keep())
    try:
        yield
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
