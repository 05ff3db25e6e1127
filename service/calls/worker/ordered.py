"""Carries out orders to score stored calls again, one call a step, so that new calls come between.

Only the oldest open order of a tenant is worked on, by one worker, which holds a lease: no call is asked about twice.
Before the model is asked, the order names the call; after a kill the next worker finishes that call first and counts it once.
A call that the model does not answer is put aside and tried again, so that it does not hold up the others.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Literal

import anyio
import anyio.to_thread

from service.calls.failure import CallFailed, FailureReason, NotReady
from service.calls.rescorings import RescoringRange, log_end, place_of
from service.calls.store.form_store import FormMissing
from service.calls.store.rescorings import OrderMissing, RescoringOrder, RescoringOrders, UnansweredCall
from service.calls.store.states import CallJob
from service.calls.worker.rescoring import Rescoring, SettledCall
from service.calls.worker.scoring import ModelBusy
from service.calls.worker.worker import MOST_ATTEMPTS, CallWorker
from service.kit.delivery.leases import renewed
from service.kit.frame.errors import WarehouseError

RESCORING_LEASE = timedelta(minutes=2)  # renewed while a call is scored; a dead worker's order waits so long
# Unless the model has answered about another call meanwhile: then it is asked again at once, when the others are settled.
_AGAIN_AFTER = timedelta(hours=1)
_MOST_UNANSWERED = 20  # with so many the model is taken to be down, and no further call is asked about
StepEnd = Literal["nothing", "worked", "busy"]


class _NotOurs(Exception):
    """Another worker holds the order, or it has ended."""


class _NotYet(Exception):
    """Every call that is left waits for its next try."""


@dataclass(slots=True, kw_only=True)
class _Plan:
    """What one worker knows of an order that it works on: ``left`` are the calls that have not been asked about."""

    rescoring_id: str
    again: Rescoring
    left: deque[CallJob]


@dataclass(slots=True, kw_only=True)
class OrderedRescorings:
    """One worker's part in the orders of all tenants, who take turns."""

    worker: CallWorker
    orders: RescoringOrders
    lease: timedelta = RESCORING_LEASE
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    _tenants: deque[str] = field(default_factory=deque)
    _plans: dict[str, _Plan] = field(default_factory=dict)  # by tenant

    async def look(self) -> None:
        """Learn of tenants with open orders."""
        for tenant in await anyio.to_thread.run_sync(self.orders.open_tenants):
            if tenant not in self._tenants:
                self._tenants.append(tenant)

    async def drain(self) -> None:
        """Work until no order is left that this worker can go on with, or two steps in a row were ``busy``."""
        await self.look()
        busy = 0
        while busy < 2 and (step := await self.step()) != "nothing":
            busy = busy + 1 if step == "busy" else 0

    async def step(self) -> StepEnd:
        """Settle one call of one tenant's order. ``busy``: the model or the warehouse does not answer."""
        for _ in range(len(self._tenants)):
            tenant = self._tenants.popleft()
            order = await anyio.to_thread.run_sync(self._oldest, tenant)
            if order is None:
                self._plans.pop(tenant, None)
                continue
            try:
                await self._go_on(order)
            except _NotYet:
                continue  # the next look brings the tenant back
            except (_NotOurs, OrderMissing):
                self._plans.pop(tenant, None)
                continue
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
        left = len(plan.left) + len(order.unanswered)
        if order.left != left:
            order = await self._changed(order, total=order.done + order.failed + order.gone + left)
        if not left:
            await self._end(order, "done", "")
            return
        call_id = self._next(order, plan)
        job = await anyio.to_thread.run_sync(self.worker.jobs.get, order.tenant, call_id)
        try:
            async with renewed(partial(self._renewed, order), self.lease, sleep=self.sleep):
                settled = await self._settled(order, plan, call_id, job)
        except ModelBusy:
            await anyio.to_thread.run_sync(partial(self._count, order, plan, call_id, None))
            raise
        if settled is None:
            return
        order = await anyio.to_thread.run_sync(partial(self._count, order, plan, call_id, settled))
        if not (plan.left or order.unanswered) and order.is_open:
            await self._end(order, "done", "")

    def _next(self, order: RescoringOrder, plan: _Plan) -> str:
        """Return the call to ask about: one that a dead worker asked about, then those that were not asked about."""
        if order.asking is not None and order.asking in {one.call_id for one in order.unanswered}:
            return order.asking
        if plan.left and len(order.unanswered) < _MOST_UNANSWERED:
            return plan.left[0].call_id
        oldest = min(order.unanswered, key=lambda one: one.at)
        is_answering = order.answered_at is not None and order.answered_at > oldest.at
        if not is_answering and self.worker.now() < oldest.at + _AGAIN_AFTER:
            raise _NotYet
        return oldest.call_id

    async def _settled(
        self, order: RescoringOrder, plan: _Plan, call_id: str, job: CallJob | None
    ) -> SettledCall | None:
        """Settle a call; None: the order's bound is reached, and it has ended."""
        if job is None or job.scored is None or job.result_key is None or job.state not in ("done", "needs_review"):
            # It was erased, or is on its way again, and new calls get the active version.
            return SettledCall(how="gone")
        if not await anyio.to_thread.run_sync(plan.again.is_answered, job):
            why = _bound_of(order)
            if why and order.asking != call_id:
                await self._end(order, "stopped", why)
                return None
            await self._changed(order, asking=call_id)
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
        unanswered = {one.call_id for one in order.unanswered}
        if order.asking is not None and order.asking not in unanswered:
            # It may have its new scorecard already, and was not counted.
            asked = await anyio.to_thread.run_sync(self.worker.jobs.get, order.tenant, order.asking)
            left = [*([] if asked is None else [asked]), *(job for job in left if job.call_id != order.asking)]
        return _Plan(rescoring_id=order.rescoring_id, again=again, left=deque(left))

    def _count(self, order: RescoringOrder, plan: _Plan, call_id: str, settled: SettledCall | None) -> RescoringOrder:
        """Count a settled call once, also in an order that was cancelled meanwhile; None: the model did not answer.

        A call that the model has not answered for the last time counts as failed.
        """
        is_new = bool(plan.left) and plan.left[0].call_id == call_id
        after = {"after": place_of(plan.left[0])} if is_new else {}

        def counted(now: RescoringOrder) -> RescoringOrder:
            if now.owner != self.worker.owner:
                raise _NotOurs
            moment = self.worker.now()
            tries = 1 + sum(one.tries for one in now.unanswered if one.call_id == call_id)
            others = tuple(one for one in now.unanswered if one.call_id != call_id)
            said: dict[str, Any] = {"asking": None, "updated_at": moment, "unanswered": others, **after}
            if settled is None and tries < MOST_ATTEMPTS:
                again = UnansweredCall(call_id=call_id, tries=tries, at=moment)
                return now.model_copy(update=said | {"unanswered": (*others, again)})
            ended = settled or SettledCall(how="failed")
            said[ended.how] = getattr(now, ended.how) + 1
            if now.asking == call_id and ended.how != "gone":
                said |= {
                    "used": now.used + 1,
                    "used_usd": now.used_usd + ended.usd,
                    "dearest_usd": max(now.dearest_usd, ended.usd),
                }
                said |= {} if settled is None else {"answered_at": moment}
            return now.model_copy(update=said)

        changed = self.orders.change(order.tenant, order.rescoring_id, counted)
        if is_new:
            plan.left.popleft()
        return changed

    async def _refused(self, order: RescoringOrder, err: CallFailed) -> None:
        """A suspended tenant's order waits for its return; any other refusal ends it."""
        if err.reason is FailureReason.SUSPENDED:
            await self._changed(order, state="waiting", owner="", leased_until=None)
            raise _NotOurs
        await self._end(order, "stopped", err.detail)

    async def _end(self, order: RescoringOrder, state: Literal["done", "stopped"], why: str) -> None:
        self._plans.pop(order.tenant, None)
        log_end(await self._changed(order, state=state, why=why, owner="", leased_until=None))

    async def _renewed(self, order: RescoringOrder) -> bool:
        """Renew the lease; return False if the order has ended, or another worker has taken it."""
        try:
            await self._changed(order)
        except (_NotOurs, OrderMissing):
            return False
        return True

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
