"""Keeps the leases of the calls that a worker works on, so that they can be short: a dead worker's calls are free soon."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import anyio
import anyio.to_thread

from service.calls.store.states import CallJob, CallJobs, StateLost
from service.kit.delivery.leases import renewed
from service.kit.frame.errors import StoreError

_LONGEST_STEP = timedelta(minutes=15)  # a call that makes no step for longer is another worker's


@dataclass(slots=True, kw_only=True)
class LeaseKeeper:
    """The calls that one round of a worker holds. A lease that is not renewed in time is lost, as that of a dead worker."""

    jobs: CallJobs
    lease: timedelta
    now: Callable[[], datetime]
    _held: dict[tuple[str, str], CallJob] = field(default_factory=dict)

    def add(self, job: CallJob) -> None:
        """Renew the lease of this call from now on, until its owner releases or ends it."""
        self._held[job.tenant, job.call_id] = job

    def kept(self) -> AbstractAsyncContextManager[None]:
        """Return a context that renews the leases while it is open."""
        return renewed(self._renew, self.lease, sleep=anyio.sleep)

    async def _renew(self) -> bool:
        for key, job in list(self._held.items()):
            now = self.now()
            renew = partial(self.jobs.renew, job, now=now, lease=self.lease, since=now - _LONGEST_STEP)
            try:
                await anyio.to_thread.run_sync(renew)
            except StateLost:
                del self._held[key]
            except StoreError:
                continue
        return True
