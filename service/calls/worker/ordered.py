"""Carries out orders to score stored calls again, one call a step, so that new calls come between.

Only the oldest open order of a tenant is worked on, by one worker, which holds a lease: no call is asked about twice.
Before the model is asked, the order names the call; after a kill the next worker finishes that call first and counts it once.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Literal

import anyio.to_thread

from service.calls.failure import CallFailed, FailureReason, NotReady
from service.calls.rescorings import RescoringRange, log_end, place_of
from service.calls.store.forms import FormMissing
from service.calls.store.rescorings import OrderMissing, RescoringOrder, RescoringOrders
from service.calls.store.states import CallJob
from service.calls.worker.rescoring import Rescoring, SettledCall
from service.calls.worker.worker import CallWorker
from service.errors import WarehouseError

# Longer than any call takes; a dead worker's order waits so long.
RESCORING_LEASE = timedelta(minutes=15)
StepEnd = Literal["nothing", "worked", "busy"]


class _NotOurs(Exception):
    """Another worker holds the order, or it has ended."""


@dataclass(slots=True, kw_only=True)
class _Plan:
    """What one worker knows of an order that it works on."""

    rescoring_id: str
    again: Rescoring
    left: deque[CallJob]


@dataclass(slots=True, kw_only=True)
class OrderedRescorings:
    """One worker's part in the orders of all tenants, who take turns."""

    worker: CallWorker
    orders: RescoringOrders
    lease: timedelta = RESCORING_LEASE
    _tenants: deque[str] = field(default_factory=deque)
    _plans: dict[str, _Plan] = field(default_factory=dict)  # by tenant

    async def look(self) -> None:
        """Learn of tenants with open orders."""
        for tenant in await anyio.to_thread.run_sync(self.orders.open_tenants):
            if tenant not in self._tenants:
                self._tenants.append(tenant)

    async def drain(self) -> None:
        """Work until no order is left that this worker can go on with."""
        await self.look()
        while await self.step() == "worked":
            pass

    async def step(self) -> StepEnd:
        """Settle one call of one tenant's order. ``busy``: the model or the warehouse does not answer.

        Raises:
            StoreError: a store does not answer.
        """
        for _ in range(len(self._tenants)):
            tenant = self._tenants.popleft()
            order = await anyio.to_thread.run_sync(self._oldest, tenant)
            if order is None:
                self._plans.pop(tenant, None)
                continue
            try:
                await self._go_on(order)
            except (_NotOurs, OrderMissing):
                self._plans.pop(tenant, None)
                continue  # the next look brings the tenant back
            except (NotReady, WarehouseError):
                self._tenants.append(tenant)
                return "busy"
            self._tenants.append(tenant)
            return "worked"
        return "nothing"

    def _oldest(self, tenant: str) -> RescoringOrder | None:
        found = [order for order in self.orders.of(tenant) if order.is_open]
        return found[-1] if found else None

    async def _go_on(self, order: RescoringOrder) -> None:
        order = await self._changed(order, state="running")
        try:
            await self.worker.tenants.admit(order.tenant)
            await anyio.to_thread.run_sync(self.worker.scorer.served, order.tenant)
            plan = self._plans.get(order.tenant)
            if plan is None or plan.rescoring_id != order.rescoring_id:
                plan = await self._planned(order)
        except CallFailed as err:
            await self._refused(order, err)
            return
        except FormMissing as err:
            await self._end(order, "stopped", str(err))
            return
        self._plans[order.tenant] = plan
        if order.left != len(plan.left):
            order = await self._changed(order, total=order.done + order.failed + order.gone + len(plan.left))
        if not plan.left:
            await self._end(order, "done", "")
            return
        listed = plan.left[0]
        job = await anyio.to_thread.run_sync(self.worker.jobs.get, listed.tenant, listed.call_id)
        settled = await self._settled(order, plan, job)
        if settled is None:
            return
        plan.left.popleft()
        order = await anyio.to_thread.run_sync(partial(self._count, order, listed, settled))
        if not plan.left and order.is_open:
            await self._end(order, "done", "")

    async def _settled(self, order: RescoringOrder, plan: _Plan, job: CallJob | None) -> SettledCall | None:
        """Settle the next call; None: the order's bound is reached, and it has ended."""
        if job is None or job.scored is None or job.result_key is None or job.state not in ("done", "needs_review"):
            return SettledCall(
                how="gone"
            )  # it was erased, or is on its way again, and new calls get the active version
        if not await anyio.to_thread.run_sync(plan.again.is_answered, job):
            why = _bound_of(order)
            if why and order.asking != job.call_id:
                await self._end(order, "stopped", why)
                return None
            await self._changed(order, asking=job.call_id)
        try:
            return await plan.again.settle(job)
        except CallFailed:  # the provider refuses this one call's request
            return SettledCall(how="failed")

    async def _planned(self, order: RescoringOrder) -> _Plan:
        form = await self.worker.forms.revision(order.tenant, order.form_id, order.form_version)
        again = Rescoring(worker=self.worker, form=form)
        within = RescoringRange(form_id=order.form_id, from_day=order.from_day, to_day=order.to_day)
        left = await anyio.to_thread.run_sync(again.left, within)
        if order.after is not None:
            left = [job for job in left if place_of(job) < order.after]
        if order.asking is not None:  # it may have its new scorecard already, and was not counted
            asked = await anyio.to_thread.run_sync(self.worker.jobs.get, order.tenant, order.asking)
            left = [*([] if asked is None else [asked]), *(job for job in left if job.call_id != order.asking)]
        return _Plan(rescoring_id=order.rescoring_id, again=again, left=deque(left))

    def _count(self, order: RescoringOrder, job: CallJob, settled: SettledCall) -> RescoringOrder:
        """Count a settled call once, also in an order that was cancelled meanwhile."""

        def counted(now: RescoringOrder) -> RescoringOrder:
            if now.owner != self.worker.owner:
                raise _NotOurs
            said: dict[str, Any] = {
                settled.how: getattr(now, settled.how) + 1,
                "after": place_of(job),
                "asking": None,
                "updated_at": self.worker.now(),
            }
            if now.asking == job.call_id and settled.how != "gone":
                said |= {
                    "used": now.used + 1,
                    "used_usd": now.used_usd + settled.usd,
                    "dearest_usd": max(now.dearest_usd, settled.usd),
                }
            return now.model_copy(update=said)

        return self.orders.change(order.tenant, order.rescoring_id, counted)

    async def _refused(self, order: RescoringOrder, err: CallFailed) -> None:
        """A suspended tenant's order waits for its return; any other refusal ends it."""
        if err.reason is FailureReason.SUSPENDED:
            await self._changed(order, state="waiting", owner="", leased_until=None)
            raise _NotOurs
        await self._end(order, "stopped", err.detail)

    async def _end(self, order: RescoringOrder, state: Literal["done", "stopped"], why: str) -> None:
        self._plans.pop(order.tenant, None)
        log_end(await self._changed(order, state=state, why=why, owner="", leased_until=None))

    async def _changed(self, order: RescoringOrder, **said: Any) -> RescoringOrder:
        """Change an open order that nobody else holds, and take or renew the lease.

        Raises:
            _NotOurs: it has ended, or another worker holds it.
        """

        def changed(now: RescoringOrder) -> RescoringOrder:
            moment = self.worker.now()
            is_held = now.leased_until is not None and now.leased_until > moment
            if not now.is_open or (is_held and now.owner != self.worker.owner):
                raise _NotOurs
            ours = {"owner": self.worker.owner, "leased_until": moment + self.lease, "updated_at": moment}
            return now.model_copy(update=ours | said)

        return await anyio.to_thread.run_sync(self.orders.change, order.tenant, order.rescoring_id, changed)


def _bound_of(order: RescoringOrder) -> str:
    if order.used >= order.most_calls:
        return f"the bound of {order.most_calls} calls is reached: order again with a higher one"
    if order.used_usd + order.dearest_usd > order.most_usd:
        return f"the bound of ${order.most_usd} does not hold another call: order again with a higher one"
    return ""
